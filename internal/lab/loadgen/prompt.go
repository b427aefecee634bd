package loadgen

import "math/rand/v2"

// Prompts are made of words of three letters and a space, one token each to
// the tokenizers of the GPT models and to those that divide bytes by four.
const bytesPerToken = 4

// The cacheable blocks of a prompt, as the services publish them.
const (
	firstBlock = 1024 // tokens
	nextBlock  = 128  // tokens
)

// messageTokens is what a message and its role cost besides its text.
const messageTokens = 4

// words has 64 entries, so that a word says six bits.
var words = [...]string{
	"the ", "and ", "for ", "are ", "but ", "not ", "you ", "all ", "any ", "can ", "had ", "her ", "was ", "one ", "our ", "out ",
	"day ", "get ", "has ", "him ", "his ", "how ", "man ", "new ", "now ", "old ", "see ", "two ", "way ", "who ", "boy ", "did ",
	"its ", "let ", "put ", "say ", "she ", "too ", "use ", "dad ", "mom ", "act ", "add ", "age ", "ago ", "air ", "arm ", "art ",
	"ask ", "bad ", "bag ", "bar ", "bed ", "big ", "bit ", "box ", "bus ", "buy ", "car ", "cat ", "cup ", "cut ", "dog ", "eat ",
}

const (
	wordBits   = 6
	nameWords  = (64 + wordBits - 1) / wordBits // words that spell a hash
	fillerSize = 64 << 10                       // bytes of ready text
)

// filler is ready text that prompts are cut from. It is immutable.
type filler []byte

// newFiller returns text of the seed.
func newFiller(seed uint64) filler {
	rnd := rand.New(rand.NewPCG(seed, 1))
	text := make(filler, 0, fillerSize)
	for len(text) < fillerSize {
		text = append(text, words[rnd.IntN(len(words))]...)
	}
	return text
}

// appendPrompt appends the text of a message that costs that many tokens, at
// least one word. Its cacheable blocks are determined by prefix alone: two calls
// whose prefixes agree have the same text there. What follows them is determined by
// unique, so a call without a prefix shares no block with any other.
func (f filler) appendPrompt(dst []byte, tokens int, prefix []uint64, unique uint64) []byte {
	left := max(tokens-messageTokens, 1)
	size := firstBlock
	for _, name := range prefix {
		if left < size {
			break
		}
		dst = f.appendBlock(dst, size, name)
		left -= size
		size = nextBlock
	}
	return f.appendBlock(dst, left, unique)
}

// appendBlock appends that many words, the first of which spell the name.
func (f filler) appendBlock(dst []byte, count int, name uint64) []byte {
	for n, spelt := name, 0; count > 0 && spelt < nameWords; spelt++ {
		dst = append(dst, words[n%uint64(len(words))]...)
		n >>= wordBits
		count--
	}
	at := int(name % uint64(len(f)/bytesPerToken) * bytesPerToken)
	for left := count * bytesPerToken; left > 0; at = 0 {
		n := min(left, len(f)-at)
		dst = append(dst, f[at:at+n]...)
		left -= n
	}
	return dst
}
