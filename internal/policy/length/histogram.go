package length

import "math/bits"

// The histogram's resolution: lengths below 16 each have a bucket of their
// own, every octave from there to 2^20 has 8, so that none is wider than an
// eighth of its value.
const (
	exact    = 16
	octaves  = 20 - 4
	binCount = exact + octaves*8
)

// histogram counts answers by length.
type histogram struct {
	n    uint16 // sum of bins
	top  uint16 // no higher bin is in use
	bins [binCount]uint16
}

func (h *histogram) add(tokens int) {
	bin := binOf(tokens)
	h.bins[bin]++
	h.top = max(h.top, uint16(bin))
	h.n++
}

// scale multiplies the cumulative counts by a factor of at most 1, which moves
// no quantile by more than half an answer, where scaling each bucket would
// lose or keep all small ones.
func (h *histogram) scale(by float64) {
	var cumulative, kept uint16
	for i, n := range h.bins {
		cumulative += n
		scaled := uint16(float64(cumulative)*by + 0.5)
		h.bins[i] = scaled - kept
		kept = scaled
	}
	h.n = kept
}

// binOf returns the bucket of a length.
func binOf(tokens int) int {
	if tokens < exact {
		return max(tokens, 0)
	}
	octave := bits.Len(uint(tokens)) - 1 // at least 4
	return min(exact+(octave-4)*8+(tokens>>(octave-3))&7, binCount-1)
}

// edge returns the shortest length of a bucket.
func edge(bin int) int {
	if bin < exact {
		return bin
	}
	octave, part := (bin-exact)/8+4, (bin-exact)%8
	return (8 + part) << (octave - 3)
}
