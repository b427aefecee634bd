// Package batch is the bounded queue between the goroutines that produce items
// and the one goroutine that writes or sends them in batches. Producers never
// wait: what the queue has no room for is dropped and counted.
package batch

import (
	"sync"
	"sync/atomic"
	"time"
)

// Config says how a Queue behaves. Limit, Every and Flush are required.
type Config[T any] struct {
	// Limit bounds the items that wait. Those of the batch being flushed do
	// not count.
	Limit int
	// MaxBytes bounds the size of the items that wait for one flush; 0 is no
	// bound.
	MaxBytes int
	// MaxBatch bounds the items of one call of Flush; 0 is no bound. The next
	// flush starts early when as many have gathered, or half of Limit.
	MaxBatch int
	// Every bounds how long an item waits for its flush to start.
	Every time.Duration
	// Flush delivers a batch, oldest item first, and returns how many of its
	// items are lost. The items are valid until it returns. The batch can be
	// empty: see Queue.Flush. Calls come one at a time from the queue's
	// goroutine, as does the one of End.
	Flush func(items []*T) (lost int)
	// End runs after the last flush; nil does nothing.
	End func()
}

// Queue gathers items into batches. Safe for concurrent use.
type Queue[T any] struct {
	cfg     Config[T]
	fullAt  int
	spare   sync.Pool     // of *T
	wake    chan struct{} // the first item of a batch; capacity 1
	full    chan struct{} // a flush must not wait longer; capacity 1
	done    chan struct{} // closed when the goroutine has ended
	dropped atomic.Uint64

	mu      sync.Mutex
	items   []*T
	bytes   int
	taken   int // items that left items, but are not in a call of Flush yet
	closed  bool
	emptied []*T // the goroutine's: a slice to use again
}

// Start returns a queue and starts its goroutine, which Close ends.
func Start[T any](cfg Config[T]) *Queue[T] {
	q := &Queue[T]{
		cfg:    cfg,
		fullAt: (cfg.Limit + 1) / 2,
		spare:  sync.Pool{New: func() any { return new(T) }},
		wake:   make(chan struct{}, 1),
		full:   make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
	if cfg.MaxBatch > 0 {
		q.fullAt = min(q.fullAt, cfg.MaxBatch)
	}
	go q.run()
	return q
}

// Get returns an item to fill, new or used before, which must then be given to
// Put.
func (q *Queue[T]) Get() *T { return q.spare.Get().(*T) }

// Put queues an item that Get returned, which now belongs to the queue. size is
// what it counts against MaxBytes. Put never blocks: when the queue is full or
// closed, the item is dropped and counted.
func (q *Queue[T]) Put(item *T, size int) {
	q.mu.Lock()
	if q.closed || len(q.items)+q.taken >= q.cfg.Limit || q.cfg.MaxBytes > 0 && q.bytes+size > q.cfg.MaxBytes {
		q.mu.Unlock()
		q.dropped.Add(1)
		q.spare.Put(item)
		return
	}
	q.items = append(q.items, item)
	q.bytes += size
	waiting := len(q.items)
	q.mu.Unlock()
	if waiting == 1 {
		notify(q.wake)
	}
	if waiting == q.fullAt {
		notify(q.full)
	}
}

// Dropped is the number of items lost so far: the queue had no room, Flush lost
// them, or they came after Close.
func (q *Queue[T]) Dropped() uint64 { return q.dropped.Load() }

// Flush has the goroutine flush now, an empty batch if nothing waits. It does
// not wait for that.
func (q *Queue[T]) Flush() { notify(q.full) }

// Close flushes what waits, ends the goroutine and returns when it has ended.
// Items that come later are dropped. Close may be called again; a Flush that
// hangs makes it wait.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	notify(q.full)
	<-q.done
}

func (q *Queue[T]) run() {
	defer close(q.done)
	timer := time.NewTimer(q.cfg.Every)
	defer timer.Stop()
	for closed := false; !closed; closed = q.flush() {
		select {
		case <-q.wake:
			timer.Reset(q.cfg.Every)
			select {
			case <-timer.C:
			case <-q.full:
			}
		case <-q.full:
		}
	}
	if q.cfg.End != nil {
		q.cfg.End()
	}
}

// flush flushes the items that wait now, and reports whether they are the last.
func (q *Queue[T]) flush() (closed bool) {
	q.mu.Lock()
	items, closed := q.items, q.closed
	q.items, q.bytes, q.taken = q.emptied[:0], 0, len(items)
	q.mu.Unlock()
	for first, left := true, items; first || len(left) > 0; first = false {
		n := len(left)
		if q.cfg.MaxBatch > 0 {
			n = min(n, q.cfg.MaxBatch)
		}
		batch := left[:n]
		left = left[n:]
		q.mu.Lock()
		q.taken = len(left)
		q.mu.Unlock()
		q.dropped.Add(uint64(q.cfg.Flush(batch)))
		for _, item := range batch {
			q.spare.Put(item)
		}
	}
	clear(items)
	q.emptied = items
	return closed
}

// notify makes a channel of capacity one readable, if it is not so already.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
