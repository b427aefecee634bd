package report

import (
	"math"
	"math/bits"
	"time"
)

// The histogram's resolution. A bin is one of 2^subBits equal parts of an
// octave [2^k, 2^(k+1)) nanoseconds: its middle is within 0.8% of any value in
// it.
const (
	subBits   = 6
	minOctave = 10 // 1.02 µs
	maxOctave = 44 // 4.9 h
	binCount  = (maxOctave - minOctave) << subBits
)

// histogram counts durations by size. Those outside 1 µs–4.9 h count as the
// nearest end of that range. The zero value is empty.
type histogram struct {
	n        int64
	min, max time.Duration
	bins     [binCount]int64
}

func (h *histogram) add(d time.Duration) {
	if h.n == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.n++
	h.bins[binOf(d)]++
}

func (h *histogram) merge(other *histogram) {
	if other.n == 0 {
		return
	}
	if h.n == 0 || other.min < h.min {
		h.min = other.min
	}
	h.max = max(h.max, other.max)
	h.n += other.n
	for i, n := range &other.bins {
		h.bins[i] += n
	}
}

// quantile returns the value of rank ceil(q·n), within 0.8%; 0 when empty.
func (h *histogram) quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := min(max(int64(math.Ceil(q*float64(h.n))), 1), h.n)
	bin := 0
	for below := h.bins[0]; below < rank; below += h.bins[bin] {
		bin++
	}
	middle := (edge(bin) + edge(bin+1)) / 2
	return min(max(middle, h.min), h.max)
}

// binOf returns the bin of a duration: the position of its highest bit is the
// octave, the bits below are the part.
func binOf(d time.Duration) int {
	v := uint64(max(d, 1<<minOctave))
	octave := bits.Len64(v) - 1
	part := v >> (octave - subBits) & (1<<subBits - 1)
	return min((octave-minOctave)<<subBits+int(part), binCount-1)
}

// edge returns the lower bound of a bin.
func edge(bin int) time.Duration {
	octave, part := minOctave+bin>>subBits, bin&(1<<subBits-1)
	return time.Duration((1<<subBits + part) << (octave - subBits))
}
