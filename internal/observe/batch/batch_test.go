package batch

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sink takes batches of numbers.
type sink struct {
	mu      sync.Mutex
	batches [][]int
	lose    int           // of each batch
	hang    chan struct{} // a flush waits for a value or the closing; nil: none
	ended   int
}

func (s *sink) flush(items []*int) int {
	if s.hang != nil {
		<-s.hang
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var batch []int
	for _, i := range items {
		batch = append(batch, *i)
	}
	s.batches = append(s.batches, batch)
	return s.lose
}

// sizes returns the sizes of the batches so far.
func (s *sink) sizes() []int {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	sizes := []int{}
	for _, b := range s.batches {
		sizes = append(sizes, len(b))
	}
	return sizes
}

func (s *sink) start(cfg Config[int]) *Queue[int] {
	if cfg.Limit == 0 {
		cfg.Limit = 100
	}
	cfg.Every, cfg.Flush, cfg.End = time.Second, s.flush, func() { s.ended++ }
	return Start(cfg)
}

// put queues the numbers from 0 to n-1, each of size 1.
func put(q *Queue[int], n int) {
	for i := range n {
		item := q.Get()
		*item = i
		q.Put(item, 1)
	}
}

func wantSizes(t *testing.T, when string, s *sink, want ...int) {
	t.Helper()
	if got := s.sizes(); !slices.Equal(got, want) {
		t.Errorf("%s: batches of %v, want %v", when, got, want)
	}
}

// wantDelivered compares the batches at the end. Close flushes what waits, which may
// be nothing any more: empty batches do not count.
func wantDelivered(t *testing.T, s *sink, want ...int) {
	t.Helper()
	got := slices.DeleteFunc(s.sizes(), func(n int) bool { return n == 0 })
	if !slices.Equal(got, want) {
		t.Errorf("at the end: batches of %v, want %v", got, want)
	}
}

// bubble runs a test in virtual time with a queue, which it closes at the end.
func bubble(t *testing.T, cfg Config[int], test func(*testing.T, *sink, *Queue[int])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		q := s.start(cfg)
		test(t, s, q)
		q.Close()
	})
}

// The first item of a batch starts the clock, however long the queue was idle.
func TestTime(t *testing.T) {
	bubble(t, Config[int]{}, func(t *testing.T, s *sink, q *Queue[int]) {
		want := []int{}
		for range 3 {
			time.Sleep(time.Hour)
			put(q, 1)
			time.Sleep(time.Second - 1)
			put(q, 1)
			wantSizes(t, "before the time", s, want...)
			time.Sleep(time.Nanosecond)
			want = append(want, 2)
			wantSizes(t, "after it", s, want...)
		}
	})
}

// A batch that is large enough does not wait.
func TestSize(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config[int]
		put  int
		want []int
	}{
		{"less than half the limit", Config[int]{Limit: 9}, 4, []int{}},
		{"half the limit", Config[int]{Limit: 9}, 5, []int{5}},
		{"less than a batch", Config[int]{MaxBatch: 10}, 9, []int{}},
		{"a batch", Config[int]{MaxBatch: 10}, 10, []int{10}},
		{"a batch larger than half the limit", Config[int]{Limit: 9, MaxBatch: 8}, 5, []int{5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.cfg, func(t *testing.T, s *sink, q *Queue[int]) {
				put(q, tt.put)
				wantSizes(t, "at once", s, tt.want...)
			})
		})
	}
}

// What has piled up during a flush goes out in batches and a rest.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{hang: make(chan struct{})}
		q := s.start(Config[int]{MaxBatch: 10})
		put(q, 10)
		synctest.Wait()
		put(q, 15)
		close(s.hang)
		wantSizes(t, "at once", s, 10, 10, 5)
		q.Close()
	})
}

// Items keep their order within and across batches.
func TestOrder(t *testing.T) {
	s := &sink{}
	synctest.Test(t, func(t *testing.T) {
		q := s.start(Config[int]{MaxBatch: 10})
		put(q, 95)
		q.Close()
	})
	for i, got := range slices.Concat(s.batches...) {
		if got != i {
			t.Fatalf("item %d is %d", i, got)
		}
	}
}

