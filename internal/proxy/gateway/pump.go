package gateway

import (
	"errors"
	"io"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// relayReadBytes is the room to relay an answer that is no stream.
const relayReadBytes = 32 << 10

// errClientGone is a write to the client that failed.
var errClientGone = errors.New("the client does not read")

// open begins the committed attempt's answer: the headers, and what was read of
// the body before the commit.
func (f *flight) open(a *attempt) error {
	a.pumped = true
	f.startAnswer(a, a.resp.StatusCode)
	f.startWatch()
	if a.shape == shapeStream && f.req.API == spillway.APIResponses {
		f.pinTo(a, a.head.B)
	}
	return f.writeHead(a)
}

// pump forwards what follows to its end, and reports how it ended. err is what
// went wrong before. It lasts as long as the stream, so it and its callers
// keep little on the stack: a stack that has grown for a moment rarely shrinks.
func (f *flight) pump(a *attempt, err error) {
	switch {
	case err != nil:
	case a.shape == shapeStream:
		err = f.pumpEvents(a)
	default:
		err = f.pumpBytes(a)
	}
	f.reportEnd(a, err)
}

// reportEnd reports how the pump ended; err is what broke it off.
func (f *flight) reportEnd(a *attempt, err error) {
	if f.stopWatch() {
		f.perform()
		return
	}
	switch {
	case errors.Is(err, errClientGone), f.ctx.Err() != nil && !f.mustEnd():
		f.report()
		f.tell(spillway.Event{Kind: spillway.EventGone})
	case err == nil && a.fault == nil:
		f.tell(*a.event(spillway.EventDone))
	case f.ctx.Err() != nil:
		f.leave()
	case a.fault != nil:
		f.tell(*a.refused(a.fault.Status, nil))
	default:
		f.tell(*a.severed())
	}
}

// pumpEvents forwards a stream, event by event, as soon as each is complete.
// It returns nil when the stream has ended as it should.
func (f *flight) pumpEvents(a *attempt) error {
	if a.fault != nil || a.stream.Done() { // in what was read before the commit
		a.readTrail(nil)
		return nil
	}
	body, buffers := a.resp.Body, &f.g.buffers // at hand: see attempt
	for {
		room, err := a.next(body, buffers)
		plain, fault := f.forward(a, room, err)
		room.Release()
		switch {
		case plain && fault == nil:
		case f.out.Gone():
			return errClientGone
		case fault != nil:
			return fault
		case a.fault != nil, a.ended(err):
			a.readTrail(err)
			return nil
		case err != nil:
			return io.ErrUnexpectedEOF
		}
	}
}

// next waits for the next piece of the stream. The room for it is taken only
// once it is there: thousands of streams wait at one time, and few are read.
// The piece lies where the room of a chunk has its content.
func (a *attempt) next(body io.Reader, buffers *buffer.Pools) (room *buffer.Buffer, err error) {
	n, err := body.Read(a.first[:])
	room = buffers.Get(streamReadBytes)
	room.B = append(room.B[:buffer.Headroom], a.first[:n]...)
	if n == 0 || err != nil || a.first[0] == '\n' || a.first[0] == '\r' {
		return room, err // it may end an event, and nothing need follow
	}
	n, err = body.Read(room.B[len(room.B) : cap(room.B)-buffer.Tailroom])
	room.B = room.B[:len(room.B)+n]
	return room, err
}

// forward sends what a piece of the stream completes. err is the end of the
// stream. It reports whether the piece was plain: it has gone out as it came,
// and nothing has ended.
func (f *flight) forward(a *attempt, room *buffer.Buffer, err error) (plain bool, fault error) {
	at := f.g.deps.Now()
	p := room.B[buffer.Headroom:]
	if plain = err == nil && a.repeats(at, p); plain {
		fault = f.out.Send(at, room)
	} else {
		fault = f.takeApart(a, at, p, err)
	}
	a.blocked.Add(int64(f.g.deps.Now().Sub(at)))
	return plain, fault
}

// takeApart takes a piece apart, which was read at now, and sends what it
// completes.
func (f *flight) takeApart(a *attempt, now time.Time, p []byte, err error) error {
	fault := a.scan(now, p, &f.out)
	if err != nil {
		fault = errors.Join(fault, a.scanEnd(&f.out))
	}
	if len(p) == 0 || fault != nil {
		return fault
	}
	return f.out.Flush()
}

// pumpBytes forwards an answer of any kind as it comes.
func (f *flight) pumpBytes(a *attempt) error {
	room := f.g.buffers.Get(relayReadBytes)
	defer room.Release()
	buf := room.B[:cap(room.B)]
	for {
		n, err := a.resp.Body.Read(buf)
		if n > 0 {
			if werr := f.relay(a, buf[:n]); werr != nil {
				return errClientGone
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// relay writes bytes, and sends them at once unless their end is in sight.
func (f *flight) relay(a *attempt, p []byte) error {
	if _, err := f.out.Write(p); err != nil {
		return err
	}
	if a.resp.ContentLength < 0 {
		return f.out.Flush()
	}
	f.out.Idle()
	return nil
}

// writeHead writes what was read before the flight was committed.
func (f *flight) writeHead(a *attempt) error {
	if a.head == nil {
		return nil
	}
	_, err := f.out.Write(a.head.B)
	a.head.Release()
	a.head = nil
	if err == nil {
		err = f.out.Flush()
	}
	if err != nil {
		return errClientGone
	}
	return nil
}

// endStream ends a committed answer that upstream did not end: cut at the
// deadline, or broken off. A body that is no stream of ours can only be
// aborted, which the client sees as an error.
func (f *flight) endStream(a *attempt) {
	rec := f.core.Record()
	var tail []byte
	if rec.Truncated != spillway.TruncatedNot {
		f.out.Set(trailerTruncated, rec.Truncated.String())
	}
	switch {
	case f.out.Gone():
		return
	case a.short && a.shape == shapeStream:
		tail = a.stream.AppendCut(nil, wire.CutOptions{IncludeUsage: f.includesUsage, Usage: rec.Usage})
	case rec.Outcome != spillway.OutcomePartial:
		return
	case a.shape == shapeStream && a.fault != nil:
		return // upstream's own error was the last event
	case a.shape == shapeStream:
		tail = wire.AppendStreamError(nil, f.req.API, f.brokenOff())
	default:
		f.abort = true
		return
	}
	if _, err := f.out.Write(tail); err == nil {
		_ = f.out.Flush() // a client that is gone shows in f.out
	}
}
