// Package admit is the bounded queue for capacity. It decides which item is
// served next, which is evicted when the queue is full, and whether waiting can
// meet a deadline.
//
// The order is priority, then deadline (earliest first, none last), then
// arrival. A full queue evicts its last item for a new one that ranks before
// it. No caller holds more than its share of places while others wait.
package admit

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Config bounds a queue. Zero fields mean those of Defaults.
type Config struct {
	MaxLength int     // of waiting requests; a negative length allows no waiting
	MaxShare  float64 // of the places that one caller may hold while others wait, 0–1
}

// Defaults returns the values that zero fields take.
func Defaults() Config { return Config{MaxLength: 1024, MaxShare: 0.5} }

func (c Config) maxLength() int {
	if c.MaxLength == 0 {
		return Defaults().MaxLength
	}
	return max(c.MaxLength, 0)
}

// placesPerCaller is one caller's share of the places, at least one.
func (c Config) placesPerCaller() int {
	share := c.MaxShare
	if share <= 0 {
		share = Defaults().MaxShare
	}
	return max(1, int(min(share, 1)*float64(c.maxLength())))
}

// Feasible reports whether an attempt that lasts for need can still meet the
// deadline when it starts at readyAt, or now when that is past. A zero
// deadline is always met.
func Feasible(now, deadline, readyAt time.Time, need time.Duration) bool {
	if deadline.IsZero() {
		return true
	}
	start := now
	if readyAt.After(start) {
		start = readyAt
	}
	return !start.Add(need).After(deadline)
}

// Item is one entry of a queue.
type Item[T comparable] struct {
	Value    T // unique within the queue
	Priority spillway.Priority
	Deadline time.Time // zero means none
	Caller   string
}

// Queue holds items in the order in which they are served. It is not safe for
// concurrent use. The cost of its methods does not depend on its length, except
// for a binary search and, for an insertion in the middle, a copy.
type Queue[T comparable] struct {
	cfg     Config
	arrived uint64
	callers callers
	// greedy is the caller that last held more than its share. No other caller
	// can: it must have been alone in the queue to get there.
	greedy int32

	places []place[T]
	free   []int32     // places that hold no item
	where  map[T]int32 // place of an item
	order  order
}

// place holds one item.
type place[T comparable] struct {
	value T
	rank  rank
}

// rank is what the order of an item depends on.
type rank struct {
	priority spillway.Priority
	deadline time.Time
	arrival  uint64
	caller   int32
}

// NewQueue returns an empty queue.
func NewQueue[T comparable](cfg Config) *Queue[T] {
	return &Queue[T]{
		cfg: cfg, greedy: noCaller,
		callers: callers{ids: map[string]int32{}}, where: map[T]int32{},
	}
}

// Len is the number of items that wait.
func (q *Queue[T]) Len() int { return q.order.len() }

// At is the i-th item to be served, from 0.
func (q *Queue[T]) At(i int) T { return q.places[q.order.at(i)].value }

// Peek is the next item to be served.
func (q *Queue[T]) Peek() (value T, ok bool) {
	if q.Len() == 0 {
		return value, false
	}
	return q.At(0), true
}

// Pop removes and returns the next item.
func (q *Queue[T]) Pop() (value T, ok bool) {
	if q.Len() == 0 {
		return value, false
	}
	return q.removeAt(q.order.at(0)), true
}

// Remove removes value, wherever it is, and reports whether it was there.
func (q *Queue[T]) Remove(value T) bool {
	at, ok := q.where[value]
	if ok {
		q.removeAt(at)
	}
	return ok
}

