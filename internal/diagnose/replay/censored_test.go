package replay

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// Responses of two kinds, of which the long ones often run out of time: what is
// guessed of those that nobody saw has their mean and spread.
func TestCensoredLengths(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	d := &diagnose.Profile{Name: "ptu", FirstMedian: 300 * time.Millisecond, PaceMedian: 8200 * time.Microsecond, PaceSigma: 0.56}
	c := newCensored()
	var calls []workload.Call
	var truth []float64
	const window = time.Minute
	for range 20_000 {
		tokens, ask := 50+rng.IntN(200), 4096
		if rng.IntN(4) == 0 {
			tokens, ask = 3000+rng.IntN(5000), 16384
		}
		pace := float64(d.PaceMedian) * math.Exp(d.PaceSigma*rng.NormFloat64())
		kind := requestKind{"sync", ask}
		if float64(d.FirstMedian)+pace*float64(tokens) <= float64(window) {
			c.lengths[kind] = append(c.lengths[kind], tokens)
		} else {
			truth = append(truth, float64(tokens))
			k := timeoutKind{kind, d.Name, window}
			c.timeouts[k] = append(c.timeouts[k], len(calls))
		}
		calls = append(calls, workload.Call{MaxTokens: ask, OutputTokens: ask}) // what is known without a guess
	}
	c.estimate(calls, map[string]*diagnose.Profile{d.Name: d})
	var guess []float64
	for _, indices := range c.timeouts {
		for _, i := range indices {
			guess = append(guess, float64(calls[i].OutputTokens))
		}
	}
	for _, q := range []float64{0.1, 0.5, 0.9} {
		if a, b := at(truth, q), at(guess, q); math.Abs(a-b) > 0.06*a {
			t.Errorf("quantile %v of %d lengths is %v, guessed %v", q, len(truth), a, b)
		}
	}
}

func at(values []float64, q float64) float64 {
	slices.Sort(values)
	return values[int(q*float64(len(values)-1))]
}

// Where complete responses cannot explain what ran out of time, the calls keep
// what they asked for.
func TestCensoredWithoutAnExplanation(t *testing.T) {
	d := &diagnose.Profile{Name: "ptu", FirstMedian: 300 * time.Millisecond, PaceMedian: 8 * time.Millisecond, PaceSigma: 0.5}
	c := newCensored()
	kind := requestKind{"sync", 16384}
	c.lengths[kind] = slices.Repeat([]int{100}, 500)
	calls := make([]workload.Call, 50)
	for i := range calls {
		calls[i].OutputTokens = 16384
		c.timeouts[timeoutKind{kind, "ptu", time.Minute}] = append(c.timeouts[timeoutKind{kind, "ptu", time.Minute}], i)
	}
	c.estimate(calls, map[string]*diagnose.Profile{d.Name: d})
	for i := range calls {
		if calls[i].OutputTokens != 16384 {
			t.Fatalf("call %d was given %d tokens", i, calls[i].OutputTokens)
		}
	}
}
