package wire

import "github.com/spillway-ai/spillway"

// readPrompt reads messages, input or prompt.
func (r *reader) readPrompt(isPrompt bool) bool {
	if !r.promptPart(&r.prompt) {
		return false
	}
	if isPrompt && r.ask.API == spillway.APICompletions {
		r.prompts = countPrompts(r.src[r.prompt.start:r.prompt.end])
	}
	return true
}

// countPrompts returns how many prompts the value of a completions request's
// prompt holds: each gets its own choices. A string or an array of tokens is one
// prompt, an array of those is one for each. value is valid JSON.
func countPrompts(value []byte) int {
	s := scanner{src: value}
	if s.peek() != '[' {
		return 1
	}
	s.pos++
	prompts := 0
	for {
		switch s.peek() {
		case ']', 0:
			return max(prompts, 1)
		case ',':
			s.pos++
			continue
		case '"', '[', '{':
			prompts++
		}
		if !s.value() {
			return max(prompts, 1)
		}
	}
}
