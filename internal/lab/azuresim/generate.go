package azuresim

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// renderer writes one API's answers. Its methods append to b and return it.
type renderer interface {
	// open is what a stream says before its first token.
	open(b []byte) []byte
	// token is the stream's chunk for one visible token of a choice.
	token(b []byte, choice int, p piece) []byte
	// close ends the stream.
	close(b []byte, answers []answer, end spillway.Finish, u spillway.Usage) []byte
	// whole is the answer of a synchronous request, with n visible tokens in
	// each choice.
	whole(b []byte, answers []answer, n int, end spillway.Finish, u spillway.Usage) []byte
}

// dialect is how one API is read and written.
type dialect struct {
	parse  func(x *exchange, body []byte) (*generation, error)
	render func(x *exchange, g *generation) renderer
}

// generate answers a request for generated tokens.
func (x *exchange) generate(body []byte, d dialect) error {
	g, err := d.parse(x, body)
	if err != nil {
		return err
	}
	if _, ok := g.prompt.directive("filter"); ok {
		return errFiltered
	}
	if most := x.dep.config.MaxOutput; g.maxTokens > most {
		return &badRequest{
			message: g.limitField + " is too large: " + itoa(g.maxTokens) + ". This model supports at most " + itoa(most) + " completion tokens, whereas you provided " + itoa(g.maxTokens) + ".",
			param:   g.limitField, code: "invalid_value",
		}
	}
	g.length = g.prompt.length(x.r.Header.Get("x-azuresim-output-tokens"))
	answers := x.s.answers(g)
	ask := g.ask(answers)
	ask.Seed, _ = strconv.ParseUint(x.r.Header.Get("x-azuresim-seed"), 10, 64)
	if !x.admit(ask) {
		return nil
	}
	if g.stream {
		x.stream(g, answers, d.render(x, g))
		return nil
	}
	x.synchronous(g, answers, d.render(x, g))
	return nil
}

// synchronous waits for the whole answer, or for what ends it, and sends it.
func (x *exchange) synchronous(g *generation, answers []answer, out renderer) {
	p := &x.plan
	if at, broken := p.BreakAt(); broken && at < p.End {
		if !x.pace.until(at) {
			x.finish(spillway.StatusClientGone, p.TokensAt(x.pace.elapsed()))
			return
		}
		x.breakSync(p.Break.Kind, out.whole(nil, answers, p.OutputTokens-p.ReasoningTokens, p.Finish, x.usage(g, p.OutputTokens)))
		return
	}
	if !x.pace.until(p.End) {
		x.finish(spillway.StatusClientGone, p.TokensAt(x.pace.elapsed()))
		return
	}
	if p.Status != http.StatusOK {
		x.finish(p.Status, p.TokensAt(p.End))
		x.timeout()
		return
	}
	u := x.usage(g, p.OutputTokens)
	u.Known = !p.NoUsage
	body := out.whole(nil, answers, p.OutputTokens-p.ReasoningTokens, p.Finish, u)
	x.finish(http.StatusOK, p.OutputTokens)
	writeBody(x.w, http.StatusOK, body)
}

// stream sends the answer token by token at the plan's pace.
func (x *exchange) stream(g *generation, answers []answer, out renderer) {
	t := transmission{x: x, g: g, answers: answers, out: out, flush: http.NewResponseController(x.w)}
	p := &x.plan
	if x.s.clock.real(p.TBT) < tick {
		t.tick = time.Duration(float64(tick) * x.s.clock.scale)
	}
	sent, done := t.run()
	switch {
	case done:
		x.finish(http.StatusOK, sent)
	case t.broken:
		x.dep.complete(&x.s.clock, p.ID, sent*p.Choices)
		x.breakStream(p.Break.Kind)
	default:
		x.finish(spillway.StatusClientGone, p.TokensAt(x.pace.elapsed()))
	}
}

// tick is the shortest wall time between two writes of one stream: chunks that
// are due within it travel together.
const tick = time.Millisecond

// maxBuffer bounds the chunks that travel together.
const maxBuffer = 32 << 10

// transmission is one stream on its way.
type transmission struct {
	x       *exchange
	g       *generation
	answers []answer
	out     renderer
	flush   *http.ResponseController
	buf     []byte
	tick    time.Duration // virtual; 0 writes every chunk by itself
	broken  bool          // a fault ended it
}

// run sends the stream. It returns how many tokens of each choice went out and
// whether the stream is complete.
func (t *transmission) run() (sent int, done bool) {
	x, p := t.x, &t.x.plan
	at, fails := p.BreakAt()
	if fails && p.Break.AtToken == 0 && p.Break.Kind == fleet.BreakReset {
		t.broken = x.pace.until(at)
		return 0, false
	}
	if !x.pace.until(p.Headers) {
		return 0, false
	}
	h := x.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache, must-revalidate")
	h.Set("x-accel-buffering", "no")
	x.w.WriteHeader(http.StatusOK)
	t.buf = t.out.open(t.buf)
	if !t.write() {
		return 0, false
	}
	last := x.pace.elapsed()
	for sent < p.OutputTokens {
		if fails && sent >= p.Break.AtToken {
			t.broken = t.write() && x.pace.until(at)
			return sent, false
		}
		due := max(p.At(sent+1), min(last+t.tick, p.At(p.OutputTokens)))
		if now := x.pace.elapsed(); due > now {
			if !t.write() || !x.pace.until(due) {
				return sent, false
			}
			last = x.pace.elapsed()
		}
		t.emit(sent)
		sent++
		if len(t.buf) > maxBuffer && !t.write() { // far behind: do not hoard
			return sent, false
		}
	}
	u := x.usage(t.g, sent)
	u.Known = !p.NoUsage
	if fails { // after the last token, before the finish
		t.broken = t.write()
		return sent, false
	}
	t.buf = t.out.close(t.buf, t.answers, p.Finish, u)
	return sent, t.write()
}

// emit appends token i (0-based) of every choice. Hidden tokens only pass
// time.
func (t *transmission) emit(i int) {
	p := &t.x.plan
	if i < p.ReasoningTokens {
		return
	}
	last := i == p.OutputTokens-1 && p.Finish == spillway.FinishStop
	for c := range t.answers {
		t.buf = t.out.token(t.buf, c, t.answers[c].take(last))
	}
}

// write sends what has been appended and reports whether the client is there.
func (t *transmission) write() bool {
	if len(t.buf) > 0 {
		if _, err := t.x.w.Write(t.buf); err != nil {
			return false
		}
		t.buf = t.buf[:0]
		if err := t.flush.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return false
		}
	}
	return t.x.pace.ctx.Err() == nil
}
