package imports

import (
	"cmp"
	"iter"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// ownLimits is the pool of requests that the gateway refused by its own limits,
// which say nothing about a deployment.
const ownLimits = "(limits of the gateway)"

// slow504 distinguishes a 504 that is a timeout from a faster one that is a fault.
const slow504 = 20 * time.Second

// Observations yields the requests with from ≤ time < to, in the order of
// time; zero is no bound. Every range begins anew. One that is yielded is
// valid until the next step.
func (im *Import) Observations(from, to time.Time) iter.Seq2[*diagnose.Observation, error] {
	return func(yield func(*diagnose.Observation, error) bool) {
		low, high := uint64(0), ^uint64(0)
		if !from.IsZero() {
			low = uint64(max(from.Add(time.Microsecond-1).UnixMicro(), -1) + 1) //nolint:gosec // not negative
		}
		if !to.IsZero() {
			high = uint64(max(to.Add(time.Microsecond-1).UnixMicro(), -1) + 1) //nolint:gosec // not negative
		}
		var all []piece
		var sorted []*piece
		var o diagnose.Observation
		attempts := make([]spillway.Attempt, 1)
		for i := range len(im.cuts) + 1 {
			if i < len(im.cuts) && im.cuts[i] <= low || i > 0 && im.cuts[i-1] >= high {
				continue
			}
			var err error
			if all, err = im.requests.read(i, all); err != nil {
				yield(nil, err)
				return
			}
			sorted = sorted[:0]
			for i := range all {
				if at := all[i].values[factTime]; at >= low && at < high {
					sorted = append(sorted, &all[i])
				}
			}
			slices.SortFunc(sorted, byTime)
			for _, p := range sorted {
				im.observe(p, &o, attempts)
				if !yield(&o, nil) {
					return
				}
			}
		}
	}
}

// observe makes the observation of a request.
func (im *Import) observe(p *piece, o *diagnose.Observation, attempts []spillway.Attempt) {
	at := im.fleet.labels[endpoint{p.get(factAccount), p.get(factDeployment)}]
	span := func(f fact) time.Duration { return time.Duration(max(p.get(f), 0)) * time.Microsecond }
	count := func(f fact) int { return int(max(p.get(f), 0)) }
	*o = diagnose.Observation{
		Time: time.UnixMicro(p.get(factTime)).UTC(), Model: cmp.Or(im.names.name(p.get(factModel)), at.model), Caller: im.names.name(p.get(factCaller)),
		Pool: im.names.name(p.get(factPool)), Stream: p.get(factStream) == 1, Status: count(factStatus), Retry: int(p.get(factRetry)),
		AskTokens: int(p.get(factAsk)), PromptTokens: count(factPrompt), CachedTokens: int(p.get(factCached)), CompletionTokens: count(factCompletion),
		ClientTimeout: span(factTimeout), TTFT: span(factFirst), E2E: span(factTook),
	}
	if im.joined.first == kindService {
		o.Pool = at.name // clients chose it themselves
	}
	a := spillway.Attempt{
		Deployment: at.name, Region: at.region, End: cmp.Or(span(factBackendTook), o.E2E), TTFT: o.TTFT,
		Status: count(factBackendStatus), Tokens: o.CompletionTokens, Utilization: -1,
	}
	if at.provisioned {
		a.Kind = spillway.Provisioned
	}
	if u := p.get(factUtilization); u >= 0 {
		a.Utilization = float64(u) * utilizationUnit
	}
	if n := o.CompletionTokens; n > 1 && a.TTFT > 0 && a.End > a.TTFT {
		o.TBT = (a.End - a.TTFT) / time.Duration(n-1)
	}
	var sent bool
	o.Outcome, a.Class, sent = ended(p, o)
	if o.Outcome == spillway.OutcomeTimeout && a.Status >= 500 {
		a.Status = 408
	}
	if !p.knows(factStatus) {
		a.Status = 200 // tokens were counted
	}
	if attempts[0] = a; sent {
		o.Attempts = attempts[:1]
	}
	if p.limited() {
		o.Pool, o.Model = ownLimits, ownLimits
	}
}

// ended classifies how a request ended and how its attempt failed; sent says
// whether there was an attempt.
func ended(p *piece, o *diagnose.Observation) (outcome spillway.Outcome, class spillway.FailureClass, sent bool) {
	backend, why := p.get(factBackendStatus), reason(max(p.get(factReason), 0))
	sent = backend > 0 || p.get(factBackendTook) > 0 || why == reasonBackend || why == reasonTimeout
	switch s := o.Status; {
	case !p.knows(factStatus):
		return spillway.OutcomeUnknown, 0, true
	case why == reasonGone || s == spillway.StatusClientGone || s == 0 && why == reasonOther:
		return spillway.OutcomeClientGone, spillway.FailureGone, true
	case s == 408 || why == reasonTimeout || s == 504 && o.E2E >= slow504 || s >= 500 && backend == 408:
		return spillway.OutcomeTimeout, 0, true
	case p.limited():
		return spillway.OutcomeThrottled, 0, false
	case s == 429, s >= 500 && backend == 429:
		return spillway.OutcomeThrottled, spillway.FailureRefused, true
	case s >= 500, s == 0:
		return spillway.OutcomeUpstreamError, spillway.FailureBroken, sent
	case s >= 200 && s < 300 && why == reasonBackend:
		return spillway.OutcomePartial, spillway.FailureCut, true
	case s >= 200 && s < 300 && backend >= 500:
		return spillway.OutcomeOK, spillway.FailureBroken, true
	case s >= 200 && s < 300 && o.AskTokens > 0 && o.CompletionTokens == o.AskTokens:
		return spillway.OutcomeOKClientCap, 0, true
	case s >= 200 && s < 300:
		return spillway.OutcomeOK, 0, true
	default:
		return spillway.OutcomeRefusedInvalid, 0, true
	}
}

// limited reports whether a gateway refused the request for limits of its own.
func (p *piece) limited() bool {
	return p.get(factStatus) == 429 && (p.get(factReason) == int64(reasonLimit) || p.get(factBackendStatus) != 429)
}

// Utilization is a sample of a provisioned deployment's own metric.
type Utilization struct {
	Deployment string
	Time       time.Time
	Ratio      float64 // mean of the interval; 1 is all
	Most       float64 // its highest value; the mean where that is unknown
}

// Utilization yields what the metrics say, with from ≤ time < to; zero is no
// bound.
func (im *Import) Utilization(from, to time.Time) iter.Seq[Utilization] {
	return func(yield func(Utilization) bool) {
		for _, s := range im.samples {
			at := time.UnixMicro(s.at).UTC()
			name := im.resolved[s.series]
			if name == "" || !from.IsZero() && at.Before(from) || !to.IsZero() && !at.Before(to) {
				continue
			}
			if !yield(Utilization{name, at, s.ratio, s.most}) {
				return
			}
		}
	}
}
