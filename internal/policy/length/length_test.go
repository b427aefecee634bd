package length

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

var (
	epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	chat  = Key{Caller: "search", Route: "azure/chat"}
	other = Key{Caller: "mail", Route: "azure/chat"}
)

// of is a key's source, looked up afresh.
func of(m *Model, key Key) *Source {
	s := m.Of(key)
	return &s
}

func observe(m *Model, key Key, n, tokens int) {
	for range n {
		of(m, key).Observe(epoch, tokens)
	}
}

func TestQuantile(t *testing.T) {
	for _, tc := range []struct {
		name   string
		learn  func(*Model)
		q      float64
		tokens int
		n      int
	}{
		{"nothing", func(*Model) {}, 0.9, 0, 0},
		{"own", func(m *Model) { observe(m, chat, 30, 12) }, 0.9, 12, 30},
		{"thin: from all", func(m *Model) { observe(m, other, 100, 9); observe(m, chat, 29, 12) }, 0.5, 9, 129},
		{"enough: own", func(m *Model) { observe(m, other, 100, 9); observe(m, chat, 30, 12) }, 0.5, 12, 30},
		{"empty answers", func(m *Model) { observe(m, chat, 30, 0) }, 0.9, 0, 30},
		{"between", func(m *Model) { observe(m, chat, 50, 4); observe(m, chat, 50, 8) }, 0.5, 4, 100},
		{"above", func(m *Model) { observe(m, chat, 50, 4); observe(m, chat, 50, 8) }, 0.51, 8, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := New(Config{})
			tc.learn(m)
			if got, want := of(m, chat).Quantile(tc.q), (Estimate{Tokens: tc.tokens, Answers: tc.n, Complete: tc.n}); got != want {
				t.Errorf("Quantile(%v) = %+v, want %+v", tc.q, got, want)
			}
		})
	}
}

func TestQuantileAccuracy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.IntRange(0, 200_000), minSamples, 500).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		m := New(Config{})
		for _, v := range values {
			of(m, chat).Observe(epoch, v)
		}
		est := of(m, chat).Quantile(q)
		got, n := est.Tokens, est.Answers
		slices.Sort(values)
		rank := q * float64(len(values))
		low := values[max(int(math.Ceil(rank-1e-9))-1, 0)]
		high := values[min(int(rank+1e-9), len(values)-1)]
		if est.AtLeast || n != len(values) || float64(got) < float64(low)*(1-1.0/8) || float64(got) > float64(high)*(1+1.0/8)+1 {
			t.Fatalf("Quantile(%v) of %d = %d, want %d–%d", q, n, got, low, high)
		}
	})
}

func TestBins(t *testing.T) {
	for tokens := range 1 << 20 {
		bin := binOf(tokens)
		if edge(bin) > tokens || edge(bin+1) <= tokens {
			t.Fatalf("%d tokens are in bucket %d, which is %d–%d", tokens, bin, edge(bin), edge(bin+1))
		}
	}
	if binOf(-5) != 0 || binOf(math.MaxInt) != binCount-1 {
		t.Errorf("out of range: buckets %d and %d", binOf(-5), binOf(math.MaxInt))
	}
}

// TestFollows shows that a thousand new responses outweigh any past, and that
// one long response is forgotten.
func TestFollows(t *testing.T) {
	m := New(Config{})
	observe(m, chat, 100_000, 1000)
	observe(m, chat, 1, 100_000)
	observe(m, chat, 3000, 100)
	if got := of(m, chat).Quantile(0.8); got.Tokens < 94 || got.Tokens > 106 || got.Answers > 1024 {
		t.Errorf("0.8 quantile = %+v, want about 100 of at most 1024", got)
	}
	observe(m, chat, 10_000, 100)
	if got := of(m, chat).Quantile(1); got.Tokens > 106 {
		t.Errorf("longest = %+v, want the answer of 100,000 tokens forgotten", got)
	}
}

func TestHalvingKeepsQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h histogram
		for range fullCount - 1 {
			h.add(int(math.Exp(rapid.Float64Range(0, 13).Draw(t, "log tokens"))))
		}
		before := h
		h.scale(0.5)
		var sum, cumBefore, cumAfter int
		for i := range h.bins {
			sum += int(h.bins[i])
			cumBefore += int(before.bins[i])
			cumAfter += int(h.bins[i])
			if off := cumBefore - 2*cumAfter; off < -1 || off > 0 {
				t.Fatalf("up to bucket %d: %d of %d remain", i, cumAfter, cumBefore)
			}
		}
		if sum != int(h.n) {
			t.Fatalf("n = %d, buckets hold %d", h.n, sum)
		}
	})
}

