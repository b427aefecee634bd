package gateway

import (
	"errors"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// errClientGone is a write to the client that failed.
var errClientGone = errors.New("the client does not read")

// errNoStream is a response of another kind after the stream has begun.
var errNoStream = errors.New("the deployment returned no stream")

// beginResponse begins the committed attempt's response: the headers, and of a
// stream what was read before the commit. The error is that of Next, or
// errClientGone.
func (f *flight) beginResponse(a *upstream.Attempt) error {
	f.responseBegun, f.earlyBeatAt = true, time.Time{}
	if !f.begunEarly {
		f.startResponse(a, a.Response().StatusCode)
	}
	f.startWakeTimer()
	switch {
	case a.Form() == upstream.Streamed:
	case f.begunEarly:
		return errNoStream
	default:
		return nil
	}
	f.rememberPin(a, a.Beginning())
	begun, err := a.Next()
	defer begun.Release()
	a.BeginBlocked(a.ReadAt())
	_, werr := f.out.Write(begun.B[buffer.Headroom:])
	if werr == nil {
		werr = f.out.Flush()
	}
	a.EndBlocked(f.g.deps.Now())
	if werr != nil {
		return errClientGone
	}
	return err
}

// forward sends the rest of the response to its end, and reports how it ended. err
// is what ended it before. It lasts as long as the stream, so it and its callers
// keep little on the stack: a stack that has grown for a moment rarely shrinks.
func (f *flight) forward(a *upstream.Attempt, err error) {
	f.allowHeartbeats(a)
	for err == nil {
		var piece *buffer.Buffer
		piece, err = a.Next()
		if piece != nil && a.Form() == upstream.Relayed {
			f.rememberRelayed(a, piece.B[buffer.Headroom:])
		}
		if piece != nil && len(piece.B) > buffer.Headroom && f.forwardPiece(a, piece) != nil {
			err = errClientGone
		}
		piece.Release()
	}
	f.reportEnd(a, err)
}

// forwardPiece sends what was read of the response. A response of known length is
// sent as the server finds it right; everything else at once.
func (f *flight) forwardPiece(a *upstream.Attempt, piece *buffer.Buffer) error {
	if a.Form() != upstream.Streamed && a.Response().ContentLength >= 0 {
		_, err := f.out.Write(piece.B[buffer.Headroom:])
		f.out.ClearWriteDeadline()
		return err
	}
	at := a.ReadAt()
	a.BeginBlocked(at)
	f.sending.Lock()
	err := f.out.Send(at, piece)
	f.sentAt, f.eventIDs = f.g.deps.Now(), a.HasEventIDs()
	a.EndBlocked(f.sentAt)
	f.sending.Unlock()
	return err
}

// reportEnd reports how the response ended. A complete one is complete, even if
// its client has left since.
func (f *flight) reportEnd(a *upstream.Attempt, err error) {
	if f.stopWakeTimer() {
		f.perform()
		return
	}
	switch {
	case errors.Is(err, errClientGone), f.call.Context.Err() != nil && !a.Complete() && !f.endedByGateway():
		f.onClientGone()
	case f.call.Context.Err() != nil && !a.Complete():
		f.onContextDone()
	default:
		f.handle(*a.EndEvent(err))
	}
}

// endStream ends a committed response that upstream did not end: cut at the
// deadline, or broken off. A body that is not an event stream can only be
// aborted, which the client sees as an error.
func (f *flight) endStream(a *upstream.Attempt) {
	rec := f.core.Record()
	var tail []byte
	if f.begunEarly {
		f.setFlightHeaders(a) // as trailers
	} else if rec.Truncated != spillway.TruncatedNot {
		f.out.Set(trailerTruncated, rec.Truncated.String())
	}
	switch {
	case f.out.Gone():
		return
	case a.Form() != upstream.Streamed:
		f.aborted = a.WasCut() || rec.Outcome == spillway.OutcomePartial
		return
	case a.WasCut():
		tail = a.AppendCut(nil, wire.CutOptions{IncludeUsage: f.includesUsage, Usage: rec.Usage})
	case rec.Outcome != spillway.OutcomePartial:
		return
	case a.Fault() != nil:
		return // upstream's own error was the last event
	default:
		tail = wire.AppendStreamError(nil, f.req.API, f.interruptedError(a))
	}
	if _, err := f.out.Write(tail); err == nil {
		_ = f.out.Flush() // f.out reports a disconnected client
	}
}
