package upstream

import (
	"context"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// Form is how an attempt's response is read and forwarded.
type Form uint8

const (
	// Whole is read completely before it is written to the client.
	Whole Form = iota
	// Assembled arrives as a stream and is written as one JSON response.
	Assembled
	// Streamed arrives and is forwarded as a stream.
	Streamed
	// Relayed is forwarded as it arrives, in any format.
	Relayed
)

// Attempt is one attempt at one deployment. The package comment describes its
// ownership.
type Attempt struct {
	// The fields that forwarding a chunk uses are adjacent, here and in
	// streamReader: with a thousand streams, no field is in the CPU cache when a
	// chunk arrives, and each cache line fetched is measurable.
	*streamReader              // nil unless the response is read event by event
	tokens        atomic.Int64 // read so far
	tokenAt       atomic.Int64 // when the newest was read, in nanoseconds after started
	blocked       atomic.Int64 // nanoseconds in which the client held up reading; less the beginning, after started, while it does
	tokenBlocked  atomic.Int64 // blocked when the newest token was read
	readAt        time.Time    // of the last Next that read
	maxGap        time.Duration
	complete      atomic.Bool   // the response has been read to its end
	lastFinish    atomic.Uint32 // a spillway.Finish: that of the last choice, once every choice has one

	call       *Call
	deployment *Deployment
	number     int
	grant      int // 0 leaves the client's own limit
	form       Form
	asksUsage  bool // we put stream_options into the request
	// refusedUsage and refusedStream say that the deployment refused stream_options or
	// to stream, and that it is asked without.
	refusedUsage, refusedStream bool
	since                       string // the api-version that the deployment has named; "" for none

	unsent       bool // no connection was found for the request
	unreadable   bool // the response cannot be parsed
	canceled     bool // nothing more is expected of it
	cut          bool // the response ends where it was cut
	forwarding   bool // the caller reads the response with Next
	responseOpen bool // the content is complete and the HTTP response has not ended

	ctx           context.Context
	stop          context.CancelFunc
	unlinkContext func() bool    // of ctx from the call's
	body          *buffer.Buffer // the client's; this and encoded are held until the round trip is over
	encoded       *buffer.Buffer // what is sent of it
	started       time.Time

	resp      *http.Response
	conn      *conn        // that the response comes on, if requests share it
	timedBody timedBody    // of resp, unless it is read event by event
	readAhead readAhead    // the body of resp, once its content was judged
	decoded   *decodedBody // likewise, below that; nil unless it came encoded
	// head is what was read before the response was known: an error's body, a
	// whole response, or, behind Headroom, the beginning of a stream.
	head          *buffer.Buffer
	headSent      int   // bytes of head that Next has returned, of a response that is not a stream
	heldBytes     int64 // bytes that the budget counts of what scanner, stream and assembler hold
	headTruncated bool  // head was cut off at a limit
	isSSE         bool  // the response is a stream of events

	fault          *wire.StreamError // the error that ended the stream
	finish         spillway.Finish
	usage          spillway.Usage
	relayedUsage   *wire.UsageScanner // of a response that is relayed and may report one
	finishReported bool
	reported       int64            // tokens that were reported
	signals        spillway.Signals // of the response's header
	servedBy       string           // likewise
	requestID      string           // likewise: the deployment's own
	region         string           // likewise
	serviceTier    string           // of a response that is not a stream
	errorText      string           // why the attempt failed
	withheld       int              // the status of an error that is replaced; 0 for none
	tokenLimit     tokenLimit
}

// prepare prepares an attempt.
func (a *Attempt) prepare(c *Call, s *Send) {
	a.call, a.number, a.deployment, a.grant = c, s.Number, s.Deployment, s.Grant
	a.form, a.started = Whole, c.Now()
	switch {
	case !c.API.Generates() && c.API != spillway.APIEmbeddings:
		a.form = Relayed
	case c.Stream:
		a.form = Streamed
	case s.Stream && s.Deployment.endpoint.unstreamed.has(a.model(), c.Now()):
		a.report(a.event(spillway.EventUnstreamed))
	case s.Stream:
		a.form = Assembled
	}
	// The attempt outlives the call's context when its response is complete, to
	// read what follows.
	a.ctx, a.stop = context.WithCancel(context.WithoutCancel(c.Context))
	a.unlinkContext = context.AfterFunc(c.Context, a.stop)
	if s.Body != nil {
		a.body = s.Body.Retain()
		a.encode() // here, because the stack of run's goroutine would have to grow for it
	}
}

// run makes the attempt, and reports what became of it. It keeps little on its
// stack: what RoundTrip needs is close to what a new goroutine has, and growing
// costs more than most of what happens here.
func (a *Attempt) run() {
	defer a.call.running.Done()
	defer a.reportPanic()
	resp, err := a.exchangeLimit() //nolint:bodyclose // Close closes it
	a.body.Release()
	a.encoded.Release()
	a.body, a.encoded = nil, nil
	if err != nil {
		a.report(a.failedEvent(err))
		return
	}
	a.resp = resp
	a.signals, a.servedBy = wire.ParseSignals(resp.Header), wire.ParseServedBy(resp.Header)
	a.requestID, a.region = wire.ParseRequestID(resp.Header), wire.ParseRegion(resp.Header)
	a.report(a.readResponse())
}

// reportPanic hands a panic over to the caller.
func (a *Attempt) reportPanic() {
	if p := recover(); p != nil {
		a.call.reports <- Report{Panic: &Panic{p, debug.Stack()}}
	}
}

// report reports an event.
func (a *Attempt) report(ev *spillway.Event) {
	a.call.reports <- Report{Event: ev}
}

// Number is the attempt's number in its call, from 1.
func (a *Attempt) Number() int { return a.number }

// Deployment is where the attempt was sent.
func (a *Attempt) Deployment() *Deployment { return a.deployment }

// Form is how the response is read.
func (a *Attempt) Form() Form { return a.form }

// Started is when the attempt began.
func (a *Attempt) Started() time.Time { return a.started }

// MaxGap is the longest time between two reads that held tokens.
func (a *Attempt) MaxGap() time.Duration { return a.maxGap }

// ReadAt is when the bytes that Next returned last were read.
func (a *Attempt) ReadAt() time.Time { return a.readAt }

// Response is the deployment's response, whose body is not for the caller; nil
// when there was none.
func (a *Attempt) Response() *http.Response { return a.resp }

// RequestID is the deployment's own id of the request; "" when it named none. This and
// the two below are known once the call's Wait has returned.
func (a *Attempt) RequestID() string { return a.requestID }

// Region is the region that the response names; "" for none.
func (a *Attempt) Region() string { return a.region }

// ErrorText is why the attempt failed, in at most spillway.MaxErrorText bytes; "" when it
// did not, or when the gateway ended it. It contains no credential.
func (a *Attempt) ErrorText() string { return a.errorText }

// WithheldStatus is the status of the deployment's error that an error of the gateway
// replaces, because it repeats the credential that we sent; 0 when there is none.
func (a *Attempt) WithheldStatus() int { return a.withheld }

// Fault is the error that came in place of the rest of a stream; nil for none.
func (a *Attempt) Fault() *wire.StreamError { return a.fault }

// Complete reports whether the response has been read to its end. Its Done event
// has been reported or is about to be. It may be called at any time.
func (a *Attempt) Complete() bool { return a.complete.Load() }

// Cancel aborts the attempt: the deployment learns at once. Nothing that it
// still reports counts.
func (a *Attempt) Cancel() {
	a.canceled = true
	a.stop()
}

// Canceled reports whether the attempt was canceled or cut.
func (a *Attempt) Canceled() bool { return a.canceled }

// Cut stops reading: what has arrived is the whole response.
func (a *Attempt) Cut() {
	a.Cancel()
	a.cut = true
}

// WasCut reports whether the response ends where it was cut.
func (a *Attempt) WasCut() bool { return a.cut }

// StopReading ends a Next that waits, and those to come.
func (a *Attempt) StopReading() { a.Cancel() }

// BeginBlocked says that from at on, the client holds up reading the response, which
// says nothing about the deployment; EndBlocked, that it does no more.
func (a *Attempt) BeginBlocked(at time.Time) { a.blocked.Add(-a.sinceStart(at)) }

// EndBlocked ends what BeginBlocked began.
func (a *Attempt) EndBlocked(at time.Time) { a.blocked.Add(a.sinceStart(at)) }

// sinceStart is how long the attempt had run at an instant, in nanoseconds, and never 0:
// what BeginBlocked subtracts leaves blocked negative.
func (a *Attempt) sinceStart(at time.Time) int64 { return int64(at.Sub(a.started)) + 1 }

// ReleaseHeader releases the headers of the response and of its request, which a
// stream does not need once it has begun. The transport keeps the request until the
// stream ends, so its header is emptied.
func (a *Attempt) ReleaseHeader() {
	if sent := a.resp.Request; buffer.Sent(sent.Body) {
		clear(sent.Header)
	}
	a.resp.Header, a.resp.Request = nil, nil
}

// Close returns what the attempt holds. It has made its last report, or its
// call's Wait has returned. The end of the HTTP response of a stream that is
// complete is awaited in the background.
func (a *Attempt) Close() {
	a.unlinkContext()
	a.head.Release()
	a.head = nil
	a.readAhead.release()
	if a.streamReader != nil && a.asm != nil {
		a.call.assemblers.Put(a.asm)
		a.asm = nil
	}
	if a.heldBytes != 0 {
		a.call.Buffers.Add(-a.heldBytes)
		a.heldBytes = 0
	}
	switch {
	case a.responseOpen && !a.canceled:
		a.call.Trailers.Go(a.readTrailer)
		return
	case a.resp != nil:
		a.resp.Body.Close()
	}
	a.releaseConn()
	a.stop()
}

// releaseConn ends the use of a connection that requests share.
func (a *Attempt) releaseConn() {
	a.conn.finishRequest()
	a.conn = nil
}

// trailerTimeout bounds the wait for the end of an HTTP response whose content is
// complete.
const trailerTimeout = 100 * time.Millisecond

// readTrailer reads what follows the complete content, which is the end of the HTTP
// response, if it comes soon: then its connection can be used again.
func (a *Attempt) readTrailer() {
	timer := time.AfterFunc(trailerTimeout, a.stop)
	defer a.stop()
	defer timer.Stop()
	defer a.releaseConn()
	defer a.resp.Body.Close()
	room := a.call.Buffers.Get(pieceBytes)
	defer room.Release()
	buf := room.B[:cap(room.B)]
	for range 8 {
		if _, err := a.resp.Body.Read(buf); err != nil {
			return
		}
	}
}
