package replay

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/policy/admit"
)

const (
	// defaultPool is the pool of observations that name neither pool nor model.
	defaultPool = "chat"
	// instantPrefill is the prefill speed of the model, in tokens per second: the
	// time to read prompts is part of the measured time to the first token.
	instantPrefill = 1e9
	// minSigma keeps the spread of a model's speed above zero.
	minSigma = 0.01
)

// simulation is the fleet as the profiles show it, under the policy in force.
func (o *Options) simulation(t *traffic) whatif.Config {
	cfg := whatif.Config{Client: fleet.OpenAISDK(), Seed: 1, Start: o.From}
	cfg.Fleet.Seed = 1
	cfg.Client.Retries = t.clientRetries
	window := time.Duration(0)
	if o.Direct {
		cfg.Client.IgnoresHints = true // no gateway gives any
		window = t.limits(&cfg.Client)
	}
	known := map[string]bool{}
	for i := range o.Profiles {
		d := deployment(&o.Profiles[i])
		d.CompletionWindow = window
		known[d.Name] = true
		cfg.Fleet.Deployments = append(cfg.Fleet.Deployments, d)
	}
	if o.Policy == nil {
		cfg.Policy = o.inferredPolicy(t)
		return cfg
	}
	cfg.Policy = *o.Policy
	for _, pool := range cfg.Policy.Pools {
		for _, d := range pool.Deployments {
			if !known[d.Name] { // it got no traffic: it has the usual speed
				known[d.Name] = true
				cfg.Fleet.Deployments = append(cfg.Fleet.Deployments, fleet.Deployment{Deployment: d})
			}
		}
	}
	return cfg
}

// deployment models a deployment that performs as the profile does.
func deployment(p *diagnose.Profile) fleet.Deployment {
	d := fleet.Deployment{Deployment: p.Known, ChunkTokens: 1} // the wait for a first chunk is in the measured TTFT
	if d.Name == "" {
		d.Deployment = spillway.Deployment{Name: p.Name, Model: p.Model, Region: p.Region, Kind: p.Kind}
	}
	if d.Kind == spillway.Provisioned && d.PTU == 0 {
		d.PTU, d.InputTPMPerPTU = max(1, int(math.Ceil(p.WorkPerSecond))), 60 // one token per second and PTU
	}
	if d.Kind == spillway.Standard && p.Known.Name == "" {
		d.TPM = int(p.TokensPerMinute)
	}
	d.Service = fleet.Service{
		TTFT: p.FirstMedian, TTFTSigma: math.Max(p.FirstSigma, minSigma), PrefillTokensPerSecond: instantPrefill,
		TBTMean:  time.Duration(float64(p.PaceMedian) * math.Exp(p.PaceSigma*p.PaceSigma/2)), // of a log-normal distribution
		TBTSigma: math.Max(p.PaceSigma, minSigma),
		Load:     fleet.LoadCurve{Linear: 1e-9}, // the measured speeds include the effect of load
	}
	return d
}

// inferredPolicy has the pools and tiers that the profiles show, the windows
// that the observations show, and no budget.
func (o *Options) inferredPolicy(t *traffic) whatif.Policy {
	p := whatif.Policy{Name: "as served", Classes: map[string]*spillway.Class{}}
	pools := map[string]*policy.Config{}
	for i := range o.Profiles {
		s := &o.Profiles[i]
		name := cmp.Or(s.Pool, s.Model, defaultPool)
		if pools[name] == nil {
			pools[name] = o.emptyPool(name, t.attempts)
		}
		pool := pools[name]
		for len(pool.Pool.Tiers) <= s.Tier {
			pool.Pool.Tiers = append(pool.Pool.Tiers, nil)
		}
		pool.Pool.Tiers[s.Tier] = append(pool.Pool.Tiers[s.Tier], s.Name)
		pool.Deployments = append(pool.Deployments, deployment(s).Deployment)
	}
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		pool := pools[name]
		pool.Pool.Tiers = slices.DeleteFunc(pool.Pool.Tiers, func(names []string) bool { return len(names) == 0 })
		p.Pools = append(p.Pools, *pool)
	}
	p.Default = t.class("sync", nil)
	for name, windows := range t.windows {
		p.Classes[name] = t.class(name, windows)
	}
	return p
}

// emptyPool is a pool without deployments that makes at most that many attempts
// per request. Without a gateway it neither queues nor spills.
func (o *Options) emptyPool(name string, attempts int) *policy.Config {
	pool := &policy.Config{Pool: spillway.Pool{Name: name}}
	if pool.Retry.MaxAttempts = max(attempts, 1); attempts <= 1 {
		pool.Retry.Ratio, pool.Retry.MinPerSecond = -1, -1
	}
	if o.Direct {
		pool.Queue = admit.Config{MaxLength: -1}
		pool.Pool.SpillAt = math.MaxFloat64
	}
	return pool
}

// unlimited is a service's window where it cuts nothing off.
const unlimited = 24 * time.Hour

// limits sets how long clients wait, where those that left did so after the same
// time, and returns after which time the service cuts requests off: the usual one
// (0) unless it is to be seen.
func (t *traffic) limits(client *fleet.Client) (window time.Duration) {
	if patience, alike := middle(t.left); alike {
		client.Timeout, window = patience, unlimited
	}
	if cut, alike := middle(t.cutOff); alike {
		window = cut
	}
	return window
}

// middle is the median of some times, and whether there are enough of them and most
// are within a twentieth of it.
func middle(all []time.Duration) (median time.Duration, alike bool) {
	const enough = 5
	if len(all) < enough {
		return 0, false
	}
	slices.Sort(all)
	median = all[len(all)/2]
	near := 0
	for _, d := range all {
		if (d - median).Abs() <= median/20 {
			near++
		}
	}
	return median, 2*near > len(all)
}

// class is a class without a budget whose window is the median of windows, or
// a minute where there is none. Requests are passed on without streaming where
// the time to the first token of most responses is unknown, or what ran out of time
// mostly gave clients nothing: then the deployments were not asked for streams.
// Without a gateway there is no window but the service's own, and nothing is streamed
// that the client does not ask for.
func (t *traffic) class(name string, windows []time.Duration) *spillway.Class {
	c := &spillway.Class{Name: name, Window: time.Minute, Budget: spillway.BudgetRule{Mode: spillway.BudgetObserve}}
	if t.direct {
		c.Window, c.Sync = 0, spillway.SyncPass
		return c
	}
	if 2*t.withFirstToken < t.answers || t.observed.timeout > t.observed.cut {
		c.Sync = spillway.SyncPass
	}
	if len(windows) > 0 {
		sorted := slices.Sorted(slices.Values(windows))
		c.Window = sorted[len(sorted)/2]
	}
	return c
}
