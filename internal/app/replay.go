package app

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/policy/admit"
)

const (
	// replayTries bounds the traffic that is replayed: the part in which most
	// failed.
	replayTries = 60_000
	// elsewhere is the deployment that a remedy adds.
	elsewhere = "standard-elsewhere"
	// unread is what prompts cost in a replay: what it takes to read them is in
	// the learned time to the first token.
	unread = 1e9
	// queueLength and queueWait are those of the remedy that lets requests wait.
	queueLength = 1024
	queueWait   = 15 * time.Second
)

// replay serves the traffic again, as it was and under remedies.
type replay struct {
	ctx      context.Context
	o        Diagnosis
	served   []diagnose.Served
	from, to time.Time

	calls    []workload.Call
	observed tally
	classes  map[string]*replayClass
	retries  int // most that a client made
	attempts int // most that one request made
	// answers are complete ones that were not streamed to their client, heard
	// those of them whose first token was.
	answers, heard int
	lengths        workload.Lookback
	unseen         *unseen
}

// replayClass is what a class of traffic showed of its windows.
type replayClass struct{ windows []time.Duration }

// tally counts how tries ended.
type tally struct{ tries, calls, timeout, cut, refused, truncated, failed, tokens, generated int }

func (t *tally) add(outcome spillway.Outcome, status, tokens int, first, last bool) {
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
	switch status {
	case 408:
		t.timeout++
	case 429:
		t.refused++
	}
	if last && status != 200 {
		t.failed++
	}
}

func (t *tally) rates() diagnose.Rates {
	share := func(n, of int) float64 { return float64(n) / float64(max(of, 1)) }
	return diagnose.Rates{
		Timeout: share(t.timeout, t.tries), Cut: share(t.cut, t.tries), Refused: share(t.refused, t.tries),
		Truncated: share(t.truncated, t.tries), Failed: share(t.failed, t.calls), TokensPerCall: share(t.tokens, t.calls), Generated: share(t.generated, t.calls),
	}
}

// read gathers the calls that are to be replayed.
func (r *replay) read(all Observations) error {
	r.classes, r.unseen = map[string]*replayClass{}, newUnseen()
	from, to := r.from, r.to
	if from.Before(r.o.From) {
		from = r.o.From
	}
	if !r.o.To.IsZero() && to.After(r.o.To) {
		to = r.o.To
	}
	for x, err := range all(from, to) {
		if err != nil {
			return err
		}
		r.observed.add(x.Outcome, x.Status, x.CompletionTokens, x.Retry <= 0, true)
		r.retries, r.attempts = max(r.retries, x.Retry), max(r.attempts, len(x.Attempts))
		if x.Window > 0 && !x.Stream {
			c := r.classes[x.Class]
			if c == nil {
				c = &replayClass{}
				r.classes[x.Class] = c
			}
			c.windows = append(c.windows, x.Window)
		}
		if x.Outcome == spillway.OutcomeOK && !x.Stream {
			r.answers++
			if x.TTFT > 0 {
				r.heard++
			}
		}
		if x.Retry > 0 {
			continue
		}
		call := workload.Call{
			At: x.Time.Sub(r.from), Client: cmp.Or(x.Tenant, x.Caller), Class: x.Class, Model: r.pool(x),
			PromptTokens: x.PromptTokens, MaxTokens: max(x.AskTokens, 0), Stream: x.Stream, OutputTokens: r.length(x),
		}
		r.note(x, len(r.calls))
		r.calls = append(r.calls, call)
	}
	r.unseen.resolve(r.calls, r.deployment)
	slices.SortStableFunc(r.calls, func(a, b workload.Call) int { return cmp.Compare(a.At, b.At) })
	return r.ctx.Err()
}

// pool is the name by which a call finds its pool.
func (r *replay) pool(x *diagnose.Observation) string { return cmp.Or(x.Pool, x.Model, "chat") }