// Push adds an item, or refuses it (accepted is false) when its deadline has
// passed or there is no place for it. It returns the item that it evicted, if
// any. There is a place for a new item
//
//   - while the queue is not full and its caller holds less than its share, or
//     no other caller waits;
//   - instead of its caller's own last item, when the caller has its share and
//     the new item ranks before that;
//   - instead of the last item of a full queue, when it ranks before that;
//   - instead of the last item of a caller with more than its share, if its
//     priority is not higher and the new item's caller has less than its share.
func (q *Queue[T]) Push(now time.Time, item Item[T]) (evicted T, hasEvicted, accepted bool) {
	if !item.Deadline.IsZero() && !now.Before(item.Deadline) {
		return evicted, false, false
	}
	r := rank{priority: item.Priority, deadline: item.Deadline, arrival: q.arrived, caller: q.callers.find(item.Caller)}
	victim, needed := q.victim(&r)
	if needed && victim < 0 {
		return evicted, false, false
	}
	if needed {
		evicted = q.removeAt(victim)
	}
	q.arrived++
	r.caller = q.callers.add(item.Caller)
	q.store(item.Value, r)
	return evicted, needed, true
}

// victim returns the place whose item is evicted for a new one; needed says that
// one has to be, and -1 that none may be.
func (q *Queue[T]) victim(r *rank) (at int32, needed bool) {
	share := q.cfg.placesPerCaller()
	held := q.callers.held(r.caller)
	switch {
	case held >= share && held < q.Len():
		return q.ifOutranked(q.callers.list[r.caller].places.last(), r), true
	case q.Len() < q.cfg.maxLength():
		return -1, false
	case q.Len() == 0:
		return -1, true
	}
	at = q.ifOutranked(q.order.last(), r)
	if at >= 0 || held >= share || q.callers.held(q.greedy) <= share {
		return at, true
	}
	last := q.callers.list[q.greedy].places.last()
	if q.places[last].rank.priority > r.priority {
		return -1, true
	}
	return last, true
}

// ifOutranked returns the place if a new item ranks before its item, and -1 if not.
func (q *Queue[T]) ifOutranked(at int32, r *rank) int32 {
	if before(r, &q.places[at].rank) {
		return at
	}
	return -1
}

// store puts an item into a free place.
func (q *Queue[T]) store(value T, r rank) {
	if len(q.free) == 0 {
		q.free = append(q.free, int32(len(q.places)))
		q.places = append(q.places, place[T]{})
	}
	at := q.free[len(q.free)-1]
	q.free = q.free[:len(q.free)-1]
	q.places[at] = place[T]{value, r}
	q.where[value] = at
	q.order.insert(q.find(&q.order, &r), at)
	own := &q.callers.list[r.caller].places
	own.insert(q.find(own, &r), at)
	if own.len() > q.cfg.placesPerCaller() {
		q.greedy = r.caller
	}
}

// removeAt removes the item at a place, and frees the place.
func (q *Queue[T]) removeAt(at int32) T {
	p := &q.places[at]
	value, caller := p.value, p.rank.caller
	q.order.remove(q.position(&q.order, at))
	own := &q.callers.list[caller].places
	own.remove(q.position(own, at))
	q.callers.release(caller)
	delete(q.where, value)
	*p = place[T]{}
	q.free = append(q.free, at)
	return value
}

// position is where a place is in an order.
func (q *Queue[T]) position(o *order, at int32) int {
	switch at {
	case o.at(0):
		return 0
	case o.last():
		return o.len() - 1
	}
	return q.find(o, &q.places[at].rank)
}

// find returns the position in an order of the item with this rank, or of the
// first item that is served after it.
func (q *Queue[T]) find(o *order, r *rank) int {
	from, to := 0, o.len()
	for from < to {
		mid := (from + to) / 2
		if to-from == o.len() { // most come last
			mid = to - 1
		}
		if before(&q.places[o.at(mid)].rank, r) {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return from
}

// before reports whether a is served before b.
func before(a, b *rank) bool {
	if a.priority != b.priority {
		return a.priority > b.priority
	}
	if c := a.deadline.Compare(b.deadline); c != 0 {
		if a.deadline.IsZero() || b.deadline.IsZero() {
			return b.deadline.IsZero() // none is last
		}
		return c < 0
	}
	return a.arrival < b.arrival
}
