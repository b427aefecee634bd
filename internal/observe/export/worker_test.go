package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// sink is a place that takes segments unless it is told otherwise.
type sink struct {
	t        *testing.T
	fail     func(try int) error // nil takes all
	takes    time.Duration       // how long a send takes
	mu       sync.Mutex
	tries    []time.Time
	keys     []string // as they came
	ids      []string
	canceled int
}

func (s *sink) Send(ctx context.Context, seg *store.Segment) error {
	s.mu.Lock()
	s.tries = append(s.tries, time.Now())
	try := len(s.tries)
	s.mu.Unlock()
	timer := time.NewTimer(s.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		s.mu.Lock()
		s.canceled++
		s.mu.Unlock()
		return ctx.Err()
	}
	if s.fail != nil {
		if err := s.fail(try); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, seg.Key)
	// The records of a plant are called by their numbers. Reading them here
	// would have the decoder of one bubble used in the next.
	for n := seg.First; n <= seg.Last; n++ {
		s.ids = append(s.ids, fmt.Sprint(n))
	}
	return nil
}

// got is what has come, as ids.
func (s *sink) got() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.ids, " ")
}

// tried is when each try came.
func (s *sink) tried() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tries)
}

// under is the keys, as they came.
func (s *sink) under() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys)
}

// plant is a store with exports in a bubble.
type plant struct {
	t       *testing.T
	cfg     store.Config
	w       *store.Writer
	exports *Exports
	log     logBuffer
	next    int
	giveUp  time.Duration
}

// logBuffer keeps what is logged.
type logBuffer struct {
	mu  sync.Mutex
	all strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

func newPlant(t *testing.T, cfg store.Config, sinks map[string]Sender) *plant {
	dir, err := os.MkdirTemp(quickBase(), "export")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cfg.Dir, cfg.SealRecords = dir, 1 // so that nothing is merged, which would read
	p := &plant{t: t, cfg: cfg, giveUp: 24 * time.Hour}
	p.start(sinks)
	return p
}

// quickBase is a directory in memory where there is one.
func quickBase() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func (p *plant) start(sinks map[string]Sender) {
	p.t.Helper()
	p.cfg.Feeds = nil
	for name := range sinks {
		p.cfg.Feeds = append(p.cfg.Feeds, name)
	}
	log := slog.New(slog.NewTextHandler(&p.log, nil))
	p.cfg.Log = log
	w, err := store.NewWriter(p.cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.w = w
	var exports []Export
	for name, s := range sinks {
		exports = append(exports, Export{Name: name, Sender: s, Feed: w.Feed(name), Timeout: time.Minute, GiveUpAfter: p.giveUp})
	}
	p.exports = Start(exports, log, func() float64 { return 1 })
}

// record has the store take n records.
func (p *plant) record(n int) {
	for range n {
		p.next++
		p.w.Record(&spillway.Record{ID: fmt.Sprint(p.next), Time: time.Now()})
	}
}

// pass lets time pass.
func (p *plant) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (p *plant) status(name string) Status {
	p.t.Helper()
	all, err := p.exports.Status()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	p.t.Fatalf("no export %s", name)
	return Status{}
}

// stop ends as the gateway does.
func (p *plant) stop(grace time.Duration) {
	p.t.Helper()
	if err := p.w.End(); err != nil {
		p.t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	p.exports.Close(ctx)
	if err := p.w.Close(); err != nil {
		p.t.Error(err)
	}
}

func upTo(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(i+1))
	}
	return strings.Join(all, " ")
}

func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// Records go out when their segment is sealed, in order, to every export, and
// the last ones at the end.
func TestExportsSend(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := &sink{t: t}, &sink{t: t, takes: 10 * time.Second}
		p := newPlant(t, store.Config{}, map[string]Sender{"a": a, "b": b})
		p.record(3)
		p.pass(400 * time.Millisecond)
		if a.got() != "" {
			t.Errorf("%q came before the segment was sealed", a.got())
		}
		p.pass(time.Second)
		if a.got() != "1 2 3" || b.got() != "" {
			t.Errorf("a has %q and b %q, want 1 2 3 and nothing yet", a.got(), b.got())
		}
		if s := p.status("b"); s.LagRecords != 3 || s.LagSince.IsZero() || s.Sent != 0 {
			t.Errorf("b is %+v", s)
		}
		p.record(2)
		p.pass(2 * time.Minute)
		if s := p.status("b"); s.LagRecords != 0 || s.Sent != 5 || s.Failures != 0 || s.Bytes == 0 {
			t.Errorf("b is %+v", s)
		}
		p.record(1)
		p.stop(time.Minute)
		if a.got() != upTo(6) || b.got() != upTo(6) {
			t.Errorf("a has %q and b %q, want six records", a.got(), b.got())
		}
	})
}

