package upstream

import (
	"bytes"
	"errors"
	"io"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

const (
	// pieceBytes is the room to read a piece of a stream into. A chunk is a few
	// hundred bytes.
	pieceBytes = 2 << 10
	// headBytes is the room for what comes before the first token, before it
	// grows.
	headBytes = 1 << 10
)

// errNoToken is a stream that goes on and on without a token.
var errNoToken = errors.New("stream exceeds the size limit before its first token")

// streamReader is what it takes to read a stream event by event, and to put a
// response together from it.
type streamReader struct {
	stream    wire.Stream
	firstByte [1]byte // of the piece that is awaited
	scanner   sse.Scanner
	asm       *wire.Assembler // nil when the stream goes to the client
}

// openStream makes the attempt ready to read a stream.
func (a *Attempt) openStream() {
	if a.streamReader = &a.call.stream; a != &a.call.firstAttempt {
		a.streamReader = new(streamReader)
	}
	a.scanner.MaxEvent = a.call.MaxEventBytes
	a.stream.Reset(a.call.API)
	a.stream.OneChoice, a.stream.HideUsage = a.call.Choices == 1, a.asksUsage
}

// readToFirstToken reads a stream until its first token, which is where the
// caller goes on, or to its end if it has none.
func (a *Attempt) readToFirstToken() *spillway.Event {
	a.openStream()
	a.head = a.call.Buffers.Get(headBytes)
	a.head.B = a.head.B[:buffer.Headroom]
	room := a.call.Buffers.Get(pieceBytes)
	defer room.Release()
	buf := room.B[:cap(room.B)]
	for read := 0; ; {
		n, err := a.resp.Body.Read(buf)
		read += n
		fault := a.scan(a.call.Now(), buf[:n], a.head)
		if err != nil {
			a.scanEnd(a.head)
		}
		switch {
		case a.fault != nil:
			return a.errorEvent(a.fault.Status, nil)
		case fault != nil:
			return a.unreadableEvent(fault)
		case a.tokens.Load() > 0:
			return a.event(spillway.EventFirstToken)
		case a.streamEnded(err):
			return a.streamDone(err)
		case err != nil:
			return a.interruptedEvent(err)
		case read > a.call.MaxEventBytes:
			return a.unreadableEvent(errNoToken)
		}
	}
}

// assemble reads a stream to its end and builds the response from it.
func (a *Attempt) assemble() *spillway.Event {
	a.openStream()
	if a.asm, _ = a.call.assemblers.Get().(*wire.Assembler); a.asm == nil {
		a.asm = new(wire.Assembler)
	}
	a.asm.Reset(a.call.API)
	a.asm.OneChoice = a.call.Choices == 1
	room := a.call.Buffers.Get(pieceBytes)
	defer room.Release()
	buf, body, now := room.B[:cap(room.B)], a.resp.Body, a.call.Now // local copies: see Attempt
	for read := 0; ; {
		before := a.tokens.Load()
		n, err := body.Read(buf)
		read += n
		fault := a.assemblePiece(now(), buf[:n])
		if err != nil {
			a.scanEnd(nil)
		}
		if before == 0 && a.tokens.Load() > 0 && fault == nil && a.fault == nil {
			a.report(a.event(spillway.EventFirstToken))
		}
		switch {
		case a.fault != nil:
			return a.errorEvent(a.fault.Status, nil)
		case fault != nil:
			return a.unreadableEvent(fault)
		case a.streamEnded(err):
			return a.streamDone(err)
		case err != nil:
			return a.interruptedEvent(err)
		case a.tokens.Load() == 0 && read > a.call.MaxEventBytes:
			return a.unreadableEvent(errNoToken)
		}
	}
}

// streamEnded reports whether the stream is complete. Some deployments close it, or
// their connection, without a mark, once every choice has its finish.
func (a *Attempt) streamEnded(err error) bool {
	return a.stream.Done() || err != nil && a.stream.Finished(a.call.Choices)
}

// streamDone returns the event of a stream that is complete before any of it went to
// the client.
func (a *Attempt) streamDone(err error) *spillway.Event {
	if !a.stream.HasResponse() && (a.tokens.Load() == 0 || a.asm != nil && a.call.API == spillway.APIResponses) {
		return a.unreadableEvent(wire.ErrNoResponse)
	}
	_ = a.markComplete(err) // io.EOF
	return a.event(spillway.EventDone)
}

// markComplete marks the response as complete, and returns io.EOF. err is the end of
// the response, nil when that has not come yet.
func (a *Attempt) markComplete(err error) error {
	a.complete.Store(a.fault == nil)
	a.unlinkContext() // nothing is lost when the client leaves now
	a.responseOpen = err == nil
	return io.EOF
}

// nextEvents waits for the next piece of the stream, and returns the events that
// it completes.
func (a *Attempt) nextEvents() (*buffer.Buffer, error) {
	a.forwarding = true
	room, err := a.nextPiece(a.resp.Body, a.call.Buffers)
	p := room.B[buffer.Headroom:]
	a.readAt = a.call.Now()
	if err == nil && a.countRepeats(a.readAt, p) {
		room.B = room.B[:buffer.Headroom+len(a.stream.CutUsage(p))]
		return room, nil
	}
	defer room.Release()
	// Enough for all that can come out, unless that is an unusually large event: a
	// buffer that grows is lost to its pool.
	events := a.call.Buffers.Get(min(a.scanner.Pending()+len(room.B)+buffer.Tailroom, buffer.CountedBytes))
	events.B = events.B[:buffer.Headroom]
	fault := a.scan(a.readAt, p, events)
	if err != nil {
		a.scanEnd(events)
	}
	switch {
	case fault != nil:
		return events, fault
	case a.fault != nil, a.streamEnded(err):
		return events, a.markComplete(err)
	case err != nil:
		return events, io.ErrUnexpectedEOF
	}
	return events, nil
}

// nextPiece waits for the next piece of the stream. The room for it is acquired
// only once it is there: thousands of streams wait at one time, and few are
// read.
func (a *Attempt) nextPiece(body io.Reader, buffers *buffer.Pools) (room *buffer.Buffer, err error) {
	n, err := body.Read(a.firstByte[:])
	room = buffers.Get(pieceBytes)
	room.B = append(room.B[:buffer.Headroom], a.firstByte[:n]...)
	if n == 0 || err != nil || a.firstByte[0] == '\n' || a.firstByte[0] == '\r' {
		return room, err // it may end an event, and nothing need follow
	}
	n, err = body.Read(room.B[len(room.B) : cap(room.B)-buffer.Tailroom])
	room.B = room.B[:len(room.B)+n]
	return room, err
}

// scan reads the events of the next piece of the stream, which was read at now,
// and appends those that are complete to dst, without the chunk that is not for
// the client. With an assembler they go there instead. It returns what is wrong
// with the stream.
func (a *Attempt) scan(now time.Time, p []byte, dst *buffer.Buffer) error {
	if len(p) == 0 {
		return nil
	}
	tokens := 0
	a.scanner.Feed(p)
	for ev, ok := a.scanner.Next(); ok; ev, ok = a.scanner.Next() {
		n, err := a.observe(ev, dst)
		if tokens += n; err != nil {
			return err
		}
		if a.stream.Done() {
			break // what follows the end is not for the client
		}
	}
	a.addTokens(now, tokens)
	if err := a.scanner.Err(); err != nil && !a.stream.Done() {
		return err
	}
	return a.countHeld()
}

// countHeld counts what the stream's reader holds of it toward the budget, and
// reports buffer.ErrNoRoom when that is too much. It costs an atomic operation only
// where the amount has changed, which it does in large steps.
func (a *Attempt) countHeld() error {
	held := int64(a.scanner.Held() + a.stream.Held())
	if a.asm != nil {
		held += int64(a.asm.Held()) * 2 // once more for the response that AppendResponse makes
	}
	switch more := held - a.heldBytes; {
	case more > 0 && !a.call.Buffers.Reserve(more):
		return buffer.ErrNoRoom
	case more < 0:
		a.call.Buffers.Add(more)
	}
	a.heldBytes = held
	return nil
}

// scanEnd reads the event that the end of the stream has left open, as some servers
// omit the last blank line. One that is not whole is dropped, as if the stream had
// ended before it.
func (a *Attempt) scanEnd(dst *buffer.Buffer) {
	if a.stream.Done() {
		return
	}
	ev, ok := a.scanner.Finish()
	if !ok {
		return
	}
	sig, err := a.stream.Observe(ev)
	if err != nil {
		return
	}
	before := 0
	if dst != nil {
		before = len(dst.B)
	}
	if a.take(ev, sig, dst) != nil {
		return
	}
	a.addTokens(a.call.Now(), sig.Tokens)
	if dst != nil && len(dst.B) > before {
		dst.B = append(bytes.TrimRight(dst.B, "\r\n"), eventEnd...) // clients ignore an event that is open
	}
}

// countRepeats reports whether the next piece of the stream, which was read at now,
// is nothing but whole events like those before, which can go to the client as
// they are. Then it has counted them; otherwise it has done nothing.
func (a *Attempt) countRepeats(now time.Time, p []byte) bool {
	if !a.scanner.Between() || len(p) > a.scanner.MaxEvent {
		return false
	}
	tokens, ok := a.stream.Repeats(p)
	if ok {
		a.addTokens(now, tokens)
	}
	return ok
}

// assemblePiece adds the next piece of the stream, which was read at now, to the response.
// It returns what is wrong with it.
func (a *Attempt) assemblePiece(now time.Time, p []byte) error {
	for len(p) > 0 && !a.stream.Done() {
		if a.scanner.Between() && len(p) <= a.scanner.MaxEvent {
			tokens, left, err := a.asm.AddRepeats(&a.stream, p)
			a.addTokens(now, tokens)
			if err != nil {
				return err
			}
			p = left
		}
		end := len(p)
		if i := bytes.Index(p, eventEnd); i >= 0 {
			end = i + len(eventEnd) // what follows may repeat
		}
		if err := a.scan(now, p[:end], nil); err != nil {
			return err
		}
		p = p[end:]
	}
	return a.countHeld()
}

// eventEnd is how most deployments end an event.
var eventEnd = []byte("\n\n") // constant

// addTokens counts tokens that were read at now.
func (a *Attempt) addTokens(now time.Time, n int) {
	if n <= 0 {
		return
	}
	at := int64(now.Sub(a.started))
	if last := a.tokenAt.Load(); last > 0 {
		a.maxGap = max(a.maxGap, time.Duration(at-last))
	}
	a.tokenAt.Store(max(at, 1)) // first, so that no count is ahead of its instant
	a.tokens.Add(int64(n))
	a.tokenBlocked.Store(a.blocked.Load()) // last: see addCounts
}

// observe reads one event, passes it on, and returns how many tokens it holds.
func (a *Attempt) observe(ev sse.Event, dst *buffer.Buffer) (tokens int, err error) {
	sig, err := a.stream.Observe(ev)
	if err != nil && !a.forwarding {
		return 0, err
	}
	return sig.Tokens, a.take(ev, sig, dst)
}

// take notes what an event says, and passes it on.
func (a *Attempt) take(ev sse.Event, sig wire.Signal, dst *buffer.Buffer) error {
	if sig.Usage != (spillway.Usage{}) {
		a.usage = sig.Usage
	}
	if sig.Finish != spillway.FinishUnknown {
		a.finish = sig.Finish
		if a.stream.Finished(a.call.Choices) {
			a.lastFinish.Store(uint32(sig.Finish))
		}
	}
	if sig.Err != nil {
		a.fault = sig.Err
		own := a.withholdFault(ev.Raw) || a.call.API != spillway.APIResponses && !wire.NestsError(ev.Data)
		if own && dst != nil {
			dst.B = wire.AppendStreamError(dst.B, a.call.API, wire.Error{
				Code: a.fault.Code, Type: a.fault.Type, Message: a.fault.Message, Param: a.fault.Param, RequestID: a.call.ID,
			})
			return nil
		}
	}
	if a.asm != nil {
		return a.asm.Add(ev.Data)
	}
	if sig.UsageOnly && a.asksUsage {
		return nil
	}
	if len(ev.Raw) > buffer.CountedBytes {
		dst.Grow(len(ev.Raw) + buffer.Tailroom)
	}
	dst.B = a.stream.AppendEvent(dst.B, ev)
	return nil
}

// HasEventIDs reports whether events of the stream had ids so far.
func (a *Attempt) HasEventIDs() bool { return a.streamReader != nil && a.scanner.HasIDs }

// AppendCut appends what ends a stream that was cut to dst, as its own end would
// have.
func (a *Attempt) AppendCut(dst []byte, o wire.CutOptions) []byte { return a.stream.AppendCut(dst, o) }
