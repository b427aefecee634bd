package wire

import (
	"bytes"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// HasToolCalls reports whether a response has a tool call, whose arguments must parse.
func HasToolCalls(api spillway.API, body []byte) (found bool) {
	list, member := "choices", "message"
	if api == spillway.APIResponses {
		list, member = "output", "type"
	}
	c := jsonwalk.Lax(body)
	c.Enter('{')
	for c.More('}') {
		if string(c.Key()) != list || c.Peek() != '[' {
			c.Value()
			continue
		}
		c.Enter('[')
		for c.More(']') {
			if c.Peek() != '{' {
				c.Value()
				continue
			}
			c.Enter('{')
			for c.More('}') {
				switch key := c.Key(); {
				case string(key) != member:
					c.Value()
				case member == "type":
					found = bytes.HasSuffix(c.Text(), []byte("_call")) || found
				default:
					found = messageHasToolCalls(c.Value()) || found
				}
			}
		}
	}
	return found
}

// messageHasToolCalls reports whether a chat message has a tool call, or a function call
// of the older API.
func messageHasToolCalls(message []byte) (found bool) {
	c := jsonwalk.Lax(message)
	if c.Peek() != '{' {
		return false
	}
	c.Enter('{')
	for c.More('}') {
		key := c.Key()
		calls := string(key) == "tool_calls" || string(key) == "function_call"
		value := c.Value()
		found = found || calls && !bytes.Equal(value, []byte("null")) && !bytes.Equal(value, []byte("[]"))
	}
	return found
}
