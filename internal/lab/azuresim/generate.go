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
	g, err := x.prepare(body, d)
	if err != nil {
		return err
	}
	g.length = g.prompt.length(x.r.Header.Get("x-azuresim-output-tokens"))
	answers := x.s.answers(g)
	ask := g.ask(answers)
	ask.ServiceTier = x.tier
	ask.Seed, _ = strconv.ParseUint(x.r.Header.Get("x-azuresim-seed"), 10, 64)
	if g.background() {
		ask.Stream = true // no completion window
	}
	if !x.admit(ask) {
		return nil
	}
	switch out := d.render(x, g); {
	case g.background():
		x.inBackground(g, answers, out.(*responses))
	case g.stream:
		x.stream(g, answers, out)
	default:
		x.synchronous(g, answers, out)
	}
	return nil
}

// prepare reads a request, and refuses what the deployment does not take.
func (x *exchange) prepare(body []byte, d dialect) (*generation, error) {
	g, err := d.parse(x, body)
	if err != nil {
		return nil, err
	}
	x.streaming = g.stream
	if err := x.checkStream(g); err != nil {
		return nil, err
	}
	if _, ok := g.prompt.directive("filter"); ok {
		return nil, errFiltered
	}
	c := &x.dep.config
	if g.maxTokens > c.MaxOutput {
		return nil, &badRequest{
			message: g.limitField + " is too large: " + itoa(g.maxTokens) + ". This model supports at most " + itoa(c.MaxOutput) + " completion tokens, whereas you provided " + itoa(g.maxTokens) + ".",
			param:   g.limitField, code: "invalid_value",
		}
	}
	if n := g.prompt.tokens(); n > longContext && c.Kind == spillway.Provisioned && shortContext[c.Model] && !x.spill(http.StatusBadRequest) {
		return nil, &badRequest{
			message: "This model's maximum context length is " + itoa(longContext) + " tokens. However, your messages resulted in " + itoa(n) + " tokens. Please reduce the length of the messages.",
			param:   "messages", code: "context_length_exceeded",
		}
	}
	return g, x.chooseTier(g)
}

// checkStream refuses what deployments with RejectStream and RejectStreamOptions do
// not take. The words are those of OpenAI for organizations that are not verified
// (pal-mcp-server#134), and of a model behind Foundry (litellm#11696).
func (x *exchange) checkStream(g *generation) error {
	t := &x.dep.traits
	switch {
	case t.RejectStream && g.stream:
		return &badRequest{"Your organization must be verified to stream this model. Please go to: https://platform.openai.com/settings/organization/general and click on Verify Organization. If you just verified, it can take up to 15 minutes for access to propagate.", "stream", "unsupported_value"}
	case t.RejectStreamOptions && g.options:
		return &refusal{http.StatusUnprocessableEntity, bodyExtraInput}
	case g.options && !g.stream:
		return &badRequest{"The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", ""}
	}
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
	if g.stored != nil {
		x.copies = append(x.copies, answers...)
	}
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
