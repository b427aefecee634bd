package replay

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/policy"
)

// A deployment has the capacity that is configured, or else the one it has
// shown.
func TestDeploymentCapacity(t *testing.T) {
	known := spillway.Deployment{Name: "ptu", Model: "gpt-4o", Kind: spillway.Provisioned, PTU: 100, InputTPMPerPTU: 2500}
	for _, tc := range []struct {
		name   string
		change func(p *diagnose.Profile)
		want   spillway.Deployment
	}{
		{"provisioned", func(*diagnose.Profile) {}, spillway.Deployment{
			Name: "ptu", Model: "gpt-4o-mini", Region: "eastus", Kind: spillway.Provisioned, PTU: 5000, InputTPMPerPTU: 60,
		}},
		{"rounded up", func(p *diagnose.Profile) { p.WorkPerSecond = 0.2 }, spillway.Deployment{
			Name: "ptu", Model: "gpt-4o-mini", Region: "eastus", Kind: spillway.Provisioned, PTU: 1, InputTPMPerPTU: 60,
		}},
		{"idle", func(p *diagnose.Profile) { p.WorkPerSecond = 0 }, spillway.Deployment{
			Name: "ptu", Model: "gpt-4o-mini", Region: "eastus", Kind: spillway.Provisioned, PTU: 1, InputTPMPerPTU: 60,
		}},
		{"standard that refused", func(p *diagnose.Profile) { p.Kind, p.TokensPerMinute = spillway.Standard, 90_000.7 }, spillway.Deployment{
			Name: "ptu", Model: "gpt-4o-mini", Region: "eastus", TPM: 90_000,
		}},
		{"standard that never refused", func(p *diagnose.Profile) { p.Kind = spillway.Standard }, spillway.Deployment{
			Name: "ptu", Model: "gpt-4o-mini", Region: "eastus",
		}},
		{"configured", func(p *diagnose.Profile) { p.Known = known }, known},
		{"configured without PTU", func(p *diagnose.Profile) { p.Known = known; p.Known.PTU = 0 }, spillway.Deployment{
			Name: "ptu", Model: "gpt-4o", Kind: spillway.Provisioned, PTU: 5000, InputTPMPerPTU: 60,
		}},
		{"a configured standard one keeps its limit", func(p *diagnose.Profile) {
			p.Known, p.TokensPerMinute = spillway.Deployment{Name: "ptu", TPM: 50_000}, 90_000
		}, spillway.Deployment{Name: "ptu", TPM: 50_000}},
	} {
		p := profile()
		tc.change(&p)
		if got := deployment(&p).Deployment; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tc.want) {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

// The model's mean pace is that of a log-normal distribution with the median and
// sigma that were measured, and neither prompts nor load change it.
func TestDeploymentSpeed(t *testing.T) {
	p := profile()
	p.PaceSigma = 0.5
	s := deployment(&p).Service
	if want := 10e-3 * math.Exp(0.125); math.Abs(s.TBTMean.Seconds()-want) > 1e-6 || s.TBTSigma != 0.5 {
		t.Errorf("mean pace %v, sigma %v, want %v s", s.TBTMean, s.TBTSigma, want)
	}
	if s.TTFT != 400*time.Millisecond || s.TTFTSigma != 0.1 || s.PrefillTokensPerSecond != instantPrefill || s.Load.Linear > 1e-6 {
		t.Errorf("service %+v", s)
	}
	p.PaceSigma, p.FirstSigma = 0, 0
	if s := deployment(&p).Service; s.TBTSigma != minSigma || s.TTFTSigma != minSigma {
		t.Errorf("of deployments that do not vary, sigmas are %v and %v: zero stands for the default", s.TBTSigma, s.TTFTSigma)
	}
}

// shape writes pools with their tiers.
func shape(pools []policy.Config) string {
	var s strings.Builder
	for _, p := range pools {
		s.WriteString(fmt.Sprintf("%s%v ", p.Pool.Name, p.Pool.Tiers))
	}
	return s.String()
}

func TestInferredPools(t *testing.T) {
	at := func(pool, name string, tier int) diagnose.Profile {
		p := profile()
		p.Pool, p.Name, p.Tier = pool, name, tier
		return p
	}
	for _, tc := range []struct {
		name     string
		profiles []diagnose.Profile
		want     string
	}{
		{"one", []diagnose.Profile{at("chat", "ptu", 0)}, "chat[[ptu]] "},
		{"two tiers", []diagnose.Profile{at("chat", "ptu", 0), at("chat", "std", 1)}, "chat[[ptu] [std]] "},
		{"a tier of two", []diagnose.Profile{at("chat", "a", 0), at("chat", "b", 0)}, "chat[[a b]] "},
		{"a tier that nobody has seen", []diagnose.Profile{at("chat", "ptu", 0), at("chat", "std", 2)}, "chat[[ptu] [std]] "},
		{"two pools, by name", []diagnose.Profile{at("small", "b", 0), at("large", "a", 0)}, "large[[a]] small[[b]] "},
		{"no name of a pool", []diagnose.Profile{at("", "ptu", 0)}, "gpt-4o-mini[[ptu]] "},
	} {
		o := Options{Profiles: tc.profiles}
		p := o.inferredPolicy(newTraffic(&o))
		if got := shape(p.Pools); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		n := 0
		for _, pool := range p.Pools {
			n += len(pool.Deployments)
		}
		if n != len(tc.profiles) || p.Default == nil {
			t.Errorf("%s: %d deployments, default class %v", tc.name, n, p.Default)
		}
	}
}

// What clients and services did without a gateway, each after a time of its own.
func TestDirectLimits(t *testing.T) {
	for _, tc := range []struct {
		name         string
		cut, left    []time.Duration
		window, wait time.Duration
	}{
		{"nothing ended", nil, nil, 0, 10 * time.Minute},
		{"the service's minute", seconds(60, 60, 59, 61, 60), nil, 60 * time.Second, 10 * time.Minute},
		{"clients leave before the service cuts", nil, seconds(30, 30, 30, 31, 30), unlimited, 30 * time.Second},
		{"both", seconds(120, 120, 121, 120, 119), seconds(90, 90, 90, 91, 90), 120 * time.Second, 90 * time.Second},
		{"clients leave at any time", nil, seconds(3, 70, 22, 41, 9, 15), 0, 10 * time.Minute},
		{"too few to tell", seconds(60, 60), seconds(30), 0, 10 * time.Minute},
	} {
		tr := newTraffic(&Options{Direct: true})
		for _, d := range tc.cut {
			tr.add(&diagnose.Observation{Time: noon, Outcome: spillway.OutcomeTimeout, Status: 408, E2E: d})
		}
		for _, d := range tc.left {
			tr.add(&diagnose.Observation{Time: noon, Outcome: spillway.OutcomeClientGone, Status: 499, E2E: d})
		}
		client := fleet.OpenAISDK()
		if window := tr.limits(&client); window != tc.window || client.Timeout != tc.wait {
			t.Errorf("%s: the service's window %v, the client waits %v, want %v and %v", tc.name, window, client.Timeout, tc.window, tc.wait)
		}
	}
}

func seconds(all ...int) []time.Duration {
	var out []time.Duration
	for _, s := range all {
		out = append(out, time.Duration(s)*time.Second)
	}
	return out
}

// Without a gateway nothing is queued or spilled, and nobody tries again but
// the client.
func TestInferredPool(t *testing.T) {
	for _, tc := range []struct {
		name      string
		direct    bool
		attempts  int
		most      int
		retries   bool
		queueSize int
	}{
		{"a gateway that tried three times", false, 3, 3, true, 0},
		{"a gateway that tried once", false, 1, 1, false, 0},
		{"no gateway", true, 1, 1, false, -1},
		{"requests without an attempt", true, 0, 1, false, -1},
	} {
		o := Options{Direct: tc.direct}
		p := o.emptyPool("chat", tc.attempts)
		if p.Retry.MaxAttempts != tc.most || (p.Retry.Ratio >= 0) != tc.retries || p.Queue.MaxLength != tc.queueSize || (p.Pool.SpillAt > 1) != tc.direct {
			t.Errorf("%s: %+v", tc.name, p)
		}
	}
}

// The policy that is configured is in force, with the deployments that got no
// traffic at the usual speed.
func TestSimulation(t *testing.T) {
	configured := whatif.Policy{Name: "as served", Default: &spillway.Class{Name: "sync"}, Pools: []policy.Config{{
		Pool: spillway.Pool{Name: "chat", Tiers: [][]string{{"ptu"}, {"std"}}},
		Deployments: []spillway.Deployment{
			{Name: "ptu", Kind: spillway.Provisioned, PTU: 100}, {Name: "std", TPM: 1000},
		},
	}, {
		Pool: spillway.Pool{Name: "more", Tiers: [][]string{{"std"}}}, Deployments: []spillway.Deployment{{Name: "std", TPM: 1000}},
	}}}
	o := Options{From: noon, Profiles: []diagnose.Profile{profile()}, Policy: &configured}
	tr := gather(o.Profiles, answered(noon))
	tr.clientRetries = 5
	cfg := o.simulation(tr)
	var names strings.Builder
	for _, d := range cfg.Fleet.Deployments {
		names.WriteString(d.Name + " ")
		if (d.Service == fleet.Service{}) != (d.Name == "std") {
			t.Errorf("%s has the service %+v", d.Name, d.Service)
		}
	}
	if names.String() != "ptu std " || cfg.Policy.Name != configured.Name || shape(cfg.Policy.Pools) != shape(configured.Pools) {
		t.Errorf("deployments %q, pools %q", names.String(), shape(cfg.Policy.Pools))
	}
	if cfg.Client.Retries != 5 || cfg.Seed == 0 || cfg.Fleet.Seed == 0 || !cfg.Start.Equal(noon) {
		t.Errorf("client %+v, seeds %d and %d, start %v", cfg.Client, cfg.Seed, cfg.Fleet.Seed, cfg.Start)
	}
	o.Policy = nil
	cfg = o.simulation(tr)
	if shape(cfg.Policy.Pools) != "chat[[ptu]] " || len(cfg.Fleet.Deployments) != 1 || cfg.Policy.Classes["sync"].Window != time.Minute {
		t.Errorf("inferred %q of %d deployments, classes %v", shape(cfg.Policy.Pools), len(cfg.Fleet.Deployments), cfg.Policy.Classes)
	}
}
