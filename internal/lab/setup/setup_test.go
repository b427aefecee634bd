package setup

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// gateway is a configuration with two deployments, two classes, and what is
// added to it.
func gateway(t *testing.T, more string) *config.Config {
	t.Helper()
	text := `
deployments:
  - {name: ptu, endpoint: "https://east.openai.azure.com", model: gpt-4o-mini, kind: provisioned, ptu: 50, region: eastus, auth: {api_key: k}}
  - {name: std, endpoint: "https://west.openai.azure.com", model: gpt-4o-mini, tpm: 100000, rpm: 600, auth: {api_key: k}}
classes:
  - {name: sync, window: 60s}
  - {name: bulk, window: 10m, priority: low}
` + more
	cfg, err := config.Parse("spillway.yaml", []byte(text), noEnvironment, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

const pools = `
pools:
  - {name: chat, models: [gpt-4o-mini], tiers: [[ptu], [std]]}
`

// A call without a class has that of requests without a key, of the first
// caller, or the first class.
func TestDefaultClass(t *testing.T) {
	for _, tc := range []struct{ name, more, want string }{
		{"requests without a key", "anonymous: bulk\ncallers:\n  - {name: a, key: secret-key-a, class: sync}\n", "bulk"},
		{"the first caller", "callers:\n  - {name: a, key: secret-key-a, class: bulk}\n  - {name: b, key: secret-key-b, class: sync}\n", "bulk"},
	} {
		p, err := Policy("now", gateway(t, pools+tc.more))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if p.Name != "now" || p.Default.Name != tc.want || len(p.Classes) != 2 || p.Direct != "" {
			t.Errorf("%s: %+v, default class %+v", tc.name, p, p.Default)
		}
	}
	cfg := gateway(t, pools+"anonymous: bulk\n")
	cfg.Anonymous = ""
	if p, err := Policy("now", cfg); err != nil || p.Default.Name != "sync" {
		t.Errorf("neither: %+v, %v, want the first class", p.Default, err)
	}
}

// A policy has the pools with their tiers, and the class of each caller.
func TestPolicy(t *testing.T) {
	p, err := Policy("now", gateway(t, pools+"callers:\n  - {name: a, key: secret-key-a, class: bulk}\n  - {name: b, key: secret-key-b, class: sync}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Pools) != 1 || fmt.Sprint(p.Pools[0].Pool.Tiers) != "[[ptu] [std]]" || len(p.Pools[0].Deployments) != 2 {
		t.Errorf("pools %+v", p.Pools)
	}
	if p.Callers["a"] != p.Classes["bulk"] || p.Callers["b"] != p.Classes["sync"] || p.Classes["bulk"].Priority != spillway.PriorityLow {
		t.Errorf("callers %+v, classes %+v", p.Callers, p.Classes)
	}
}

func TestPolicyErrors(t *testing.T) {
	for name, change := range map[string]func(c *config.Config){
		"no pool":  func(c *config.Config) { c.Pools, c.Deployments = nil, nil },
		"no class": func(c *config.Config) { c.Classes, c.Anonymous = nil, "" },
	} {
		cfg := gateway(t, pools+"anonymous: sync\n")
		change(cfg)
		if _, err := Policy("now", cfg); err == nil || !strings.Contains(err.Error(), "policy now") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The fleet of several configurations has each deployment once, as the first of
// them describes it.
func TestFleetOf(t *testing.T) {
	first, second := gateway(t, pools+"anonymous: sync\n"), gateway(t, pools+"anonymous: sync\n")
	second.Deployments[0].PTU = 100
	second.Deployments[1].Name, second.Pools[0].Tiers[1][0] = "other", "other"
	f, err := FleetOf(first, second)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, d := range f.Deployments {
		got.WriteString(fmt.Sprintf("%s/%d/%d ", d.Name, d.PTU, d.TPM))
		if !reflect.DeepEqual(d.Service, fleet.Service{}) {
			t.Errorf("%s has the speed %+v, want the usual", d.Name, d.Service)
		}
	}
	if got.String() != "ptu/50/0 std/0/100000 other/0/100000 " {
		t.Errorf("deployments %q", got.String())
	}
	if _, err := FleetOf(); err == nil {
		t.Error("no configuration is no error")
	}
}

// Every option of a fleet file arrives in the model.
func TestFleet(t *testing.T) {
	file := &config.Fleet{
		Deployments: []config.FleetDeployment{{
			Name: "ptu", Model: "gpt-4o", Kind: "provisioned", Region: "eastus", PTU: 50, MeterDepth: 2 * time.Minute, TPM: 1, RPM: 2, Reasoning: true,
			CompletionWindow: 3 * time.Second, DefaultOutput: 4, MaxOutput: 5, OutputMedian: 6, OutputSigma: 7, TBTMean: 8, TBTSigma: 9, TTFT: 10,
			TTFTSigma: 11, PrefillTokensPerSecond: 12,
		}, {Name: "std", Model: "own", Kind: "standard"}},
		Models: []config.Model{{Name: "own", InputTPMPerPTU: 10, OutputRatio: 2, CachedRatio: 0.5}},
		Faults: []config.FleetFault{{
			Kind: "status_5xx", Deployment: "ptu", Region: "eastus", From: 1, Until: 2, Probability: 0.3, Status: 503, After: 4, AtToken: 5, Factor: 6, RetryAfter: 7,
		}},
	}
	got, err := Fleet(file)
	if err != nil {
		t.Fatal(err)
	}
	kind, err := fleet.ParseFaultKind("status_5xx")
	if err != nil {
		t.Fatal(err)
	}
	price := spillway.TokenPrice{Input: 2.5, Cached: 1.25, Output: 10, Flex: 0.5, Priority: 1.7}
	want := fleet.Config{
		Deployments: []fleet.Deployment{{
			Deployment: spillway.Deployment{
				Name: "ptu", Model: "gpt-4o", Kind: spillway.Provisioned, Region: "eastus", PTU: 50, MeterDepth: 2 * time.Minute, TPM: 1, RPM: 2, Reasoning: true,
				InputTPMPerPTU: 2500, OutputRatio: 4, TokensPerSecond: 25, Price: price,
			},
			Service:          fleet.Service{TBTMean: 8, TBTSigma: 9, TTFT: 10, TTFTSigma: 11, PrefillTokensPerSecond: 12},
			CompletionWindow: 3 * time.Second, DefaultOutput: 4, MaxOutput: 5, OutputMedian: 6, OutputSigma: 7,
		}, {Deployment: spillway.Deployment{
			Name: "std", Model: "own", InputTPMPerPTU: 10, OutputRatio: 2, CachedRatio: 0.5,
		}}},
		Faults: []fleet.Fault{{
			Kind: kind, Deployment: "ptu", Region: "eastus", From: 1, Until: 2, Probability: 0.3, Status: 503, After: 4, AtToken: 5, Factor: 6, RetryAfter: 7,
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	file.Faults[0].Kind = "earthquake"
	if _, err := Fleet(file); err == nil || !strings.Contains(err.Error(), "faults[0]") {
		t.Errorf("%v, want an error with the place", err)
	}
}

// The incident keeps its proportions at every size, and every policy fits its
// fleet.
func TestIncident(t *testing.T) {
	whole, err := IncidentFleet(1)
	if err != nil {
		t.Fatal(err)
	}
	tenth, err := IncidentFleet(0.1)
	if err != nil {
		t.Fatal(err)
	}
	near := func(part, all int) bool {
		return part == 0 && all == 0 || part >= 1 && max(part*10-all, all-part*10) <= 5
	}
	names := map[string]bool{}
	for i, d := range whole.Deployments {
		names[d.Name] = true
		if s := tenth.Deployments[i]; s.Name != d.Name || !near(s.PTU, d.PTU) || !near(s.TPM, d.TPM) || !near(s.RPM, d.RPM) {
			t.Errorf("%s: %d PTU, %d TPM, %d RPM at a tenth of %d, %d, %d", d.Name, s.PTU, s.TPM, s.RPM, d.PTU, d.TPM, d.RPM)
		}
	}
	policies, err := IncidentPolicies(0.1)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range policies {
		if (p.Direct != "") != (i == 0) {
			t.Errorf("policy %s is direct at %q", p.Name, p.Direct)
		}
		if p.Direct != "" && !names[p.Direct] {
			t.Errorf("policy %s calls %s, which the fleet does not have", p.Name, p.Direct)
		}
		for _, pool := range p.Pools {
			for _, d := range pool.Deployments {
				if !names[d.Name] {
					t.Errorf("policy %s has %s, which the fleet does not have", p.Name, d.Name)
				}
			}
		}
	}
	if _, err := IncidentConfig("none", 1); err == nil || !strings.Contains(err.Error(), "policy none") {
		t.Errorf("%v, want that there is no such policy", err)
	}
}

func TestScaled(t *testing.T) {
	for _, tc := range []struct {
		n     int
		scale float64
		want  int
	}{{0, 0.1, 0}, {100, 0.1, 10}, {1, 0.1, 1}, {15, 0.1, 2}, {100, 2, 200}, {14, 0.1, 1}} {
		if got := scaled(tc.n, tc.scale); got != tc.want {
			t.Errorf("%d at %v: %d, want %d", tc.n, tc.scale, got, tc.want)
		}
	}
}
