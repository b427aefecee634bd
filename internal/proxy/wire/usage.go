package wire

import (
	"math"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// Summary is what a complete response says besides its content.
type Summary struct {
	Usage spillway.Usage
	// Finish is that of the first choice that ended for length or filter, else of the
	// last.
	Finish      spillway.Finish
	ServiceTier string // "" when the response names none
}

// Summarize finds the summary of a complete response that was not streamed. It walks
// the outermost objects and passes over the rest unread, so text inside the response
// cannot be taken for its fields. It reports false when body is not one JSON object.
func Summarize(api spillway.API, body []byte) (s Summary, ok bool) {
	c := jsonwalk.Lax(body)
	c.Enter('{')
	for c.More('}') {
		switch key := c.Key(); {
		case string(key) == "usage":
			s.Usage = readUsage(&c, api)
		case string(key) == "service_tier":
			s.ServiceTier = serviceTierOf(c.Text())
		case string(key) == "choices" && api != spillway.APIEmbeddings && c.Peek() == '[':
			s.Finish = readFinishes(&c)
		case string(key) == "status" && api == spillway.APIResponses:
			if string(c.Text()) == "completed" && s.Finish == spillway.FinishUnknown {
				s.Finish = spillway.FinishStop
			}
		case string(key) == "incomplete_details" && c.Peek() == '{':
			s.Finish = readReason(&c)
		default:
			c.Value()
		}
	}
	if !c.Done() {
		return Summary{}, false
	}
	return s, true
}

// CountOutput estimates how many output tokens a complete response that was not
// streamed holds, body being one JSON object: text, refusal, reasoning, and names and
// arguments of tool calls, of all choices.
func CountOutput(body []byte) (tokens int) {
	c := jsonwalk.Lax(body)
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "choices", "output":
			tokens += countOutput(&c)
		default:
			c.Value()
		}
	}
	return tokens
}

// countOutput counts the generated strings in a value.
func countOutput(c *jsonwalk.Cursor) (tokens int) {
	switch c.Peek() {
	case '[':
		c.Enter('[')
		for c.More(']') {
			tokens += countOutput(c)
		}
	case '{':
		c.Enter('{')
		for c.More('}') {
			tokens += countMember(c, c.Key())
		}
	default:
		c.Value()
	}
	return tokens
}

// countMember counts the generated strings in a member of an object.
func countMember(c *jsonwalk.Cursor, name []byte) int {
	switch string(name) {
	case "message", "content", "refusal", "reasoning_content", "reasoning", "text", "summary",
		"name", "arguments", "input", "transcript", "function", "custom", "function_call", "audio", "tool_calls":
		if c.Peek() == '"' {
			return tokensIn(c.Str())
		}
		return countOutput(c)
	}
	c.Value()
	return 0
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
// consist of. One with an empty list of choices holds nothing.
func HasContent(api spillway.API, body []byte) (found bool) {
	c := jsonwalk.Lax(body)
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "object":
			found = true
		case "choices":
			if api == spillway.APIChat || api == spillway.APICompletions {
				if c.Peek() != '[' {
					return false
				}
				c.Enter('[')
				return c.More(']')
			}
		case "data":
			found = found || api == spillway.APIEmbeddings
		case "output", "status":
			found = found || api == spillway.APIResponses
		}
		c.Value()
	}
	return found
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

// readUsage reads a usage object of any dialect. It is known if it has every count that
// responses of api have. A count that is no whole number of tokens makes all of it
// suspect.
func readUsage(c *jsonwalk.Cursor, api spillway.API) spillway.Usage {
	if c.IsNull() {
		return spillway.Usage{}
	}
	if c.Peek() != '{' {
		c.Value()
		return spillway.Usage{Suspect: true}
	}
	r := usageReader{c: c}
	var prompt, completion, written bool
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "prompt_tokens", "input_tokens":
			r.Prompt = r.count(&prompt)
		case "completion_tokens", "output_tokens":
			r.Completion = r.count(&completion)
		case "prompt_tokens_details", "input_tokens_details":
			r.promptDetails()
		case "cache_creation_input_tokens": // of Anthropic's endpoints, and of gateways before it
			r.CacheWrite = max(r.CacheWrite, r.count(&written))
		case "completion_tokens_details", "output_tokens_details":
			r.completionDetails()
		default:
			c.Value()
		}
	}
	if r.Suspect {
		return spillway.Usage{Suspect: true}
	}
	r.Known = prompt && (completion || !api.Generates())
	return r.Usage
}

// usageReader reads the counts of a usage object.
type usageReader struct {
	spillway.Usage
	c *jsonwalk.Cursor
}

// count reads a count, and sets present unless it is null.
func (r *usageReader) count(present *bool) int {
	if r.c.IsNull() {
		return 0
	}
	n, ok := wholeNumber(r.c.Value())
	*present = true
	r.Suspect = r.Suspect || !ok
	return n
}

// promptDetails reads the parts of the prompt.
func (r *usageReader) promptDetails() {
	var present bool
	for more := r.enter(); more && r.c.More('}'); {
		switch string(r.c.Key()) {
		case "cached_tokens":
			r.Cached = r.count(&present)
		case "cache_write_tokens", "cache_creation_tokens": // the second is LiteLLM's name
			r.CacheWrite = max(r.CacheWrite, r.count(&present))
		default:
			r.c.Value()
		}
	}
}

// completionDetails reads the parts of the completion.
func (r *usageReader) completionDetails() {
	var present bool
	for more := r.enter(); more && r.c.More('}'); {
		if string(r.c.Key()) == "reasoning_tokens" {
			r.Reasoning = r.count(&present)
		} else {
			r.c.Value()
		}
	}
}

// enter enters an object, or passes over any other value.
func (r *usageReader) enter() bool {
	if r.c.Peek() != '{' {
		r.c.Value()
		return false
	}
	r.c.Enter('{')
	return true
}

// wholeNumber reads a JSON number that is an integer from 0 to 2^31-1. No count of
// tokens is larger.
func wholeNumber(raw []byte) (n int, ok bool) {
	if len(raw) == 0 || len(raw) > len("2147483647") || jsonwalk.Digits(raw) != len(raw) {
		return 0, false
	}
	for _, digit := range raw {
		n = n*10 + int(digit-'0')
	}
	if n > math.MaxInt32 {
		return 0, false
	}
	return n, true
}
