package length

import "github.com/spillway-ai/spillway/internal/stat"

// lengths is the resolution of a histogram: lengths below 16 each have a bucket
// of their own, and up to 2^20 none is wider than an eighth of its value.
var lengths = stat.Scale{Bits: 3, Low: 3, High: 20}

// binCount is lengths.Len.
const binCount = (20 - 3 + 1) << 3

// histogram counts responses by length.
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
// no quantile by more than half a response, where scaling each bucket would
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
func binOf(tokens int) int { return lengths.Bucket(float64(tokens)) }

// edge returns the shortest length of a bucket.
func edge(bin int) int { return int(lengths.Lower(bin)) }
