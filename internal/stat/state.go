package stat

import (
	"math"
	"slices"
	"time"
)

// QuantilesState is what a sketch holds, as plain data that can be kept over a
// restart. It is a copy. Its meaning depends on the sketch's resolution.
type QuantilesState struct {
	// Span is the time that one generation covers, and Left what is left of
	// the newest.
	Span time.Duration `json:"span_ns,omitempty"`
	Left time.Duration `json:"left_ns,omitempty"`
	// Generations are from the newest to the oldest that holds anything.
	Generations []GenerationState `json:"generations,omitempty"`
}

// GenerationState is the values of a quarter of the window.
type GenerationState struct {
	Least    float64  `json:"least,omitempty"`
	Greatest float64  `json:"greatest,omitempty"`
	First    int      `json:"first,omitempty"` // bucket of Counts[0], counted from 2^-20
	Counts   []uint32 `json:"counts,omitempty"`
}

// firstKept is the bucket that GenerationState counts from.
const firstKept = 1 << 5

// maxStateCount bounds a count that is believed, so that counting on from it
// cannot overflow.
const maxStateCount = 1 << 30

// State returns what the sketch holds at now.
func (s *Quantiles) State(now time.Time) QuantilesState {
	s.advance(now)
	st := QuantilesState{Span: s.span, Left: s.until.Sub(now)}
	left := s.n
	for age := 0; age < generations && left > 0; age++ {
		g := &s.gens[(s.current-age+generations)%generations]
		var out GenerationState
		if g.n > 0 {
			out = GenerationState{Least: g.min, Greatest: g.max, First: g.lo - firstKept, Counts: slices.Clone(g.counts[g.lo : g.hi+1])}
		}
		st.Generations = append(st.Generations, out)
		left -= g.n
	}
	return st
}

// Restore makes the sketch one that held st age before now and has seen
// nothing since. A state of another window, or that no sketch can have, leaves
// it as it was, and ok is false.
func (s *Quantiles) Restore(now time.Time, age time.Duration, st QuantilesState) (ok bool) {
	if st.Span != s.span || st.Left < 0 || len(st.Generations) > generations || age < 0 {
		return false
	}
	fresh := NewQuantiles(s.span * generations)
	fresh.epoch = s.epoch + 1
	for i := range st.Generations {
		g := &fresh.gens[(generations-i)%generations]
		if !g.restore(&st.Generations[i]) {
			return false
		}
		fresh.n += g.n
	}
	// A state from a clock that went back since may say more than is possible.
	fresh.until = now.Add(min(st.Left, s.span) - age)
	fresh.advance(now)
	*s = *fresh
	return true
}

// restore fills an empty histogram; ok is false where st is not one.
func (h *Histogram) restore(st *GenerationState) (ok bool) {
	if len(st.Counts) == 0 {
		return true
	}
	lo, hi := st.First+firstKept, st.First+firstKept+len(st.Counts)-1
	if lo < 0 || hi >= len(h.counts) || lo > hi {
		return false
	}
	if !(st.Least > 0 && st.Least <= st.Greatest) || math.IsInf(st.Greatest, 1) ||
		h.scale.Bucket(st.Least) != lo || h.scale.Bucket(st.Greatest) != hi || st.Counts[0] == 0 || st.Counts[hi-lo] == 0 {
		return false
	}
	for i, n := range st.Counts {
		if n > maxStateCount {
			return false
		}
		h.counts[lo+i] = n
		h.n += int(n)
	}
	h.lo, h.hi, h.min, h.max = lo, hi, st.Least, st.Greatest
	return true
}
