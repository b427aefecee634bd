package wire

import (
	spillway "github.com/spillway-ai/spillway"
)

// ScanUsage finds the usage and the finish of a complete answer that was not
// streamed. It walks the outermost objects and passes over the rest unread, so
// text inside the answer cannot be taken for its fields. It reports false when
// body is not one JSON object. An answer of several choices has the finish of
// the first that ended for length or filter, else of the last.
func ScanUsage(api spillway.API, body []byte) (spillway.Usage, spillway.Finish, bool) {
	var usage spillway.Usage
	var finish spillway.Finish
	c := cursor{b: body}
	c.enter('{')
	for c.more('}') {
		switch key := c.key(); {
		case string(key) == "usage" && c.peek() == '{':
			usage = readUsage(&c)
		case string(key) == "choices" && api != spillway.APIEmbeddings && c.peek() == '[':
			finish = readFinishes(&c)
		case string(key) == "status" && api == spillway.APIResponses:
			if string(c.text()) == "completed" && finish == spillway.FinishUnknown {
				finish = spillway.FinishStop
			}
		case string(key) == "incomplete_details" && c.peek() == '{':
			finish = readReason(&c)
		default:
			c.value()
		}
	}
	if !c.done() {
		return spillway.Usage{}, spillway.FinishUnknown, false
	}
	return usage, finish, true
}

// ScanFault returns the error that body, one JSON object, holds instead of an
// answer: some servers send it with status 200. A body that has any part of an
// answer gives nil, as does a Response that failed, which says so itself.
func ScanFault(body []byte) (fault *StreamError) {
	c := cursor{b: body}
	c.enter('{')
	for c.more('}') {
		switch string(c.key()) {
		case "choices", "data", "output", "status":
			return nil
		case "error":
			if !c.isNull() {
				fault = readError(&c)
			}
		default:
			c.value()
		}
	}
	return fault
}

// readFinishes reads the array of choices of a complete answer.
func readFinishes(c *cursor) (finish spillway.Finish) {
	c.enter('[')
	for c.more(']') {
		c.enter('{')
		for c.more('}') {
			if string(c.key()) != "finish_reason" {
				c.value()
				continue
			}
			f := finishOf(c.text())
			if finish != spillway.FinishLength && finish != spillway.FinishFilter {
				finish = f
			}
		}
	}
	return finish
}

// readReason reads incomplete_details of a response.
func readReason(c *cursor) (finish spillway.Finish) {
	c.enter('{')
	for c.more('}') {
		if string(c.key()) == "reason" {
			finish = finishOf(c.text())
		} else {
			c.value()
		}
	}
	return finish
}

// readUsage reads a usage object of any dialect.
func readUsage(c *cursor) (u spillway.Usage) {
	if c.peek() != '{' {
		c.value()
		return u
	}
	c.enter('{')
	for c.more('}') {
		switch string(c.key()) {
		case "prompt_tokens", "input_tokens":
			u.Prompt, u.Known = c.number(), true
		case "completion_tokens", "output_tokens":
			u.Completion, u.Known = c.number(), true
		case "prompt_tokens_details", "input_tokens_details":
			u.Cached = readDetail(c, "cached_tokens")
		case "completion_tokens_details", "output_tokens_details":
			u.Reasoning = readDetail(c, "reasoning_tokens")
		default:
			c.value()
		}
	}
	return u
}

// readDetail reads one number of a details object, 0 when it is absent.
func readDetail(c *cursor, name string) (n int) {
	if c.peek() != '{' {
		c.value()
		return 0
	}
	c.enter('{')
	for c.more('}') {
		if string(c.key()) == name {
			n = c.number()
		} else {
			c.value()
		}
	}
	return n
}
