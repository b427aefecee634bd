package fleet

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/stat"
)

// Forever is a stall without end.
const Forever = 1000 * time.Hour

// Plan is how an accepted request will be answered. Instants count from its
// acceptance. All choices proceed in step: a token instant gives one token to
// each. Tokens are generated one by one; a stream's client gets them in chunks,
// when the last token of a chunk has been generated.
type Plan struct {
	ID uint64 // for Server.Complete

	Choices         int
	OutputTokens    int // of each choice, hidden ones included
	ReasoningTokens int // hidden tokens at the head of OutputTokens
	CachedTokens    int // part of the prompt
	Finish          spillway.Finish

	// Headers is when the response headers of a stream go out.
	Headers time.Duration
	TTFT    time.Duration // instant at which the first token has been generated
	TBT     time.Duration // mean time between tokens
	// Status is what a synchronous client gets: 200 at End, or 408 when the
	// completion window passes first.
	Status int
	// End is when the exchange is over if nothing breaks it.
	End time.Duration

	// What faults do to the response.
	Break   Break
	Stall   Stall
	NoUsage bool    // the response reports no usage
	Slow    float64 // factor on TTFT and TBT; 0 is 1

	jitter uint64
	chunk  int // mean tokens of a chunk
}

// BreakKind is how a response goes wrong.
type BreakKind uint8

// The ways to break.
const (
	BreakNone      BreakKind = iota
	BreakReset               // the connection is reset
	BreakCut                 // the response just ends
	BreakMalformed           // the response continues with bytes that do not parse
)

// Break is where a response goes wrong: after token AtToken has been generated,
// or instead of the headers when AtToken is 0 and the kind is a reset. Tokens
// of a chunk that is not complete by then are lost.
type Break struct {
	Kind    BreakKind
	AtToken int
}

// Stall is a pause before token AtToken+1; before the headers when Headers.
type Stall struct {
	Headers bool
	AtToken int
	For     time.Duration
}

// jitterSpan is how far a token strays from the even pace, in gaps. It is
// below 1, which keeps tokens in order.
const jitterSpan = 0.8

// At returns the instant at which token i (1-based) of each choice has been
// generated. It grows with i, and its mean slope is TBT.
func (p *Plan) At(i int) time.Duration {
	if i <= 0 {
		return p.Headers
	}
	t := p.even(i)
	if p.Stall.For > 0 && i > p.Stall.AtToken {
		t += p.Stall.For
	}
	return t
}

// even is At without stalls.
func (p *Plan) even(i int) time.Duration {
	if i == 1 {
		return p.TTFT
	}
	stray := jitterSpan * float64(stat.Mix(p.jitter+uint64(i))>>11) / (1 << 53)
	return p.TTFT + time.Duration((float64(i-1)+stray-jitterSpan/2)*float64(p.TBT))
}

// TokensAt returns how many tokens of each choice have been generated at the
// instant t.
func (p *Plan) TokensAt(t time.Duration) int {
	if p.OutputTokens == 0 || t < p.At(1) {
		return 0
	}
	lo, hi := 1, p.OutputTokens
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if p.At(mid) <= t {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

// BreakAt is the instant at which a fault breaks the response off, and whether
// one does. A synchronous client that a 408 reaches first does not see it.
func (p *Plan) BreakAt() (time.Duration, bool) {
	if p.Break.Kind == BreakNone {
		return 0, false
	}
	return p.At(min(p.Break.AtToken, p.OutputTokens)), true
}

// last is the instant at which the response is complete.
func (p *Plan) last() time.Duration {
	if p.OutputTokens == 0 {
		t := p.TTFT
		if p.Stall.For > 0 {
			t += p.Stall.For
		}
		return t
	}
	return p.At(p.OutputTokens)
}
