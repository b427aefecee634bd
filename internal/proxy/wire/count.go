package wire

import "bytes"

const (
	// oneToken is the longest delta, in bytes, that counts as a single token.
	// Azure's default content filter releases text in batches, so a longer delta
	// is a batch of several tokens.
	oneToken = 12
	// bytesPerToken is the usual length of a token of English text.
	bytesPerToken = 4
)

// tokensIn estimates how many output tokens a delta holds, given the inside of
// its JSON string. Only the usage that upstream reports is exact.
func tokensIn(delta []byte) int {
	n := len(delta)
	if n > oneToken {
		n = textSize(delta)
	}
	switch {
	case n == 0:
		return 0
	case n <= oneToken:
		return 1
	}
	return (n + bytesPerToken/2) / bytesPerToken
}

// textSize is the length in bytes of text that is escaped for JSON. A \u escape
// counts as three bytes, which is what most characters that need one take.
func textSize(escaped []byte) int {
	n := len(escaped)
	for {
		at := bytes.IndexByte(escaped, '\\')
		if at < 0 || at+1 == len(escaped) {
			return n
		}
		n--
		skip := 2
		if escaped[at+1] == 'u' {
			n -= 2
			skip = 6
		}
		escaped = escaped[min(at+skip, len(escaped)):]
	}
}
