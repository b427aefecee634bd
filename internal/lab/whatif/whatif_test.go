package whatif

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
)

const model = "gpt-4o-mini"

// standard is a deployment without limits and without chance: 100 ms to the
// first token, 10 ms from one to the next, each in a chunk of its own.
func standard(name string) fleet.Deployment {
	return fleet.Deployment{
		Deployment:  spillway.Deployment{Name: name, Model: model, Kind: spillway.Standard},
		ChunkTokens: 1,
		Service: fleet.Service{
			TTFT: 100 * time.Millisecond, TTFTSigma: 1e-9, TBTMean: 10 * time.Millisecond, TBTSigma: 1e-9,
			PrefillTokensPerSecond: 1e9,
		},
	}
}

// provisioned is a deployment that is full soon.
func provisioned(name string) fleet.Deployment {
	return fleet.Deployment{Deployment: spillway.Deployment{
		Name: name, Model: model, Kind: spillway.Provisioned, PTU: 2, MeterDepth: 5 * time.Second,
	}}
}

// served is a policy that uses the deployments in that order.
func served(f fleet.Config, change func(*policy.Config, *spillway.Class)) Policy {
	cfg := policy.Config{Pool: spillway.Pool{Name: model}}
	for _, d := range f.Deployments {
		cfg.Deployments = append(cfg.Deployments, d.Deployment)
		cfg.Pool.Tiers = append(cfg.Pool.Tiers, []string{d.Name})
	}
	class := &spillway.Class{Name: "interactive", Window: time.Minute}
	if change != nil {
		change(&cfg, class)
	}
	return Policy{Name: "served", Pools: []policy.Config{cfg}, Default: class}
}

// traffic is n calls at random instants.
func traffic(n int, gap time.Duration) []workload.Call {
	rng := rand.New(rand.NewPCG(3, 4))
	calls, at := make([]workload.Call, n), time.Duration(0)
	for i := range calls {
		at += time.Duration(rng.ExpFloat64() * float64(gap))
		calls[i] = workload.Call{
			At: at, Model: model, PromptTokens: 10 + rng.IntN(500), OutputTokens: 1 + rng.IntN(400), Stream: rng.IntN(2) == 0,
		}
		if rng.IntN(2) == 0 {
			calls[i].MaxTokens = 1 + rng.IntN(300)
		}
	}
	return calls
}

// troubled is a fleet on which much goes wrong, for a policy that hedges and
// has little room, and clients that have little patience.
func troubled() Config {
	f := fleet.Config{Seed: 5, Deployments: []fleet.Deployment{provisioned("ptu"), standard("std"), standard("far")}}
	for _, kind := range []fleet.FaultKind{fleet.FaultStatus5xx, fleet.FaultReset, fleet.FaultCutStream, fleet.FaultStallAfterHeaders} {
		f.Faults = append(f.Faults, fleet.Fault{Kind: kind, Probability: 0.05, AtToken: 3})
	}
	return Config{
		Fleet:  f,
		Client: fleet.Client{Retries: 2, Jitter: 0.25, Timeout: 20 * time.Second},
		Seed:   5,
		Policy: served(f, func(p *policy.Config, c *spillway.Class) {
			p.Queue.MaxLength = 4
			p.Deployments[1].MaxInFlight, p.Deployments[2].MaxInFlight = 4, 4
			c.Hedge, c.Window, c.StreamWindow = true, 5*time.Second, 8*time.Second
		}),
	}
}

// records is a run's records as bytes.
func records(t *testing.T, cfg Config, calls []workload.Call) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	cfg.OnRecord = func(r *spillway.Record) {
		if err := encoder.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Run(cfg, workload.Slice(calls)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestSeed(t *testing.T) {
	calls := traffic(400, 150*time.Millisecond)
	cfg := troubled()
	first := records(t, cfg, calls)
	if again := records(t, cfg, calls); !bytes.Equal(first, again) {
		t.Error("one seed gives different records")
	}
	cfg.Seed++
	if other := records(t, cfg, calls); bytes.Equal(first, other) {
		t.Error("the clients' seed changes nothing")
	}
	cfg.Seed--
	cfg.Fleet.Seed++
	if other := records(t, cfg, calls); bytes.Equal(first, other) {
		t.Error("the fleet's seed changes nothing")
	}
}
