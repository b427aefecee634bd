package replay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
)

// served is a simulation of two pools, and calls of two clients.
func served() (whatif.Config, []workload.Call) {
	pool := func(name string, tiers ...[]string) policy.Config {
		p := policy.Config{Pool: spillway.Pool{Name: name, Tiers: tiers, SpillAt: 0.9}}
		for _, tier := range tiers {
			for _, d := range tier {
				p.Deployments = append(p.Deployments, spillway.Deployment{Name: d, Model: "gpt-4o-mini"})
			}
		}
		return p
	}
	class := func(name string, window time.Duration) *spillway.Class {
		return &spillway.Class{Name: name, Window: window, Budget: spillway.BudgetRule{Mode: spillway.BudgetObserve}, Sync: spillway.SyncPass}
	}
	cfg := whatif.Config{Client: fleet.OpenAISDK(), Policy: whatif.Policy{
		Name:    "as served",
		Pools:   []policy.Config{pool("small", []string{"a"}, []string{"b"}), pool("large", []string{"c"})},
		Default: class("sync", time.Minute),
		Classes: map[string]*spillway.Class{"sync": class("sync", time.Minute), "quick": class("quick", 10*time.Second), "endless": class("endless", 0)},
		Callers: map[string]*spillway.Class{"chat": class("sync", time.Minute)},
	}}
	cfg.Client.Retries = 7
	for _, name := range []string{"a", "b", "c"} {
		cfg.Fleet.Deployments = append(cfg.Fleet.Deployments, fleet.Deployment{Deployment: spillway.Deployment{Name: name}})
	}
	return cfg, []workload.Call{{Client: "chat", Class: "sync"}, {Client: "batch", Class: "sync"}}
}

// write describes a simulation and its calls completely.
func write(cfg whatif.Config, calls []workload.Call) string {
	var s strings.Builder
	s.WriteString(fmt.Sprintf("%+v\n%+v\n%+v\n", cfg.Client, cfg.Fleet, calls))
	for _, p := range cfg.Policy.Pools {
		s.WriteString(fmt.Sprintf("%+v\n", p))
	}
	for _, classes := range []map[string]*spillway.Class{cfg.Policy.Classes, cfg.Policy.Callers, {"default": cfg.Policy.Default}} {
		for _, name := range []string{"sync", "quick", "endless", "chat", "batch", "default"} {
			if c := classes[name]; c != nil {
				s.WriteString(fmt.Sprintf("%s: %+v\n", name, *c))
			}
		}
	}
	return s.String()
}

