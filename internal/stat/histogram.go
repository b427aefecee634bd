package stat

import "math"

// Scale divides the numbers from 0 to 2^High into log-linear buckets. An
// octave is [2^k, 2^(k+1)): those from 2^Low on have 2^Bits buckets of equal
// width each, so a bucket is at most 1/2^Bits of its values wide. Below 2^Low
// there are 2^Bits buckets as wide as those of the first octave.
//
// With Low = Bits, the whole numbers below 2^(Bits+1) have a bucket each.
type Scale struct{ Bits, Low, High int }

// Len returns the number of buckets.
func (s Scale) Len() int { return (s.High - s.Low + 1) << s.Bits }

// Bucket returns the bucket of v. Numbers below 0, and NaN, are in the first
// one; numbers from 2^High on are in the last.
func (s Scale) Bucket(v float64) int {
	if !(v > 0) {
		return 0
	}
	// The exponent and the highest bits of the mantissa count buckets.
	bucket := int(math.Float64bits(v)>>((52-s.Bits)&63)) - (1022+s.Low)<<(s.Bits&63)
	if bucket < 1<<(s.Bits&63) {
		return int(v * exp2(s.Bits-s.Low))
	}
	return min(bucket, s.Len()-1)
}

// Lower returns the lower bound of a bucket, which is in it. The upper bound
// is the lower bound of the next.
func (s Scale) Lower(bucket int) float64 {
	if bucket < 1<<s.Bits {
		return float64(bucket) * exp2(s.Low-s.Bits)
	}
	return math.Float64frombits(uint64(bucket+(1022+s.Low)<<s.Bits) << (52 - s.Bits))
}

// exp2 is 2^k, for a k that a normal number can have.
func exp2(k int) float64 { return math.Float64frombits(uint64(1023+k) << 52) }

// Histogram counts numbers by the buckets of a Scale, up to 2^32-1 in each. It
// takes 4 bytes for each bucket and allocates only in NewHistogram.
type Histogram struct {
	scale    Scale
	n        int
	lo, hi   int // buckets in use
	min, max float64
	counts   []uint32

	// What Scale.Bucket computes: it takes a fifth of the time of Add.
	shift, first, linear int
}

// NewHistogram returns an empty histogram.
func NewHistogram(s Scale) Histogram {
	return Histogram{
		scale: s, counts: make([]uint32, s.Len()),
		shift: 52 - s.Bits, first: (1022 + s.Low) << s.Bits, linear: 1 << s.Bits,
	}
}

// Add counts v, which must not be NaN.
func (h *Histogram) Add(v float64) { h.AddN(v, 1) }

// AddN counts v n times.
func (h *Histogram) AddN(v float64, n uint32) {
	// As Scale.Bucket for a number that is between 2^Low and 2^High.
	bucket := int(math.Float64bits(v)>>(h.shift&63)) - h.first
	if uint(bucket) >= uint(len(h.counts)) || bucket < h.linear {
		bucket = h.scale.Bucket(v)
	}
	if h.n == 0 {
		h.lo, h.hi, h.min, h.max = bucket, bucket, v, v
	}
	h.lo, h.hi = min(h.lo, bucket), max(h.hi, bucket)
	if v < h.min {
		h.min = v
	} else if v > h.max {
		h.max = v
	}
	h.n += int(n)
	h.counts[bucket] += n
}

// Merge adds what o has counted; both must have the same scale.
func (h *Histogram) Merge(o *Histogram) {
	if h.scale != o.scale {
		panic("stat: histograms of different scales cannot be merged")
	}
	if o.n == 0 {
		return
	}
	if h.n == 0 {
		h.lo, h.hi, h.min, h.max = o.lo, o.hi, o.min, o.max
	}
	h.lo, h.hi = min(h.lo, o.lo), max(h.hi, o.hi)
	h.min, h.max = min(h.min, o.min), max(h.max, o.max)
	h.n += o.n
	for i := o.lo; i <= o.hi; i++ {
		h.counts[i] += o.counts[i]
	}
}

// Clear empties the histogram.
func (h *Histogram) Clear() {
	if h.n > 0 {
		clear(h.counts[h.lo : h.hi+1])
	}
	h.n, h.lo, h.hi, h.min, h.max = 0, 0, 0, 0, 0
}

// Count returns how many numbers were counted.
func (h *Histogram) Count() int { return h.n }

// Max returns the greatest number, exactly; 0 without any.
func (h *Histogram) Max() float64 { return h.max }

// Scale returns how the histogram divides numbers.
func (h *Histogram) Scale() Scale { return h.scale }

// In returns how many numbers are in a bucket.
func (h *Histogram) In(bucket int) int { return int(h.counts[bucket]) }

// Quantile returns the q-quantile (0–1), interpolated within its bucket, and 0
// without numbers. From 2^Low to 2^High it is within 1/2^Bits of the numbers
// whose rank is q·n; below, within 2^(Low-Bits).
func (h *Histogram) Quantile(q float64) float64 { return quantileOf([]Histogram{*h}, q) }

// WholeQuantile is Quantile for a histogram of whole numbers whose Scale has
// Low ≥ Bits: the least number of the bucket, so it is exact where a bucket
// holds only one, and at most 1/2^Bits too low elsewhere. The greatest number
// is exact.
func (h *Histogram) WholeQuantile(q float64) int {
	if h.n == 0 {
		return 0
	}
	if q*float64(h.n) > float64(h.n-1) {
		return int(h.max)
	}
	bucket, _ := find([]Histogram{*h}, q)
	return int(max(h.scale.Lower(bucket), h.min))
}

// quantileOf returns the q-quantile of all numbers together in histograms of
// one scale.
func quantileOf(hs []Histogram, q float64) float64 {
	least, most := math.Inf(1), math.Inf(-1)
	for i := range hs {
		if h := &hs[i]; h.n > 0 {
			least, most = min(least, h.min), max(most, h.max)
		}
	}
	if least > most {
		return 0
	}
	bucket, part := find(hs, q)
	from, to := hs[0].scale.Lower(bucket), hs[0].scale.Lower(bucket+1)
	return min(max(from+(to-from)*part, least), most)
}

// find returns the bucket that holds rank q·n of all numbers together, and the
// part of the bucket's numbers that are up to that rank. It searches from the
// nearer end. There must be a number.
func find(hs []Histogram, q float64) (bucket int, part float64) {
	n, lo, hi := 0, math.MaxInt, -1
	for i := range hs {
		if h := &hs[i]; h.n > 0 {
			n += h.n
			lo, hi = min(lo, h.lo), max(hi, h.hi)
		}
	}
	rank := min(max(q, 0), 1) * float64(n)
	below, count := n, 0
	if q >= 0.5 {
		for bucket = hi; ; bucket-- {
			count = sumIn(hs, bucket)
			below -= count
			if bucket == lo || count > 0 && float64(below) < rank {
				break
			}
		}
	} else {
		for bucket, below = lo, 0; ; bucket++ {
			count = sumIn(hs, bucket)
			if bucket == hi || count > 0 && float64(below+count) >= rank {
				break
			}
			below += count
		}
	}
	return bucket, (rank - float64(below)) / float64(count)
}

// sumIn returns how many numbers of all the histograms are in a bucket.
func sumIn(hs []Histogram, bucket int) int {
	n := 0
	for i := range hs {
		n += int(hs[i].counts[bucket])
	}
	return n
}
