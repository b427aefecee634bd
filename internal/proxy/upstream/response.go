package upstream

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

const (
	// responseBytes is the room for a response of unknown length, before it grows.
	responseBytes = 4 << 10
	// firstReadBytes is how much of an announced length is reserved at once.
	firstReadBytes = 64 << 10
	// errorBodyTimeout bounds the wait for the body of an error: the status is
	// known, and it alone decides.
	errorBodyTimeout = 2 * time.Second
)

// errNoContent is a JSON document that is no response of the operation.
var errNoContent = errors.New("response of another kind")

// readResponse reads the response as far as the attempt's goroutine does, and returns the
// event that ends its part.
func (a *Attempt) readResponse() *spillway.Event {
	switch {
	case a.form == Relayed && a.resp.StatusCode/100 == 3: // such as Not Modified
		return a.event(spillway.EventFirstToken)
	case a.resp.StatusCode < 200 || a.resp.StatusCode > 299:
		return a.readErrorResponse()
	case a.form == Relayed:
		if reportsUsage(a.resp.Header) {
			a.relayedUsage = new(wire.UsageScanner)
		}
		return a.event(spillway.EventFirstToken)
	}
	a.judgeContent()
	switch {
	case a.isSSE && a.form == Streamed:
		return a.readToFirstToken()
	case a.isSSE && a.form == Assembled:
		return a.assemble()
	}
	return a.readWhole()
}

// readError reads the body of an error into head. It ends the attempt's
// connection when that takes too long.
func (a *Attempt) readError(resp *http.Response) {
	timer := time.AfterFunc(errorBodyTimeout, a.stop)
	a.head = a.call.Buffers.Get(responseBytes)
	within, err := a.head.ReadAtMost(resp.Body, resp.ContentLength, a.call.MaxErrorBytes)
	a.headTruncated = !timer.Stop() || !within || err != nil
}

// readErrorResponse reads an error's body, unless that is done, and returns its
// event.
func (a *Attempt) readErrorResponse() *spillway.Event {
	if a.head == nil {
		a.readError(a.resp)
	}
	a.unwrapError()
	ev := a.errorEvent(a.resp.StatusCode, a.head.B)
	a.withhold()
	return ev
}

// unwrapError takes an error out of the event that it came in: some servers have begun
// a stream when they find out the status.
func (a *Attempt) unwrapError() {
	if judge(a.head.B) != contentEvents {
		return
	}
	scanner := sse.Scanner{MaxEvent: len(a.head.B)}
	scanner.Feed(a.head.B)
	ev, ok := scanner.Next()
	for ok && judge(ev.Data) != contentJSON {
		ev, ok = scanner.Next()
	}
	if !ok {
		if ev, ok = scanner.Finish(); !ok || judge(ev.Data) != contentJSON {
			return
		}
	}
	a.head.B = append(a.head.B[:0], ev.Data...)
	a.resp.Header[wire.HeaderContentType] = []string{jsonType}
}

// readWhole reads a response that is not a stream. One that is too large to
// keep, or for which there is no room, is handed over as it is, if it can be.
func (a *Attempt) readWhole() *spillway.Event {
	c := a.call
	room := responseBytes
	if n := a.resp.ContentLength; n >= 0 {
		room = int(min(n, firstReadBytes-1)) + 1
	}
	a.head = c.Buffers.Get(room)
	a.timedBody.attempt = a
	within, err := a.head.ReadAtMost(&a.timedBody, a.resp.ContentLength, c.MaxResponseBytes)
	if errors.Is(err, buffer.ErrNoRoom) {
		within, err = false, nil
	}
	switch {
	case err != nil:
		return a.interruptedEvent(err)
	case !within && a.form == Assembled:
		a.headTruncated = true
		return a.unreadableEvent(wire.ErrTooLarge)
	case !within:
		a.form = Relayed
		return a.event(spillway.EventFirstToken)
	}
	sum, ok := wire.Summarize(c.API, a.head.B)
	if !ok {
		a.withhold()
		if len(bytes.TrimSpace(a.head.B)) == 0 || judge(a.head.B) == contentJSON && unfinished(a.head.B) {
			a.headTruncated = true // there is nothing to pass on, or what no client can read
		}
		return a.unreadableEvent(wire.ErrMalformed)
	}
	if sum.Finish == spillway.FinishUnknown {
		if ev := a.checkContent(sum.Usage); ev != nil {
			return ev
		}
	}
	if c.API.Generates() { // what is reported may be impossible
		a.tokens.Store(int64(wire.CountOutput(a.head.B)))
	}
	a.usage, a.finish, a.serviceTier = sum.Usage, sum.Finish, sum.ServiceTier
	a.complete.Store(true)
	return a.event(spillway.EventDone)
}