// A remedy changes what it says, and neither the simulation nor the calls that
// it is applied to.
func TestApply(t *testing.T) {
	for _, tc := range []struct {
		name   string
		remedy diagnose.Remedy
		check  func(t *testing.T, p *whatif.Policy, cfg *whatif.Config, calls []workload.Call)
	}{
		{"nothing", diagnose.Remedy{Text: "see what changed"}, func(t *testing.T, _ *whatif.Policy, cfg *whatif.Config, calls []workload.Call) {
			base, before := served()
			if write(*cfg, calls) != write(base, before) {
				t.Error("something changed")
			}
		}},
		{"a cap", diagnose.Remedy{CapTokens: 2000, WindowS: 60}, func(t *testing.T, p *whatif.Policy, _ *whatif.Config, _ []workload.Call) {
			windows := map[string]time.Duration{"sync": time.Minute, "quick": 10 * time.Second, "endless": time.Minute}
			for name, c := range p.Classes {
				if c.Budget.Mode != spillway.BudgetClamp || c.Budget.MaxOutputTokens != 2000 || c.Sync != spillway.SyncStream || c.Window != windows[name] {
					t.Errorf("class %s: %+v", name, c)
				}
			}
			if p.Default.Budget.MaxOutputTokens != 2000 || p.Callers["chat"].Budget.MaxOutputTokens != 2000 {
				t.Error("the cap is not for all")
			}
		}},
		{"right size", diagnose.Remedy{RightSize: true}, func(t *testing.T, p *whatif.Policy, _ *whatif.Config, _ []workload.Call) {
			if !p.Default.RightSize || !p.Classes["quick"].RightSize || !p.Callers["chat"].RightSize || p.Default.Budget.Mode != spillway.BudgetWindow {
				t.Errorf("%+v", p)
			}
		}},
		{"spill", diagnose.Remedy{Spill: true}, func(t *testing.T, p *whatif.Policy, cfg *whatif.Config, _ []workload.Call) {
			spilling := 0
			for _, pool := range p.Pools {
				added := pool.Deployments[len(pool.Deployments)-1]
				if added.Name != addedDeployment {
					continue
				}
				spilling++
				last := pool.Pool.Tiers[len(pool.Pool.Tiers)-1]
				if added.Model != "gpt-4o-mini" || added.Kind != spillway.Standard || fmt.Sprint(last) != "[standard-elsewhere]" || pool.Pool.SpillAt != 0 {
					t.Errorf("added %+v, last tier %v, spill at %v", added, last, pool.Pool.SpillAt)
				}
			}
			if spilling != 1 || len(cfg.Fleet.Deployments) != 4 {
				t.Errorf("%d pools spill, fleet of %d", spilling, len(cfg.Fleet.Deployments))
			}
		}},
		{"one pool", diagnose.Remedy{OnePool: true}, func(t *testing.T, p *whatif.Policy, _ *whatif.Config, _ []workload.Call) {
			if got := shape(p.Pools); got != "small[[a c] [b]] " || len(p.Pools[0].Deployments) != 3 {
				t.Errorf("pools %q", got)
			}
			if names := fmt.Sprint(p.Pools[0].Pool.Models); names != "[small large]" {
				t.Errorf("calls find the pool by %s", names)
			}
		}},
		{"queue", diagnose.Remedy{Queue: true}, func(t *testing.T, p *whatif.Policy, _ *whatif.Config, _ []workload.Call) {
			for _, pool := range p.Pools {
				if pool.Queue.MaxLength != queueLength {
					t.Errorf("pool %s: %+v", pool.Pool.Name, pool.Queue)
				}
			}
			if p.Default.MaxWait != queueWait || p.Classes["quick"].MaxWait != queueWait {
				t.Error("classes do not wait")
			}
		}},
		{"few retries", diagnose.Remedy{FewRetries: true}, func(t *testing.T, _ *whatif.Policy, cfg *whatif.Config, _ []workload.Call) {
			if cfg.Client.Retries != 2 {
				t.Errorf("%d retries", cfg.Client.Retries)
			}
		}},
		{"low priority", diagnose.Remedy{LowPriority: "batch"}, func(t *testing.T, p *whatif.Policy, _ *whatif.Config, calls []workload.Call) {
			low := p.Callers["batch"]
			if low == nil || low.Name != lowClass || low.Priority != spillway.PriorityLow || low.Window != p.Default.Window || p.Default.Priority == spillway.PriorityLow {
				t.Errorf("the caller's class is %+v", low)
			}
			if calls[0].Class != "sync" || calls[1].Class != "" {
				t.Errorf("calls %+v: the caller's name a class, which precedes the caller's", calls)
			}
		}},
		{"two at once", diagnose.Remedy{Spill: true, FewRetries: true}, func(t *testing.T, p *whatif.Policy, cfg *whatif.Config, _ []workload.Call) {
			if tiers := len(p.Pools[0].Pool.Tiers) + len(p.Pools[1].Pool.Tiers); tiers != 4 || cfg.Client.Retries != 2 {
				t.Errorf("%d tiers, %d retries", tiers, cfg.Client.Retries)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			base, calls := served()
			before := write(base, calls)
			cfg, next := new(Options).apply(&tc.remedy, base, calls)
			tc.check(t, &cfg.Policy, &cfg, next)
			if after := write(base, calls); after != before {
				t.Errorf("the remedy changed what it was applied to:\n%s\nbefore\n%s", after, before)
			}
			again, _ := new(Options).apply(&tc.remedy, base, calls)
			if write(again, next) != write(cfg, next) {
				t.Error("the second time it comes to something else")
			}
		})
	}
}

// The capacity that is added relieves the deployment that the remedy names,
// whatever the pools are called and whichever comes first.
func TestSpillRelievesTheDeployment(t *testing.T) {
	for _, name := range []string{"a", "b", "c"} {
		base, calls := served()
		cfg, _ := new(Options).apply(&diagnose.Remedy{Spill: true, Deployment: name}, base, calls)
		for _, pool := range cfg.Policy.Pools {
			has := func(name string) bool {
				return slices.ContainsFunc(pool.Deployments, func(d spillway.Deployment) bool { return d.Name == name })
			}
			if has(addedDeployment) != has(name) {
				t.Errorf("%s: pool %s has %+v", name, pool.Pool.Name, pool.Deployments)
			}
		}
	}
}

// Where clients called the deployments directly, a remedy comes with the gateway:
// it tries again elsewhere, and its hints count.
func TestRemedyBringsTheGateway(t *testing.T) {
	o := Options{Direct: true, Profiles: []diagnose.Profile{profile()}}
	tr := gather(o.Profiles, answered(noon))
	base := o.simulation(tr)
	if !base.Client.IgnoresHints || base.Policy.Pools[0].Retry.Ratio >= 0 {
		t.Fatalf("a gateway is there already: %+v", base)
	}
	cfg, _ := o.apply(&diagnose.Remedy{Spill: true, Deployment: "ptu"}, base, tr.calls)
	if cfg.Client.IgnoresHints || cfg.Policy.Pools[0].Retry.Ratio < 0 || cfg.Policy.Pools[0].Pool.SpillAt > 1 {
		t.Errorf("there is no gateway: %+v", cfg)
	}
	if cfg, _ := o.apply(&diagnose.Remedy{FewRetries: true}, base, tr.calls); !cfg.Client.IgnoresHints {
		t.Error("what clients do needs no gateway")
	}
}

// A client that retries less than the SDK keeps doing so.
func TestFewRetriesIsAnUpperBound(t *testing.T) {
	base, calls := served()
	base.Client.Retries = 1
	if cfg, _ := new(Options).apply(&diagnose.Remedy{FewRetries: true}, base, calls); cfg.Client.Retries != 1 {
		t.Errorf("%d retries, want 1", cfg.Client.Retries)
	}
}

// Where no caller has a class, one of low priority can be added.
func TestLowPriorityWithoutCallers(t *testing.T) {
	base, calls := served()
	base.Policy.Callers = nil
	cfg, _ := new(Options).apply(&diagnose.Remedy{LowPriority: "batch"}, base, calls)
	if cfg.Policy.Callers["batch"] == nil || base.Policy.Callers != nil {
		t.Errorf("callers %v, of the base %v", cfg.Policy.Callers, base.Policy.Callers)
	}
}
