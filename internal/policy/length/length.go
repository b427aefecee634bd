// Package length learns how long the answers to one caller's requests on one
// route are, and how many tokens a byte of its prompts is.
//
// What is reserved for a request is a quantile of past output lengths, not the
// token limit that the client sends: limits are commonly ten times what is
// used. A prompt is estimated as bytes × ratio, where the ratio starts at a
// quarter token per byte and follows the reported usage: bytes/4 alone is off
// by +12% for English, -4% for Chinese and +100% for repeated letters.
package length

import "time"

// defaultKeys is the number of keys remembered when Config names none.
const defaultKeys = 4096

// idleAfter is how long a key must have been unused to make room for another.
const idleAfter = time.Hour

// sweep is how many keys are looked at for one to replace.
const sweep = 8

// minSamples is the number of answers below which a key's own distribution is
// too thin, and that of all keys together is used if it has more.
const minSamples = 30

// Key is whose answers are alike.
type Key struct{ Caller, Route string }

// Config bounds the memory. The zero value takes the defaults.
type Config struct {
	// MaxKeys is the number of keys remembered on their own; 0 takes 4,096.
	// One takes about 450 bytes and its two names.
	MaxKeys int
}

func (c Config) maxKeys() int {
	if c.MaxKeys <= 0 {
		return defaultKeys
	}
	return c.MaxKeys
}

// Model holds what has been learned per key, and over all keys together.
//
// When MaxKeys are known, a new key replaces one of the next eight in turn
// that was not observed for an hour; where there is none, it is not remembered
// and answered from all keys together. The model is not safe for concurrent
// use; it allocates only when it meets a new key.
type Model struct {
	maxKeys int
	index   map[Key]int
	entries []*entry
	hand    int // where the search for an idle key goes on
	shared  entry
}

// entry is what is known of one key.
type entry struct {
	key     Key
	used    time.Time
	lengths histogram
	ratio   ratio
}

// New returns a model that knows nothing.
func New(cfg Config) *Model {
	return &Model{maxKeys: cfg.maxKeys(), index: make(map[Key]int)}
}

// Observe learns the output tokens of one answer. Answers that ended at a
// limit count as well, at the length that they reached: without them only the
// short ones would remain.
func (m *Model) Observe(now time.Time, key Key, outputTokens int) {
	m.shared.lengths.add(outputTokens)
	if e := m.touch(now, key); e != nil {
		e.lengths.add(outputTokens)
	}
}

// Quantile returns the q-quantile (0–1) of the output tokens of a key's
// answers, within 6.3%, and the number of answers that say so, at most 1,024.
// A key with fewer than 30 answers is answered from all keys together, if
// those have more. With none at all it returns 0, 0.
func (m *Model) Quantile(key Key, q float64) (tokens, n int) {
	from := &m.shared.lengths
	if i, ok := m.index[key]; ok {
		if own := &m.entries[i].lengths; own.n >= minSamples || own.n >= from.n {
			from = own
		}
	}
	return from.quantile(q), int(from.n)
}

// ObservePrompt learns from the reported prompt tokens of a request whose
// prompt was bytes long.
func (m *Model) ObservePrompt(now time.Time, key Key, bytes, tokens int) {
	if bytes <= 0 || tokens <= 0 {
		return
	}
	m.shared.ratio.add(bytes, tokens)
	if e := m.touch(now, key); e != nil {
		e.ratio.add(bytes, tokens)
	}
}

// Estimate returns the tokens that a prompt of that many bytes is likely to
// be; at least 1 for a prompt that is not empty.
func (m *Model) Estimate(key Key, bytes int) int {
	if bytes <= 0 {
		return 0
	}
	from := &m.shared.ratio
	if i, ok := m.index[key]; ok && m.entries[i].ratio.n > 0 {
		from = &m.entries[i].ratio
	}
	return max(int(float64(bytes)*from.value()+0.5), 1)
}

// Keys returns the number of keys remembered on their own.
func (m *Model) Keys() int { return len(m.entries) }

// touch returns the entry of a key, making one if there is room, or nil.
func (m *Model) touch(now time.Time, key Key) *entry {
	if i, ok := m.index[key]; ok {
		m.entries[i].used = now
		return m.entries[i]
	}
	if len(m.entries) < m.maxKeys {
		e := &entry{key: key, used: now}
		m.index[key] = len(m.entries)
		m.entries = append(m.entries, e)
		return e
	}
	for range min(sweep, len(m.entries)) {
		i := m.hand
		m.hand = (m.hand + 1) % len(m.entries)
		if e := m.entries[i]; now.Sub(e.used) >= idleAfter {
			delete(m.index, e.key)
			*e = entry{key: key, used: now}
			m.index[key] = i
			return e
		}
	}
	return nil
}