// A sink that is down for hours loses nothing, is asked ever less often, and
// the other export does not notice.
func TestExportWaitsForSink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		a := &sink{t: t}
		b := &sink{t: t, fail: func(int) error {
			if down.Load() {
				return &Failure{Status: 503, What: "gone fishing"}
			}
			return nil
		}}
		p := newPlant(t, store.Config{}, map[string]Sender{"a": a, "b": b})
		for range 60 {
			p.record(1)
			p.pass(2 * time.Minute)
		}
		if a.got() != upTo(60) || b.got() != "" {
			t.Errorf("a has %q and b %q", a.got(), b.got())
		}
		if len(b.tried()) < 24 || len(b.tried()) > 60 {
			t.Errorf("b was tried %d times in two hours", len(b.tried()))
		}
		for i := 1; i < len(b.tried()); i++ {
			if got, want := b.tried()[i].Sub(b.tried()[i-1]), backoff(i, 1); got != want {
				t.Errorf("try %d came after %v, want %v", i+1, got, want)
			}
		}
		if s := p.status("b"); s.LagRecords != 60 || s.Failures != uint64(len(b.tried())) {
			t.Errorf("b is %+v", s)
		}
		if n := strings.Count(p.log.String(), "export failed, will retry"); n < 2 || n > 12 || !strings.Contains(p.log.String(), "gone fishing") {
			t.Errorf("two hours of outage are told %d times:\n%s", n, &p.log)
		}
		down.Store(false)
		p.pass(maxDelay)
		if b.got() != upTo(60) {
			t.Errorf("b has %q", b.got())
		}
		p.stop(time.Minute)
	})
}

// A crash between the send and the cursor sends the same segment again, under
// the same key.
func TestExportAfterCrash(t *testing.T) {
	bubble(t, func(t *testing.T) {
		lost := &sink{t: t}
		lost.fail = func(int) error { // it has arrived, but nobody knows
			lost.mu.Lock()
			defer lost.mu.Unlock()
			lost.keys = append(lost.keys, "arrived")
			return errors.New("the answer is lost")
		}
		p := newPlant(t, store.Config{}, map[string]Sender{"a": lost})
		p.record(2)
		p.pass(time.Second)
		first := p.w.Feed("a")
		seg, err := first.Next()
		if err != nil || len(lost.under()) == 0 {
			t.Fatal(err)
		}
		seg.Close()
		p.record(3)
		p.pass(time.Minute)
		p.stop(0)
		again := &sink{t: t}
		p.start(map[string]Sender{"a": again})
		p.pass(time.Second)
		if again.got() != upTo(5) || again.under()[0] != seg.Key {
			t.Errorf("after the crash %q came under %q, want the first under %s", again.got(), again.under(), seg.Key)
		}
		p.stop(time.Second)
	})
}

// A sink says when to come again.
func TestExportHonoursRetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sink{t: t, fail: func(try int) error {
			switch try {
			case 1:
				return fmt.Errorf("wrapped: %w", &Failure{Status: 429, RetryAfter: 90 * time.Second})
			case 2:
				return &Failure{Status: 429, RetryAfter: 24 * time.Hour}
			}
			return nil
		}}
		p := newPlant(t, store.Config{}, map[string]Sender{"a": s})
		p.record(1)
		p.pass(time.Hour)
		if len(s.tried()) != 3 || s.tried()[1].Sub(s.tried()[0]) != 90*time.Second || s.tried()[2].Sub(s.tried()[1]) != maxRetryAfter {
			t.Errorf("tried at %v", s.tried())
		}
		p.stop(time.Second)
	})
}

