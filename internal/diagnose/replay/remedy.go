package replay

import (
	"maps"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/policy/admit"
)

const (
	// addedDeployment is the standard deployment that the remedy Spill adds.
	addedDeployment = "standard-elsewhere"
	// queueLength and queueWait are those of the remedy Queue.
	queueLength = 1024
	queueWait   = 15 * time.Second
	// lowClass is the class of the remedy LowPriority.
	lowClass = "bulk"
)

// apply returns the simulation and the calls with a remedy applied, which where
// clients called the deployments directly brings this gateway with it. It changes
// neither of those that it is given.
func (o *Options) apply(remedy *diagnose.Remedy, base whatif.Config, calls []workload.Call) (whatif.Config, []workload.Call) {
	cfg := base
	cfg.Policy.Pools = slices.Clone(base.Policy.Pools)
	p := &cfg.Policy
	if o.Direct && !remedy.FewRetries {
		withGateway(&cfg)
	}
	changeClasses(p, remedy)
	if remedy.LowPriority != "" {
		calls = lowerPriority(p, remedy.LowPriority, calls)
	}
	if remedy.Spill {
		pool := poolOf(p.Pools, remedy.Deployment)
		added := spillway.Deployment{Name: addedDeployment, Model: pool.Deployments[0].Model}
		cfg.Fleet.Deployments = append(slices.Clone(base.Fleet.Deployments), fleet.Deployment{Deployment: added})
		pool.Deployments = append(slices.Clone(pool.Deployments), added)
		pool.Pool.Tiers = append(slices.Clone(pool.Pool.Tiers), []string{addedDeployment})
		pool.Pool.SpillAt = 0
	}
	if remedy.OnePool {
		p.Pools = []policy.Config{mergePools(p.Pools)}
	}
	if remedy.Queue {
		for i := range p.Pools {
			p.Pools[i].Queue = admit.Config{MaxLength: queueLength}
		}
	}
	if remedy.FewRetries {
		cfg.Client.Retries = min(cfg.Client.Retries, fleet.OpenAISDK().Retries)
	}
	return cfg, calls
}

// withGateway puts this gateway, as it is without options, between the clients and
// the deployments. Windows and budgets are the remedies' own.
func withGateway(cfg *whatif.Config) {
	cfg.Client.IgnoresHints = false
	var plain policy.Config
	for i := range cfg.Policy.Pools {
		pool := &cfg.Policy.Pools[i]
		pool.Retry, pool.Queue, pool.Pool.SpillAt = plain.Retry, plain.Queue, 0
	}
}

// poolOf is the pool with that deployment, or the first.
func poolOf(pools []policy.Config, name string) *policy.Config {
	for i := range pools {
		if slices.ContainsFunc(pools[i].Deployments, func(d spillway.Deployment) bool { return d.Name == name }) {
			return &pools[i]
		}
	}
	return &pools[0]
}

// changeClasses replaces every class by a copy with the remedy applied.
func changeClasses(p *whatif.Policy, remedy *diagnose.Remedy) {
	change := func(c *spillway.Class) *spillway.Class {
		next := *c
		if remedy.CapTokens > 0 {
			if window := time.Duration(remedy.WindowS) * time.Second; next.Window <= 0 || next.Window > window {
				next.Window = window
			}
			next.Budget = spillway.BudgetRule{Mode: spillway.BudgetClamp, MaxOutputTokens: remedy.CapTokens}
			next.Sync = spillway.SyncStream
		}
		if remedy.RightSize {
			next.RightSize, next.Sync = true, spillway.SyncStream
			next.Budget.Mode = spillway.BudgetWindow
			if next.Window <= 0 {
				next.Window = time.Minute
			}
		}
		if remedy.Queue {
			next.MaxWait = queueWait
		}
		return &next
	}
	classes := maps.Clone(p.Classes)
	for name, c := range classes {
		classes[name] = change(c)
	}
	callers := maps.Clone(p.Callers)
	for name, c := range callers {
		callers[name] = change(c)
	}
	p.Default = change(p.Default)
	p.Classes, p.Callers = classes, callers
}

// lowerPriority gives one caller a class of low priority. It returns the calls,
// those of the caller without a class of their own, which would take precedence
// over the caller's.
func lowerPriority(p *whatif.Policy, caller string, calls []workload.Call) []workload.Call {
	low := *p.Default
	low.Name, low.Priority = lowClass, spillway.PriorityLow
	if p.Callers = maps.Clone(p.Callers); p.Callers == nil {
		p.Callers = map[string]*spillway.Class{}
	}
	p.Callers[caller] = &low
	calls = slices.Clone(calls)
	for i := range calls {
		if calls[i].Client == caller {
			calls[i].Class = ""
		}
	}
	return calls
}

// mergePools makes one pool of all: every tier has the deployments of that tier
// of all pools.
func mergePools(pools []policy.Config) policy.Config {
	all := pools[0]
	all.Pool.Tiers, all.Deployments = nil, nil
	for _, p := range pools {
		all.Pool.Models = append(slices.Clone(all.Pool.Models), p.Pool.Name)
		all.Deployments = append(all.Deployments, p.Deployments...)
		for i, names := range p.Pool.Tiers {
			if i == len(all.Pool.Tiers) {
				all.Pool.Tiers = append(all.Pool.Tiers, nil)
			}
			all.Pool.Tiers[i] = append(slices.Clone(all.Pool.Tiers[i]), names...)
		}
	}
	return all
}
