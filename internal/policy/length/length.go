// Package length learns how long the responses to one caller's requests on one
// route are, and how many tokens a byte of its prompts is.
//
// The gateway reserves a quantile of past output lengths, not the token limit
// that the client sends: limits are commonly ten times what is used. Answers
// that were cut before their end count as "at least so long"; without them, a
// deadline would make all responses look short.
//
// A prompt is estimated as bytes × ratio. The ratio starts at a quarter token
// per byte and follows the reported usage: bytes/4 alone is off by +12% for
// English, -4% for Chinese and +100% for repeated letters.
package length

import "time"

// defaultKeys is the number of keys remembered when Config names none.
const defaultKeys = 4096

// idleAfter is how long a key must have been unused to make room for another.
const idleAfter = time.Hour

// sweep is how many keys are checked for one to replace.
const sweep = 8

// minSamples is the number of responses below which a key has too few of its own:
// the distribution of all keys together is used if it has more.
const minSamples = 30

// Key identifies requests whose responses are alike.
type Key struct{ Caller, Route string }

// Config bounds the memory. The zero value means the defaults.
type Config struct {
	// MaxKeys is the number of keys remembered on their own; 0 means 4,096.
	// One takes about 740 bytes and its two names.
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
// that was not observed for an hour. Where there is none, the new key is not
// stored, and is answered from all keys together. The model is not safe for concurrent
// use; it allocates only when it meets a new key.
type Model struct {
	maxKeys int
	index   map[Key]*entry
	entries []*entry
	hand    int // where the search for an idle key continues
	shared  entry
}

// entry is what is known of one key.
type entry struct {
	key     Key
	used    time.Time
	lengths distribution
	ratio   ratio
}

// New returns a model that knows nothing.
func New(cfg Config) *Model {
	return &Model{maxKeys: cfg.maxKeys(), index: make(map[Key]*entry)}
}

// Source is one key in a model. Look it up once; it stays valid as long as the
// model.
type Source struct {
	model *Model
	key   Key
	entry *entry // where the key was when it was looked up; nil for nowhere
}

// Of returns a key's source, whether the model knows the key or not.
func (m *Model) Of(key Key) Source { return Source{model: m, key: key, entry: m.index[key]} }

// known is what is known of the source, or nil.
func (s *Source) known() *entry {
	if s.entry == nil || s.entry.key != s.key {
		s.entry = s.model.index[s.key]
	}
	return s.entry
}

// Observe learns the output tokens of one response that ended by itself.
func (s *Source) Observe(now time.Time, outputTokens int) { s.observe(now, outputTokens, true) }

// ObserveAtLeast learns the output tokens of one response that would have gone
// on: a limit, a deadline, a failure or its client's departure cut it.
func (s *Source) ObserveAtLeast(now time.Time, outputTokens int) { s.observe(now, outputTokens, false) }

func (s *Source) observe(now time.Time, outputTokens int, complete bool) {
	s.model.shared.lengths.add(outputTokens, complete)
	if e := s.touch(now); e != nil {
		e.lengths.add(outputTokens, complete)
	}
}

// Estimate is what past responses say about the next one's output tokens.
type Estimate struct {
	Tokens   int
	Answers  int // that it comes from, at most 1,024
	Complete int // how many of them were not cut
	// AtLeast says that Tokens is only a lower bound: so many responses were cut
	// that the quantile lies beyond all that has been seen.
	AtLeast bool
}

// Quantile returns the q-quantile (0–1) of the output tokens of the source's
// responses, within 6.3%. A source with fewer than 30 responses is answered from
// all keys together, if those have more. With none at all the estimate is zero.
func (s *Source) Quantile(q float64) Estimate {
	from := &s.model.shared.lengths
	if e := s.known(); e != nil && (e.lengths.count() >= minSamples || e.lengths.count() >= from.count()) {
		from = &e.lengths
	}
	tokens, atLeast := from.quantile(q)
	return Estimate{Tokens: tokens, Answers: from.count(), Complete: int(from.complete.n), AtLeast: atLeast}
}

// ObservePrompt learns from the reported prompt tokens of a request whose
// prompt was bytes long.
func (s *Source) ObservePrompt(now time.Time, bytes, tokens int) {
	if bytes <= 0 || tokens <= 0 {
		return
	}
	s.model.shared.ratio.add(bytes, tokens)
	if e := s.touch(now); e != nil {
		e.ratio.add(bytes, tokens)
	}
}

// EstimatePrompt returns the tokens that a prompt of that many bytes is likely
// to be; at least 1 for a prompt that is not empty.
func (s *Source) EstimatePrompt(bytes int) int {
	if bytes <= 0 {
		return 0
	}
	from := &s.model.shared.ratio
	if e := s.known(); e != nil && e.ratio.n > 0 {
		from = &e.ratio
	}
	return max(int(float64(bytes)*from.value()+0.5), 1)
}

// touch returns the entry of the source, adding one if there is room, or nil.
func (s *Source) touch(now time.Time) *entry {
	e := s.known()
	if e == nil {
		e = s.model.remember(now, s.key)
		s.entry = e
	}
	if e != nil {
		e.used = now
	}
	return e
}

// Keys returns the number of keys remembered on their own.
func (m *Model) Keys() int { return len(m.entries) }

// remember adds an entry for a new key if there is room, or returns nil.
func (m *Model) remember(now time.Time, key Key) *entry {
	if len(m.entries) < m.maxKeys {
		e := &entry{key: key}
		m.index[key] = e
		m.entries = append(m.entries, e)
		return e
	}
	for range min(sweep, len(m.entries)) {
		e := m.entries[m.hand]
		m.hand = (m.hand + 1) % len(m.entries)
		if now.Sub(e.used) >= idleAfter {
			delete(m.index, e.key)
			*e = entry{key: key}
			m.index[key] = e
			return e
		}
	}
	return nil
}
