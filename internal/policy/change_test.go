package policy

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"pgregory.net/rapid"
)

// TestEngineKeepsItsBooksThroughChanges is TestEngineKeepsItsBooks with more callers than
// a breaker tells apart, while the policy and the clock change: deployments leave and
// return with another capacity or credential, and the clock goes back, by milliseconds as
// where instants are read before a lock, or by an hour.
func TestEngineKeepsItsBooksThroughChanges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawConfig(rt)
		e, err := New(cfg, rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)).Float64)
		if err != nil {
			rt.Fatal(err)
		}
		w := &world{t: rt, engine: e, now: epoch, callers: 150, jumps: true}
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			switch rapid.IntRange(0, 7).Draw(rt, "step") {
			case 0, 1:
				w.arrive()
			case 2, 3, 4:
				w.happen()
			case 5:
				w.advance(time.Duration(rapid.IntRange(1, 20_000).Draw(rt, "ms")) * time.Millisecond)
			case 6:
				w.change(cfg)
			case 7:
				w.now = w.now.Add(-rapid.SampledFrom([]time.Duration{time.Millisecond, 50 * time.Millisecond, time.Minute, time.Hour}).Draw(rt, "back"))
			}
		}
		w.finish()
		if w.settled != w.begun {
			rt.Fatalf("%d of %d flights settled", w.settled, w.begun)
		}
		for _, d := range e.Status(w.now, nil) {
			if d.InFlight != 0 || d.OutstandingTokens != 0 || d.Silence.Requests != 0 {
				rt.Fatalf("%s: %d in flight, %v tokens reserved, %+v after everything has settled", d.Name, d.InFlight, d.OutstandingTokens, d.Silence)
			}
			if d.Reason(w.now) == "" {
				rt.Fatalf("%s: no reason", d.Name)
			}
		}
		if e.Waiting() != 0 {
			rt.Fatalf("%d still wait", e.Waiting())
		}
	})
}

// change applies a part of a policy, with changes, or forgives a deployment.
func (w *world) change(cfg Config) {
	t := w.t
	name := rapid.SampledFrom(cfg.Deployments).Draw(t, "deployment").Name
	if rapid.Bool().Draw(t, "forgive") {
		w.engine.Forgive(name)
		w.ready()
		return
	}
	cfg.Deployments = slices.Clone(cfg.Deployments)
	for i := range cfg.Deployments {
		if d := &cfg.Deployments[i]; d.Name == name && d.Kind == spillway.Standard {
			d.TPM = rapid.SampledFrom([]int{0, 20_000, 3_000_000}).Draw(t, "tpm")
		}
	}
	if len(cfg.Deployments) > 1 && rapid.Bool().Draw(t, "leaves") {
		var tiers [][]string
		for _, names := range cfg.Pool.Tiers {
			if names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name }); len(names) > 0 {
				tiers = append(tiers, names)
			}
		}
		cfg.Pool.Tiers = tiers
	}
	cfg.Breaker.MinRequests = rapid.IntRange(0, 3).Draw(t, "minRequests")
	if err := w.engine.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	w.ready()
}
