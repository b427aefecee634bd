package gateway

import (
	"context"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

// noticesPerAttempt is how many events one attempt can report: its first
// token, and its end.
const noticesPerAttempt = 2

// shape is how an attempt's answer reaches the client.
type shape uint8

const (
	// shapeWhole is read to its end and written at once.
	shapeWhole shape = iota
	// shapeAssembled comes as a stream and is put together.
	shapeAssembled
	// shapeStream comes and goes as a stream.
	shapeStream
	// shapeRelayed goes to the client as it comes, whatever it is.
	shapeRelayed
)

// attempt is one try at one deployment. What run finds out belongs to it until
// its last notice, and to the handler from then on.
type attempt struct {
	// What a chunk needs that passes as it is lies together, here and in
	// streaming and reply: of a thousand streams that take turns, none has
	// anything in the processor's cache, and each line that must be fetched
	// shows.
	*streaming              // nil unless the answer is taken apart
	tokens     atomic.Int64 // deltas so far; the watch reads it while the handler counts
	blocked    atomic.Int64 // nanoseconds in writes to the client; likewise
	bytes      int          // in those deltas
	lastAt     time.Time    // of the last delta
	gapMax     time.Duration

	f         *flight
	number    int
	up        *upstream
	grant     int // 0 leaves the client's own limit
	shape     shape
	asksUsage bool // we put stream_options into the request
	// refusedUsage says that the deployment took offence at that.
	refusedUsage bool
	cancelled    bool // the handler expects nothing of it any more
	pumped       bool // the handler has taken the answer over
	short        bool // the answer ends where it was cut
	ctx          context.Context
	stop         context.CancelFunc
	body         *buffer.Buffer // the flight's; this and encoded are held until the round trip is over
	encoded      *buffer.Buffer // what is sent of it
	started      time.Time

	resp *http.Response
	// head is what was read before the answer was known: an error's body, a
	// whole answer, or the beginning of one that is still being read.
	head    *buffer.Buffer
	overrun bool // head was cut off at a limit
	sse     bool // the answer is a stream of events

	fault    *wire.StreamError // the error that ended the stream
	finish   spillway.Finish
	usage    spillway.Usage
	reported int64          // tokens that the core knows of
	event1   spillway.Event // what happened first
	sent     int            // of the notices
}

// streaming is what it takes to take a stream apart, and to put an answer
// together from it.
type streaming struct {
	stream  wire.Stream
	first   [1]byte // of the piece that is awaited
	scanner sse.Scanner
	asm     *wire.Assembler // nil when the stream goes to the client
}

// begin prepares an attempt. The flight's body is held until the round trip is
// over.
func (a *attempt) begin(f *flight, t *task) {
	a.f, a.number, a.up, a.grant = f, t.Attempt, t.up, t.Grant
	a.shape = shapeWhole
	switch {
	case !f.req.API.Generates() && f.req.API != spillway.APIEmbeddings:
		a.shape = shapeRelayed
	case f.req.Stream:
		a.shape = shapeStream
	case t.Stream:
		a.shape = shapeAssembled
	}
	a.started = f.g.deps.Now()
	a.ctx, a.stop = context.WithCancel(f.ctx)
	if f.body != nil {
		a.body = f.body.Retain()
		a.encode() // here, because the stack of run's goroutine would have to grow for it
	}
}

// run makes the attempt, and reports what became of it. It keeps little on its
// stack: what RoundTrip needs is close to what a new goroutine has, and growing
// costs more than most of what happens here.
func (a *attempt) run() {
	defer a.f.running.Done()
	defer a.catch()
	resp, err := a.ask() //nolint:bodyclose // whoever reads the answer closes it
	a.body.Release()
	a.encoded.Release()
	a.body, a.encoded = nil, nil
	a.report(resp, err)
}

// catch hands a panic over to the handler.
func (a *attempt) catch() {
	if p := recover(); p != nil {
		a.f.notices <- notice{crash: &crash{p, debug.Stack()}}
	}
}

// report reports what became of the round trip.
func (a *attempt) report(resp *http.Response, err error) {
	if err != nil {
		a.notify(a.broken(err))
		return
	}
	a.resp = resp
	a.sse = isEventStream(resp.Header)
	a.notify(a.read())
}

// notify reports an event to the handler: the one that event has returned last.
func (a *attempt) notify(ev *spillway.Event) {
	a.sent++
	a.f.notices <- notice{event: ev}
}

// read reads the answer as far as this goroutine's part goes, and returns the
// event that ends it.
func (a *attempt) read() *spillway.Event {
	switch {
	case a.shape == shapeRelayed && a.resp.StatusCode/100 == 3: // such as Not Modified
		return a.event(spillway.EventFirstToken)
	case a.resp.StatusCode < 200 || a.resp.StatusCode > 299:
		return a.readRefusal()
	case a.shape == shapeRelayed:
		return a.event(spillway.EventFirstToken)
	case !a.sse:
		return a.readWhole()
	case a.shape == shapeStream:
		return a.readToFirstToken()
	case a.shape == shapeAssembled:
		return a.assemble()
	}
	return a.readWhole()
}

// event returns an event of this attempt with what its response has said. It
// lies in the attempt, and until it is reported the next one takes its place:
// passed about by value, events would make the stack of run's goroutine grow.
func (a *attempt) event(kind spillway.EventKind) *spillway.Event {
	ev := &a.event1
	if a.sent > 0 {
		ev = new(spillway.Event)
	}
	*ev = spillway.Event{
		Kind: kind, Attempt: a.number, RetryAfter: -1, Signals: spillway.NoSignals(),
		Replayable: a.f.idempotent,
		Tokens:     a.count(), Usage: a.usage, Finish: a.finish, Blocked: time.Duration(a.blocked.Load()),
	}
	switch {
	case a.resp == nil:
		return ev
	case a.sent > 0: // the first has read them, and the header may be gone
		ev.Signals, ev.ServedBy = a.event1.Signals, a.event1.ServedBy
	default:
		ev.Signals = wire.ParseSignals(a.resp.Header)
		ev.ServedBy = wire.ParseServedBy(a.resp.Header)
	}
	ev.Status = a.resp.StatusCode
	return ev
}

// progress returns the event that says how many tokens have arrived, if there
// are more than the core knows of. The handler calls it, or the watch.
func (a *attempt) progress() (ev spillway.Event, any bool) {
	n := a.tokens.Load()
	if a.cancelled || n <= a.reported {
		return ev, false
	}
	a.reported = n
	return spillway.Event{
		Kind: spillway.EventProgress, Attempt: a.number, Tokens: int(n), Blocked: time.Duration(a.blocked.Load()),
	}, true
}

// longDelta is a mean length of deltas, in bytes, above which they must hold
// several tokens: content filters release text in batches.
const longDelta = 12

// bytesPerToken is the usual length of a token in such batches.
const bytesPerToken = 4

// count estimates the output tokens so far, over all choices.
func (a *attempt) count() int {
	n := int(a.tokens.Load())
	if a.bytes > n*longDelta {
		return a.bytes / bytesPerToken
	}
	return n
}

// cancel aborts the attempt: the deployment learns at once.
func (a *attempt) cancel() {
	a.cancelled = true
	a.stop()
}

// cut stops reading; what has arrived is the answer.
func (a *attempt) cut() {
	a.cancel()
	a.short = true
}

// close gives back what the attempt holds. It has ended.
func (a *attempt) close() {
	if a.resp != nil {
		a.resp.Body.Close()
	}
	a.head.Release()
	a.head = nil
}
