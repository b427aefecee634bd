package equality

import (
	"math/rand/v2"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/route"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// model is what all deployments serve.
const model = "gpt-4o-mini"

// standard is a standard deployment without limits.
func standard(name string) fleet.Deployment {
	return fleet.Deployment{Deployment: spillway.Deployment{
		Name: name, Model: model, Region: "region-" + name, Kind: spillway.Standard,
	}}
}

// provisioned is a provisioned deployment that is full soon.
func provisioned(name string, ptu int) fleet.Deployment {
	return fleet.Deployment{Deployment: spillway.Deployment{
		Name: name, Model: model, Region: "region-" + name, Kind: spillway.Provisioned, PTU: ptu, MeterDepth: 5 * time.Second,
	}}
}

// pool is a policy that knows the fleet as it is, and uses the tiers.
func pool(f []fleet.Deployment, tiers ...[]string) policy.Config {
	cfg := policy.Config{Version: "1", Pool: spillway.Pool{Name: model, Tiers: tiers}}
	for _, d := range f {
		cfg.Deployments = append(cfg.Deployments, d.Deployment)
	}
	return cfg
}

// class is that of every caller that the case does not name.
func class(change func(*spillway.Class)) *spillway.Class {
	c := &spillway.Class{Name: "interactive", Window: time.Minute}
	if change != nil {
		change(c)
	}
	return c
}

// legacy has synchronous answers passed through as they are.
func legacy(c *spillway.Class) { c.Name, c.Sync = "legacy", spillway.SyncPass }

// tests are the cases with one seed.
func tests(s seed) []test {
	all := []test{
		pass(s), clamp(s), cut(s), spill(s), retries(s), breaking(s), silence(s), shed(s), hedge(s), reload(s), cache(s), gone(s), again(s),
	}
	for i := range all {
		all[i].seed, all[i].fleet.Seed = uint64(s), uint64(s)
	}
	return all
}

// pass: nothing is in the way. Half of the callers have their answers passed
// through as they are, some of them against the service's own window.
func pass(s seed) test {
	a := provisioned("a", 100)
	a.CompletionWindow = time.Second
	f := []fleet.Deployment{a}
	return test{
		name: "pass", fleet: fleet.Config{Deployments: f},
		pools: []policy.Config{pool(f, []string{"a"})},
		callers: map[string]*spillway.Class{
			"app":    class(nil),
			"legacy": class(legacy),
		},
		calls: s.traffic(80, 300*time.Millisecond, func(rng *rand.Rand, call *workload.Call) {
			if call.OutputTokens *= 2; rng.IntN(2) == 0 {
				call.Client = "legacy"
			}
		}),
		shows: []string{"ok", "ok_client_cap", "stream", "timeout", "oversized 408"},
	}
}

// clamp: budgets, fixed and measured, lower what is asked for, refuse it, or
// only say what they would have done.
func clamp(s seed) test {
	f := []fleet.Deployment{standard("a")}
	rule := func(name string, rule spillway.BudgetRule) *spillway.Class {
		return class(func(c *spillway.Class) {
			c.Name, c.Window, c.StreamWindow, c.Budget = name, 5*time.Second, 5*time.Second, rule
		})
	}
	names := []string{"fixed", "measured", "reject", "observe"}
	return test{
		name: "clamp", fleet: fleet.Config{Deployments: f},
		pools: []policy.Config{pool(f, []string{"a"})},
		callers: map[string]*spillway.Class{
			"fixed":    rule("fixed", spillway.BudgetRule{Mode: spillway.BudgetClamp, MaxOutputTokens: 40}),
			"measured": rule("measured", spillway.BudgetRule{Mode: spillway.BudgetClamp, Quantile: 0.9}),
			"reject":   rule("reject", spillway.BudgetRule{Mode: spillway.BudgetReject}),
			"observe":  rule("observe", spillway.BudgetRule{Mode: spillway.BudgetObserve}),
		},
		calls: s.traffic(90, 300*time.Millisecond, func(rng *rand.Rand, call *workload.Call) {
			call.Client = names[rng.IntN(len(names))]
			call.OutputTokens += 40
			call.MaxTokens *= 3
		}),
		shows: []string{"ok", "ok_client_cap", "truncated_budget", "refused_budget", "stream"},
	}
}

// cut: answers that are longer than their window ends at.
func cut(s seed) test {
	a := standard("a")
	a.Service.TTFTSigma = 1.2
	f := []fleet.Deployment{a}
	return test{
		name: "cut", fleet: fleet.Config{Deployments: f},
		pools: []policy.Config{pool(f, []string{"a"})},
		callers: map[string]*spillway.Class{
			"app": class(func(c *spillway.Class) { c.Window, c.StreamWindow = 3*time.Second, 2*time.Second }),
			"blind": class(func(c *spillway.Class) {
				c.Name, c.Window, c.StreamWindow, c.Sync = "blind", 3*time.Second, 2*time.Second, spillway.SyncPass
			}),
		},
		calls: s.traffic(80, 300*time.Millisecond, func(rng *rand.Rand, call *workload.Call) {
			if rng.IntN(4) == 0 {
				call.Client = "blind"
			}
			call.OutputTokens *= 2
		}),
		shows: []string{"ok", "truncated_deadline", "timeout", "stream"},
	}
}

// spill: one provisioned deployment, whose depth we overrate, says itself that
// it is full, another is full by our meter; a standard one runs into its tokens per minute.
func spill(s seed) test {
	small := standard("small")
	small.TPM, small.RPM = 20_000, 120
	f := []fleet.Deployment{provisioned("deep", 1), provisioned("known", 1), small, standard("last")}
	p := pool(f, []string{"deep"}, []string{"known"}, []string{"small"}, []string{"last"})
	p.Deployments[0].MeterDepth = time.Minute
	p.Deployments[2].TPM = 200_000
	return test{
		name: "spill", fleet: fleet.Config{Deployments: f},
		pools:   []policy.Config{p},
		callers: map[string]*spillway.Class{"app": class(nil)},
		calls: s.traffic(170, 150*time.Millisecond, func(_ *rand.Rand, call *workload.Call) {
			call.MaxTokens = 200
		}),
		shows: []string{"ok", "spill utilization", "spill paused", "spill refused", "refused 429", "saved", "tier 1", "tier 2", "tier 3", "stream"},
	}
}

// faults is one of every kind, in turns of two seconds, on one deployment.
func faults(deployment string) []fleet.Fault {
	kinds := []fleet.Fault{
		{Kind: fleet.FaultMissingUsage},
		{Kind: fleet.FaultSlow, Factor: 3},
		{Kind: fleet.FaultStallBeforeHeaders, After: time.Second},
		{Kind: fleet.FaultStallAfterHeaders, AtToken: 3, After: time.Second},
		{Kind: fleet.FaultStatus5xx},
		{Kind: fleet.FaultStatus5xx, Status: 503, After: 70 * time.Millisecond},
		{Kind: fleet.FaultStatus429, RetryAfter: 1234567 * time.Microsecond},
		{Kind: fleet.FaultStatus408, After: 500 * time.Millisecond},
		{Kind: fleet.FaultReset},
		{Kind: fleet.FaultReset, AtToken: 5},
		{Kind: fleet.FaultReset, AtToken: 1},
		{Kind: fleet.FaultCutStream},
		{Kind: fleet.FaultCutStream, AtToken: 1},
		{Kind: fleet.FaultCutStream, AtToken: 7},
		{Kind: fleet.FaultCutStream, AtToken: 1000},
		{Kind: fleet.FaultMalformedStream},
		{Kind: fleet.FaultMalformedStream, AtToken: 1},
		{Kind: fleet.FaultMalformedStream, AtToken: 4},
		{Kind: fleet.FaultAbsurdRetryAfter},
	}
	for i := range kinds {
		at := time.Duration(i) * 2 * time.Second
		kinds[i].Deployment, kinds[i].From, kinds[i].Until, kinds[i].Probability = deployment, at, at+2*time.Second, 0.6
	}
	return kinds
}

// retries: everything goes wrong on one deployment, and another, or the same,
// has to make up for it.
func retries(s seed) test {
	f := []fleet.Deployment{standard("a"), standard("b")}
	p := pool(f, []string{"a", "b"})
	p.Breaker = breaker.Config{ErrorRate: 1, ConsecutiveFailures: 1000} // patient, so that everything is seen
	return test{
		name: "retry", fleet: fleet.Config{Deployments: f, Faults: append(faults("a"),
			fleet.Fault{Kind: fleet.FaultStatus5xx, Deployment: "b", Probability: 0.1},
			fleet.Fault{Kind: fleet.FaultCutStream, Deployment: "b", Probability: 0.1, AtToken: 1000},
		)},
		pools:   []policy.Config{p},
		callers: map[string]*spillway.Class{"app": class(nil), "legacy": class(legacy)},
		calls: s.traffic(240, 160*time.Millisecond, func(rng *rand.Rand, call *workload.Call) {
			call.OutputTokens = 1 + call.OutputTokens/2
			if rng.IntN(2) == 0 {
				call.Client = "legacy"
			}
		}),
		shows: []string{
			"ok", "saved", "partial", "stream", "broken 500", "broken 503", "refused 429", "broken 0",
			"cut 200", "unreadable 200",
		},
	}
}

// breaking: a deployment fails until it is left alone, and is probed until it
// is back. Where it is the only one, calls give up.
func breaking(s seed) test {
	f := []fleet.Deployment{standard("a"), standard("b")}
	return test{
		name: "breaker", fleet: fleet.Config{Deployments: f, Faults: []fleet.Fault{
			{Kind: fleet.FaultStatus5xx, Deployment: "a", From: 3 * time.Second, Until: 14 * time.Second},
			{Kind: fleet.FaultReset, Deployment: "b", From: 9 * time.Second, Until: 12 * time.Second},
		}},
		pools:   []policy.Config{pool(f, []string{"a"}, []string{"b"})},
		callers: map[string]*spillway.Class{"app": class(nil)},
		calls:   s.traffic(110, 200*time.Millisecond, nil),
		shows:   []string{"ok", "saved", "upstream_error", "broken 500", "broken 0", "spill broken", "stream"},
	}
}

// silence: answers that stop for ever, before or after their first token.
func silence(s seed) test {
	f := []fleet.Deployment{standard("a"), standard("b")}
	stall := func(kind fleet.FaultKind, token int, p float64) fleet.Fault {
		return fleet.Fault{Kind: kind, Deployment: "a", AtToken: token, Probability: p}
	}
	return test{
		name: "silence", fleet: fleet.Config{Deployments: f, Faults: []fleet.Fault{
			stall(fleet.FaultStallBeforeHeaders, 0, 0.1), stall(fleet.FaultStallAfterHeaders, 0, 0.1),
			stall(fleet.FaultStallAfterHeaders, 4, 0.1), stall(fleet.FaultStallAfterHeaders, 12, 0.2),
		}},
		pools:   []policy.Config{pool(f, []string{"a"}, []string{"b"})},
		callers: map[string]*spillway.Class{"app": class(nil)},
		calls:   s.traffic(80, 600*time.Millisecond, nil),
		shows:   []string{"ok", "saved", "partial", "slow 0", "spill slow", "stream"},
	}
}

// shed: more calls than the deployment may have in flight, of two priorities
// and with little room to wait.
func shed(s seed) test {
	f := []fleet.Deployment{standard("a")}
	p := pool(f, []string{"a"})
	p.Deployments[0].MaxInFlight = 5
	p.Queue = admit.Config{MaxLength: 6, MaxShare: 1}
	return test{
		name: "shed", fleet: fleet.Config{Deployments: f},
		pools: []policy.Config{p},
		callers: map[string]*spillway.Class{
			"app": class(func(c *spillway.Class) { c.Priority, c.MaxWait = spillway.PriorityHigh, 4*time.Second }),
			"batch": class(func(c *spillway.Class) {
				c.Name, c.Priority, c.MaxWait = "batch", spillway.PriorityLow, 1500*time.Millisecond
			}),
		},
		calls: s.traffic(140, 250*time.Millisecond, func(rng *rand.Rand, call *workload.Call) {
			if rng.IntN(2) == 0 {
				call.Client = "batch"
			}
		}),
		shows: []string{"ok", "queued", "refused_queue", "refused_capacity", "stream"},
	}
}

// hedge: first tokens that come late are raced for.
func hedge(s seed) test {
	a, b := standard("a"), standard("b")
	a.Service.TTFTSigma, b.Service.TTFTSigma = 1.2, 1.2
	f := []fleet.Deployment{a, b}
	return test{
		name: "hedge", fleet: fleet.Config{Deployments: f},
		pools: []policy.Config{pool(f, []string{"a", "b"})},
		callers: map[string]*spillway.Class{
			"app": class(func(c *spillway.Class) { c.Hedge, c.Objective.TTFT = true, 5*time.Second }),
		},
		calls: s.traffic(100, 300*time.Millisecond, nil),
		shows: []string{"ok", "hedge", "saved", "stream"},
	}
}

// reload: the policy changes while calls are under way and wait: more room and
// less, an end to waiting, another deployment in front, one that goes.
func reload(s seed) test {
	f := []fleet.Deployment{standard("a"), standard("b")}
	tight := pool(f, []string{"a"})
	tight.Deployments[0].MaxInFlight = 3
	tight.Queue = admit.Config{MaxLength: 8, MaxShare: 1}
	wide := pool(f, []string{"a"})
	wide.Version, wide.Deployments[0].MaxInFlight, wide.Queue = "2", 12, admit.Config{MaxLength: 20, MaxShare: 1}
	closed := tight
	closed.Version, closed.Queue = "3", admit.Config{MaxLength: -1}
	both := pool(f, []string{"b"}, []string{"a"})
	both.Version, both.Deployments[1].MaxInFlight = "4", 4
	other := pool(f, []string{"b"})
	other.Version = "5"
	change := func(at time.Duration, to policy.Config) whatif.Change {
		return whatif.Change{At: at + 123457*time.Nanosecond, Pools: []policy.Config{to}}
	}
	return test{
		name: "reload", fleet: fleet.Config{Deployments: f},
		pools:   []policy.Config{tight},
		callers: map[string]*spillway.Class{"app": class(func(c *spillway.Class) { c.MaxWait = 3 * time.Second })},
		changes: []whatif.Change{
			change(8*time.Second, wide), change(16*time.Second, tight), change(22*time.Second, closed),
			change(27*time.Second, both), change(35*time.Second, other),
		},
		calls: s.traffic(170, 250*time.Millisecond, nil),
		shows: []string{
			"ok", "queued", "refused_queue", "policy 1", "policy 2", "policy 3", "policy 4", "policy 5", "stream",
		},
	}
}

// cache: prompts of two kinds begin alike, and go where their beginning is
// cached.
func cache(s seed) test {
	f := []fleet.Deployment{provisioned("a", 50), provisioned("b", 50)}
	p := pool(f, []string{"a", "b"})
	p.Strategy = route.Affinity
	kinds := []string{"rivers", "bridges", "gardens"}
	return test{
		name: "cache", fleet: fleet.Config{Deployments: f},
		pools:   []policy.Config{p},
		callers: map[string]*spillway.Class{"app": class(nil)},
		calls: s.traffic(60, 300*time.Millisecond, func(rng *rand.Rand, call *workload.Call) {
			call.Class = kinds[rng.IntN(len(kinds))]
			call.PromptTokens = 1100 + rng.IntN(500)
			call.Prefix = prefix(call)
		}),
		shows: []string{"ok", "cached", "stream"},
	}
}

// prefix identifies the cacheable blocks of a call's prompt. The first is the
// gateway's own hash, so that affinity finds the same deployment in both.
func prefix(call *workload.Call) []uint64 {
	const perMessage = 3 // tokens that have no bytes to cache
	probe := *call
	probe.Prefix = []uint64{1}
	ask, err := wire.ReadAsk(spillway.APIChat, []byte(body(&probe)))
	if err != nil {
		panic(err)
	}
	chain := fleet.PrefixChain(ask.Affinity, call.PromptTokens-perMessage)
	chain[0] = ask.Affinity
	return chain
}

// gone: clients that leave before their answer is complete.
func gone(s seed) test {
	f := []fleet.Deployment{provisioned("a", 50)}
	return test{
		name: "gone", fleet: fleet.Config{Deployments: f},
		pools:   []policy.Config{pool(f, []string{"a"})},
		callers: map[string]*spillway.Class{"app": class(nil)},
		calls: s.traffic(70, 200*time.Millisecond, func(_ *rand.Rand, call *workload.Call) {
			call.OutputTokens *= 3
		}),
		sdk:   fleet.Client{Timeout: 1500 * time.Millisecond, Retries: 1},
		shows: []string{"ok", "client_gone", "truncated_deadline", "stream", "tried again client_gone"},
	}
}

// again: clients whose SDKs try again what was shed, throttled or lost, when
// the answer says so. Nobody waits in the queue, because those who do look
// around every second, and a second is what those who are shed are told.
func again(s seed) test {
	f := []fleet.Deployment{standard("a")}
	p := pool(f, []string{"a"})
	p.Deployments[0].MaxInFlight = 5
	p.Queue = admit.Config{MaxLength: -1}
	p.Retry.MaxAttempts = 1
	return test{
		name: "again", fleet: fleet.Config{Deployments: f, Faults: []fleet.Fault{
			{Kind: fleet.FaultStatus429, RetryAfter: 2777777 * time.Microsecond, Probability: 0.05},
			{Kind: fleet.FaultStatus408, After: 500 * time.Millisecond, Probability: 0.05},
			{Kind: fleet.FaultStatus5xx, Probability: 0.05},
			{Kind: fleet.FaultStallBeforeHeaders, Probability: 0.05},
		}},
		pools:   []policy.Config{p},
		callers: map[string]*spillway.Class{"app": class(func(c *spillway.Class) { c.Window = 6 * time.Second })},
		calls:   s.traffic(100, 300*time.Millisecond, nil),
		sdk:     fleet.Client{Retries: 2},
		shows: []string{
			"ok", "stream", "throttled", "timeout", "upstream_error", "refused_queue", "tried again ok", "tried again refused_queue",
		},
	}
}
