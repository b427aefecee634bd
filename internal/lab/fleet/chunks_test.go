package fleet

import (
	"math"
	"testing"
	"time"
)

// A response's chunks follow each other without a gap or an empty one, whatever
// their mean size, and what is released at any token agrees with them.
func TestChunks(t *testing.T) {
	for _, tc := range []struct {
		chunkTokens, visible, hidden int
		least, most                  int // tokens of a chunk that is not the last
	}{
		{1, 400, 0, 1, 1},
		{2, 400, 0, 1, 3},
		{3, 401, 64, 1, 5},
		{8, 3, 0, 4, 12},
		{20, 4000, 0, 10, 30},
		{20, 4000, 128, 10, 30},
		{1000, 600, 0, 500, 1500},
	} {
		d := standard(0, 0)
		d.ChunkTokens, d.Reasoning = tc.chunkTokens, tc.hidden > 0
		s := NewServer(d, 3, start)
		for seed := uint64(1); seed <= 20; seed++ {
			p := s.Offer(start, Ask{OutputTokens: tc.visible, ReasoningTokens: tc.hidden, Stream: true, Seed: seed}).Plan
			total := tc.visible + tc.hidden
			for n := 0; n < total; {
				next := p.NextRelease(n)
				size := next - max(n, tc.hidden)
				if next < total && (size < tc.least || size > tc.most) || next == total && size < 1 || next > total {
					t.Fatalf("%+v, seed %d: a chunk of %d tokens ends at %d", tc, seed, size, next)
				}
				for i := n; i < next; i++ {
					if got := p.Released(i); got != min(i, max(n, tc.hidden)) {
						t.Fatalf("%+v, seed %d: %d of %d tokens are released, want %d", tc, seed, got, i, n)
					}
				}
				if n == 0 && p.FirstChunk() != p.At(next) {
					t.Fatalf("%+v, seed %d: first chunk at %v, want %v", tc, seed, p.FirstChunk(), p.At(next))
				}
				n = next
			}
			if p.Released(total) != total {
				t.Fatalf("%+v, seed %d: %d of %d tokens at the end", tc, seed, p.Released(total), total)
			}
		}
	}
}

// The mean size is what is configured, and sizes differ.
func TestChunkSizes(t *testing.T) {
	s := NewServer(standard(0, 0), 3, start)
	p := s.Offer(start, Ask{OutputTokens: 16_000, Stream: true}).Plan
	sizes, chunks := map[int]int{}, 0
	for n := 0; n < p.OutputTokens; chunks++ {
		next := p.NextRelease(n)
		sizes[next-n]++
		n = next
	}
	if mean := 16_000 / float64(chunks); math.Abs(mean-defaultChunkTokens) > 0.1 || len(sizes) < 15 {
		t.Errorf("%d chunks of %.2f tokens on average, of the sizes %v", chunks, mean, sizes)
	}
}

// Chunks change neither how fast tokens are generated nor how many there are,
// and a longer wait for the first of them is all that a client sees of it.
func TestChunksChangeNoPace(t *testing.T) {
	single, batches := standard(0, 0), standard(0, 0)
	single.ChunkTokens = 1
	for seed := uint64(1); seed <= 20; seed++ {
		ask := Ask{OutputTokens: 300, Stream: true, Seed: seed}
		a := NewServer(single, 1, start).Offer(start, ask).Plan
		b := NewServer(batches, 1, start).Offer(start, ask).Plan
		if a.FirstChunk() != a.TTFT || a.TTFT != b.TTFT || a.End != b.End || a.At(17) != b.At(17) {
			t.Errorf("seed %d: single %+v, batches %+v", seed, a, b)
		}
		if wait := (b.FirstChunk() - b.TTFT).Seconds() / b.TBT.Seconds(); wait < 14 || wait > 25 {
			t.Errorf("seed %d: the first chunk waits for %.1f tokens", seed, wait)
		}
	}
}

// Where there is no text, the first chunk is the end.
func TestNoText(t *testing.T) {
	d := standard(0, 0)
	d.Reasoning = true
	for _, ask := range []Ask{
		{Prefill: true}, {OutputTokens: 0}, {OutputTokens: 70, ReasoningTokens: 30, MaxTokens: 20},
	} {
		ask.Stream = true
		if p := NewServer(d, 1, start).Offer(start, ask).Plan; p.FirstChunk() != p.End || p.End <= 0 {
			t.Errorf("%+v: first chunk at %v, end at %v", ask, p.FirstChunk(), p.End)
		}
	}
}

func TestNegativeChunkTokens(t *testing.T) {
	d := standard(0, 0)
	d.ChunkTokens = -1
	if _, err := New(Config{Deployments: []Deployment{d}}, time.Time{}); err == nil {
		t.Error("a mean of -1 tokens is accepted")
	}
}
