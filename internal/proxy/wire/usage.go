package wire

import (
	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// ScanUsage finds the usage and the finish of a complete response that was not
// streamed. It walks the outermost objects and passes over the rest unread, so
// text inside the response cannot be taken for its fields. It reports false when
// body is not one JSON object. A response of several choices has the finish of
// the first that ended for length or filter, else of the last.
func ScanUsage(api spillway.API, body []byte) (spillway.Usage, spillway.Finish, bool) {
	var usage spillway.Usage
	var finish spillway.Finish
	c := jsonwalk.Lax(body)
	c.Enter('{')
	for c.More('}') {
		switch key := c.Key(); {
		case string(key) == "usage" && c.Peek() == '{':
			usage = readUsage(&c)
		case string(key) == "choices" && api != spillway.APIEmbeddings && c.Peek() == '[':
			finish = readFinishes(&c)
		case string(key) == "status" && api == spillway.APIResponses:
			if string(c.Text()) == "completed" && finish == spillway.FinishUnknown {
				finish = spillway.FinishStop
			}
		case string(key) == "incomplete_details" && c.Peek() == '{':
			finish = readReason(&c)
		default:
			c.Value()
		}
	}
	if !c.Done() {
		return spillway.Usage{}, spillway.FinishUnknown, false
	}
	return usage, finish, true
}

// ScanFault returns the error that body, one JSON object, holds instead of a
// response: some servers send it with status 200. A body that has any part of a
// response gives nil, as does a Response that failed, which says so itself.
func ScanFault(body []byte) (fault *StreamError) {
	c := jsonwalk.Lax(body)
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "choices", "data", "output", "status":
			return nil
		case "error":
			if !c.IsNull() {
				fault = readError(&c)
			}
		default:
			c.Value()
		}
	}
	return fault
}

// HasContent reports whether body, one JSON object, has what responses of api
// consist of.
func HasContent(api spillway.API, body []byte) bool {
	c := jsonwalk.Lax(body)
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "object":
			return true
		case "choices":
			if api == spillway.APIChat || api == spillway.APICompletions {
				return true
			}
		case "data":
			if api == spillway.APIEmbeddings {
				return true
			}
		case "output", "status":
			if api == spillway.APIResponses {
				return true
			}
		}
		c.Value()
	}
	return false
}

// readFinishes reads the array of choices of a complete response.
func readFinishes(c *jsonwalk.Cursor) (finish spillway.Finish) {
	c.Enter('[')
	for c.More(']') {
		c.Enter('{')
		for c.More('}') {
			if string(c.Key()) != "finish_reason" {
				c.Value()
				continue
			}
			f := finishOf(c.Text())
			if finish != spillway.FinishLength && finish != spillway.FinishFilter {
				finish = f
			}
		}
	}
	return finish
}

// readReason reads incomplete_details of a response.
func readReason(c *jsonwalk.Cursor) (finish spillway.Finish) {
	c.Enter('{')
	for c.More('}') {
		if string(c.Key()) == "reason" {
			finish = finishOf(c.Text())
		} else {
			c.Value()
		}
	}
	return finish
}

// readUsage reads a usage object of any dialect.
func readUsage(c *jsonwalk.Cursor) (u spillway.Usage) {
	if c.Peek() != '{' {
		c.Value()
		return u
	}
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "prompt_tokens", "input_tokens":
			u.Prompt, u.Known = c.Number(), true
		case "completion_tokens", "output_tokens":
			u.Completion, u.Known = c.Number(), true
		case "prompt_tokens_details", "input_tokens_details":
			u.Cached = readDetail(c, "cached_tokens")
		case "completion_tokens_details", "output_tokens_details":
			u.Reasoning = readDetail(c, "reasoning_tokens")
		default:
			c.Value()
		}
	}
	return u
}

// readDetail reads one number of a details object, 0 when it is absent.
func readDetail(c *jsonwalk.Cursor, name string) (n int) {
	if c.Peek() != '{' {
		c.Value()
		return 0
	}
	c.Enter('{')
	for c.More('}') {
		if string(c.Key()) == name {
			n = c.Number()
		} else {
			c.Value()
		}
	}
	return n
}
