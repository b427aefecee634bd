package azuresim

import (
	"strconv"
	"strings"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// prompt is what the simulator knows of a request's input.
type prompt struct {
	bytes  int
	extra  int // tokens besides the bytes
	hash   uint64
	blocks []uint64 // hashes of the cacheable prefixes
	last   string   // the last user message, where directives are looked for
	// answered says that the last message is the result of a tool.
	answered bool
}

const bytesPerToken = 4

// add appends text to the input.
func (p *prompt) add(text string) {
	if p.hash == 0 {
		p.hash = 14695981039346656037
	}
	const first, step = 1024 * bytesPerToken, 128 * bytesPerToken
	h := p.hash
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
		p.bytes++
		if p.bytes >= first && (p.bytes-first)%step == 0 {
			p.blocks = append(p.blocks, h)
		}
	}
	p.hash = h
}

// tokens is the estimated length of the input.
func (p *prompt) tokens() int { return (p.bytes+bytesPerToken-1)/bytesPerToken + p.extra }

// prefix is the input's cacheable blocks as the fleet wants them.
func (p *prompt) prefix() []uint64 {
	return p.blocks[:min(len(p.blocks), fleet.PrefixBlocks(p.tokens()))]
}

// directive finds [[name]] or [[name=value]] in the last user message.
func (p *prompt) directive(name string) (value string, ok bool) {
	for rest := p.last; ; {
		_, after, found := strings.Cut(rest, "[["+name)
		if !found {
			return "", false
		}
		inner, tail, closed := strings.Cut(after, "]]")
		if !closed {
			return "", false
		}
		if inner == "" {
			return "", true
		}
		if inner[0] == '=' {
			return strings.TrimSpace(inner[1:]), true
		}
		rest = tail
	}
}

// length is the response's length that the client asks for by directive or
// header; -1 leaves it to chance.
func (p *prompt) length(header string) int {
	value, ok := p.directive("tokens")
	if !ok {
		value = header
	}
	if n, err := strconv.Atoi(value); err == nil && n > 0 {
		return n
	}
	return -1
}
