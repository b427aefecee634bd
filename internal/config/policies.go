package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/retry"
	"github.com/spillway-ai/spillway/internal/policy/route"
	"github.com/spillway-ai/spillway/internal/policy/speed"
)

// Policies builds the policy of each pool, in the file's order. Its deployments have
// the figures of their models. The version is
// a hash of all that decides: the policy itself and the classes.
func (c *Config) Policies() []policy.Config {
	byName := make(map[string]*Deployment, len(c.Deployments))
	for i := range c.Deployments {
		byName[c.Deployments[i].Name] = &c.Deployments[i]
	}
	table := c.ModelTable()
	list := make([]policy.Config, len(c.Pools))
	for i, p := range c.Pools {
		cfg := policy.Config{
			Pool: spillway.Pool{
				Name: p.Name, Models: p.Models, Tiers: p.Tiers,
				SpillAt: p.Spill.At, MaxTiers: p.Spill.MaxTiers,
			},
			Retry:    c.Retry.policy(),
			Breaker:  breaker.Config(c.Breaker),
			Queue:    admit.Config{MaxLength: orNone(c.Queue.MaxLength), MaxShare: c.Queue.MaxShare},
			Strategy: pick(c.Routing.Strategy, route.Weighted, route.LeastOutstanding, route.Affinity),
			Speed:    speed.Config(c.Speed),
			MaxHops:  c.Routing.MaxHops,
		}
		for _, tier := range p.Tiers {
			for _, name := range tier {
				cfg.Deployments = append(cfg.Deployments, table.Fill(byName[name].policy()))
			}
		}
		cfg.Version = version(cfg, c.Classes)
		list[i] = cfg
	}
	return list
}

// TrafficClasses builds the classes by name. A request refers to one for its
// whole life, so a new configuration has classes of its own.
func (c *Config) TrafficClasses() map[string]*spillway.Class {
	classes := make(map[string]*spillway.Class, len(c.Classes))
	for i := range c.Classes {
		classes[c.Classes[i].Name] = c.Classes[i].policy()
	}
	return classes
}

// version is a short hash of what decides.
func version(cfg policy.Config, classes []Class) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v %+v", cfg, classes))
	return hex.EncodeToString(sum[:4])
}

// policy is what the core must know of a deployment.
func (p *Deployment) policy() spillway.Deployment {
	return spillway.Deployment{
		Name: p.Name, Model: p.Model, Region: p.Region,
		Kind: pick(p.Kind, spillway.Standard, spillway.Provisioned),
		PTU:  p.PTU, InputTPMPerPTU: p.InputTPMPerPTU, OutputRatio: p.OutputRatio, CachedRatio: p.CachedRatio, MeterDepth: p.MeterDepth,
		TPM: p.TPM, RPM: p.RPM,
		TokensPerSecond: p.TokensPerSecond, Weight: p.Weight, MaxInFlight: p.MaxInFlight,
		MaxOutputTokens: p.MaxOutputTokens, Reasoning: p.Reasoning, Sync: pick(cmp.Or(p.Sync, spillway.SyncStream.String()), spillway.SyncStream, spillway.SyncPass),
		Scope: pick(p.Scope, spillway.Global, spillway.DataZone, spillway.Regional), Price: p.Price.tokens(),
	}
}

// tokens is the price by the token; its zero fields take the published one.
func (p *Price) tokens() spillway.TokenPrice {
	if p == nil {
		return spillway.TokenPrice{}
	}
	return spillway.TokenPrice{
		Input: p.Input, Cached: cmp.Or(p.Cached, p.Input), Output: p.Output, CacheWrite: p.CacheWrite,
		Flex: p.Flex, Priority: p.Priority,
	}
}

func (c *Class) policy() *spillway.Class {
	return &spillway.Class{
		Name:     c.Name,
		Priority: pick(c.Priority, spillway.PriorityLow, spillway.PriorityNormal, spillway.PriorityHigh),
		Window:   c.Window, StreamWindow: c.StreamWindow,
		Objective: spillway.Objective{TTFT: c.TTFT, TBT: c.TBT},
		Budget: spillway.BudgetRule{
			Mode: pick(c.Budget.Mode, spillway.BudgetWindow, spillway.BudgetClamp,
				spillway.BudgetReject, spillway.BudgetObserve),
			Quantile: c.Budget.Quantile, MaxOutputTokens: c.Budget.MaxOutputTokens,
			Margin: c.Budget.Margin, ClampStructured: c.Budget.ClampStructured, HardCap: c.Budget.HardCap,
		},
		Sync:          pick(c.Sync, spillway.SyncStream, spillway.SyncPass),
		CutStructured: pick(cmp.Or(c.CutStructured, spillway.CutTimeout.String()), spillway.CutTimeout, spillway.CutPartial),
		MaxWait:       c.MaxWait, SilenceTimeout: c.SilenceTimeout, Hedge: c.Hedge, RightSize: c.RightSize,
	}
}

func (r Retry) policy() retry.Config {
	return retry.Config{
		MaxAttempts: r.MaxAttempts, BaseDelay: r.BaseDelay, MaxDelay: r.MaxDelay,
		Ratio: orNone(r.Ratio), MinPerSecond: orNone(r.MinPerSecond), Window: r.Window,
	}
}

// orNone turns 0, which means none in the file, into what means none in the
// core, where 0 takes a default.
func orNone[N int | float64](n N) N {
	if n == 0 {
		return -1
	}
	return n
}

// pick returns the value of that name. A checked configuration names one.
func pick[T fmt.Stringer](name string, values ...T) T {
	for _, v := range values {
		if v.String() == name {
			return v
		}
	}
	panic("config: no value named " + name) // the enum tag allows what is not here; a test builds every word
}
