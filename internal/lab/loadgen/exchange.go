package loadgen

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
	"github.com/spillway-ai/spillway/internal/stat"
)

// exchange is one call in flight, with all its attempts. It belongs to the
// call's goroutine and is used again for another call.
type exchange struct {
	run    *Runner
	call   workload.Call
	to     *endpoint
	due    time.Time // intended start
	number uint64    // of the call in the workload

	random rand.PCG

	// Of an attempt, and used again as long as its time did not come.
	base   *http.Request // with its context
	cancel context.CancelCauseFunc
	timer  *time.Timer // cancels

	buf    []byte // to read into
	answer []byte // whole, of calls that are not streamed
	scan   sse.Scanner
	stream wire.Stream
	gaps   []time.Duration // between chunks, not yet in the tally

	res result
}

// result is what became of a call.
type result struct {
	outcome outcome
	failure string // what failed, where there is no status
	status  int    // of the last attempt; 0 without one
	message string // of the response that was an error
	retries int

	sent, first, end time.Time // first is zero without a first token
	streamed         bool
	tokens           int // output chunks that were seen
	usage            spillway.Usage
	finish           spillway.Finish
	truncated        bool // the gateway says that it lowered or cut the response
	spilled          bool
}

func newExchange(r *Runner) *exchange { return &exchange{run: r, buf: make([]byte, readSize)} }

// errTimeout ends an attempt that has waited for Options.Timeout.
var errTimeout = errors.New("timeout")

// perform makes the call and counts it.
func (x *exchange) perform() {
	r := x.run
	defer r.releaseExchange(x)
	x.res = result{sent: time.Now()}
	x.random.Seed(r.opt.Seed, x.number)
	r.tally.start(x.res.sent, x.res.sent.Sub(x.due))
	body := r.body(x.to, &x.call, stat.Mix(r.opt.Seed+x.number))
	for retry := 0; ; retry++ {
		x.res.retries = retry
		wait, again := x.attempt(body, retry)
		if r.misconfigured(x) || !again || retry == r.opt.Retries || !x.sleep(wait) {
			break
		}
	}
	x.res.end = time.Now()
	r.tally.addResult(x)
	x.gaps = x.gaps[:0]
}

// attempt makes one attempt. It returns whether an SDK would try again, and
// after which wait.
func (x *exchange) attempt(body []byte, retry int) (wait time.Duration, again bool) {
	r := x.run
	x.res.status, x.res.failure, x.res.message = 0, "", ""
	ctx := x.arm()
	defer x.disarm()
	resp, err := r.transport.RoundTrip(x.request(body, retry))
	if err != nil {
		x.fail(ctx, err)
		r.tally.attempted(&x.res)
		return backoff(nil, retry, &x.random), x.res.outcome != unfinished
	}
	defer resp.Body.Close()
	x.res.status = resp.StatusCode
	if resp.StatusCode != http.StatusOK {
		again = retryable(resp)
		wait = backoff(resp.Header, retry, &x.random)
		x.refused(resp)
		r.tally.attempted(&x.res)
		return wait, again
	}
	r.answered.Store(true)
	x.readHeader(resp.Header)
	if err = x.read(resp); err != nil {
		x.fail(ctx, err)
	}
	r.tally.attempted(&x.res)
	return 0, false
}

// arm begins an attempt's time and returns the context that ends with it.
func (x *exchange) arm() context.Context {
	if x.base != nil {
		x.timer.Reset(x.run.opt.Timeout)
		return x.base.Context()
	}
	ctx, cancel := context.WithCancelCause(x.run.work)
	x.base = (&http.Request{Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	x.cancel = cancel
	x.timer = time.AfterFunc(x.run.opt.Timeout, func() { cancel(errTimeout) })
	return ctx
}

// disarm ends an attempt. A context whose time came, perhaps just now, is not
// used again.
func (x *exchange) disarm() {
	if !x.timer.Stop() || x.base.Context().Err() != nil {
		x.cancel(nil)
		x.base = nil
	}
}

// sleep waits between attempts; false means that the run ended.
func (x *exchange) sleep(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.run.work.Done():
		x.res.outcome = unfinished
		return false
	}
}

// fail says why an attempt came to no whole response.
func (x *exchange) fail(ctx context.Context, err error) {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errTimeout):
		x.res.outcome, x.res.failure = gaveUp, failureClient
	case cause != nil:
		x.res.outcome, x.res.failure = unfinished, ""
	default:
		x.res.outcome, x.res.failure = broken, describe(err)
		x.res.message = x.run.hidden.Replace(text(err))
	}
}

// refused takes in a response that is not 200: the start of its body is kept
// for people to read.
func (x *exchange) refused(resp *http.Response) {
	n, _ := io.ReadFull(resp.Body, x.buf) // what came will do
	x.res.message = readMessage(resp, x.buf[:n], x.run.hidden)
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		x.res.outcome = throttled
	case http.StatusRequestTimeout:
		x.res.outcome = timedOut
	default:
		x.res.outcome = failed
	}
}
