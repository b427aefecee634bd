// Package admit is the bounded wait for capacity: who is next, who has to go
// when it is full, and whether waiting makes sense at all.
//
// Order is priority, then deadline (earliest first, none last), then arrival.
// A full queue sheds its last item for a newcomer that ranks before it. No
// caller holds more than its share of places while others wait.
package admit

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Config bounds a queue. Zero fields take those of Defaults.
type Config struct {
	MaxLength int     // of those who wait; negative lets nobody wait
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

// Feasible reports whether an attempt that takes need can still meet the
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

// Item is what waits.
type Item[T comparable] struct {
	Value    T // unique among those that wait
	Priority spillway.Priority
	Deadline time.Time // zero means none
	Caller   string
}

// Queue holds items in the order in which they are served. It is not safe for
// concurrent use. What it does takes no longer when more of them wait, but for
// the search for a place among them and the room that is made there.
type Queue[T comparable] struct {
	cfg     Config
	arrived uint64
	callers callers
	// greedy is the caller that was the last to hold more than its share. No
	// other can: that takes a queue in which nobody else waits.
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
		cfg: cfg, greedy: nobody,
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

// Pop takes the next item out.
func (q *Queue[T]) Pop() (value T, ok bool) {
	if q.Len() == 0 {
		return value, false
	}
	return q.take(q.order.at(0)), true
}

// Remove takes value out, wherever it is, and reports whether it was there.
func (q *Queue[T]) Remove(value T) bool {
	at, ok := q.where[value]
	if ok {
		q.take(at)
	}
	return ok
}

// Push lets an item wait, or refuses it (accepted false) when its deadline has
// passed or there is no place for it. An item that had to go is returned; it
// is out of the queue. There is a place for the newcomer
//
//   - while the queue is not full and its caller holds less than its share, or
//     nobody else waits;
//   - instead of its caller's own last item, when the caller has its share and
//     the newcomer ranks before that;
//   - instead of the last item of a full queue, when it ranks before that;
//   - instead of the last item of a caller with more than its share, at most
//     of the newcomer's priority, when the newcomer's caller has less.
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
		evicted = q.take(victim)
	}
	q.arrived++
	r.caller = q.callers.add(item.Caller)
	q.put(item.Value, r)
	return evicted, needed, true
}

// victim is the place whose item has to go for a newcomer; needed says that
// one has to, and -1 that none may.
func (q *Queue[T]) victim(r *rank) (at int32, needed bool) {
	share := q.cfg.placesPerCaller()
	held := q.callers.held(r.caller)
	switch {
	case held >= share && held < q.Len():
		return q.behind(q.callers.list[r.caller].places.last(), r), true
	case q.Len() < q.cfg.maxLength():
		return -1, false
	case q.Len() == 0:
		return -1, true
	}
	at = q.behind(q.order.last(), r)
	if at >= 0 || held >= share || q.callers.held(q.greedy) <= share {
		return at, true
	}
	last := q.callers.list[q.greedy].places.last()
	if q.places[last].rank.priority > r.priority {
		return -1, true
	}
	return last, true
}

// behind is the place, if a newcomer ranks before its item, and -1 if not.
func (q *Queue[T]) behind(at int32, r *rank) int32 {
	if before(r, &q.places[at].rank) {
		return at
	}
	return -1
}

// put gives an item a place.
func (q *Queue[T]) put(value T, r rank) {
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

// take empties a place.
func (q *Queue[T]) take(at int32) T {
	p := &q.places[at]
	value, caller := p.value, p.rank.caller
	q.order.remove(q.position(&q.order, at))
	own := &q.callers.list[caller].places
	own.remove(q.position(own, at))
	q.callers.left(caller)
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

// find is the position in an order of an item with this rank, or of the first
// that is served after it.
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