// Flush does not wait for items or time.
func TestFlush(t *testing.T) {
	bubble(t, Config[int]{}, func(t *testing.T, s *sink, q *Queue[int]) {
		q.Flush()
		wantSizes(t, "idle", s, 0)
		put(q, 3)
		q.Flush()
		wantSizes(t, "with items", s, 0, 3)
		put(q, 1)
		time.Sleep(time.Second)
		wantSizes(t, "and as always after it", s, 0, 3, 1)
	})
}

// While a flush hangs, the items that fit wait and the others are dropped.
func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name          string
		cfg           Config[int]
		first, second int // items before and during the flush that hangs
		dropped       uint64
		want          []int
	}{
		{"items", Config[int]{Limit: 10}, 5, 25, 15, []int{5, 10}},
		{"items that no batch has room for wait still", Config[int]{Limit: 10, MaxBatch: 4}, 4, 25, 15, []int{4, 4, 4, 2}},
		{"bytes", Config[int]{MaxBytes: 60}, 50, 70, 10, []int{50, 60}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sink{hang: make(chan struct{})}
				q := s.start(tt.cfg)
				put(q, tt.first)
				synctest.Wait()
				put(q, tt.second)
				if got := q.Dropped(); got != tt.dropped {
					t.Errorf("dropped %d, want %d", got, tt.dropped)
				}
				close(s.hang)
				q.Close()
				wantDelivered(t, s, tt.want...)
			})
		})
	}
}

// Items taken for the batches of one flush count until their batch's turn.
func TestLimitHoldsDuringFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{hang: make(chan struct{})}
		q := s.start(Config[int]{Limit: 10, MaxBatch: 4})
		put(q, 4)
		synctest.Wait()
		put(q, 10)
		s.hang <- struct{}{}
		synctest.Wait() // 4 of the 10 are being flushed, 6 wait
		put(q, 5)
		if got := q.Dropped(); got != 1 {
			t.Errorf("dropped %d, want 1", got)
		}
		close(s.hang)
		q.Close()
		wantDelivered(t, s, 4, 4, 4, 2, 4)
	})
}

// Close flushes what waits and returns when all is done; what Flush loses
// counts as dropped, as do the items that come later.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{lose: 2}
		q := s.start(Config[int]{})
		put(q, 7)
		q.Close()
		if s.ended != 1 || q.Dropped() != 2 {
			t.Errorf("ended %d times, dropped %d, want 1 and 2", s.ended, q.Dropped())
		}
		put(q, 3)
		q.Close()
		if s.ended != 1 || q.Dropped() != 5 {
			t.Errorf("ended %d times, dropped %d, want 1 and 5", s.ended, q.Dropped())
		}
		wantSizes(t, "in all", s, 7)
	})
}

// Every item of many goroutines is flushed once or counted.
func TestConcurrent(t *testing.T) {
	s := &sink{}
	q := s.start(Config[int]{Limit: 64, MaxBatch: 10})
	var producers sync.WaitGroup
	for range 8 {
		producers.Go(func() { put(q, 500) })
	}
	producers.Wait()
	q.Close()
	flushed := len(slices.Concat(s.batches...))
	if got := flushed + int(q.Dropped()); got != 4000 || flushed < 64 {
		t.Errorf("%d flushed + %d dropped = %d, want 4000", flushed, q.Dropped(), got)
	}
}

func TestPutDoesNotAllocate(t *testing.T) {
	q := Start(Config[[64]byte]{Limit: 4, Every: time.Hour, Flush: func([]*[64]byte) int { return 0 }})
	defer q.Close()
	one := func() { q.Put(q.Get(), 1) }
	for range 100 {
		one()
	}
	if got := testing.AllocsPerRun(1000, one); got > 0.5 {
		t.Errorf("%v allocations", got)
	}
}
