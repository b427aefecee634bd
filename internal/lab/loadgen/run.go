package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// Runner is one run of a workload against a target. Run may be called once;
// Snapshot is safe at any time and by anyone.
type Runner struct {
	opt        Options // with defaults; immutable
	transport  *http.Transport
	filler     filler
	sdkTimeout string // Timeout in seconds, for the header
	hidden     *strings.Replacer
	endpoints  map[string]*endpoint
	tally      *tally

	calls sync.WaitGroup
	idle  chan *exchange // those that have no call; with room for all
	made  int            // exchanges; of schedule
	work  context.Context
	stop  context.CancelCauseFunc // of work
	// answered says that the target has once taken a call: what goes wrong
	// from then on is no mistake in the command.
	answered atomic.Bool
}

// errUnfinished ends calls for which an interrupted run does not wait.
var errUnfinished = errors.New("the run ended before the response")

// New prepares a run.
func New(opt Options) (*Runner, error) {
	opt = opt.withDefaults()
	if err := opt.validate(); err != nil {
		return nil, err
	}
	r := &Runner{
		opt: opt, filler: newFiller(opt.Seed), endpoints: map[string]*endpoint{}, tally: newTally(),
		sdkTimeout: strconv.FormatFloat(opt.Timeout.Seconds(), 'f', -1, 64),
		idle:       make(chan *exchange, opt.MaxInFlight), hidden: opt.hidden(),
	}
	if _, err := r.endpoint(""); err != nil {
		return nil, err
	}
	r.transport = newTransport(&opt)
	r.work, r.stop = context.WithCancelCause(context.Background())
	return r, nil
}

// newTransport returns the transport of a run.
func newTransport(o *Options) *http.Transport {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableCompression: true,
		MaxIdleConnsPerHost: o.MaxInFlight, MaxConnsPerHost: o.Connections, IdleConnTimeout: 90 * time.Second,
		Protocols: new(http.Protocols),
	}
	t.Protocols.SetHTTP1(!o.HTTP2)
	t.Protocols.SetHTTP2(o.HTTP2)
	t.Protocols.SetUnencryptedHTTP2(o.HTTP2)
	return t
}

// endpoint returns where calls for a model go; "" is the default.
func (r *Runner) endpoint(model string) (*endpoint, error) {
	if r.opt.Model != "" {
		model = r.opt.Model
	}
	if to := r.endpoints[model]; to != nil {
		return to, nil
	}
	name := model
	if name == "" {
		name = defaultModel
	}
	to, err := newEndpoint(&r.opt, name)
	if err == nil {
		r.endpoints[model] = to
	}
	return to, err
}

// Run replays src until its end, or until ctx ends: then calls under way get
// Options.Grace. It returns what was measured, even beside an error: a
// *Misconfigured when no call can succeed, or what src returned.
func (r *Runner) Run(ctx context.Context, src workload.Source) (*Report, error) {
	defer r.transport.CloseIdleConnections()
	start := time.Now()
	r.tally.begin(start)
	err := r.schedule(ctx, src, start)
	r.drain(ctx)
	if cause, ok := errors.AsType[*Misconfigured](context.Cause(r.work)); ok {
		err = cause
	}
	r.stop(nil)
	report := r.tally.report(time.Now())
	report.Target, report.API, report.Seed = r.opt.Endpoint, r.opt.Style.String(), r.opt.Seed
	report.Interrupted = ctx.Err() != nil
	return report, err
}

// schedule starts every call when it is due, until src or the run ends.
func (r *Runner) schedule(ctx context.Context, src workload.Source, start time.Time) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for n := uint64(0); ; n++ {
		call, err := src.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the workload: %w", err)
		}
		to, err := r.endpoint(call.Model)
		if err != nil {
			return err
		}
		due := start.Add(call.At)
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil
			case <-r.work.Done():
				return nil
			}
		}
		x := r.acquireExchange(ctx)
		if x == nil {
			return nil
		}
		x.call, x.to, x.due, x.number = call, to, due, n
		r.calls.Add(1)
		go x.perform()
	}
}

// acquireExchange returns an exchange for another call, once there is room for one; nil
// says that the run has ended.
func (r *Runner) acquireExchange(ctx context.Context) *exchange {
	if ctx.Err() != nil || r.work.Err() != nil {
		return nil
	}
	select {
	case x := <-r.idle:
		return x
	default:
	}
	if r.made < r.opt.MaxInFlight {
		r.made++
		return newExchange(r)
	}
	r.tally.holdBack()
	select {
	case x := <-r.idle:
		return x
	case <-ctx.Done():
	case <-r.work.Done():
	}
	return nil
}

// drain waits for the calls under way; for Options.Grace at most once ctx has
// ended.
func (r *Runner) drain(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.calls.Wait()
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	grace := time.NewTimer(r.opt.Grace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		r.stop(errUnfinished)
		<-done
	}
}

// releaseExchange takes an exchange back whose call has ended.
func (r *Runner) releaseExchange(x *exchange) {
	if cap(x.answer) > keptBytes {
		x.answer = nil
	}
	r.idle <- x
	r.calls.Done()
}

const (
	readSize  = 4 << 10  // of one read
	keptBytes = 64 << 10 // of a buffer that is used again
)
