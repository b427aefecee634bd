package gateway

import "github.com/spillway-ai/spillway/internal/proxy/upstream"

// detach lets a stream that has begun leave the server, if its client speaks
// HTTP/1.1: then the handler must return.
func (f *flight) detach(a *upstream.Attempt) bool {
	if a.Form() != upstream.Streamed {
		return false
	}
	detached := f.out.Detach()
	f.dropRequest(a, detached)
	return detached
}

// dropRequest drops what a stream that has begun does not need any more.
func (f *flight) dropRequest(a *upstream.Attempt, detached bool) {
	a.ReleaseHeader()
	if len(f.attempts) > 1 {
		return // another attempt may still report
	}
	f.call.ReleaseRequest()
	switch {
	case detached:
		f.r = nil
	case f.r.ProtoMajor == 2:
		f.r.Header = nil // the server holds the rest
	}
}

// serveDetached is the rest of a flight after its handler has returned. Its
// goroutine owns the flight.
func (f *flight) serveDetached() {
	f.complete()
	f.out.EndResponse(!f.aborted)
	f.g.inFlight.Leave() // before the client's next request can be served
	f.out.ReleaseConn()
}

// complete forwards the stream to its end and settles the flight. It contains what
// panics on the way.
func (f *flight) complete() {
	defer func() {
		if p := recover(); p != nil {
			f.onPanic(p)
		}
	}()
	f.forward(f.forwarded, nil)
	for !f.settled {
		f.wait()
	}
	f.writeResponse()
	f.finish()
}
