package otlp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// collector is one in memory: it takes spans unless it is told what else to
// response.
type collector struct {
	mu     sync.Mutex
	answer func(context.Context) error
	spans  int
	sizes  []int
}

func (c *collector) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	c.mu.Lock()
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		if err := answer(ctx); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans += len(spans)
	c.sizes = append(c.sizes, len(spans))
	return nil
}

func (c *collector) Shutdown(context.Context) error { return nil }

func (c *collector) answers(answer func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

func (c *collector) got() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

func unavailable(context.Context) error { return status.Error(codes.Unavailable, "down") }

// startTest starts an exporter of traces before an in-memory collector.
func startTest(cfg Config) (*Exporter, *collector) {
	c := &collector{}
	cfg.Traces, cfg.SampleRatio = true, 1
	return start(cfg.withDefaults(), resource.Empty(), &client{traces: c, close: func() error { return nil }}), c
}

func record(e *Exporter, n int) {
	for range n {
		e.Record(plain())
	}
}

// A record stays for a second at most; a full message goes at once.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := startTest(Config{})
		record(e, 3)
		time.Sleep(flushEvery)
		synctest.Wait()
		if got := c.got(); got != 3*2 {
			t.Errorf("%d spans after a second, want 6", got)
		}
		record(e, maxBatch)
		synctest.Wait()
		if got := c.got(); got != (3+maxBatch)*2 {
			t.Errorf("%d spans of a full message, want %d", got, (3+maxBatch)*2)
		}
		record(e, 2*maxBatch+1)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if got := c.got(); got != (3*maxBatch+4)*2 || e.Dropped() != 0 {
			t.Errorf("%d spans after Close, %d dropped", got, e.Dropped())
		}
		record(e, 1)
		if e.Dropped() != 1 {
			t.Errorf("%d dropped after Close, want 1", e.Dropped())
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

// While the collector is away records wait, and those beyond the queue are
// lost; when it is back nothing has to be started again.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := startTest(Config{Queue: 10})
		c.answers(unavailable)
		record(e, 4)
		time.Sleep(2 * time.Second) // those 4 are being tried
		record(e, 13)
		synctest.Wait()
		if e.Dropped() != 3 {
			t.Errorf("%d dropped, want 3", e.Dropped())
		}
		c.answers(nil)
		time.Sleep(longestPause)
		synctest.Wait()
		if got := c.got(); got != 14*2 || e.Dropped() != 3 {
			t.Errorf("%d spans after the outage, want 28; %d dropped", got, e.Dropped())
		}
		record(e, 1)
		if err := e.Close(); err != nil || c.got() != 15*2 {
			t.Errorf("Close: %v, %d spans", err, c.got())
		}
	})
}

// A message that cannot be delivered makes room for the next.
func TestLongOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := startTest(Config{})
		c.answers(unavailable)
		record(e, 5)
		time.Sleep(retryFor + 2*longestPause)
		synctest.Wait()
		if e.Dropped() != 5 {
			t.Errorf("%d dropped, want 5", e.Dropped())
		}
		c.answers(nil)
		record(e, 1)
		if err := e.Close(); err != nil || c.got() != 2 {
			t.Errorf("Close: %v, %d spans", err, c.got())
		}
	})
}

func TestRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := startTest(Config{})
		tries := 0
		c.answers(func(context.Context) error {
			tries++
			return status.Error(codes.Unauthenticated, "who are you?")
		})
		record(e, 2)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if e.Dropped() != 2 || tries != 1 {
			t.Errorf("%d dropped after %d tries, want 2 after 1", e.Dropped(), tries)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Close waits for five seconds, whatever the collector does.
func TestCloseIsBounded(t *testing.T) {
	for name, answer := range map[string]func(context.Context) error{
		"down":    unavailable,
		"hanging": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, c := startTest(Config{Timeout: time.Hour})
				c.answers(answer)
				record(e, 2*maxBatch)
				time.Sleep(2 * time.Second)
				began := time.Now()
				if err := e.Close(); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > closeWithin+time.Second {
					t.Errorf("Close took %v", took)
				}
				if e.Dropped() != 2*maxBatch {
					t.Errorf("%d dropped, want all %d", e.Dropped(), 2*maxBatch)
				}
			})
		})
	}
}

// A collector that hangs holds up nobody who records.
func TestRecordDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := startTest(Config{Queue: 1000, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		c.answers(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		began := time.Now()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { record(e, 1000) })
		}
		all.Wait()
		if took := time.Since(began); took != 0 {
			t.Errorf("recording waited %v", took)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if e.Dropped() != 8000 {
			t.Errorf("%d dropped, want 8000", e.Dropped())
		}
	})
}

func TestMayPass(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{status.Error(codes.Unavailable, ""), true},
		{errors.Join(nil, status.Error(codes.ResourceExhausted, "")), true},
		{context.DeadlineExceeded, true},
		{status.Error(codes.InvalidArgument, ""), false},
		{errors.New("failed to send to http://collector: 400 Bad Request"), false},
	} {
		if got := mayPass(tt.err); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	r := plain()
	var it item
	keep := func() { it.copyRecord(r) }
	keep()
	if got := testing.AllocsPerRun(1000, keep); got > 0 {
		t.Errorf("recording allocates %v times", got)
	}
}
