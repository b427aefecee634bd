package replay

import (
	"cmp"
	"math"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// traffic is what observations say of the calls to replay, and of the policy
// under which they were served.
type traffic struct {
	from     time.Time
	profiles map[string]*diagnose.Profile // by deployment

	calls    []workload.Call
	observed tally
	// windows are the time limits of requests that were not streamed, by class.
	windows map[string][]time.Duration
	// clientRetries is the most retries of a client, attempts the most attempts
	// of one request.
	clientRetries, attempts int
	// responses are complete ones that were not streamed to the client;
	// withFirstToken are those of them whose time to the first token is known.
	answers, withFirstToken int

	// direct says that no gateway of ours served them. cutOff are the times after
	// which the service ended requests, and left those after which clients did.
	direct       bool
	cutOff, left []time.Duration

	guessed  map[int]int // calls whose length is only sure not to fit, with that length
	lengths  workload.Lookback
	censored *censored
}

func newTraffic(o *Options) *traffic {
	profiles := o.Profiles
	t := &traffic{
		from: o.From, direct: o.Direct, profiles: map[string]*diagnose.Profile{}, windows: map[string][]time.Duration{}, guessed: map[int]int{}, censored: newCensored(),
	}
	for i := range profiles {
		t.profiles[profiles[i].Name] = &profiles[i]
	}
	return t
}

// add takes one observation, which it does not keep.
func (t *traffic) add(x *diagnose.Observation) {
	t.observed.add(x.Outcome, x.Status, received(x), x.Retry <= 0)
	t.clientRetries, t.attempts = max(t.clientRetries, x.Retry), max(t.attempts, len(x.Attempts))
	if x.Window > 0 && !x.Stream {
		t.windows[x.Class] = append(t.windows[x.Class], x.Window)
	}
	switch x.Outcome {
	case spillway.OutcomeTimeout:
		t.cutOff = append(t.cutOff, x.E2E)
	case spillway.OutcomeClientGone:
		t.left = append(t.left, x.E2E)
	}
	if x.Outcome == spillway.OutcomeOK && !x.Stream {
		t.answers++
		if x.TTFT > 0 {
			t.withFirstToken++
		}
	}
	if x.Retry > 0 {
		return // the simulated client retries by itself
	}
	n, guess := t.length(x)
	if guess {
		t.guessed[len(t.calls)] = n
	}
	call := workload.Call{
		At: x.Time.Sub(t.from), Client: cmp.Or(x.Tenant, x.Caller), Class: x.Class, Model: cmp.Or(x.Pool, x.Model, defaultPool),
		PromptTokens: x.PromptTokens, MaxTokens: max(x.AskTokens, 0), Stream: x.Stream, OutputTokens: n,
	}
	t.censored.add(x, len(t.calls))
	t.calls = append(t.calls, call)
}

// received is how many tokens the client got.
func received(x *diagnose.Observation) int {
	if x.Status != 200 {
		return 0
	}
	return x.CompletionTokens
}

// complete estimates the lengths that need all observations. Nothing may be added
// afterwards.
func (t *traffic) complete() {
	t.censored.estimate(t.calls, t.profiles)
	if _, alike := middle(t.left); !alike || !t.direct {
		t.observed.gone = 0 // the simulated client does not leave for reasons of its own
	}
}

// with returns the calls in order, those whose length is a guess so many times as
// long, within their limits.
func (t *traffic) with(factor float64) []workload.Call {
	calls := slices.Clone(t.calls)
	for i, n := range t.guessed {
		c := &calls[i]
		if c.OutputTokens != n {
			continue // complete has an estimate
		}
		c.OutputTokens = int(factor * float64(c.OutputTokens))
		if c.MaxTokens > 0 {
			c.OutputTokens = min(c.OutputTokens, c.MaxTokens)
		}
	}
	slices.SortStableFunc(calls, func(a, b workload.Call) int { return cmp.Compare(a.At, b.At) })
	return calls
}

// length is the response's, or an estimate where the response was not complete. One
// that ran out of time gets a recent length of its class beyond what its
// deployment writes in that time, or where there is none a length that is sure not to
// fit, within the limit of the request, which is a guess.
func (t *traffic) length(x *diagnose.Observation) (tokens int, guess bool) {
	written := x.CompletionTokens
	for _, a := range x.Attempts {
		written = max(written, a.Tokens)
	}
	if unfinished(x) {
		if p := t.lastProfile(x); p != nil && p.PaceMedian > 0 {
			written = max(written, int((x.E2E-x.Queue-p.FirstMedian)/p.PaceMedian))
		}
	}
	n := t.lengths.Length(x.Class, written, max(x.AskTokens, 0), whole(x))
	if !unfinished(x) || n > max(written, 1) {
		return n, false
	}
	n = max(n, t.beyond(x, written))
	if x.AskTokens > 0 {
		n = min(n, x.AskTokens)
	}
	return n, true
}

// beyond is a length that runs out of time where that much was written at the
// deployment's median pace, at nearly any of its paces. How much longer the response
// would have been is not known.
func (t *traffic) beyond(x *diagnose.Observation, written int) int {
	const leastSigma = 0.05
	p := t.lastProfile(x)
	if p == nil || p.PaceMedian <= 0 {
		return max(written, x.AskTokens)
	}
	return int(float64(written) * math.Exp(2*max(p.PaceSigma, leastSigma)))
}

// unfinished reports whether the response could have been longer than the time that
// it got: the time ran out, or the client left.
func unfinished(x *diagnose.Observation) bool {
	return x.Late() || x.Outcome == spillway.OutcomeClientGone
}

// whole reports whether the response has the length that the model chose or the
// client asked for.
func whole(x *diagnose.Observation) bool {
	return x.Outcome == spillway.OutcomeOK || x.Outcome == spillway.OutcomeOKClientCap
}

// lastProfile is of the deployment of the last attempt; nil where there is
// none.
func (t *traffic) lastProfile(x *diagnose.Observation) *diagnose.Profile {
	if len(x.Attempts) == 0 {
		return nil
	}
	return t.profiles[x.Attempts[len(x.Attempts)-1].Deployment]
}
