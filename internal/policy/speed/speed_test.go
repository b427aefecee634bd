package speed

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// lognormal draws a mean TBT with the given mean and log-sigma.
func lognormal(r *rand.Rand, mean time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(mean) * math.Exp(sigma*r.NormFloat64()-sigma*sigma/2))
}

// feed observes n responses, evenly spread over a span, and returns its end.
func feed(m *Model, r *rand.Rand, from time.Time, span time.Duration, mean time.Duration) time.Time {
	const n = 6000
	for i := range n {
		m.ObserveTBT(from.Add(span*time.Duration(i)/n), 0.3, lognormal(r, mean, 0.56), 400)
	}
	return from.Add(span)
}

func near(t *testing.T, what string, got, want time.Duration, tolerance float64) {
	t.Helper()
	if math.Abs(float64(got)/float64(want)-1) > tolerance {
		t.Errorf("%s = %v, want %v ±%v%%", what, got, want, tolerance*100)
	}
}

// TestBudgetOfAMinute is the case that motivates the quantile of per-response
// means: what reads as 104 tokens/s on average is 33 tokens/s for one response in
// a hundred, which is 1,955 tokens in a minute.
func TestBudgetOfAMinute(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	m := New(Config{}, 33)
	now := feed(m, r, epoch, 8*time.Minute, 9600*time.Microsecond)
	tbt := m.TBT(now, 0.3, 0.99)
	near(t, "TBT", tbt, 30400*time.Microsecond, 0.06)
	left := time.Minute - 300*time.Millisecond - 250*time.Millisecond // TTFT and margin
	if tokens := int(left / tbt); tokens < 1840 || tokens > 2080 {
		t.Errorf("budget = %d tokens, want about 1955", tokens)
	}
}

func TestFollowsAShift(t *testing.T) {
	for _, tc := range []struct {
		name    string
		factor  float64
		partial time.Duration // into the new speed, and what is seen by then
		atLeast float64
	}{
		{"slower shows within a minute", 2, time.Minute, 1.3},
		{"faster shows when the slow answers are forgotten", 0.5, 10 * time.Minute, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(2, 2))
			m := New(Config{}, 33)
			now := feed(m, r, epoch, 10*time.Minute, 9600*time.Microsecond)
			before := m.TBT(now, 0.3, 0.99)
			_, fastBefore := m.Fastest(now)
			mean := time.Duration(9600*tc.factor) * time.Microsecond

			const n = 6000
			for i := range n {
				at := now.Add(10 * time.Minute * time.Duration(i) / n)
				m.ObserveTBT(at, 0.3, lognormal(r, mean, 0.56), 400)
				if at.Sub(now) == tc.partial {
					if got := float64(m.TBT(at, 0.3, 0.99)) / float64(before); got < tc.atLeast {
						t.Errorf("after %v: %.2f times as slow, want %.2f at least", tc.partial, got, tc.atLeast)
					}
				}
			}
			end := now.Add(10 * time.Minute)
			want := time.Duration(float64(before) * tc.factor)
			near(t, "0.99 quantile after one decay window", m.TBT(end, 0.3, 0.99), want, 0.12)
			_, fast := m.Fastest(end)
			near(t, "fastest after one decay window", fast, time.Duration(float64(fastBefore)*tc.factor), 0.12)
		})
	}
}

