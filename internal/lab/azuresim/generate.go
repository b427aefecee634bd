package azuresim

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// renderer writes one API's responses. Its methods append to b and return it.
type renderer interface {
	// appendStart appends what a stream sends before its first token.
	appendStart(b []byte) []byte
	// appendChunk appends the chunk for visible tokens of a choice, at least one,
	// all of the same kind and call.
	appendChunk(b []byte, choice int, tokens []piece) []byte
	// appendEnd ends the stream.
	appendEnd(b []byte, answers []answer, end spillway.Finish, u spillway.Usage) []byte
	// appendWhole appends the response of a non-streaming request, with n visible tokens in
	// each choice.
	appendWhole(b []byte, answers []answer, n int, end spillway.Finish, u spillway.Usage) []byte
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

// synchronous waits for the whole response, or for what ends it, and sends it.
func (x *exchange) synchronous(g *generation, answers []answer, out renderer) {
	p := &x.plan
	if at, broken := p.BreakAt(); broken && at < p.End {
		if !x.pace.until(at) {
			x.finish(spillway.StatusClientGone, p.TokensAt(x.pace.elapsed()))
			return
		}
		x.breakSync(p.Break.Kind, out.appendWhole(nil, answers, p.OutputTokens-p.ReasoningTokens, p.Finish, x.usage(g, p.OutputTokens)))
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
	body := out.appendWhole(nil, answers, p.OutputTokens-p.ReasoningTokens, p.Finish, u)
	x.finish(http.StatusOK, p.OutputTokens)
	writeBody(x.w, http.StatusOK, body)
}

// stream sends the response chunk by chunk at the plan's pace.
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
	case t.broken: // what the filter still held back is lost, and has been generated
		x.dep.complete(&x.s.clock, p.ID, min(p.Break.AtToken, p.OutputTokens)*p.Choices)
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

// transmission is one stream in flight.
type transmission struct {
	x       *exchange
	g       *generation
	answers []answer
	out     renderer
	flush   *http.ResponseController
	buf     []byte
	batch   []piece       // of one chunk
	text    []byte        // of the batch
	tick    time.Duration // virtual; 0 writes every chunk by itself
	broken  bool          // a fault ended it
}

// run sends the stream. It returns how many tokens of each choice were released
// and whether the stream is complete.
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
	t.buf = t.out.appendStart(t.buf)
	if !t.send() {
		return 0, false
	}
	last := x.pace.elapsed()
	for sent < p.OutputTokens {
		next := p.NextRelease(sent)
		if fails && next > p.Break.AtToken {
			t.broken = t.write() && x.pace.until(at)
			return sent, false
		}
		due := max(p.At(next), min(last+t.tick, p.At(p.OutputTokens)))
		if now := x.pace.elapsed(); due > now {
			if !t.write() || !x.pace.until(due) {
				return sent, false
			}
			last = x.pace.elapsed()
		}
		t.emit(sent, next)
		sent = next
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
	t.buf = t.out.appendEnd(t.buf, t.answers, p.Finish, u)
	return sent, t.write()
}

// leastBatch is the smallest number of tokens that share a chunk. The last two
// or three of a response, though released together, come one by one: clients
// that estimate tokens by bytes cannot tell them from one long word.
const leastBatch = 4

// emit appends the chunks of the tokens from from (0-based) to to of every
// choice. Hidden tokens have none.
func (t *transmission) emit(from, to int) {
	p := &t.x.plan
	from = max(from, p.ReasoningTokens)
	apart := to-from < leastBatch
	for c := range t.answers {
		t.batch, t.text = t.batch[:0], t.text[:0]
		for i := from; i < to; i++ {
			token := t.answers[c].take(i == p.OutputTokens-1 && p.Finish == spillway.FinishStop)
			if n := len(t.batch); n > 0 && (apart || !token.joins(&t.batch[n-1])) {
				t.buf = t.out.appendChunk(t.buf, c, t.batch)
				t.batch = t.batch[:0]
			}
			start := len(t.text)
			t.text = append(t.text, token.text...)
			token.text = t.text[start:]
			t.batch = append(t.batch, token)
		}
		if len(t.batch) > 0 {
			t.buf = t.out.appendChunk(t.buf, c, t.batch)
		}
	}
}

// write sends what has been appended, if anything has, and reports whether the
// client is there.
func (t *transmission) write() bool {
	if len(t.buf) == 0 {
		return t.x.pace.ctx.Err() == nil
	}
	return t.send()
}

// send is write, and sends the headers where nothing has been appended.
func (t *transmission) send() bool {
	if len(t.buf) > 0 {
		if _, err := t.x.w.Write(t.buf); err != nil {
			return false
		}
		t.buf = t.buf[:0]
	}
	if err := t.flush.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	return t.x.pace.ctx.Err() == nil
}
