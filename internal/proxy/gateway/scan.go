package gateway

import (
	"bytes"
	"io"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

// openStream makes the attempt ready to take a stream apart.
func (a *attempt) openStream() {
	if a.streaming = &a.f.parts; a != &a.f.first {
		a.streaming = new(streaming)
	}
	a.scanner.MaxEvent = a.f.snap.limits.MaxEventBytes
	a.stream.Reset(a.f.req.API)
}

// scan takes the next piece of the stream, read at now, apart and writes its
// complete events to dst, without the chunk that is not for the client. With
// an assembler they go there instead. It returns what is wrong with the stream
// or the writing.
func (a *attempt) scan(now time.Time, p []byte, dst io.Writer) error {
	if len(p) == 0 {
		return nil
	}
	before := a.tokens.Load()
	a.scanner.Feed(p)
	for ev, ok := a.scanner.Next(); ok; ev, ok = a.scanner.Next() {
		if err := a.take(ev, dst); err != nil {
			return err
		}
	}
	a.timeDeltas(now, before)
	return a.scanner.Err()
}

// repeats takes the next piece of the stream, read at now, for nothing but
// events like those before, all of them whole, which can go to the client as
// they are. It reports false, and has done nothing, where the piece is not that.
func (a *attempt) repeats(now time.Time, p []byte) bool {
	if !a.scanner.Between() || len(p) > a.scanner.MaxEvent {
		return false
	}
	tokens, size, ok := a.stream.Repeats(p)
	if !ok {
		return false
	}
	before := a.tokens.Load()
	a.note(tokens, size)
	a.timeDeltas(now, before)
	return true
}

// gather takes the next piece of a stream that is put together, read at now. It
// returns what is wrong with it.
func (a *attempt) gather(now time.Time, p []byte) error {
	if a.scanner.Between() && len(p) <= a.scanner.MaxEvent {
		before := a.tokens.Load()
		tokens, size, left, err := a.asm.AddRepeats(&a.stream, p)
		a.note(tokens, size)
		a.timeDeltas(now, before)
		if err != nil {
			return err
		}
		p = left
	}
	return a.scan(now, p, nil)
}

// note counts tokens, and the bytes that they are.
func (a *attempt) note(tokens, size int) {
	a.bytes += size
	a.tokens.Add(int64(tokens))
}

// timeDeltas notes when deltas have come, if there are more than before.
func (a *attempt) timeDeltas(now time.Time, before int64) {
	if a.tokens.Load() == before {
		return
	}
	if before > 0 {
		a.gapMax = max(a.gapMax, now.Sub(a.lastAt))
	}
	a.lastAt = now
}

// scanEnd takes the event that the end of the stream has left open.
func (a *attempt) scanEnd(dst io.Writer) error {
	if ev, ok := a.scanner.Finish(); ok {
		return a.take(ev, dst)
	}
	return nil
}

// take observes one event and passes it on.
func (a *attempt) take(ev sse.Event, dst io.Writer) error {
	sig, err := a.stream.Observe(ev)
	if err != nil && !a.pumped {
		return err
	}
	if sig.Tokens > 0 {
		a.note(sig.Tokens, sig.Bytes)
	}
	if sig.Usage.Known {
		a.usage = sig.Usage
	}
	if sig.Finish != spillway.FinishUnknown {
		a.finish = sig.Finish
	}
	if sig.Err != nil {
		a.fault = sig.Err
	}
	if a.asm != nil {
		return a.asm.Add(ev.Data)
	}
	if sig.UsageOnly && a.asksUsage {
		return nil
	}
	_, err = dst.Write(ev.Raw)
	return err
}

// headWriter collects what is read before the handler takes over.
type headWriter struct{ to *buffer.Buffer }

func (w headWriter) Write(p []byte) (int, error) {
	w.to.B = append(w.to.B, p...)
	return len(p), nil
}

// responseMark begins the identifier of a stored response.
var responseMark = []byte(`"resp_`) // constant

// pinTo remembers that the deployment of a holds the response that data, an
// answer or the beginning of a stream, describes. The identifier is the first
// of its kind there.
func (f *flight) pinTo(a *attempt, data []byte) {
	_, rest, found := bytes.Cut(data[:min(len(data), streamReadBytes)], responseMark)
	if !found {
		return
	}
	if id, _, closed := bytes.Cut(rest, []byte{'"'}); closed {
		f.g.pins.learn("resp_"+string(id), pin{f.pool.name, a.up.name})
	}
}
