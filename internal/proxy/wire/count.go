package wire

import (
	"bytes"
	"strconv"
)

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

// textSize is the length in bytes of text that is escaped for JSON.
func textSize(escaped []byte) int {
	n := len(escaped)
	for {
		at := bytes.IndexByte(escaped, '\\')
		if at < 0 || at+1 == len(escaped) {
			return n
		}
		size := 2
		n--
		if escaped[at+1] == 'u' {
			size = min(6, len(escaped)-at)
			n += 1 - size + utf8Size(escaped[at+2:at+size])
		}
		escaped = escaped[at+size:]
	}
}

// utf8Size is the length in UTF-8 of the character with these hexadecimal digits;
// half of a pair of surrogates counts for half of its character.
func utf8Size(digits []byte) int {
	unit, err := strconv.ParseUint(string(digits), 16, 16)
	switch {
	case err != nil:
		return 0
	case unit < 0x80:
		return 1
	case unit < 0x800, 0xD800 <= unit && unit < 0xE000:
		return 2
	}
	return 3
}
