package stat

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

var stateEpoch = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// learned is a sketch of a minute that has seen traffic for a while.
func learned(seconds int) (*Quantiles, time.Time) {
	rnd := rand.New(rand.NewPCG(1, 2))
	s, now := NewQuantiles(time.Minute), stateEpoch
	for range seconds * 10 {
		now = now.Add(100 * time.Millisecond)
		s.Add(now, 0.01+rnd.ExpFloat64())
	}
	return s, now
}

// A sketch that was kept and taken up again answers as one that lived on
// without values: at once, and while it forgets.
func TestRestoredSketchIsTheOldOne(t *testing.T) {
	for _, seconds := range []int{0, 1, 14, 40, 500} {
		for _, down := range []time.Duration{0, time.Second, 20 * time.Second, 50 * time.Second, time.Hour} {
			old, saved := learned(seconds)
			st := old.State(saved)
			now := saved.Add(down)
			s := NewQuantiles(time.Minute)
			if !s.Restore(now, down, st) {
				t.Fatalf("%d s of traffic: not taken", seconds)
			}
			for step := range 8 {
				at := now.Add(time.Duration(step) * 9 * time.Second)
				if got, want := s.Count(at), old.Count(at); got != want {
					t.Fatalf("%d s of traffic, %v down, after %d steps: %d values, want %d", seconds, down, step, got, want)
				}
				for _, q := range []float64{0.01, 0.5, 0.99} {
					if s, old := quantileOf(s.gens[:], q), quantileOf(old.gens[:], q); s != old {
						t.Errorf("%d s of traffic, %v down, after %d steps: %v at %v, want %v", seconds, down, step, s, q, old)
					}
				}
				if step > 1 { // both learn on alike
					s.Add(at, 3)
					old.Add(at, 3)
				}
			}
		}
	}
}

// A state that no sketch can have is not taken, and changes nothing.
func TestRestoreRefusesNonsense(t *testing.T) {
	gen := func(least, greatest float64, first int, counts ...uint32) []GenerationState {
		return []GenerationState{{least, greatest, first, counts}}
	}
	const span = 15 * time.Second
	bin := sketchScale.Bucket(1) - firstKept
	tests := map[string]QuantilesState{
		"another window":       {Span: time.Second, Generations: gen(1, 1, bin, 1)},
		"no window":            {Generations: gen(1, 1, bin, 1)},
		"time left below zero": {Span: span, Left: -1},
		"five generations":     {Span: span, Generations: make([]GenerationState, 5)},
		"a negative bucket":    {Span: span, Generations: gen(1, 1, -1, 1)},
		"a bucket too far":     {Span: span, Generations: gen(1, 1, sketchScale.Len()-firstKept-1, 1, 1)},
		"a bucket that wraps":  {Span: span, Generations: gen(1, 1, 1<<63-1, 1, 1)},
		"a value elsewhere":    {Span: span, Generations: gen(2, 2, bin, 1)},
		"no least value":       {Span: span, Generations: gen(0, 1, bin, 1)},
		"a negative value":     {Span: span, Generations: gen(-1, 1, bin, 1)},
		"least above greatest": {Span: span, Generations: gen(1.02, 1.01, bin, 1)},
		"an empty end":         {Span: span, Generations: gen(1, 1.04, bin, 1, 0)},
		"a count too large":    {Span: span, Generations: gen(1, 1, bin, 1<<31)},
	}
	for name, st := range tests {
		s := NewQuantiles(time.Minute)
		s.Add(stateEpoch, 7)
		if s.Restore(stateEpoch, 0, st) {
			t.Errorf("%s is taken", name)
		}
		if v, n := s.Quantile(stateEpoch, 1); v != 7 || n != 1 {
			t.Errorf("%s changed the sketch: %v of %d", name, v, n)
		}
	}
	s := NewQuantiles(time.Minute)
	if s.Restore(stateEpoch, -1, QuantilesState{Span: span}) {
		t.Error("a state of the future is taken")
	}
	if !s.Restore(stateEpoch, 0, QuantilesState{Span: span, Left: time.Hour, Generations: gen(1, 1, bin, 1)}) {
		t.Fatal("a state that is good is not taken")
	}
	if n := s.Count(stateEpoch.Add(time.Minute)); n != 0 {
		t.Errorf("%d values stay beyond the window", n)
	}
}

// A file of an earlier build gives the same quantiles. When this fails because
// the resolution has changed, policy.LearnedVersion must change too.
func TestStateKeepsItsMeaning(t *testing.T) {
	data, err := os.ReadFile("testdata/quantiles.json")
	if err != nil {
		t.Fatal(err)
	}
	var st QuantilesState
	if err := json.Unmarshal(data, &st); err != nil {
		t.Fatal(err)
	}
	s := NewQuantiles(time.Minute)
	if !s.Restore(stateEpoch, 0, st) {
		t.Fatal("not taken")
	}
	for q, want := range map[float64]float64{0.5: 2, 1: 4} {
		if v, n := s.Quantile(stateEpoch, q); n != 4 || v < want || v > want*33/32 {
			t.Errorf("%v at %v of %d values, want %v", v, q, n, want)
		}
	}
}
