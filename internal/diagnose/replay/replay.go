package replay

import (
	"iter"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// MaxTries bounds the traffic of a replay: it serves the part of the time in
// which most tries failed.
const MaxTries = 60_000

// Options say what is replayed.
type Options struct {
	// From and To bound the time of the observations.
	From, To time.Time
	// Profiles are the deployments.
	Profiles []diagnose.Profile
	// Policy is the one in force; nil infers it from the observations. It has to
	// be nil where clients called the deployments without this gateway.
	Policy *whatif.Policy
	// Direct says that clients called the deployments without this gateway.
	Direct bool
	// Stop ends the replay with whatif.ErrStopped once it returns true; nil never
	// does.
	Stop func() bool
}

// Predict replays the traffic of the observations and adds to d the comparison
// with what was observed and the effects of the remedies. It adds nothing where
// no call or no deployment is known, and no effect where the replay does not
// reproduce the observed rates.
func Predict(d *diagnose.Diagnosis, o Options, observations iter.Seq2[*diagnose.Observation, error]) error {
	t := newTraffic(&o)
	for x, err := range observations {
		if err != nil {
			return err
		}
		t.add(x)
	}
	t.complete()
	if len(t.calls) == 0 || len(o.Profiles) == 0 {
		return nil
	}
	all, err := o.reproduce(d, t)
	if err != nil || len(all) == 0 {
		return err
	}
	d.Predict(func(f *diagnose.Finding) *diagnose.Effect {
		outcomes := make([]diagnose.Outcome, len(all))
		for i := range all {
			if err != nil {
				return nil
			}
			next, calls := o.apply(&f.Remedy, all[i].cfg, all[i].calls)
			outcomes[i].Now = all[i].now
			outcomes[i].Then, err = o.serve(next, calls)
		}
		if err != nil {
			return nil
		}
		return diagnose.NewEffect(&f.Remedy, len(t.calls), outcomes)
	})
	return err
}

// way is one way that the traffic may have gone, and what it came to.
type way struct {
	cfg   whatif.Config
	calls []workload.Call
	now   diagnose.Rates
}

// beyondFactors are how much longer than sure to run out of time responses were that
// nobody saw the end of. Each is replayed with random numbers of its own.
func beyondFactors() []float64 { return []float64{1, 1.5, 3} }

// reproduce replays the traffic in several ways and returns those that come to what
// was observed, the first of which is in d: none if that one does not.
func (o *Options) reproduce(d *diagnose.Diagnosis, t *traffic) ([]way, error) {
	var all []way
	for i, factor := range beyondFactors() {
		w := way{cfg: o.simulation(t), calls: t.with(factor)}
		w.cfg.Seed, w.cfg.Fleet.Seed = w.cfg.Seed+uint64(i), w.cfg.Fleet.Seed+uint64(i)
		var err error
		if w.now, err = o.serve(w.cfg, w.calls); err != nil {
			return nil, err
		}
		r := diagnose.NewReplay(o.From, o.To, len(w.calls), t.observed.rates(), w.now)
		if i == 0 {
			d.Replay = r
		}
		switch {
		case r.Reproduced:
			all = append(all, w)
		case i == 0:
			return nil, nil
		}
	}
	return all, nil
}

// serve runs the simulation once and returns how its tries ended.
func (o *Options) serve(cfg whatif.Config, calls []workload.Call) (diagnose.Rates, error) {
	var t tally
	cfg.OnTry = func(x *report.Try) {
		t.add(x.Outcome, x.Status, x.UsefulTokens, x.Retry == 0)
		t.generated += x.CompletionTokens
	}
	cfg.OnProgress = func(time.Duration) bool { return o.Stop == nil || !o.Stop() }
	if _, err := whatif.Run(cfg, workload.Slice(calls)); err != nil {
		return diagnose.Rates{}, err
	}
	return t.rates(), nil
}

// tally counts how tries ended.
type tally struct{ tries, calls, timeout, cut, gone, refused, truncated, failed, tokens, generated int }

// add counts a try whose client got tokens; first says that it began a call.
func (t *tally) add(outcome spillway.Outcome, status, tokens int, first bool) {
	t.tries++
	t.tokens += tokens
	if first {
		t.calls++
	}
	switch outcome {
	case spillway.OutcomeTruncatedBudget:
		t.truncated++
	case spillway.OutcomeTruncatedDeadline:
		t.cut++
	}
	switch {
	case outcome == spillway.OutcomeClientGone:
		t.gone++
	case status == 408 || outcome == spillway.OutcomeTimeout: // which a gateway may answer with 500 or 504
		t.timeout++
	case status == 429:
		t.refused++
	}
	if status != 200 {
		t.failed++
	}
}

// rates are shares of the tries, and failures and tokens per call.
func (t *tally) rates() diagnose.Rates {
	retries := t.tries - t.calls // each follows a try of the same call that failed
	share := func(n, of int) float64 { return float64(n) / float64(max(of, 1)) }
	return diagnose.Rates{
		Timeout: share(t.timeout, t.tries), Cut: share(t.cut, t.tries), Gone: share(t.gone, t.tries), Refused: share(t.refused, t.tries),
		Truncated: share(t.truncated, t.tries), Failed: share(max(t.failed-retries, 0), t.calls),
		TokensPerCall: share(t.tokens, t.calls), Generated: share(t.generated, t.calls),
	}
}
