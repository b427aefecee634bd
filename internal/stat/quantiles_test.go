package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQuantilesFewValues(t *testing.T) {
	for _, tc := range []struct {
		name   string
		values []float64
		q      float64
		want   float64
		n      int
	}{
		{"empty", nil, 0.5, 0, 0},
		{"one value is exact", []float64{0.0304}, 0.99, 0.0304, 1},
		{"least", []float64{3, 1, 2}, 0, 1, 3},
		{"most", []float64{3, 1, 2}, 1, 3, 3},
		{"not counted", []float64{0, -1, math.NaN(), math.Inf(1), 5}, 0.5, 5, 1},
		{"beyond the range", []float64{1e-9, 1e12}, 1, 1 << 24, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := NewQuantiles(0)
			for _, v := range tc.values {
				s.Add(epoch, v)
			}
			if v, n := s.Quantile(epoch, tc.q); v != tc.want || n != tc.n {
				t.Errorf("Quantile(%v) = %v, %d, want %v, %d", tc.q, v, n, tc.want, tc.n)
			}
		})
	}
}

// TestQuantilesAccuracy compares with the sorted values. The rank may be one
// off, the value by a bucket.
func TestQuantilesAccuracy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(1e-5, 1e6), 1, 400).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		s := NewQuantiles(0)
		for _, v := range values {
			s.Add(epoch, v)
		}
		got, n := s.Quantile(epoch, q)
		slices.Sort(values)
		rank := q * float64(len(values))
		low := values[max(int(math.Ceil(rank-1e-9))-1, 0)]
		high := values[min(int(rank+1e-9), len(values)-1)]
		if n != len(values) || got < low*(1-1.0/32) || got > high*(1+1.0/32) {
			t.Fatalf("Quantile(%v) of %d values = %v, want %v–%v", q, n, got, low, high)
		}
	})
}

func TestQuantilesForget(t *testing.T) {
	s := NewQuantiles(8 * time.Minute)
	for i := range 480 {
		s.Add(at(time.Duration(i)*time.Second), 1)
	}
	for _, tc := range []struct {
		at time.Duration
		n  int
	}{
		{8*time.Minute - 1, 480},
		{8 * time.Minute, 360}, // the oldest quarter goes at once
		{12 * time.Minute, 120},
		{14*time.Minute - 1, 120},
		{14 * time.Minute, 0},
	} {
		if got := s.Count(at(tc.at)); got != tc.n {
			t.Errorf("at %v: Count = %d, want %d", tc.at, got, tc.n)
		}
	}
	s.Add(at(time.Hour), 3)
	if v, n := s.Quantile(at(time.Hour-time.Minute), 0.5); v != 3 || n != 1 {
		t.Errorf("after a pause and slightly backwards: %v, %d, want 3, 1", v, n)
	}
}

func TestQuantilesRememberedAnswerFollows(t *testing.T) {
	s := NewQuantiles(0)
	for range 100 {
		s.Add(epoch, 1)
	}
	s.Quantile(epoch, 0.5)
	for range 1000 {
		s.Add(epoch, 9)
	}
	if v, _ := s.Quantile(epoch, 0.5); v < 8.7 {
		t.Errorf("median = %v after 1000 of 1100 values are 9", v)
	}
}

func TestQuantilesRememberedAnswerIsForgotten(t *testing.T) {
	s := NewQuantiles(10 * time.Minute)
	for range 1000 {
		s.Add(epoch, 9)
	}
	for range 100 {
		s.Add(at(5*time.Minute), 1)
	}
	for _, tc := range []struct {
		at   time.Duration
		want float64
	}{{5 * time.Minute, 9}, {11 * time.Minute, 1}} {
		if v, _ := s.Quantile(at(tc.at), 0.5); v != tc.want {
			t.Errorf("at %v: median = %v, want %v", tc.at, v, tc.want)
		}
	}
}

func TestQuantilesManyQuestions(t *testing.T) {
	s := NewQuantiles(0)
	for range 100 {
		s.Add(epoch, 1)
	}
	for range 1000 {
		s.Add(epoch, 9)
	}
	// More questions than are remembered still get their own answers.
	for i := range 12 {
		q := float64(i) / 11
		if v, _ := s.Quantile(epoch, q); (v > 5) != (q > 0.1) {
			t.Errorf("Quantile(%v) = %v", q, v)
		}
	}
}

func logNormal(r *rand.Rand, mean, sigma float64) float64 {
	return mean * math.Exp(sigma*r.NormFloat64()-sigma*sigma/2)
}

// BenchmarkQuantiles is the hot path: one sample, four remembered answers.
func BenchmarkQuantiles(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 4096)
	for i := range values {
		values[i] = logNormal(r, 0.0096, 0.56)
	}
	s := NewQuantiles(0)
	for _, v := range values {
		s.Add(epoch, v)
	}
	b.Run("add", func(b *testing.B) {
		b.ReportAllocs()
		now, i := epoch, 0
		for b.Loop() {
			now = now.Add(time.Millisecond)
			i++
			s.Add(now, values[i&4095])
		}
	})
	b.Run("query", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Quantile(epoch, 0.99)
		}
	})
	b.Run("compute", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			quantileOf(s.gens[:], 0.99)
		}
	})
	b.Run("add+query", func(b *testing.B) {
		b.ReportAllocs()
		now, i := epoch.Add(time.Hour), 0
		for b.Loop() {
			now = now.Add(time.Millisecond)
			i++
			s.Add(now, values[i&4095])
			s.Quantile(now, 0.99)
			s.Quantile(now, 0.01)
		}
	})
}
