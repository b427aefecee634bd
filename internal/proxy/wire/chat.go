package wire

import (
	"cmp"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// readChunk reads a chunk of a chat or completions stream.
func (s *Stream) readChunk(c *jsonwalk.Cursor, sig *Signal) {
	choices, isError := 0, false
	c.Enter('{')
	for c.More('}') {
		at := c.Offset()
		switch string(c.Key()) {
		case "choices":
			if c.IsNull() {
				continue
			}
			c.Enter('[')
			for c.More(']') {
				choices++
				s.readChoice(c, sig)
			}
		case "usage":
			if !c.IsNull() {
				sig.Usage = readUsage(c, s.api)
			}
			s.usage.start, s.usage.end = at, c.Offset()
		case "service_tier":
			s.serviceTier = cmp.Or(serviceTierOf(c.Text()), s.serviceTier)
		case "id":
			keepFirst(&s.id, c.Text())
		case "model":
			keepFirst(&s.model, c.Text())
		case "created":
			if raw := c.Value(); jsonwalk.Atoi(raw) > 0 {
				keepFirst(&s.created, raw)
			}
		case "obfuscation":
			readHole(c, &s.shape, holeIgnored)
		case "error":
			if !c.IsNull() {
				sig.Err = readError(c)
			}
		case "object", "type":
			isError = string(c.Text()) == eventError || isError
		default:
			c.Value()
		}
	}
	if isError && choices == 0 && sig.Err == nil {
		sig.Err = readError(new(jsonwalk.Lax(c.Whole())))
	}
	hasUsage := sig.Usage != (spillway.Usage{})
	s.usageSeen = s.usageSeen || hasUsage
	sig.UsageOnly = hasUsage && (choices == 0 || sig.Tokens == 0 && sig.Finish == spillway.FinishUnknown && saysNothing(c.Whole()))
}

// saysNothing reports whether the choices of a chunk have nothing but an index: some
// servers put one into the chunk that has the usage.
func saysNothing(chunk []byte) bool {
	c := jsonwalk.Lax(chunk)
	c.Enter('{')
	for c.More('}') {
		if string(c.Key()) != "choices" || c.Peek() != '[' {
			c.Value()
			continue
		}
		c.Enter('[')
		for c.More(']') {
			c.Enter('{')
			for c.More('}') {
				isIndex := string(c.Key()) == "index"
				if value := c.Value(); !isIndex && !hollow(value) {
					return false
				}
			}
		}
	}
	return true
}

// hollow reports whether a value says nothing, or is an object of such values.
func hollow(raw []byte) bool {
	if blank(raw) {
		return true
	}
	c := jsonwalk.Lax(raw)
	if c.Peek() != '{' {
		return false
	}
	c.Enter('{')
	for c.More('}') {
		c.Key()
		if !blank(c.Value()) {
			return false
		}
	}
	return c.Done()
}

// readChoice reads one element of choices.
func (s *Stream) readChoice(c *jsonwalk.Cursor, sig *Signal) {
	var index int
	var reason []byte
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "index":
			if index = c.Number(); s.OneChoice {
				index = 0
			}
		case "finish_reason":
			if text := c.Text(); len(text) > 0 {
				reason = text
			}
		case "delta":
			if c.Peek() == '{' {
				s.deltaReason = nil
				if s.readDelta(c, sig); len(reason) == 0 {
					reason = s.deltaReason
				}
			} else {
				c.Value()
			}
		case "text": // of completions
			s.token(c, sig, holeToken)
		default:
			c.Value()
		}
	}
	state := s.choice(index)
	if len(reason) > 0 {
		sig.Finish = finishOf(reason)
		state.finished = true
	}
}

// choice returns the state of a choice, which begins when it is first seen.
func (s *Stream) choice(index int) *choiceState {
	for i := range s.choices {
		if s.choices[i].index == index {
			return &s.choices[i]
		}
	}
	if len(s.choices) < maxChoices {
		s.choices = append(s.choices, choiceState{index: index})
	}
	return &s.choices[len(s.choices)-1]
}

// maxChoices is more choices than any deployment returns (n is at most 128).
const maxChoices = 256

// readDelta counts the generated strings in a delta, and in the tool calls,
// functions and audio inside it.
func (s *Stream) readDelta(c *jsonwalk.Cursor, sig *Signal) {
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "content", "refusal", "reasoning_content", "reasoning", "thinking", "text",
			"name", "arguments", "input", "transcript":
			if c.Peek() == '[' {
				s.readInner(c, sig)
				continue
			}
			s.token(c, sig, holeToken)
		case "finish_reason": // which belongs beside the delta
			s.deltaReason = c.Text()
		case "data":
			s.token(c, sig, holeMedia)
		case "images":
			if !blank(c.Value()) {
				sig.Tokens++
				s.shape.spoil() // an image is no hole
			}
		case "function", "custom", "function_call", "audio", "tool_calls":
			s.readInner(c, sig)
		default:
			c.Value()
		}
	}
}

// readInner reads an object like a delta, or an array of such.
func (s *Stream) readInner(c *jsonwalk.Cursor, sig *Signal) {
	switch c.Peek() {
	case '{':
		s.readDelta(c, sig)
	case '[':
		c.Enter('[')
		for c.More(']') {
			s.readInner(c, sig)
		}
	default:
		c.Value()
	}
}
