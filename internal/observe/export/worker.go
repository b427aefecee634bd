package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/store"
)

const (
	// baseDelay is the wait after the first failure; it doubles with each
	// further one, up to maxDelay.
	baseDelay = time.Second
	maxDelay  = 5 * time.Minute
	// maxRetryAfter bounds what a sink may ask for.
	maxRetryAfter = 15 * time.Minute
	// logEvery is how often a sink that stays down is logged.
	logEvery = time.Hour
)

// Sender sends one segment to one place, whole: when it returns nil, the place
// has the records for good. It may be told to send one again that the place
// has already, and must do its best not to double it. An error that is a
// *Failure says what the place answered; none holds a secret.
type Sender interface {
	Send(ctx context.Context, s *store.Segment) error
}

// Export is one place that records go to.
type Export struct {
	Name   string
	Sender Sender
	Feed   *store.Feed
	// Timeout bounds one try.
	Timeout time.Duration
	// GiveUpAfter is how long a segment that the place refuses for good is
	// tried; 0 is for ever.
	GiveUpAfter time.Duration
}

// worker sends the segments of one export. It is one goroutine.
type worker struct {
	Export
	log    *slog.Logger
	random func() float64 // from 0 to 1
	ending <-chan struct{}

	sent, bytes, failures atomic.Uint64

	// Owned by the goroutine.
	failed      int // tries in a row
	loggedAt    time.Time
	refusedFrom time.Time // when the segment that is out was first refused
	refusedLast int64     // and which it is
}

// run sends until ctx ends, or, once ending is closed, until there is nothing
// left to send or a try fails.
func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		more, err := w.step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !w.pause(ctx, w.logFailure(err)) {
				return
			}
		case !more:
			select {
			case <-w.Feed.Sealed():
			case <-w.ending:
				if !w.isEnding() {
					return
				}
			case <-ctx.Done():
			}
		}
	}
}

// isEnding reports whether there may be a last segment still.
func (w *worker) isEnding() bool {
	select {
	case <-w.Feed.Sealed():
		return true
	default:
		return false
	}
}

// step sends the next segment, if there is one.
func (w *worker) step(ctx context.Context) (more bool, err error) {
	s, err := w.Feed.Next()
	if err != nil || s == nil {
		return false, err
	}
	defer s.Close()
	try, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	if err := w.Sender.Send(try, s); err != nil {
		err = fmt.Errorf("send %s: %w", s.Name(), err)
		if ctx.Err() == nil && w.hopeless(s, err) {
			return true, w.giveUp(s, err)
		}
		return false, err
	}
	w.sent.Add(uint64(s.Records()))
	w.bytes.Add(uint64(s.Bytes))
	if w.failed > 0 {
		w.log.Info("export recovered", slog.Int("failed_tries", w.failed))
	}
	w.failed, w.refusedFrom = 0, time.Time{}
	return true, w.Feed.Done(s)
}

// hopeless reports whether a segment has been refused for long enough. What a
// sink refuses is more likely a table or a mapping that is wrong than the
// segment, and operators need time to fix that.
func (w *worker) hopeless(s *store.Segment, err error) bool {
	now := time.Now()
	switch {
	case !Refused(err):
		w.refusedFrom = time.Time{}
	case w.refusedFrom.IsZero() || w.refusedLast != s.Last:
		w.refusedFrom, w.refusedLast = now, s.Last
	}
	return !w.refusedFrom.IsZero() && w.GiveUpAfter > 0 && now.Sub(w.refusedFrom) >= w.GiveUpAfter
}

func (w *worker) giveUp(s *store.Segment, err error) error {
	w.failures.Add(1)
	w.log.Error("segment skipped, destination refused it for too long",
		slog.String("segment", s.Name()), slog.Int64("records", s.Records()), slog.Any("error", err))
	w.refusedFrom = time.Time{}
	return w.Feed.GiveUp(s)
}

// logFailure counts a failure, logs the first in a row and then one per logEvery,
// and returns how long to wait.
func (w *worker) logFailure(err error) time.Duration {
	w.failures.Add(1)
	w.failed++
	delay := max(backoff(w.failed, w.random()), min(retryAfter(err), maxRetryAfter))
	if now := time.Now(); w.failed == 1 || now.Sub(w.loggedAt) >= logEvery {
		w.loggedAt = now
		w.log.Warn("export failed, will retry", slog.Any("error", err),
			slog.Int("failed_tries", w.failed), slog.Duration("next_try", delay.Round(time.Millisecond)), slog.Bool("refused", Refused(err)))
	}
	return delay
}

// pause waits, unless it is time to end.
func (w *worker) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.ending:
		return false
	case <-ctx.Done():
		return false
	}
}

// backoff is the wait after the nth failure in a row: between half and all of
// a delay that doubles.
func backoff(n int, random float64) time.Duration {
	d := maxDelay
	if n < 16 {
		d = min(baseDelay<<(n-1), maxDelay)
	}
	return d/2 + time.Duration(random*float64(d/2))
}

// Status is how far an export is.
type Status struct {
	Name string
	// Sent, Bytes and Failures are records, bytes and failed tries since the
	// start.
	Sent, Bytes, Failures uint64
	// LagRecords is how many sealed records are still to be sent, and LagSince
	// when the oldest of them was accepted.
	LagRecords int64
	LagSince   time.Time
}

func (w *worker) status() (Status, error) {
	lag, err := w.Feed.Lag()
	return Status{
		Name: w.Name, Sent: w.sent.Load(), Bytes: w.bytes.Load(), Failures: w.failures.Load(),
		LagRecords: lag.Records, LagSince: lag.Since,
	}, err
}

// Exports are the running exports of one store. Make them with Start, end them
// with Close.
type Exports struct {
	workers []*worker
	done    []chan struct{}
	ending  chan struct{}
	cancel  context.CancelFunc
}

// Start begins to send. Random gives numbers from 0 to 1 for the jitter of
// waits, and must be safe for concurrent use.
func Start(exports []Export, log *slog.Logger, random func() float64) *Exports {
	ctx, cancel := context.WithCancel(context.Background())
	e := &Exports{ending: make(chan struct{}), cancel: cancel}
	for _, x := range exports {
		w := &worker{Export: x, log: log.With(slog.String("export", x.Name)), random: random, ending: e.ending}
		done := make(chan struct{})
		e.workers, e.done = append(e.workers, w), append(e.done, done)
		go func() {
			defer close(done)
			w.run(ctx)
		}()
	}
	return e
}

// Status is how far each export is. What cannot be found out is left zero and
// told in the error.
func (e *Exports) Status() ([]Status, error) {
	var errs []error
	all := make([]Status, len(e.workers))
	for i, w := range e.workers {
		var err error
		all[i], err = w.status()
		errs = append(errs, err)
	}
	return all, errors.Join(errs...)
}

// Close ends the exports. Segments that are sealed are sent first, until ctx
// ends or a try fails: what is left is for the next start.
func (e *Exports) Close(ctx context.Context) {
	close(e.ending)
	stop := context.AfterFunc(ctx, e.cancel)
	defer stop()
	for _, done := range e.done {
		<-done
	}
	e.cancel()
}