// length is that of the answer, or what it may have been: of one that ran out
// of time a recent length beyond what its deployment writes meanwhile, or what
// it asked for where there is none.
func (r *replay) length(x *diagnose.Observation) int {
	seen := x.CompletionTokens
	for _, a := range x.Attempts {
		seen = max(seen, a.Tokens)
	}
	whole := x.Outcome == spillway.OutcomeOK || x.Outcome == spillway.OutcomeOKClientCap
	late := x.Outcome == spillway.OutcomeTimeout || x.Outcome == spillway.OutcomeTruncatedDeadline
	if d := r.last(x); late && d != nil && d.PaceMedian > 0 {
		seen = max(seen, int((x.E2E-x.Queue-d.FirstMedian)/d.PaceMedian))
	}
	n := r.lengths.Length(x.Class, seen, max(x.AskTokens, 0), whole)
	if late && n == seen {
		n = max(n, x.AskTokens)
	}
	return n
}

// note remembers what tells of the lengths of answers that nobody saw.
func (r *replay) note(x *diagnose.Observation, index int) {
	kind := kindOfCall{x.Class, x.AskTokens}
	switch {
	case x.Outcome == spillway.OutcomeOK || x.Outcome == spillway.OutcomeOKClientCap:
		r.unseen.whole[kind] = append(r.unseen.whole[kind], x.CompletionTokens)
	case x.Outcome == spillway.OutcomeTimeout && x.CompletionTokens == 0 && len(x.Attempts) > 0:
		last := x.Attempts[len(x.Attempts)-1]
		if last.Tokens == 0 {
			k := lateKind{kind, last.Deployment, (x.E2E - last.Start).Round(time.Second)}
			r.unseen.late[k] = append(r.unseen.late[k], index)
		}
	}
}

// last is the deployment of the last attempt.
func (r *replay) last(x *diagnose.Observation) *diagnose.Served {
	if len(x.Attempts) == 0 {
		return nil
	}
	return r.deployment(x.Attempts[len(x.Attempts)-1].Deployment)
}

// deployment is the one of that name; nil for none.
func (r *replay) deployment(name string) *diagnose.Served {
	for i := range r.served {
		if r.served[i].Name == name {
			return &r.served[i]
		}
	}
	return nil
}

// predict puts the replay and the remedies' effects into the diagnosis.
func (r *replay) predict(d *diagnose.Diagnosis) error {
	base, ok := r.base()
	if !ok || len(r.calls) == 0 {
		return nil
	}
	now, err := r.run(base, r.calls)
	if err != nil {
		return err
	}
	d.Replay = diagnose.NewReplay(r.from, r.to, len(r.calls), r.observed.rates(), now)
	if !d.Replay.Reproduced {
		return nil
	}
	d.Predict(func(f *diagnose.Finding) *diagnose.Effect {
		if err != nil {
			return nil
		}
		next, calls, possible := r.remedied(&f.Remedy)
		if !possible {
			return nil
		}
		var then diagnose.Rates
		if then, err = r.run(next, calls); err != nil {
			return nil
		}
		return diagnose.NewEffect(&f.Remedy, len(r.calls), now, then)
	})
	return err
}

// run serves the calls once.
func (r *replay) run(cfg whatif.Config, calls []workload.Call) (diagnose.Rates, error) {
	var t tally
	cfg.Seed, cfg.Fleet.Seed = 1, 1
	cfg.Start = r.from
	cfg.OnTry = func(x *report.Try) {
		t.add(x.Outcome, x.Status, x.UsefulTokens, x.Retry == 0, true)
		t.generated += x.CompletionTokens
	}
	cfg.OnProgress = func(time.Duration) bool { return r.ctx.Err() == nil }
	if _, err := whatif.Run(cfg, workload.Slice(calls)); err != nil {
		return diagnose.Rates{}, err
	}
	return t.rates(), nil
}

