package whatif

import (
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
	"pgregory.net/rapid"
)

// failer is what a test and a property have in common.
type failer interface {
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// audit runs a simulation and looks at what is left when the last call is over:
// nothing is in flight, reserved or waiting, every call has ended once, every
// request has a record, the tokens that were made are those that the tries tell
// of, and nothing was sent again after the client had begun to read.
func audit(t failer, cfg Config, calls []workload.Call) Result {
	tries, last, told, made, recorded := 0, 0, 0, 0, 0
	cfg.OnTry = func(r *report.Try) {
		tries++
		told += r.CompletionTokens
		if r.Last {
			last++
		}
	}
	cfg.OnRecord = func(r *spillway.Record) {
		recorded++
		if len(r.Attempts) > spillway.MaxAttempts {
			t.Errorf("%s: %d attempts", r.ID, len(r.Attempts))
		}
		for _, a := range r.Attempts {
			if r.Stream && r.TTFT > 0 && a.Start > r.TTFT {
				t.Errorf("%s: sent at %v, though its client has read since %v", r.ID, a.Start, r.TTFT)
			}
		}
	}
	s, err := newSim(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.run(workload.Slice(calls)); err != nil {
		t.Fatal(err)
	}
	s.completeResult()
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
	if last != len(calls) || tries != s.result.Tries {
		t.Errorf("%d calls, %d ended in %d tries of %d", len(calls), last, tries, s.result.Tries)
	}
	if cfg.Policy.Direct == "" && recorded != tries {
		t.Errorf("%d records of %d tries", recorded, tries)
	}
	if told != made {
		t.Errorf("tries tell of %d tokens, %d were made", told, made)
	}
	if _, _, due := s.agenda.first(); due {
		t.Errorf("something is still due")
	}
	return s.result
}

// The books balance on a fleet on which much goes wrong.
func TestConservation(t *testing.T) {
	calls := traffic(600, 150*time.Millisecond)
	direct := troubled()
	direct.Policy = Policy{Name: "direct", Direct: "ptu"}
	for _, cfg := range []Config{troubled(), direct} {
		t.Run(cfg.Policy.Name, func(t *testing.T) {
			if r := audit(t, cfg, calls); r.Tries == r.Calls || r.Deployments[0].OutputTokens == 0 {
				t.Errorf("nothing went wrong, or nothing was made: %+v", r)
			}
		})
	}
}

// The books balance whatever the fleet, the policy, the clients and the calls.
func TestBooksBalance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{Fleet: drawFleet(t), Seed: rapid.Uint64Range(1, 1<<20).Draw(t, "seed")}
		cfg.Client = fleet.Client{
			Retries: rapid.IntRange(0, 3).Draw(t, "client retries"), Jitter: 0.25,
			Timeout: time.Duration(rapid.IntRange(0, 40).Draw(t, "client timeout, s")) * time.Second,
		}
		cfg.Policy = served(cfg.Fleet, func(p *policy.Config, c *spillway.Class) {
			p.Queue.MaxLength = rapid.IntRange(-1, 8).Draw(t, "queue")
			p.Retry.MaxAttempts = rapid.IntRange(1, 8).Draw(t, "attempts")
			for i := range p.Deployments {
				p.Deployments[i].MaxInFlight = rapid.IntRange(0, 6).Draw(t, "in flight")
			}
			c.Budget.Mode = spillway.BudgetMode(rapid.IntRange(0, 3).Draw(t, "mode"))
			c.Sync = spillway.SyncMode(rapid.IntRange(0, 1).Draw(t, "sync"))
			c.Hedge, c.RightSize = rapid.Bool().Draw(t, "hedge"), rapid.Bool().Draw(t, "right size")
			c.Window = time.Duration(rapid.IntRange(0, 20).Draw(t, "window, s")) * time.Second
			c.StreamWindow = time.Duration(rapid.IntRange(0, 20).Draw(t, "stream window, s")) * time.Second
		})
		if rapid.IntRange(0, 9).Draw(t, "without a gateway") == 0 {
			cfg.Policy = Policy{Name: "direct", Direct: cfg.Fleet.Deployments[0].Name}
		}
		audit(t, cfg, drawCalls(t))
	})
}

// drawFleet draws one to three deployments and what goes wrong with them. No
// stall lasts for ever: a client without patience would wait as long.
func drawFleet(t *rapid.T) fleet.Config {
	f := fleet.Config{Seed: rapid.Uint64Range(1, 1<<20).Draw(t, "fleet seed")}
	for _, name := range []string{"first", "second", "third"}[:rapid.IntRange(1, 3).Draw(t, "deployments")] {
		d := standard(name)
		if rapid.Bool().Draw(t, "provisioned") {
			d = provisioned(name)
			d.PTU = rapid.IntRange(1, 20).Draw(t, "PTU")
		} else {
			d.TPM, d.RPM = rapid.IntRange(0, 50_000).Draw(t, "TPM"), rapid.IntRange(0, 600).Draw(t, "RPM")
		}
		d.CompletionWindow = time.Duration(rapid.IntRange(1, 20).Draw(t, "completion window, s")) * time.Second
		f.Deployments = append(f.Deployments, d)
	}
	for range rapid.IntRange(0, 3).Draw(t, "faults") {
		f.Faults = append(f.Faults, fleet.Fault{
			Kind: fleet.FaultKind(rapid.IntRange(0, int(fleet.FaultAbsurdRetryAfter)).Draw(t, "fault")), Probability: rapid.Float64Range(0.01, 1).Draw(t, "probability"),
			AtToken: rapid.IntRange(0, 50).Draw(t, "at token"), After: time.Duration(rapid.IntRange(1, 30).Draw(t, "after, s")) * time.Second,
		})
	}
	return f
}

// drawCalls draws up to a hundred calls.
func drawCalls(t *rapid.T) []workload.Call {
	calls, at := make([]workload.Call, rapid.IntRange(1, 100).Draw(t, "calls")), time.Duration(0)
	for i := range calls {
		at += time.Duration(rapid.IntRange(0, 400_000).Draw(t, "gap, µs")) * time.Microsecond
		calls[i] = workload.Call{
			At: at, Model: model, PromptTokens: rapid.IntRange(0, 4000).Draw(t, "prompt"),
			OutputTokens: rapid.IntRange(1, 1500).Draw(t, "output"), MaxTokens: rapid.IntRange(0, 1000).Draw(t, "limit"),
			Stream: rapid.Bool().Draw(t, "stream"),
		}
	}
	return calls
}
