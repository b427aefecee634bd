package replay

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// censored estimates the lengths of responses that ran out of time before a
// client or the gateway saw any token. They are censored observations, drawn
// from the lengths of complete responses to similar requests: where a share p of
// the responses of some length runs out of time, there are p/(1−p) of them for
// each complete one.
type censored struct {
	lengths  map[requestKind][]int // of complete responses, in tokens
	timeouts map[timeoutKind][]int // indices of calls
}

// requestKind is what is known of a request before its response.
type requestKind struct {
	class string
	limit int // output tokens asked for
}

// timeoutKind are requests that ran out of time under the same conditions.
type timeoutKind struct {
	requestKind
	deployment string
	window     time.Duration // in whole seconds
}

func newCensored() *censored {
	return &censored{lengths: map[requestKind][]int{}, timeouts: map[timeoutKind][]int{}}
}

// add takes the observation of the call with that index.
func (c *censored) add(x *diagnose.Observation, index int) {
	kind := requestKind{x.Class, x.AskTokens}
	switch {
	case whole(x):
		c.lengths[kind] = append(c.lengths[kind], x.CompletionTokens)
	case (x.Outcome == spillway.OutcomeTimeout || x.Outcome == spillway.OutcomeClientGone) && x.CompletionTokens == 0 && len(x.Attempts) > 0:
		if last := x.Attempts[len(x.Attempts)-1]; last.Tokens == 0 {
			k := timeoutKind{kind, last.Deployment, (x.E2E - last.Start).Round(time.Second)}
			c.timeouts[k] = append(c.timeouts[k], index)
		}
	}
}

// timeoutOdds is how many responses of a length run out of a window for each one
// that does not, at the speed of a deployment.
func timeoutOdds(tokens int, window time.Duration, p *diagnose.Profile) float64 {
	const (
		most     = 50 // more complete responses than that are needed to learn from one
		minSigma = 0.05
	)
	left := float64(window - p.FirstMedian)
	if left <= 0 || tokens <= 0 || p.PaceMedian <= 0 {
		return 0
	}
	z := math.Log(left/float64(tokens)/float64(p.PaceMedian)) / math.Max(p.PaceSigma, minSigma)
	late := 0.5 * math.Erfc(z/math.Sqrt2)
	return math.Min(late/math.Max(1-late, 1e-9), most)
}

// estimate sets the output tokens of the calls that ran out of time. Where the
// complete responses cannot explain that many timeouts, the other calls keep the
// length that they have.
func (c *censored) estimate(calls []workload.Call, profiles map[string]*diagnose.Profile) {
	kinds := make([]timeoutKind, 0, len(c.timeouts))
	timeouts := map[requestKind]int{}
	for k, indices := range c.timeouts {
		kinds = append(kinds, k)
		timeouts[k.requestKind] += len(indices)
	}
	slices.SortFunc(kinds, func(a, b timeoutKind) int { return c.timeouts[a][0] - c.timeouts[b][0] })
	rng := rand.New(rand.NewPCG(1, uint64(len(calls))))
	for _, k := range kinds {
		p := profiles[k.deployment]
		if p == nil {
			continue
		}
		lengths := c.lengths[k.requestKind]
		cumulative := make([]float64, len(lengths))
		sum := 0.0 // timeouts that the complete responses explain
		for i, n := range lengths {
			sum += timeoutOdds(n, k.window, p)
			cumulative[i] = sum
		}
		for _, index := range c.timeouts[k] {
			if sum > 0 && rng.Float64()*float64(timeouts[k.requestKind]) < sum {
				i := sort.SearchFloat64s(cumulative, rng.Float64()*sum)
				calls[index].OutputTokens = lengths[min(i, len(lengths)-1)]
			}
		}
	}
}
