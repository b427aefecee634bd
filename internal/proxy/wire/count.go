package wire

import (
	"bytes"
	"strconv"

	"github.com/spillway-ai/spillway/internal/jsonwalk"
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

// CountOutput estimates how many output tokens a complete response holds, over all
// choices, as a Stream counts them: text, refusal, reasoning, and names and arguments
// of tool calls.
func CountOutput(body []byte) (tokens int) {
	c := jsonwalk.Lax(body)
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "choices", "output":
			tokens += countText(&c)
		default:
			c.Value()
		}
	}
	return tokens
}

// countText counts the generated strings in a choice or an item of output, and in the
// objects and arrays inside it that hold such.
func countText(c *jsonwalk.Cursor) (tokens int) {
	switch c.Peek() {
	case '[':
		c.Enter('[')
		for c.More(']') {
			tokens += countText(c)
		}
	case '{':
		c.Enter('{')
		for c.More('}') {
			switch string(c.Key()) {
			case "content", "text", "refusal", "reasoning_content", "reasoning", "summary",
				"name", "arguments", "input", "transcript":
				if c.Peek() == '"' {
					tokens += tokensIn(c.Str())
					continue
				}
				tokens += countText(c)
			case "message", "tool_calls", "function", "custom", "function_call", "audio":
				tokens += countText(c)
			default:
				c.Value()
			}
		}
	default:
		c.Value()
	}
	return tokens
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