// choicesKey names the choices of a response.
var choicesKey = []byte(`"choices"`) // constant

// checkContent returns the event of a whole response that is none of the operation,
// and nil if it is one. A usage alone does for those that have no choices.
func (a *Attempt) checkContent(usage spillway.Usage) *spillway.Event {
	c := a.call
	if usage.Known && c.API != spillway.APIChat && c.API != spillway.APICompletions {
		return nil
	}
	if a.fault = wire.ScanFault(a.head.B); a.fault != nil {
		ev := a.errorEvent(a.fault.Status, a.head.B)
		a.withholdFault(a.head.B)
		return ev
	}
	if wire.HasContent(c.API, a.head.B) {
		return nil
	}
	a.withhold()
	if bytes.Contains(a.head.B, choicesKey) {
		a.headTruncated = true // a client would take it for a response
	}
	return a.unreadableEvent(errNoContent)
}

// Beginning is what was read of a response before its event was reported: the
// body of an error, a whole response, or the first events of a stream. It is valid
// until the first Next, AppendResponse or Close.
func (a *Attempt) Beginning() []byte {
	switch {
	case a.head == nil:
		return nil
	case a.form == Streamed && a.isSSE:
		return a.head.B[buffer.Headroom:]
	}
	return a.head.B
}

// BeginningTruncated reports whether Beginning is an error's body that was cut off at a
// limit.
func (a *Attempt) BeginningTruncated() bool { return a.headTruncated }

// Unreadable reports whether the response is successful and cannot be parsed.
func (a *Attempt) Unreadable() bool { return a.unreadable }

// WholeRead reports whether Beginning is all of an unreadable response, so that it
// can be passed on as it is.
func (a *Attempt) WholeRead() bool { return a.streamReader == nil && !a.headTruncated }

// AppendResponse appends the response that was assembled from a stream to dst. The
// budget has counted its bytes already. The
// call's Wait must have returned. It reports false for an attempt whose response
// did not come as a stream, or cannot be parsed.
func (a *Attempt) AppendResponse(dst []byte, usage spillway.Usage) (body []byte, assembled bool, err error) {
	if a.form != Assembled || a.streamReader == nil || a.fault != nil || a.unreadable {
		return dst, false, nil
	}
	if held := a.asm.Held(); held > 0 { // enough at once: append would leave several times as much to the collector
		dst = slices.Grow(dst, held+responseBytes)
	}
	body, err = a.asm.AppendResponse(dst, wire.ResponseOptions{Truncate: a.cut, Usage: usage})
	return body, true, err
}

// Next waits for more of a response that goes to the client as it comes, and
// returns it: of a stream, the events that are complete. The error is io.EOF
// once the response is complete, and what broke it off otherwise; the bytes count
// even then. The content of the buffer begins behind Headroom and leaves
// Tailroom; the caller releases it. It may be nil, or empty.
func (a *Attempt) Next() (*buffer.Buffer, error) {
	if a.head != nil {
		return a.nextHead()
	}
	if a.form == Streamed && a.streamReader != nil {
		return a.nextEvents()
	}
	return a.nextBytes()
}

// nextHead returns what was read before the caller committed to the response.
func (a *Attempt) nextHead() (*buffer.Buffer, error) {
	head := a.head
	a.head, a.forwarding, a.readAt = nil, true, a.call.Now()
	if a.form == Streamed && a.streamReader != nil {
		if a.fault != nil || a.stream.Done() {
			return head, a.markComplete(nil)
		}
		return head, nil
	}
	room := a.call.Buffers.Get(relayBytes)
	n := copy(room.B[buffer.Headroom:cap(room.B)-buffer.Tailroom], head.B[a.headSent:])
	room.B = room.B[:buffer.Headroom+n]
	if a.headSent += n; a.headSent < len(head.B) {
		a.head = head
		return room, nil
	}
	head.Release()
	return room, nil
}

// relayBytes is the buffer size for relaying a response that is not a stream.
const relayBytes = 32 << 10

// nextBytes reads more of a response of any kind.
func (a *Attempt) nextBytes() (*buffer.Buffer, error) {
	room := a.call.Buffers.Get(relayBytes)
	a.timedBody.attempt = a
	n, err := a.timedBody.Read(room.B[buffer.Headroom : cap(room.B)-buffer.Tailroom])
	room.B = room.B[:buffer.Headroom+n]
	a.readAt = a.call.Now()
	if a.relayedUsage != nil {
		a.relayedUsage.Scan(room.B[buffer.Headroom:])
		a.usage, a.serviceTier = a.relayedUsage.Usage(), a.relayedUsage.ServiceTier()
	}
	if errors.Is(err, io.EOF) {
		a.complete.Store(true)
	}
	return room, err
}
