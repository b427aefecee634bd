package azuresim

import (
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/stat"
)

// pieceKind is what a token of a response belongs to.
type pieceKind uint8

const (
	pieceText pieceKind = iota
	pieceRefusal
	pieceCall      // opens a tool call; text is empty
	pieceArguments // a fragment of a call's arguments
)

// piece is one visible token.
type piece struct {
	kind pieceKind
	call int   // index into response.calls
	of   *call // that call; nil for text
	text []byte
}

// call is a tool call of a response.
type call struct {
	id, name string
	itemID   string // of the Responses API
}

// response is one choice: either prose without end, or fixed pieces.
type answer struct {
	prose prose
	fixed []piece
	calls []call
	next  int
}

// natural is how many tokens the response has; -1 when it can have any number.
func (a *answer) natural() int {
	if a.fixed == nil {
		return -1
	}
	return len(a.fixed)
}

// take returns the next token, which is valid until the call after it. Prose
// that stops here, and not for length, ends its sentence.
func (a *answer) take(last bool) piece {
	a.next++
	if a.fixed != nil {
		return a.fixed[a.next-1]
	}
	if last {
		return piece{text: a.prose.last()}
	}
	return piece{text: a.prose.next()}
}

// joins reports whether a token can share a chunk with the one before it.
func (p *piece) joins(before *piece) bool { return p.kind == before.kind && p.call == before.call }

// fragments cuts s into token-sized pieces that are otherwise like the given
// one.
func fragments(pieces []piece, like piece, s string) []piece {
	for len(s) > 0 {
		n := min(bytesPerToken, len(s))
		for n < len(s) && s[n]&0xc0 == 0x80 { // do not cut a rune
			n++
		}
		like.text = []byte(s[:n])
		pieces = append(pieces, like)
		s = s[n:]
	}
	return pieces
}

// generation is a request for generated tokens, whatever API it came by.
type generation struct {
	stream       bool
	includeUsage bool
	options      bool // the request has stream_options
	choices      int
	maxTokens    int    // 0 is no limit
	limitField   string // that set maxTokens
	prompt       prompt
	logprobs     bool
	topLogprobs  int
	hidden       int // reasoning tokens asked for; -1 leaves it to the model
	length       int // visible tokens asked for; -1 leaves it to the model
	tools        []tool
	choice       toolChoice
	parallel     bool
	format       format
	tier         string      // service tier asked for
	stored       *chatStored // of a chat completion that is to be stored
	// response is what the Responses API says back.
	response *responsesRequest
}

// ask is the request as the fleet sees it.
func (g *generation) ask(answers []answer) fleet.Ask {
	a := fleet.Ask{
		PromptTokens: g.prompt.tokens(), Prefix: g.prompt.prefix(), MaxTokens: g.maxTokens,
		OutputTokens: g.length, ReasoningTokens: g.hidden, Choices: g.choices, Stream: g.stream,
	}
	if n := answers[0].natural(); n >= 0 {
		a.OutputTokens = n
	}
	return a
}

// answers composes what each choice will say.
func (s *Server) answers(g *generation) []answer {
	all := make([]answer, g.choices)
	calls := g.calledTools()
	for i := range all {
		a := &all[i]
		seed := stat.Mix(s.cfg.Seed^g.prompt.hash) + uint64(i)<<40
		a.prose.seed = seed
		_, refused := g.prompt.directive("refusal")
		switch {
		case refused:
			a.fixed = fragments(nil, piece{kind: pieceRefusal}, "I'm sorry, I can't help with that.")
		case len(calls) > 0:
			a.calls = make([]call, len(calls))
			for n, t := range calls {
				id, of := s.nextID(), &a.calls[n]
				*of = call{id: "call_" + randomText(id, 24), name: t.name, itemID: "fc_" + randomText(id+1, 40)}
				a.fixed = append(a.fixed, piece{kind: pieceCall, call: n, of: of})
				arguments := piece{kind: pieceArguments, call: n, of: of}
				a.fixed = fragments(a.fixed, arguments, schemaText(t.parameters, seed+uint64(n)))
			}
		case g.format.structured():
			a.fixed = fragments(nil, piece{}, g.format.text(seed, g.length))
		}
	}
	return all
}

// collected is a response as a whole.
type collected struct {
	text, refusal []byte
	calls         [][]byte // arguments of each call that has begun
	logprobs      []byte   // elements of the chat API's list; nil unless asked for
}

// collect takes n tokens; complete says that the response ends by itself there.
func (a *answer) collect(n int, complete bool, g *generation) collected {
	var s collected
	for i := range n {
		switch p := a.take(complete && i == n-1); p.kind {
		case pieceRefusal:
			s.refusal = append(s.refusal, p.text...)
		case pieceCall:
			s.calls = append(s.calls, nil)
		case pieceArguments:
			s.calls[p.call] = append(s.calls[p.call], p.text...)
		default:
			s.text = append(s.text, p.text...)
			if g.logprobs {
				if s.logprobs != nil {
					s.logprobs = append(s.logprobs, ',')
				}
				s.logprobs = appendLogprob(s.logprobs, p.text, g.topLogprobs)
			}
		}
	}
	return s
}
