package length

import (
	"math"
	"slices"
	"time"
)

// Bounds of what is saved over a restart.
const (
	// agingHalfLife is the downtime after which what was learned counts half:
	// callers change their behavior within days.
	agingHalfLife = 24 * time.Hour
	// forgetAfter is how long a key is saved after its last response.
	forgetAfter = 7 * 24 * time.Hour
	// maxNameBytes bounds the names of a key that is saved.
	maxNameBytes = 512
)

// KeyState is what is known of one key, as plain data that can be saved over a
// restart.
type KeyState struct {
	Caller string `json:"caller,omitempty"`
	Route  string `json:"route,omitempty"`
	// Idle is how long ago it was observed.
	Idle time.Duration `json:"idle_ns,omitempty"`
	// Counts are the complete responses by length, from bucket First on.
	First  int      `json:"first,omitempty"`
	Counts []uint16 `json:"counts,omitempty"`
	// CutCounts are the responses that were cut, by the length that they reached,
	// from bucket CutFirst on. States saved before these existed have none.
	CutFirst  int      `json:"cut_first,omitempty"`
	CutCounts []uint16 `json:"cut_counts,omitempty"`
	// Tokens of Bytes, over the prompts that count.
	Tokens float64 `json:"tokens,omitempty"`
	Bytes  float64 `json:"bytes,omitempty"`
}

// Shared returns a copy of what is known of all keys together.
func (m *Model) Shared() KeyState { return m.shared.state() }

// AppendKeys appends copies of what is known of the keys from number first up to
// but not including number last, and reports whether there are more. The
// numbers stay the same until a new key is added.
func (m *Model) AppendKeys(dst []KeyState, now time.Time, first, last int) (_ []KeyState, more bool) {
	for _, e := range m.entries[min(first, len(m.entries)):min(last, len(m.entries))] {
		if idle := now.Sub(e.used); idle < forgetAfter && len(e.key.Caller)+len(e.key.Route) <= maxNameBytes {
			st := e.state()
			st.Caller, st.Route, st.Idle = e.key.Caller, e.key.Route, max(idle, 0)
			dst = append(dst, st)
		}
	}
	return dst, last < len(m.entries)
}

// RestoreShared restores what was known of all keys together age before now.
// When st is not valid, nothing changes and ok is false.
func (m *Model) RestoreShared(age time.Duration, st *KeyState) (ok bool) {
	e, ok := st.entry(age)
	if ok {
		m.shared = e
	}
	return ok
}

// Restore restores what was known of a key age before now; the older it is, the
// less it counts. When it is too old or not valid, or there is no room for it,
// nothing changes and ok is false.
func (m *Model) Restore(now time.Time, age time.Duration, st *KeyState) (ok bool) {
	if st.Idle < 0 || st.Idle >= forgetAfter || age < 0 || age >= forgetAfter-st.Idle ||
		len(st.Caller)+len(st.Route) > maxNameBytes {
		return false
	}
	e, ok := st.entry(age)
	if !ok || e.lengths.count() == 0 && e.ratio.n == 0 {
		return false
	}
	e.key, e.used = Key{st.Caller, st.Route}, now.Add(-age-st.Idle)
	known := m.index[e.key]
	if known == nil {
		known = m.remember(now, e.key)
	}
	if known == nil {
		return false
	}
	*known = e
	return true
}

func (e *entry) state() KeyState {
	st := KeyState{Tokens: e.ratio.tokens, Bytes: e.ratio.bytes}
	st.First, st.Counts = e.lengths.complete.state()
	st.CutFirst, st.CutCounts = e.lengths.cut.state()
	return st
}

// state returns a copy of the counts without the empty buckets at both ends.
func (h *histogram) state() (first int, counts []uint16) {
	if h.n == 0 {
		return 0, nil
	}
	last := int(h.top)
	for h.bins[last] == 0 {
		last--
	}
	for h.bins[first] == 0 {
		first++
	}
	return first, slices.Clone(h.bins[first : last+1])
}

// restore fills an empty histogram; ok is false when the counts are not valid.
func (h *histogram) restore(first int, counts []uint16) (ok bool) {
	if first < 0 || first > binCount-len(counts) {
		return false
	}
	total := 0
	for i, n := range counts {
		if total += int(n); total >= fullCount {
			return false
		}
		h.bins[first+i] = n
		if n > 0 {
			h.top = uint16(first + i)
		}
	}
	h.n = uint16(total)
	return true
}

// entry returns the state, aged; ok is false when the state is not valid.
func (st *KeyState) entry(age time.Duration) (e entry, ok bool) {
	weight := math.Exp2(-float64(age) / float64(agingHalfLife))
	if age < 0 || !e.lengths.complete.restore(st.First, st.Counts) || !e.lengths.cut.restore(st.CutFirst, st.CutCounts) ||
		e.lengths.count() >= fullCount {
		return entry{}, false
	}
	if weight < 1 {
		e.lengths.scale(weight)
	}
	if st.Tokens > 0 && st.Bytes >= minBytes && st.Tokens <= maxRatio*st.Bytes && st.Bytes <= maxBytes {
		e.ratio = ratio{tokens: st.Tokens * weight, bytes: st.Bytes * weight, n: 1}
	}
	return e, true
}

// Bounds of valid prompt sums: what remains after several restarts, and no more
// tokens per byte than the address of an image can stand for.
const (
	minBytes = 1e-9
	maxBytes = 1e15
	maxRatio = 1e6
)
