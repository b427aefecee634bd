package stat

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWindow(t *testing.T) {
	w := NewWindow(10*time.Second, 10)
	for _, step := range []struct {
		at   time.Duration
		add  float64
		want float64
	}{
		{0, 1, 1},
		{500 * time.Millisecond, 2, 3},
		{9 * time.Second, 4, 7},
		{8 * time.Second, 8, 15},   // slightly late: still in the span
		{10 * time.Second, 0, 12},  // the first bucket leaves
		{-time.Second, 16, 12},     // before everything: not counted
		{18 * time.Second, 0, 4},   // 9 s is in, 8 s is out
		{19 * time.Second, 0, 0},   // all out
		{time.Hour, 32, 32},        // a long pause
		{59 * time.Minute, 64, 32}, // too late
	} {
		w.Add(at(step.at), step.add)
		if got := w.Sum(at(step.at)); got != step.want {
			t.Errorf("at %v after adding %v: Sum = %v, want %v", step.at, step.add, got, step.want)
		}
	}
}

// TestWindowAgainstList compares with the plain definition: a sample counts
// while fewer than `buckets` bucket widths lie between its bucket and now's.
func TestWindowAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		buckets := rapid.IntRange(1, 12).Draw(t, "buckets")
		w := NewWindow(time.Duration(buckets)*time.Second, buckets)
		w.Add(epoch, 0) // bucket 0 starts here
		type sample struct {
			bucket int
			n      float64
		}
		var all []sample
		now, head := 0, 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = max(now+rapid.IntRange(-2, 4).Draw(t, "step"), 0)
			n := float64(rapid.IntRange(0, 9).Draw(t, "n"))
			head = max(head, now)
			w.Add(at(time.Duration(now)*time.Second), n)
			all = append(all, sample{now, n})
			want := 0.0
			for i, s := range all {
				// A sample that was already out of the span when it came is out.
				late := 0
				for _, earlier := range all[:i+1] {
					late = max(late, earlier.bucket)
				}
				if s.bucket > late-buckets && s.bucket > head-buckets {
					want += s.n
				}
			}
			if got := w.Sum(at(time.Duration(now) * time.Second)); got != want {
				t.Fatalf("at %d: Sum = %v, want %v", now, got, want)
			}
		}
	})
}

func BenchmarkWindow(b *testing.B) {
	w := NewWindow(10*time.Second, 20)
	now := epoch
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		w.Add(now, 1)
		w.Sum(now)
	}
}
