package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
)

// incident is the fleet and the policy of the reference incident's best run:
// the measured cap, spillover, learned reservations.
func incident() whatif.Config {
	class := &spillway.Class{
		Name: "sync", Window: time.Minute, RightSize: true,
		Budget: spillway.BudgetRule{Mode: spillway.BudgetClamp, Quantile: 0.99},
	}
	cfg := policy.Config{Pool: spillway.Pool{
		Name: "gpt-4o-mini", Tiers: [][]string{{"ptu-eastus"}, {"std-swedencentral", "std-westus3"}},
	}}
	f := fleet.Config{Seed: 1, Deployments: []fleet.Deployment{
		{
			Deployment: spillway.Deployment{
				Name: "ptu-eastus", Region: "eastus", Kind: spillway.Provisioned, PTU: 3200, MeterDepth: time.Minute,
			},
			Service: fleet.Service{TBTMean: 9 * time.Millisecond, TBTSigma: 0.5, TTFT: 300 * time.Millisecond, TTFTSigma: 0.6},
		},
		{Deployment: spillway.Deployment{Name: "std-swedencentral", Region: "swedencentral", TPM: 10_000_000}},
		{Deployment: spillway.Deployment{Name: "std-westus3", Region: "westus3", TPM: 10_000_000}},
	}}
	for i := range f.Deployments {
		f.Deployments[i].Model = cfg.Pool.Name
		cfg.Deployments = append(cfg.Deployments, f.Deployments[i].Deployment)
	}
	return whatif.Config{
		Fleet: f, Client: fleet.OpenAISDK(), Seed: 1, Objective: whatif.Objective{Window: class.Window},
		Policy: whatif.Policy{Name: "all", Pools: []policy.Config{cfg}, Default: class},
	}
}

// traffic is the first n records of the incident, with ids and tenants as a
// gateway would see them.
func traffic(tb testing.TB, n int) []spillway.Record {
	tb.Helper()
	spec := workload.Incident(1)
	spec.Duration = time.Duration(n)*2*time.Millisecond + time.Minute
	calls, err := workload.Generate(spec, 1)
	if err != nil {
		tb.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var out []spillway.Record
	cfg := incident()
	cfg.OnRecord = func(r *spillway.Record) {
		if len(out) == n {
			return
		}
		c := *r
		c.ID = fmt.Sprintf("req_%016x%016x", random.Uint64(), random.Uint64())
		c.Tenant = fmt.Sprintf("tenant-%d", random.IntN(40))
		c.Attempts = slices.Clone(r.Attempts)
		out = append(out, c)
	}
	if _, err = whatif.Run(cfg, calls); err != nil {
		tb.Fatal(err)
	}
	if len(out) < n {
		tb.Fatalf("the incident left %d records, want %d", len(out), n)
	}
	return out
}
