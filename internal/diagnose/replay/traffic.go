package replay

import (
	"cmp"
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

	calls    []workload.Call // sorted by time, once complete
	observed tally
	// windows are the time limits of requests that were not streamed, by class.
	windows map[string][]time.Duration
	// clientRetries is the most retries of a client, attempts the most attempts
	// of one request.
	clientRetries, attempts int
	// responses are complete ones that were not streamed to the client;
	// withFirstToken are those of them whose time to the first token is known.
	answers, withFirstToken int

	lengths  workload.Lookback
	censored *censored
}

func newTraffic(from time.Time, profiles []diagnose.Profile) *traffic {
	t := &traffic{
		from: from, profiles: map[string]*diagnose.Profile{}, windows: map[string][]time.Duration{}, censored: newCensored(),
	}
	for i := range profiles {
		t.profiles[profiles[i].Name] = &profiles[i]
	}
	return t
}

// add takes one observation, which it does not keep.
func (t *traffic) add(x *diagnose.Observation) {
	t.observed.add(x.Outcome, x.Status, x.CompletionTokens, x.Retry <= 0)
	t.clientRetries, t.attempts = max(t.clientRetries, x.Retry), max(t.attempts, len(x.Attempts))
	if x.Window > 0 && !x.Stream {
		t.windows[x.Class] = append(t.windows[x.Class], x.Window)
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
	call := workload.Call{
		At: x.Time.Sub(t.from), Client: cmp.Or(x.Tenant, x.Caller), Class: x.Class, Model: cmp.Or(x.Pool, x.Model, defaultPool),
		PromptTokens: x.PromptTokens, MaxTokens: max(x.AskTokens, 0), Stream: x.Stream, OutputTokens: t.length(x),
	}
	t.censored.add(x, len(t.calls))
	t.calls = append(t.calls, call)
}

// complete estimates the lengths that need all observations, and sorts the
// calls. Nothing may be added afterwards.
func (t *traffic) complete() {
	t.censored.estimate(t.calls, t.profiles)
	slices.SortStableFunc(t.calls, func(a, b workload.Call) int { return cmp.Compare(a.At, b.At) })
}

// length is the response's, or an estimate where the response was not complete. One
// that ran out of time gets a recent length of its class beyond what its
// deployment writes in that time, or the limit of the request where there is
// none.
func (t *traffic) length(x *diagnose.Observation) int {
	written := x.CompletionTokens
	for _, a := range x.Attempts {
		written = max(written, a.Tokens)
	}
	if x.Late() {
		if p := t.lastProfile(x); p != nil && p.PaceMedian > 0 {
			written = max(written, int((x.E2E-x.Queue-p.FirstMedian)/p.PaceMedian))
		}
	}
	n := t.lengths.Length(x.Class, written, max(x.AskTokens, 0), whole(x))
	if x.Late() && n <= max(written, 1) {
		n = max(n, x.AskTokens)
	}
	return n
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
