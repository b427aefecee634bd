package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The scales in use: of learned speeds, of latencies in nanoseconds, of whole
// numbers, and of short-lived surveys.
var scales = map[string]Scale{
	"sketch":  sketchScale,
	"latency": {Bits: 6, Low: 10, High: 44},
	"tokens":  {Bits: 11, Low: 11, High: 27},
	"lengths": {Bits: 3, Low: 3, High: 20},
	"survey":  {Bits: 6, Low: -14, High: 34},
}

func TestScaleBuckets(t *testing.T) {
	for name, s := range scales {
		for bucket := range s.Len() {
			from, to := s.Lower(bucket), s.Lower(bucket+1)
			if s.Bucket(from) != bucket || s.Bucket(math.Nextafter(to, 0)) != bucket {
				t.Fatalf("%s: bucket %d is %v to %v, which are in %d and %d", name, bucket, from, to, s.Bucket(from), s.Bucket(math.Nextafter(to, 0)))
			}
			if width, low := (to-from)*exp2(s.Bits), exp2(s.Low); width > max(from, low) {
				t.Fatalf("%s: bucket %d from %v to %v is too wide", name, bucket, from, to)
			}
		}
		if s.Lower(0) != 0 || s.Lower(s.Len()) != math.Ldexp(1, s.High) {
			t.Errorf("%s: buckets are from %v to %v", name, s.Lower(0), s.Lower(s.Len()))
		}
		for v, want := range map[float64]int{math.Inf(-1): 0, -1: 0, math.NaN(): 0, 5e-324: 0, math.MaxFloat64: s.Len() - 1, math.Inf(1): s.Len() - 1} {
			if got := s.Bucket(v); got != want {
				t.Errorf("%s: %v is in bucket %d, want %d", name, v, got, want)
			}
		}
	}
}

// rankRange returns the numbers of rank q·n: two where it is between them.
func rankRange(sorted []float64, q float64) (low, high float64) {
	rank := q * float64(len(sorted))
	return sorted[max(int(math.Ceil(rank-1e-9))-1, 0)], sorted[min(int(rank+1e-9), len(sorted)-1)]
}

func TestHistogramAccuracy(t *testing.T) {
	for name, s := range scales {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				logs := rapid.SliceOfN(rapid.Float64Range(float64(s.Low), float64(s.High)), 1, 400).Draw(t, "logs")
				q := rapid.Float64Range(0, 1).Draw(t, "q")
				h, values := NewHistogram(s), make([]float64, len(logs))
				for i, l := range logs {
					values[i] = math.Exp2(l)
					h.Add(values[i])
				}
				slices.Sort(values)
				low, high := rankRange(values, q)
				bound := 1 / exp2(s.Bits)
				if got := h.Quantile(q); got < low*(1-bound) || got > high*(1+bound) {
					t.Fatalf("Quantile(%v) of %d values = %v, want %v–%v", q, len(values), got, low, high)
				}
			})
		})
	}
}

func TestHistogramWholeNumbers(t *testing.T) {
	for _, name := range []string{"tokens", "lengths"} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := scales[name]
				numbers := rapid.SliceOfN(rapid.IntRange(0, 1<<rapid.IntRange(1, s.High).Draw(t, "bits")), 1, 400).Draw(t, "numbers")
				q := rapid.Float64Range(0, 1).Draw(t, "q")
				h, values := NewHistogram(s), make([]float64, len(numbers))
				for i, n := range numbers {
					values[i] = float64(n)
					h.Add(values[i])
				}
				slices.Sort(values)
				low, high := rankRange(values, q)
				bound := 1 / exp2(s.Bits)
				if high < exp2(s.Bits+1) {
					bound = 0
				}
				if got := float64(h.WholeQuantile(q)); got < low*(1-bound) || got > high*(1+bound) {
					t.Fatalf("WholeQuantile(%v) of %d numbers = %v, want %v–%v", q, len(numbers), got, low, high)
				}
			})
		})
	}
	h := NewHistogram(scales["tokens"])
	for v := 1; v <= 1000; v++ {
		h.AddN(float64(v), 2)
	}
	for q, want := range map[float64]int{-1: 1, 0: 1, 0.5: 500, 0.99: 990, 1: 1000, 2: 1000} {
		if got := h.WholeQuantile(q); got != want || h.Count() != 2000 {
			t.Errorf("quantile %v of %d: got=%d, want=%d", q, h.Count(), got, want)
		}
	}
}

func TestHistogramBeyondItsRange(t *testing.T) {
	h := NewHistogram(scales["latency"])
	if h.Quantile(0.5) != 0 || h.WholeQuantile(0.5) != 0 || h.Max() != 0 {
		t.Error("an empty histogram has a quantile")
	}
	for _, v := range []float64{-1e9, 0, 1, 1000, 3.6e15, math.MaxInt64} {
		h.Add(v)
	}
	if got := h.Quantile(0.1); got < -1e9 || got > 16 {
		t.Errorf("least: %v", got)
	}
	if got := h.Quantile(1); got != math.Ldexp(1, 44) || h.Max() != math.MaxInt64 {
		t.Errorf("greatest: %v, exactly %v", got, h.Max())
	}
}

// Merged histograms are the one that was given everything.
func TestHistogramMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := scales["survey"]
		parts, all := [3]Histogram{NewHistogram(s), NewHistogram(s), NewHistogram(s)}, NewHistogram(s)
		for range rapid.IntRange(0, 50).Draw(t, "n") {
			v := rapid.Float64Range(1e-6, 1e6).Draw(t, "v")
			parts[rapid.IntRange(0, 2).Draw(t, "part")].Add(v)
			all.Add(v)
		}
		sum := NewHistogram(s)
		for i := range parts {
			sum.Merge(&parts[i])
		}
		if !slices.Equal(sum.counts, all.counts) || sum.n != all.n || sum.lo != all.lo || sum.hi != all.hi || sum.min != all.min || sum.max != all.max {
			t.Fatalf("merged %+v, want %+v", sum, all)
		}
		sum.Clear()
		if sum.Count() != 0 || sum.Max() != 0 || slices.Max(sum.counts) != 0 {
			t.Fatal("a cleared histogram holds numbers")
		}
	})
}

func TestHistogramRefusesToMergeScales(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("histograms of different scales were merged")
		}
	}()
	a, b := NewHistogram(scales["survey"]), NewHistogram(scales["latency"])
	a.Merge(&b)
}

func TestHistogramDoesNotAllocate(t *testing.T) {
	h := NewHistogram(sketchScale)
	v := 1e-6
	if n := testing.AllocsPerRun(1000, func() {
		v *= 1.02
		h.Add(v)
		h.Quantile(0.99)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkHistogramAdd(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 4096)
	for i := range values {
		values[i] = math.Round(logNormal(r, 900, 1))
	}
	for name, s := range scales {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			h, i := NewHistogram(s), 0
			for b.Loop() {
				i++
				h.Add(values[i&4095])
			}
		})
	}
}
