package workload

import (
	"math"
	"math/bits"
)

// A count below exactBelow has a bucket of its own; above, an octave has
// exactBelow/2 buckets, so that a quantile is at most 0.05% too low.
const (
	exactBits  = 12
	exactBelow = 1 << exactBits
)

// histogram counts whole numbers that are not negative. The zero value is
// empty; it grows with the largest number.
type histogram struct {
	bins []uint64
	n    uint64
	sum  float64
	max  int
}

// add counts v times times.
func (h *histogram) add(v int, times uint64) {
	v = max(v, 0)
	i := bin(v)
	if i >= len(h.bins) {
		h.bins = append(h.bins, make([]uint64, max(i+1, 2*len(h.bins))-len(h.bins))...)
	}
	h.bins[i] += times
	h.n += times
	h.sum += float64(v) * float64(times)
	h.max = max(h.max, v)
}

func (h *histogram) mean() float64 {
	if h.n == 0 {
		return 0
	}
	return h.sum / float64(h.n)
}

// quantile returns the smallest number that a share q of the numbers does not
// exceed.
func (h *histogram) quantile(q float64) int {
	if h.n == 0 {
		return 0
	}
	rank := max(uint64(math.Ceil(q*float64(h.n))), 1)
	if rank >= h.n {
		return h.max
	}
	var seen uint64
	for i, n := range h.bins {
		if seen += n; seen >= rank {
			return lowest(i)
		}
	}
	return h.max
}

// bin is the bucket of v.
func bin(v int) int {
	if v < exactBelow {
		return v
	}
	shift := bits.Len(uint(v)) - exactBits
	return shift*exactBelow/2 + v>>shift
}

// lowest is the smallest number of a bucket.
func lowest(i int) int {
	if i < exactBelow {
		return i
	}
	shift := i/(exactBelow/2) - 1
	return (i - shift*exactBelow/2) << shift
}
