package gateway

import (
	"context"

	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// detach gives a flight whose answer is a stream a context that does not end
// with the server's part in it. Until the connection is taken over it ends when
// the server sees the client leave.
func (f *flight) detach() {
	if !f.req.Stream || f.out.conn == nil {
		return
	}
	ctx, cancel := context.WithCancelCause(f.g.base)
	f.ctx, f.cancel = ctx, func() { cancel(nil) }
	served := f.r.Context()
	f.kept = context.AfterFunc(served, func() { cancel(context.Cause(served)) })
}

// attach undoes what detach does, at the flight's end.
func (f *flight) attach() {
	if f.cancel != nil {
		if f.kept != nil {
			f.kept()
		}
		f.cancel()
	}
}

// takeOver takes the client's connection over once the answer has begun, if it
// is a stream to a client of HTTP/1.1: then the handler must return.
func (f *flight) takeOver(a *upstream.Attempt) bool {
	if a.Form() != upstream.Streamed {
		return false
	}
	taken := f.cancel != nil && f.out.take(f.r, f.cancel)
	if taken {
		f.kept()     // what the server sees from now on is its own handler's end
		f.kept = nil // which holds the server's contexts
	}
	f.lighten(a, taken)
	return taken
}

// lighten lets go of what a stream that has begun does not need any more.
func (f *flight) lighten(a *upstream.Attempt, taken bool) {
	a.ReleaseHeader()
	if len(f.attempts) > 1 {
		return // another may still have something to say
	}
	f.ask = nil
	f.call.Committed()
	switch {
	case taken:
		f.r = nil
	case f.r.ProtoMajor == 2:
		f.r.Header = nil // the server holds the rest
	}
}

// goOn is the rest of a flight without the server: its goroutine owns the
// flight, and who waits for it waits for the flights under way.
func (f *flight) goOn() {
	f.complete()
	f.out.arm(f.g.deps.Now())
	t := f.out.taken
	t.end(!f.abort && !f.out.gone)
	f.cancel()
	t.keeper.done(t)
	f.g.live.leave() // before the client's next request can be served
	t.release()
}

// complete pumps the stream to its end and settles the flight. It contains what
// panics on the way.
func (f *flight) complete() {
	defer func() {
		if p := recover(); p != nil {
			f.contain(p)
		}
	}()
	f.forward(f.forwarded, nil)
	for !f.settled {
		f.wait()
	}
	f.deliver()
	f.finish()
}