// What is refused for good is given time, and then left out and counted.
func TestExportGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sink{t: t}
		var p *plant
		s.fail = func(int) error {
			if s.got() == "1" && p.w.Feed("a").Lost() == 0 {
				return &Failure{Status: 400, What: "no such column"}
			}
			return nil
		}
		p = newPlant(t, store.Config{}, map[string]Sender{"a": s})
		p.record(1)
		p.pass(2 * time.Minute)
		p.record(2)
		p.pass(2 * time.Minute)
		p.record(1)
		p.pass(23 * time.Hour)
		if s.got() != "1" || p.w.Feed("a").Lost() != 0 {
			t.Errorf("%q came and %d are lost, want 1 and none", s.got(), p.w.Feed("a").Lost())
		}
		p.pass(10 * time.Hour)
		if s.got() != "1 4" || p.w.Feed("a").Lost() != 2 {
			t.Errorf("%q came and %d are lost, want 1 4, and 2", s.got(), p.w.Feed("a").Lost())
		}
		if !strings.Contains(p.log.String(), "segment skipped") {
			t.Errorf("the log does not tell:\n%s", &p.log)
		}
		p.stop(time.Second)
	})
}

// Outages, wrong credentials and missing tables are waited for without end.
func TestExportDoesNotGiveUp(t *testing.T) {
	for _, failure := range []error{
		errors.New("connection refused"), &Failure{Status: 401}, &Failure{Status: 403}, &Failure{Status: 404},
		&Failure{Status: 408}, &Failure{Status: 429}, &Failure{Status: 500}, context.DeadlineExceeded,
	} {
		bubble(t, func(t *testing.T) {
			var mended atomic.Bool
			s := &sink{t: t, fail: func(int) error {
				if mended.Load() {
					return nil
				}
				return failure
			}}
			p := newPlant(t, store.Config{}, map[string]Sender{"a": s})
			p.record(1)
			p.pass(25 * time.Hour)
			if p.w.Feed("a").Lost() != 0 {
				t.Errorf("%v: given up", failure)
			}
			mended.Store(true)
			p.pass(maxDelay)
			if s.got() != "1" {
				t.Errorf("%v: %q came afterwards", failure, s.got())
			}
			p.stop(time.Second)
		})
	}
}

// Retention that takes what was not sent is loss: counted and told.
func TestExportLosesToRetention(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		s := &sink{t: t, fail: func(int) error {
			if down.Load() {
				return errors.New("down")
			}
			return nil
		}}
		p := newPlant(t, store.Config{MaxAge: time.Hour}, map[string]Sender{"a": s})
		p.record(3)
		p.pass(90 * time.Minute)
		p.record(1)
		p.pass(2 * time.Minute)
		down.Store(false)
		p.pass(maxDelay)
		if s.got() != "4" || p.w.Feed("a").Lost() != 3 {
			t.Errorf("%q came and %d are lost, want 4, and 3", s.got(), p.w.Feed("a").Lost())
		}
		if !strings.Contains(p.log.String(), "before they were exported") {
			t.Errorf("the log does not tell:\n%s", &p.log)
		}
		p.stop(time.Second)
	})
}

// The end waits for a send, but not for a sink that does not answer.
func TestExportEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow, dead := &sink{t: t, takes: 3 * time.Second}, &sink{t: t, takes: time.Hour}
		p := newPlant(t, store.Config{}, map[string]Sender{"slow": slow, "dead": dead})
		p.record(1)
		began := time.Now()
		p.stop(5 * time.Second)
		if took := time.Since(began); took < 3*time.Second || took > 7*time.Second {
			t.Errorf("the end took %v", took)
		}
		if slow.got() != "1" || dead.got() != "" || dead.canceled != 1 {
			t.Errorf("slow has %q, dead %q after %d cancels", slow.got(), dead.got(), dead.canceled)
		}
		again := &sink{t: t}
		p.start(map[string]Sender{"dead": again, "slow": slow})
		p.pass(time.Second)
		p.stop(time.Second)
		if again.got() != "1" || slow.got() != "1" {
			t.Errorf("after the start dead has %q and slow %q", again.got(), slow.got())
		}
	})
}

func TestBackoff(t *testing.T) {
	var got []time.Duration
	for _, n := range []int{1, 2, 3, 9, 10, 15, 16, 1000} {
		got = append(got, backoff(n, 1))
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 256 * time.Second, maxDelay, maxDelay, maxDelay, maxDelay}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if low := backoff(3, 0); low != 2*time.Second {
		t.Errorf("the least of 4 s is %v", low)
	}
}
