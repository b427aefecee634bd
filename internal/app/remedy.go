package app

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

// remedied is base, and the calls, with a remedy applied; false where it
// cannot be.
func (r *replay) remedied(remedy *diagnose.Remedy) (whatif.Config, []workload.Call, bool) {
	cfg, ok := r.base()
	if !ok {
		return cfg, nil, false
	}
	p, calls := &cfg.Policy, r.calls
	changeClasses(p, remedy)
	if remedy.LowPriority != "" {
		calls = lowered(p, remedy.LowPriority, calls)
	}
	if remedy.Spill {
		model := p.Pools[0].Deployments[0].Model
		extra := spillway.Deployment{Name: elsewhere, Model: model}
		cfg.Fleet.Deployments = append(cfg.Fleet.Deployments, fleet.Deployment{Deployment: extra})
		pool := &p.Pools[0]
		pool.Deployments = append(slices.Clone(pool.Deployments), extra)
		pool.Pool.Tiers = append(slices.Clone(pool.Pool.Tiers), []string{elsewhere})
		pool.Pool.SpillAt = 0
	}
	if remedy.OnePool {
		p.Pools = []policy.Config{onePool(p.Pools)}
	}
	if remedy.Queue {
		for i := range p.Pools {
			p.Pools[i].Queue = admit.Config{MaxLength: queueLength}
		}
	}
	if remedy.FewRetries {
		cfg.Client.Retries = min(cfg.Client.Retries, fleet.OpenAISDK().Retries)
	}
	return cfg, calls, true
}

// changeClasses gives every class, in a copy, what the remedy says of them.
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
			next.RightSize = true
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

// lowered gives one caller a class of low priority, and returns the calls
// without the class that they name: it would go before their caller's.
func lowered(p *whatif.Policy, caller string, calls []workload.Call) []workload.Call {
	low := *p.Default
	low.Name, low.Priority = "bulk", spillway.PriorityLow
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

// onePool is all pools as one: every tier has the deployments of all.
func onePool(pools []policy.Config) policy.Config {
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
