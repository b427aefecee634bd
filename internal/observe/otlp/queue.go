package otlp

import (
	"strings"
	"sync"
	"sync/atomic"

	spillway "github.com/spillway-ai/spillway"
)

// maxTextBytes bounds the strings that come from clients and deployments.
const maxTextBytes = 256

// item is a record of which nothing belongs to anybody else: records are valid
// only while they are handed over, and some of their strings are parts of
// requests. Items are used again, and with them their buffers.
type item struct {
	rec      spillway.Record
	attempts []spillway.Attempt
	text     []byte // the model and the tenant
	model    int    // bytes of the model
}

// keep makes the item a copy of r.
func (it *item) keep(r *spillway.Record) {
	model, tenant := short(r.Model), short(r.Tenant)
	it.text = append(append(it.text[:0], model...), tenant...)
	it.model = len(model)
	it.attempts = append(it.attempts[:0], r.Attempts...)
	for i := range it.attempts {
		if a := &it.attempts[i]; len(a.ServedBy) > maxTextBytes {
			a.ServedBy = strings.Clone(short(a.ServedBy))
		}
	}
	it.rec = *r
	it.rec.Model, it.rec.Tenant, it.rec.Attempts = "", "", it.attempts
}

// record is the record that was kept.
func (it *item) record() *spillway.Record {
	text := string(it.text)
	it.rec.Model, it.rec.Tenant = text[:it.model], text[it.model:]
	return &it.rec
}

func short(s string) string { return s[:min(len(s), maxTextBytes)] }

// queue is what waits for the collector. put is safe for concurrent use; take
// and release are for one goroutine.
type queue struct {
	limit   int
	full    chan struct{} // a batch has gathered; capacity 1
	dropped atomic.Uint64
	spare   sync.Pool // of *item

	mu     sync.Mutex
	items  []*item
	closed bool
}

func newQueue(limit int) *queue {
	return &queue{
		limit: limit,
		full:  make(chan struct{}, 1),
		spare: sync.Pool{New: func() any { return new(item) }},
	}
}

// put queues a copy of r, or drops and counts it.
func (q *queue) put(r *spillway.Record) {
	it := q.spare.Get().(*item)
	it.keep(r)
	q.mu.Lock()
	if q.closed || len(q.items) >= q.limit {
		q.mu.Unlock()
		q.dropped.Add(1)
		q.spare.Put(it)
		return
	}
	q.items = append(q.items, it)
	waiting := len(q.items)
	q.mu.Unlock()
	if waiting == min(maxBatch, (q.limit+1)/2) {
		select {
		case q.full <- struct{}{}:
		default:
		}
	}
}

// take moves the oldest items, at most maxBatch, to batch.
func (q *queue) take(batch []*item) []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.items), maxBatch)
	batch = append(batch[:0], q.items[:n]...)
	left := copy(q.items, q.items[n:])
	clear(q.items[left:])
	q.items = q.items[:left]
	return batch
}

// release gives the items of a batch back.
func (q *queue) release(batch []*item) {
	for _, it := range batch {
		q.spare.Put(it)
	}
}

// close turns further records away.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// drop loses what is left, and says how much.
func (q *queue) drop() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.items)
	q.items = nil
	q.dropped.Add(uint64(n))
	return n
}