// base is the fleet as it has shown itself, under the policy that is in force;
// false where too little is known.
func (r *replay) base() (whatif.Config, bool) {
	var cfg whatif.Config
	for _, s := range r.served {
		cfg.Fleet.Deployments = append(cfg.Fleet.Deployments, modelOf(s))
	}
	if len(cfg.Fleet.Deployments) == 0 {
		return cfg, false
	}
	cfg.Client = fleet.OpenAISDK()
	cfg.Client.Retries = r.retries
	if r.o.Config == nil || r.o.Direct {
		cfg.Policy = r.inferred()
		return cfg, true
	}
	p, err := Policy("as served", r.o.Config)
	if err != nil {
		return cfg, false
	}
	for _, pool := range p.Pools {
		for _, d := range pool.Deployments {
			if !slices.ContainsFunc(cfg.Fleet.Deployments, func(x fleet.Deployment) bool { return x.Name == d.Name }) {
				cfg.Fleet.Deployments = append(cfg.Fleet.Deployments, fleet.Deployment{Deployment: d}) // at the usual speed
			}
		}
	}
	cfg.Policy = p
	return cfg, true
}

// modelOf is a deployment of the model that is like the one that was seen.
func modelOf(s diagnose.Served) fleet.Deployment {
	d := fleet.Deployment{Deployment: s.Known, ChunkTokens: 1} // the wait for a first chunk is in the TTFT that was measured
	if d.Name == "" {
		d.Deployment = spillway.Deployment{Name: s.Name, Model: s.Model, Region: s.Region, Kind: s.Kind}
	}
	if d.Kind == spillway.Provisioned && d.PTU == 0 {
		d.PTU, d.InputTPMPerPTU = max(1, int(math.Ceil(s.WorkPerSecond))), 60 // a PTU is one token per second
	}
	if d.Kind == spillway.Standard && s.Known.Name == "" {
		d.TPM = int(s.TokensPerMinute)
	}
	d.Service = fleet.Service{
		TTFT: s.FirstMedian, TTFTSigma: math.Max(s.FirstSigma, 0.01), PrefillTokensPerSecond: unread,
		TBTMean: time.Duration(float64(s.PaceMedian) * math.Exp(s.PaceSigma*s.PaceSigma/2)), TBTSigma: math.Max(s.PaceSigma, 0.01),
		Load: fleet.LoadCurve{Linear: 1e-9}, // what load did is in what was measured
	}
	return d
}

// inferred is the policy that the observations show: their pools and tiers,
// their windows, and no budget.
func (r *replay) inferred() whatif.Policy {
	p := whatif.Policy{Name: "as served", Classes: map[string]*spillway.Class{}}
	pools := map[string]*policy.Config{}
	for _, s := range r.served {
		name := cmp.Or(s.Pool, s.Model, "chat")
		pool := pools[name]
		if pool == nil {
			pool = &policy.Config{Pool: spillway.Pool{Name: name}}
			if pool.Retry.MaxAttempts = max(r.attempts, 1); r.attempts <= 1 {
				pool.Retry.Ratio, pool.Retry.MinPerSecond = -1, -1
			}
			if r.o.Direct {
				pool.Queue = admit.Config{MaxLength: -1}
				pool.Pool.SpillAt = math.MaxFloat64
			}
			pools[name] = pool
		}
		for len(pool.Pool.Tiers) <= s.Tier {
			pool.Pool.Tiers = append(pool.Pool.Tiers, nil)
		}
		pool.Pool.Tiers[s.Tier] = append(pool.Pool.Tiers[s.Tier], s.Name)
		pool.Deployments = append(pool.Deployments, modelOf(s).Deployment)
	}
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		pool := pools[name]
		pool.Pool.Tiers = slices.DeleteFunc(pool.Pool.Tiers, func(names []string) bool { return len(names) == 0 })
		p.Pools = append(p.Pools, *pool)
	}
	p.Default = r.class("sync", nil)
	for name, c := range r.classes {
		p.Classes[name] = r.class(name, c.windows)
	}
	return p
}

// class is one without a budget, with the usual of the windows.
func (r *replay) class(name string, windows []time.Duration) *spillway.Class {
	c := &spillway.Class{Name: name, Window: time.Minute, Budget: spillway.BudgetRule{Mode: spillway.BudgetObserve}}
	if 2*r.heard < r.answers { // the gateway did not ask for streams, or there was none
		c.Sync = spillway.SyncPass
	}
	if len(windows) > 0 {
		slices.Sort(windows)
		c.Window = windows[len(windows)/2]
	}
	return c
}