func TestThinData(t *testing.T) {
	const contract = 40 * time.Millisecond // 25 tokens/s
	for _, tc := range []struct {
		name       string
		n          int
		seen       time.Duration
		want, fast time.Duration
	}{
		{"nothing", 0, 0, contract, FastestTBT},
		{"few and fast: the contract", 299, 10 * time.Millisecond, contract, FastestTBT},
		{"few and slow: as seen", 299, 80 * time.Millisecond, 80 * time.Millisecond, FastestTBT},
		{"few and very fast: fastest is as seen", 5, time.Millisecond, contract, time.Millisecond},
		{"enough: as seen", 300, 10 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond},
		{"enough and slow: as seen", 300, 80 * time.Millisecond, 80 * time.Millisecond, 80 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := New(Config{}, 25)
			for range tc.n {
				m.ObserveTBT(epoch, 0.2, tc.seen, 100)
			}
			if got := m.TBT(epoch, 0.2, 0.99); got != tc.want {
				t.Errorf("TBT = %v, want %v", got, tc.want)
			}
			if _, got := m.Fastest(epoch); got != tc.fast {
				t.Errorf("Fastest TBT = %v, want %v", got, tc.fast)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	m := New(Config{}, 0)
	if got := m.TTFT(epoch, 0, 0.99); got != DefaultTTFT {
		t.Errorf("TTFT = %v, want %v", got, DefaultTTFT)
	}
	if got, _ := m.Fastest(epoch); got != FastestTTFT {
		t.Errorf("Fastest TTFT = %v, want %v", got, FastestTTFT)
	}
	near(t, "TBT", m.TBT(epoch, 0, 0.99), time.Second/33, 0.001)
}

func TestBands(t *testing.T) {
	m := New(Config{MinSamples: 10}, 33)
	for range 100 {
		m.ObserveTTFT(epoch, 0.2, 100*time.Millisecond)
	}
	for range 10 {
		m.ObserveTTFT(epoch, 0.9, 900*time.Millisecond)
	}
	for range 9 {
		m.ObserveTTFT(epoch, 0.5, 500*time.Millisecond)
	}
	for _, tc := range []struct {
		load float64
		want time.Duration
	}{
		{0, 100 * time.Millisecond},
		{0.49, 100 * time.Millisecond},
		{0.8, 900 * time.Millisecond},
		{1.2, 900 * time.Millisecond},
		{0.6, 900 * time.Millisecond}, // thin: all bands
	} {
		near(t, "TTFT", m.TTFT(epoch, tc.load, 0.99), tc.want, 0.032)
	}
}

func TestShortAnswersTeachNothing(t *testing.T) {
	m := New(Config{MinSamples: 1}, 50)
	m.ObserveTBT(epoch, 0, time.Second, 14)
	if got := m.TBT(epoch, 0, 0.99); got != 20*time.Millisecond {
		t.Errorf("after 14 tokens: TBT = %v, want the contract's 20ms", got)
	}
	m.ObserveTBT(epoch, 0, time.Second, 15)
	if got := m.TBT(epoch, 0, 0.99); got != time.Second {
		t.Errorf("after 15 tokens: TBT = %v, want 1s", got)
	}
}

// BenchmarkRequest is what one request asks and teaches.
func BenchmarkRequest(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 3))
	m := New(Config{}, 33)
	now := feed(m, r, epoch, 8*time.Minute, 9600*time.Microsecond)
	b.Run("ask", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.TTFT(now, 0.3, 0.99)
			m.TBT(now, 0.3, 0.99)
			m.Fastest(now)
		}
	})
	b.Run("teach", func(b *testing.B) {
		b.ReportAllocs()
		at := now
		for b.Loop() {
			at = at.Add(time.Millisecond)
			m.ObserveTTFT(at, 0.3, 300*time.Millisecond)
			m.ObserveTBT(at, 0.3, 10*time.Millisecond, 400)
		}
	})
	b.Run("ask and teach", func(b *testing.B) {
		b.ReportAllocs()
		at := now.Add(time.Hour)
		for b.Loop() {
			at = at.Add(time.Millisecond)
			m.ObserveTTFT(at, 0.3, 300*time.Millisecond)
			m.ObserveTBT(at, 0.3, 10*time.Millisecond, 400)
			m.TTFT(at, 0.3, 0.99)
			m.TBT(at, 0.3, 0.99)
			m.Fastest(at)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	m := New(Config{}, 33)
	now := epoch
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Second)
		m.ObserveTTFT(now, 0.3, 300*time.Millisecond)
		m.ObserveTBT(now, 0.3, 10*time.Millisecond, 400)
		m.TBT(now, 0.3, 0.99)
		m.Fastest(now)
	}); n != 0 {
		t.Errorf("%v allocations per request, want 0", n)
	}
}
