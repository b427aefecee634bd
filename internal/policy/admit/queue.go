// Package admit is the bounded wait for capacity: who is next, who has to go
// when it is full, and whether waiting makes sense at all.
//
// Order is priority, then deadline (earliest first, none last), then arrival.
// A full queue sheds its last item for a newcomer that ranks before it. No
// caller holds more than its share of places while others wait.
package admit

import (
	"cmp"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Config bounds a queue. The zero value takes the defaults.
type Config struct {
	MaxLength int     // 0 takes 1024; negative lets nobody wait
	MaxShare  float64 // of the places that one caller may hold while others wait, 0–1; 0 takes 0.5
}

func (c Config) maxLength() int {
	if c.MaxLength == 0 {
		return 1024
	}
	return max(c.MaxLength, 0)
}

// placesPerCaller is one caller's share of the places, at least one.
func (c Config) placesPerCaller() int {
	share := c.MaxShare
	if share <= 0 {
		share = 0.5
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
// concurrent use.
type Queue[T comparable] struct {
	cfg     Config
	arrived uint64
	callers callers

	// A place holds one item; free lists those that hold none. Values are
	// apart from the rest to make the search for one short.
	values []T
	ranks  []rank
	free   []int32
	// order lists the places from the last served to the first.
	order []int32
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
	return &Queue[T]{cfg: cfg, callers: callers{ids: map[string]int32{}}}
}

// Len is the number of items that wait.
func (q *Queue[T]) Len() int { return len(q.order) }

// At is the i-th item to be served, from 0.
func (q *Queue[T]) At(i int) T { return q.values[q.order[len(q.order)-1-i]] }

// Peek is the next item to be served.
func (q *Queue[T]) Peek() (value T, ok bool) {
	if len(q.order) == 0 {
		return value, false
	}
	return q.At(0), true
}

// Pop takes the next item out.
func (q *Queue[T]) Pop() (value T, ok bool) {
	if len(q.order) == 0 {
		return value, false
	}
	return q.take(len(q.order) - 1), true
}

// Remove takes value out, wherever it is, and reports whether it was there.
func (q *Queue[T]) Remove(value T) bool {
	// A place that is free holds the zero value, so the order decides.
	for place, v := range q.values {
		if v == value {
			if at, ok := q.find(int32(place)); ok {
				q.take(at)
				return true
			}
		}
	}
	return false
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
	victim, needed := q.victim(r)
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

// victim is the position of the item that has to go for a newcomer; needed
// says that one has to, and -1 that none may.
func (q *Queue[T]) victim(r rank) (at int, needed bool) {
	share := q.cfg.placesPerCaller()
	held := q.callers.held(r.caller)
	if held >= share && held < len(q.order) {
		return q.victimOf(r), true
	}
	if len(q.order) < q.cfg.maxLength() {
		return -1, false
	}
	if len(q.order) == 0 {
		return -1, true
	}
	if before(r, q.ranks[q.order[0]]) {
		return 0, true
	}
	return q.victimAbove(share, r), true
}

// victimOf is the last item of the newcomer's own caller, if it ranks behind.
func (q *Queue[T]) victimOf(r rank) int {
	at := slices.IndexFunc(q.order, func(place int32) bool { return q.ranks[place].caller == r.caller })
	if at >= 0 && before(r, q.ranks[q.order[at]]) {
		return at
	}
	return -1
}

// victimAbove is the last item, at most of the newcomer's priority, of another
// caller that holds more than share.
func (q *Queue[T]) victimAbove(share int, r rank) int {
	if q.callers.held(r.caller) >= share {
		return -1
	}
	for at, place := range q.order {
		other := &q.ranks[place]
		if other.priority > r.priority {
			return -1
		}
		if q.callers.held(other.caller) > share {
			return at
		}
	}
	return -1
}

// put gives an item a place.
func (q *Queue[T]) put(value T, r rank) {
	if len(q.free) == 0 {
		q.free = append(q.free, int32(len(q.values)))
		q.values = append(q.values, value)
		q.ranks = append(q.ranks, rank{})
	}
	place := q.free[len(q.free)-1]
	q.free = q.free[:len(q.free)-1]
	q.values[place], q.ranks[place] = value, r
	at, _ := slices.BinarySearchFunc(q.order, r, q.fromLast)
	q.order = slices.Insert(q.order, at, place)
}

// take empties the place at this position of the order.
func (q *Queue[T]) take(at int) T {
	place := q.order[at]
	q.order = slices.Delete(q.order, at, at+1)
	q.callers.remove(q.ranks[place].caller)
	value := q.values[place]
	var none T
	q.values[place], q.ranks[place] = none, rank{}
	q.free = append(q.free, place)
	return value
}

// find is the position of a place in the order.
func (q *Queue[T]) find(place int32) (int, bool) {
	at, ok := slices.BinarySearchFunc(q.order, q.ranks[place], q.fromLast)
	return at, ok && q.order[at] == place
}

// fromLast compares for the order, whose first element is served last.
func (q *Queue[T]) fromLast(place int32, r rank) int { return -compare(q.ranks[place], r) }

// before reports whether a is served before b.
func before(a, b rank) bool { return compare(a, b) < 0 }

// compare orders ranks from served first to served last.
func compare(a, b rank) int {
	if a.priority != b.priority {
		return cmp.Compare(b.priority, a.priority)
	}
	if !a.deadline.Equal(b.deadline) {
		switch {
		case a.deadline.IsZero():
			return 1
		case b.deadline.IsZero():
			return -1
		}
		return a.deadline.Compare(b.deadline)
	}
	return cmp.Compare(a.arrival, b.arrival)
}
