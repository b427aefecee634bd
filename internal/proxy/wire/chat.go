package wire

// readChunk reads a chunk of a chat or completions stream.
func (s *Stream) readChunk(c *cursor, sig *Signal) {
	choices := 0
	c.enter('{')
	for c.more('}') {
		switch string(c.key()) {
		case "choices":
			if c.isNull() {
				continue
			}
			c.enter('[')
			for c.more(']') {
				choices++
				s.readChoice(c, sig)
			}
		case "usage":
			if !c.isNull() {
				sig.Usage = readUsage(c)
			}
		case "id":
			first(&s.id, c.text())
		case "model":
			first(&s.model, c.text())
		case "created":
			if raw := c.value(); atoi(raw) > 0 {
				first(&s.created, raw)
			}
		case "obfuscation":
			hollow(c, &s.shape, holeIgnored)
		case "error":
			if !c.isNull() {
				sig.Err = readError(c)
			}
		default:
			c.value()
		}
	}
	s.usageSeen = s.usageSeen || sig.Usage.Known
	sig.UsageOnly = choices == 0 && sig.Usage.Known
}

// readChoice reads one element of choices.
func (s *Stream) readChoice(c *cursor, sig *Signal) {
	var index int
	var reason []byte
	c.enter('{')
	for c.more('}') {
		switch string(c.key()) {
		case "index":
			index = c.number()
		case "finish_reason":
			reason = c.text()
		case "delta":
			if c.peek() == '{' {
				s.readDelta(c, sig)
			} else {
				c.value()
			}
		case "text": // of completions
			s.token(c, sig, holeToken)
		default:
			c.value()
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

// maxChoices is more than any deployment answers with (n is at most 128).
const maxChoices = 256

// readDelta counts the generated strings in a delta, and in the tool calls,
// functions and audio inside it.
func (s *Stream) readDelta(c *cursor, sig *Signal) {
	c.enter('{')
	for c.more('}') {
		switch string(c.key()) {
		case "content", "refusal", "reasoning_content", "reasoning",
			"name", "arguments", "input", "transcript":
			s.token(c, sig, holeToken)
		case "data":
			s.token(c, sig, holeMedia)
		case "function", "custom", "function_call", "audio", "tool_calls":
			s.readInner(c, sig)
		default:
			c.value()
		}
	}
}

// readInner reads an object like a delta, or an array of such.
func (s *Stream) readInner(c *cursor, sig *Signal) {
	switch c.peek() {
	case '{':
		s.readDelta(c, sig)
	case '[':
		c.enter('[')
		for c.more(']') {
			s.readInner(c, sig)
		}
	default:
		c.value()
	}
}
