package azuresim

import (
	"regexp"
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
	asked  int      // tokens that a sentence of any message asks for, the last one; 0 is none
	// answered says that the last message is the result of a tool.
	answered bool
}

const bytesPerToken = 4

// lengthRequest is a sentence that a model understands, too. "spillway load" ends its
// prompts with it. It is constant.
var lengthRequest = regexp.MustCompile(`Write\s+about\s+\d+\s+words\s+\((\d{1,9})\s+tokens\)`)

// add appends text to the input.
func (p *prompt) add(text string) {
	if found := lengthRequest.FindAllStringSubmatch(text, -1); found != nil {
		p.asked, _ = strconv.Atoi(found[len(found)-1][1]) // at most nine digits
	}
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

// length is the response's length that the client asks for by directive, in a sentence
// or by header; -1 leaves it to chance.
func (p *prompt) length(header string) int {
	value, ok := p.directive("tokens")
	if !ok && p.asked > 0 {
		return p.asked
	}
	if !ok {
		value = header
	}
	if n, err := strconv.Atoi(value); err == nil && n > 0 {
		return n
	}
	return -1
}