func TestEstimate(t *testing.T) {
	m := New(Config{})
	for _, tc := range []struct{ bytes, want int }{{0, 0}, {-1, 0}, {1, 1}, {4000, 1000}} {
		if got := of(m, chat).EstimatePrompt(tc.bytes); got != tc.want {
			t.Errorf("knowing nothing: EstimatePrompt(%d) = %d, want %d", tc.bytes, got, tc.want)
		}
	}
	for range 200 {
		of(m, chat).ObservePrompt(epoch, 2000, 1000) // twice the tokens per byte
	}
	if got := of(m, chat).EstimatePrompt(4000); got < 1980 || got > 2000 {
		t.Errorf("after 200 prompts at a half: EstimatePrompt(4000) = %d, want about 2000", got)
	}
	if got := of(m, other).EstimatePrompt(4000); got < 1980 || got > 2000 {
		t.Errorf("an unknown key learns from all: EstimatePrompt(4000) = %d, want about 2000", got)
	}
	of(m, other).ObservePrompt(epoch, 0, 10)
	of(m, other).ObservePrompt(epoch, 10, 0)
	if m.Keys() != 1 {
		t.Errorf("reports without a size made a key")
	}
}

func TestKeysAreBounded(t *testing.T) {
	m := New(Config{MaxKeys: 4})
	key := func(i int) Key { return Key{Caller: fmt.Sprint(i), Route: "r"} }
	for i := range 4 {
		for range 50 {
			of(m, key(i)).Observe(epoch, 10*(i+1))
		}
	}
	late := epoch.Add(30 * time.Minute)
	for range 50 {
		of(m, key(9)).Observe(late, 200)
	}
	if got := of(m, key(9)).Quantile(0.5); got.Answers != 250 || m.Keys() != 4 {
		t.Errorf("with no idle key: answered from %d answers with %d keys, want from all 250 with 4", got.Answers, m.Keys())
	}
	for i := range 3 { // all but key 3 are used
		of(m, key(i)).Observe(late, 10*(i+1))
	}
	later := epoch.Add(time.Hour)
	for range 50 {
		of(m, key(9)).Observe(later, 10)
	}
	if got := of(m, key(9)).Quantile(0.5); got != (Estimate{Tokens: 10, Answers: 50, Complete: 50}) || m.Keys() != 4 {
		t.Errorf("a new key replaces the idle one: %+v with %d keys, want 10 of 50 with 4", got, m.Keys())
	}
	if got := of(m, key(0)).Quantile(0.5); got.Answers != 51 {
		t.Errorf("a key in use has %d answers, want 51", got.Answers)
	}
	if got := of(m, key(3)).Quantile(0.5); got.Answers < 250 {
		t.Errorf("the replaced key is answered from %d answers, want from all", got.Answers)
	}
}

func TestEntryIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size > 704 {
		t.Errorf("an entry takes %d bytes, want at most 704", size)
	}
}

// BenchmarkRequest is what one request asks and teaches.
func BenchmarkRequest(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	m := New(Config{})
	lengths := make([]int, 1024)
	for i := range lengths {
		lengths[i] = int(300 * math.Exp(0.8*r.NormFloat64()))
		of(m, chat).Observe(epoch, lengths[i])
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		s := m.Of(chat)
		s.EstimatePrompt(8000)
		s.Quantile(0.9)
		s.Observe(epoch, lengths[i&1023])
		s.ObservePrompt(epoch, 8000, 2100)
	}
}

func TestNoAllocations(t *testing.T) {
	m := New(Config{})
	of(m, chat).Observe(epoch, 100)
	if n := testing.AllocsPerRun(3000, func() {
		of(m, chat).EstimatePrompt(8000)
		of(m, chat).Quantile(0.9)
		of(m, chat).Observe(epoch, 250)
		of(m, chat).ObserveAtLeast(epoch, 300)
		of(m, chat).ObservePrompt(epoch, 8000, 2100)
	}); n != 0 {
		t.Errorf("%v allocations per request, want 0", n)
	}
}

// A source that is kept follows its key when the place is given to another,
// and when the key comes back.
func TestSourceIsKept(t *testing.T) {
	m := New(Config{MaxKeys: 1})
	first, second := m.Of(chat), m.Of(other)
	first.Observe(epoch, 100)
	second.Observe(epoch, 7) // not remembered: the place is taken
	if m.Keys() != 1 || second.known() != nil {
		t.Errorf("%d keys, the second %v", m.Keys(), second.known())
	}
	second.Observe(epoch.Add(idleAfter), 7)
	if first.known() != nil || second.known() == nil || second.known().lengths.count() != 1 {
		t.Errorf("the place was not given away: %v, %v", first.known(), second.known())
	}
	first.Observe(epoch.Add(2*idleAfter), 100)
	if second.known() != nil || first.known() == nil || first.known().lengths.count() != 1 {
		t.Errorf("the place did not come back: %v, %v", first.known(), second.known())
	}
}
