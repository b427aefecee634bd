package whatif

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/fleet"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/report"
	"github.com/spillway-ai/spillway/internal/workload"
)

const model = "gpt-4o-mini"

// standard is a deployment without limits and without chance: 100 ms to the
// first token, 10 ms from one to the next.
func standard(name string) fleet.Deployment {
	return fleet.Deployment{
		Deployment: spillway.Deployment{Name: name, Model: model, Kind: spillway.Standard},
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

// TestConservation looks at what is left when the last call is over: nothing is
// in flight or reserved, every call has ended once, every request has a
// record, and the tokens that were made are those that the tries tell of.
func TestConservation(t *testing.T) {
	calls := traffic(600, 150*time.Millisecond)
	direct := troubled()
	direct.Policy = Policy{Name: "direct", Direct: "ptu"}
	for _, cfg := range []Config{troubled(), direct} {
		t.Run(cfg.Policy.Name, func(t *testing.T) {
			tries, last, told, made, recorded := 0, 0, 0, 0, 0
			cfg.OnTry = func(r *report.Try) {
				tries++
				told += r.CompletionTokens
				if r.Last {
					last++
				}
			}
			cfg.OnRecord = func(*spillway.Record) { recorded++ }
			s, err := newSim(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.run(workload.Slice(calls)); err != nil {
				t.Fatal(err)
			}
			s.conclude()
			for _, sv := range s.order {
				st := sv.State(s.now())
				made += st.Counts.OutputTokens
				if st.InFlight != 0 || st.Counts.Completed != st.Counts.Accepted {
					t.Errorf("%s: %d in flight, %+v", sv.name, st.InFlight, st.Counts)
				}
			}
			for _, p := range s.pools {
				if n := p.engine.Waiting(); n != 0 {
					t.Errorf("%d wait", n)
				}
				for _, d := range p.engine.Status(s.now(), nil) {
					if d.InFlight != 0 || d.OutstandingTokens != 0 {
						t.Errorf("%s: %d in flight, %v tokens reserved", d.Name, d.InFlight, d.OutstandingTokens)
					}
				}
			}
			if last != len(calls) || tries != s.result.Tries || tries == last {
				t.Errorf("%d calls, %d ended in %d tries of %d", len(calls), last, tries, s.result.Tries)
			}
			if cfg.Policy.Direct == "" && recorded != tries {
				t.Errorf("%d records of %d tries", recorded, tries)
			}
			if told != made || made == 0 {
				t.Errorf("tries tell of %d tokens, %d were made", told, made)
			}
			if _, _, due := s.agenda.first(); due {
				t.Error("something is still due")
			}
		})
	}
}
