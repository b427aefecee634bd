package workload

import (
	"errors"
	"io"
	"time"
)

// maxReordered bounds the calls that wait for their turn.
const maxReordered = 1 << 20

// reorder brings calls that come in order of completion into order of arrival.
// It holds those of the last window, and maxReordered at most.
type reorder struct {
	window time.Duration
	waits  calls
	n      uint64 // calls so far: equal instants keep their order
	newest time.Duration
	passed time.Duration // At of the call returned last
	done   bool
}

// next reads the earliest call into c once no earlier one is to be expected.
func (o *reorder) next(r *Reader, c *Call) error {
	for !o.done && (len(o.waits) == 0 || o.newest-o.waits[0].At < o.window) && len(o.waits) < maxReordered {
		if err := r.row(c); errors.Is(err, io.EOF) {
			o.done = true
			break
		} else if err != nil {
			return err
		}
		if o.n > 0 && c.At < o.passed {
			if err := r.bad(reasonf("arrived %v before earlier records, which exceeds the window of %v; sort the records by time",
				(o.newest - c.At).Round(time.Millisecond), o.window)); err != nil {
				return err
			}
			continue
		}
		o.newest = max(o.newest, c.At)
		o.n++
		o.waits.push(numbered{*c, o.n})
	}
	if len(o.waits) == 0 {
		return io.EOF
	}
	*c = o.waits.pop()
	o.passed = c.At
	return nil
}

// numbered is a call and its place in the file.
type numbered struct {
	Call
	n uint64
}

// before orders calls by arrival, and by their place in the file.
func (a *numbered) before(b *numbered) bool { return a.At < b.At || a.At == b.At && a.n < b.n }

// calls is a heap by arrival.
type calls []numbered

// push adds x. Calls come nearly in order, so it hardly ever moves.
func (h *calls) push(x numbered) {
	*h = append(*h, x)
	for i := len(*h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !x.before(&(*h)[parent]) {
			break
		}
		(*h)[i], (*h)[parent] = (*h)[parent], x
		i = parent
	}
}

// pop takes the earliest call out.
func (h *calls) pop() Call {
	first, last := (*h)[0].Call, len(*h)-1
	x := (*h)[last]
	(*h)[last] = numbered{}
	*h = (*h)[:last]
	i := 0
	for child := 1; child < last; child = 2*i + 1 {
		if child+1 < last && (*h)[child+1].before(&(*h)[child]) {
			child++
		}
		if !(*h)[child].before(&x) {
			break
		}
		(*h)[i] = (*h)[child]
		i = child
	}
	if last > 0 {
		(*h)[i] = x
	}
	return first
}
