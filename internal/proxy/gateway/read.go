package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

const (
	// streamReadBytes is the room to read a stream into. A chunk is a few hundred
	// bytes.
	streamReadBytes = 2 << 10
	// streamHeadBytes is the room for what comes before the first token, before
	// it grows.
	streamHeadBytes = 1 << 10
	// wholeReadBytes is the room for an answer of unknown length, before it
	// grows.
	wholeReadBytes = 4 << 10
	// errorBodyTimeout bounds the wait for the body of an error: the status is
	// known, and it alone decides.
	errorBodyTimeout = 2 * time.Second
	// trailTimeout bounds the wait for the end of a response whose stream has
	// ended, so that its connection can be used again.
	trailTimeout = 100 * time.Millisecond
)

// errHeadTooLong is a stream that goes on and on without a token.
var errHeadTooLong = errors.New("stream holds no token within the size limit")

// broken is the event of an attempt that failed without an HTTP status, or
// whose answer is not one.
func (a *attempt) broken(err error) *spillway.Event {
	ev := a.event(spillway.EventFailed)
	ev.Class = spillway.FailureBroken
	var op *net.OpError
	var credential *credentialError
	var timeout net.Error
	switch {
	case errors.As(err, &credential), errors.As(err, &op) && op.Op == "dial":
		ev.Replayable = true
	case a.resp == nil && errors.As(err, &timeout) && timeout.Timeout():
		ev.Class = spillway.FailureSlow
	}
	a.f.g.deps.Logger.Debug("attempt failed", "request_id", a.f.id, "deployment", a.up.name, "error", err)
	return ev
}

// severed is the event of an answer that ended early.
func (a *attempt) severed() *spillway.Event {
	ev := a.event(spillway.EventFailed)
	ev.Class = spillway.FailureCut
	return ev
}

// readError reads the body of an error into head. It ends the attempt's
// connection when that takes too long.
func (a *attempt) readError(resp *http.Response) {
	timer := time.AfterFunc(errorBodyTimeout, a.stop)
	a.head = a.f.g.buffers.Get(wholeReadBytes)
	within, err := a.head.ReadAtMost(resp.Body, a.f.snap.limits.MaxErrorBytes)
	a.overrun = !timer.Stop() || !within || err != nil
}

// readRefusal reads an error's body, unless that is done, and returns its
// event.
func (a *attempt) readRefusal() *spillway.Event {
	if a.head == nil {
		a.readError(a.resp)
	}
	return a.refused(a.resp.StatusCode, a.head.B)
}

// refused returns the event of an error status and its body.
func (a *attempt) refused(status int, body []byte) *spillway.Event {
	ev := a.event(spillway.EventFailed)
	ev.Status = status
	if wait, ok := wire.ParseRetryAfter(a.resp.Header, a.f.g.deps.Now()); ok {
		ev.RetryAfter = wait
	}
	if v := a.resp.Header[wire.HeaderShouldRetry]; len(v) > 0 && v[0] == "false" {
		ev.Hopeless = true
	}
	ev.Missing = status == http.StatusNotFound &&
		(bytes.Contains(body, []byte(wire.CodeDeploymentNotFound)) || bytes.Contains(body, []byte(wire.CodeModelNotFound)))
	return ev
}

