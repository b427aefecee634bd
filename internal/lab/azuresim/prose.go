package azuresim

import "github.com/spillway-ai/spillway/internal/stat"

// The words of responses: short and common. The tables are constant.
var (
	adjectives = [...]string{"new", "small", "clear", "early", "steady", "open", "quiet", "warm", "plain", "careful", "strong", "recent", "local", "simple", "whole", "bright"}
	nouns      = [...]string{"team", "report", "river", "market", "system", "garden", "city", "letter", "engine", "window", "teacher", "road", "season", "plan", "number", "harbor"}
	verbs      = [...]string{"follows", "shows", "finds", "keeps", "moves", "leaves", "meets", "holds", "needs", "brings", "explains", "crosses", "checks", "shapes", "supports", "opens"}
	preps      = [...]string{"near", "under", "behind", "after", "before", "with", "beyond", "across"}
	// patterns are sentences: a(djective), n(oun), v(erb), p(reposition),
	// t(he), o(ne); and a full stop after them.
	patterns = [...]string{"tnvtan", "tanvtnptn", "tnptnvon", "tanvonptan", "onvtnptan"}
)

// prose makes endless English-looking text that depends on the seed alone. Its
// tokens are bytesPerToken bytes long, whatever the words.
type prose struct {
	seed    uint64
	step    uint64
	pattern string
	at      int
	token   [bytesPerToken]byte
	rest    []byte // of words that the last token has begun; in buf
	buf     [16]byte
}

// next returns the next token. It is valid until the call after it.
func (p *prose) next() []byte {
	p.rest = p.buf[:copy(p.buf[:], p.rest)]
	for len(p.rest) < bytesPerToken {
		p.rest = p.word(p.rest)
	}
	p.rest = p.rest[copy(p.token[:], p.rest):]
	return p.token[:]
}

// last returns the token with which the text ends.
func (p *prose) last() []byte {
	token := p.next()
	token[len(token)-1] = '.'
	return token
}

// word appends the next word, with the space before it, or the next full stop.
func (p *prose) word(b []byte) []byte {
	p.step++
	r := stat.Mix(p.seed + p.step)
	if p.pattern == "" || p.at > len(p.pattern) {
		p.pattern, p.at = patterns[r>>32%uint64(len(patterns))], 0
	}
	if p.at == len(p.pattern) {
		p.at++
		return append(b, '.')
	}
	word := ""
	switch p.pattern[p.at] {
	case 'a':
		word = adjectives[r%uint64(len(adjectives))]
	case 'n':
		word = nouns[r%uint64(len(nouns))]
	case 'v':
		word = verbs[r%uint64(len(verbs))]
	case 'p':
		word = preps[r%uint64(len(preps))]
	case 't':
		word = "the"
	default:
		word = "one"
	}
	if p.step > 1 {
		b = append(b, ' ')
	}
	start := len(b)
	b = append(b, word...)
	if p.at == 0 {
		b[start] -= 'a' - 'A'
	}
	p.at++
	return b
}

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// randomText is n letters and digits that depend on the seed alone.
func randomText(seed uint64, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphanumeric[stat.Mix(seed+uint64(i)<<32)%uint64(len(alphanumeric))]
	}
	return string(b)
}

// uuid is a random-looking version 4 UUID that depends on the seed alone.
func uuid(seed uint64) string {
	b := make([]byte, 36)
	for i := range b {
		b[i] = hexDigits[stat.Mix(seed+uint64(i)<<32)&15]
	}
	b[8], b[13], b[18], b[23], b[14] = '-', '-', '-', '-', '4'
	b[19] = hexDigits[8|stat.Mix(seed)&3]
	return string(b)
}
