package loadgen

import (
	"math/rand/v2"
	"strconv"

	"github.com/spillway-ai/spillway/internal/lab/workload"
)

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

// appendPrompt appends the text of a call's message, which costs the call's tokens.
// Its cacheable blocks are determined by the prefix alone: two calls whose prefixes
// agree have the same text there. What follows them is determined by unique, so a
// call without a prefix shares no block with any other. At its end the text asks for
// the call's output length; a prompt that is too short for that becomes longer.
func (f filler) appendPrompt(dst []byte, c *workload.Call, unique uint64) []byte {
	left := max(c.PromptTokens-messageTokens, 1)
	size := firstBlock
	for _, name := range c.Prefix {
		if left < size {
			break
		}
		dst = f.appendBlock(dst, size, name)
		left -= size
		size = nextBlock
	}
	if c.OutputTokens <= 0 {
		return f.appendBlock(dst, left, unique)
	}
	var buf [96]byte
	ask := appendLengthRequest(buf[:0], c.OutputTokens)
	dst = f.appendBlock(dst, max(left-(len(ask)+bytesPerToken-1)/bytesPerToken, 0), unique)
	return append(dst, ask...)
}

// appendLengthRequest appends the sentence that asks for a response of that many
// tokens. Models follow the number of words, of which English has about three for four
// tokens; the emulator reads the number of tokens, so that it need not guess. A
// prompt, unlike a header, arrives through every gateway.
func appendLengthRequest(dst []byte, tokens int) []byte {
	dst = append(dst, "Write about "...)
	dst = strconv.AppendInt(dst, max(int64(tokens)*3/4, 1), 10)
	dst = append(dst, " words ("...)
	dst = strconv.AppendInt(dst, int64(tokens), 10)
	return append(dst, " tokens) on any topic."...)
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