// readWhole reads an answer that is not a stream. One that is too large to
// keep is handed over as it is, if it can be.
func (a *attempt) readWhole() *spillway.Event {
	f := a.f
	room := wholeReadBytes
	if n := a.resp.ContentLength; n >= 0 {
		room = int(min(n, maxTrustedBytes)) + 1
	}
	a.head = f.g.buffers.Get(room)
	within, err := a.head.ReadAtMost(a.resp.Body, f.snap.limits.MaxAnswerBytes)
	switch {
	case err != nil:
		return a.severed()
	case !within && a.shape == shapeAssembled:
		return a.broken(wire.ErrTooLarge)
	case !within:
		a.shape = shapeRelayed
		return a.event(spillway.EventFirstToken)
	}
	usage, finish, ok := wire.ScanUsage(f.req.API, a.head.B)
	if !ok {
		return a.broken(wire.ErrMalformed)
	}
	if !usage.Known && finish == spillway.FinishUnknown {
		if a.fault = wire.ScanFault(a.head.B); a.fault != nil {
			return a.refused(a.fault.Status, a.head.B)
		}
	}
	a.usage, a.finish = usage, finish
	if f.req.API == spillway.APIResponses {
		f.pinTo(a, a.head.B)
	}
	ev := a.event(spillway.EventDone)
	ev.Tokens = usage.Completion
	return ev
}

// readToFirstToken reads a stream until its first token, which is where the
// handler takes over, or to its end if it has none.
func (a *attempt) readToFirstToken() *spillway.Event {
	a.openStream()
	a.head = a.f.g.buffers.Get(streamHeadBytes)
	room := a.f.g.buffers.Get(streamReadBytes)
	defer room.Release()
	buf := room.B[:cap(room.B)]
	for read := 0; ; {
		n, err := a.resp.Body.Read(buf)
		read += n
		fault := a.scan(a.f.g.deps.Now(), buf[:n], headWriter{a.head})
		if err != nil {
			fault = errors.Join(fault, a.scanEnd(headWriter{a.head}))
		}
		switch {
		case a.fault != nil:
			return a.refused(a.fault.Status, nil)
		case fault != nil:
			return a.broken(fault)
		case a.tokens.Load() > 0:
			return a.event(spillway.EventFirstToken)
		case a.ended(err):
			return a.event(spillway.EventDone)
		case err != nil:
			return a.severed()
		case read > a.f.snap.limits.MaxEventBytes:
			return a.broken(errHeadTooLong)
		}
	}
}

// assemble reads a stream to its end and builds the answer from it.
func (a *attempt) assemble() *spillway.Event {
	a.openStream()
	a.asm = new(wire.Assembler)
	a.asm.Reset(a.f.req.API)
	room := a.f.g.buffers.Get(streamReadBytes)
	defer room.Release()
	buf, body, now := room.B[:cap(room.B)], a.resp.Body, a.f.g.deps.Now // at hand, as in pumpEvents
	for read := 0; ; {
		before := a.tokens.Load()
		n, err := body.Read(buf)
		read += n
		fault := a.gather(now(), buf[:n])
		if err != nil {
			fault = errors.Join(fault, a.scanEnd(nil))
		}
		if before == 0 && a.tokens.Load() > 0 && fault == nil && a.fault == nil {
			a.notify(a.event(spillway.EventFirstToken))
		}
		switch {
		case a.fault != nil:
			return a.refused(a.fault.Status, nil)
		case fault != nil:
			return a.broken(fault)
		case a.ended(err):
			a.readTrail(err)
			return a.event(spillway.EventDone)
		case err != nil:
			return a.severed()
		case a.tokens.Load() == 0 && read > a.f.snap.limits.MaxEventBytes:
			return a.broken(errHeadTooLong)
		}
	}
}

// ended reports whether the stream is complete. Some deployments close it
// without a mark, once every choice has its finish.
func (a *attempt) ended(err error) bool {
	return a.stream.Done() || errors.Is(err, io.EOF) && a.stream.Finished(a.f.choices)
}

// readTrail reads what follows the end of a stream, which is the end of the
// response, if it comes soon. Then its connection can be used again.
func (a *attempt) readTrail(err error) {
	if err != nil {
		return
	}
	room := a.f.g.buffers.Get(streamReadBytes)
	defer room.Release()
	buf := room.B[:cap(room.B)]
	timer := time.AfterFunc(trailTimeout, a.stop)
	defer timer.Stop()
	for range 8 {
		if _, err := a.resp.Body.Read(buf); err != nil {
			return
		}
	}
}
