package whatif

import (
	"fmt"
	"slices"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
)

// TestChange is about a call that waits for the only place since 0.5 s, and a
// new policy that ends its wait at 1.2 s, when nothing else happens.
func TestChange(t *testing.T) {
	f := fleet.Config{Deployments: []fleet.Deployment{standard("a")}}
	places := func(n, queue int) Policy {
		return served(f, func(p *policy.Config, _ *spillway.Class) {
			p.Deployments[0].MaxInFlight, p.Queue.MaxLength = n, queue
		})
	}
	for _, tc := range []struct {
		name string
		to   Policy
		want string // outcome, first token and end of the call that waits
	}{
		{"more room", places(2, 1), "ok 800ms 800ms"},
		{"no more waiting", places(1, -1), "refused_queue 0s 700ms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			cfg := Config{Fleet: f, Policy: places(1, 1), OnRecord: func(r *spillway.Record) {
				got = append(got, fmt.Sprintf("%v %v %v", r.Outcome, r.TTFT.Round(100*time.Millisecond), r.E2E.Round(100*time.Millisecond)))
			}}
			cfg.Policy.Changes = []Change{{At: 1200 * time.Millisecond, Pools: tc.to.Pools}}
			_, err := Run(cfg, workload.Slice([]workload.Call{
				{Model: model, PromptTokens: 100, OutputTokens: 401},
				{At: 500 * time.Millisecond, Model: model, PromptTokens: 100, OutputTokens: 1},
			}))
			if want := []string{tc.want, "ok 100ms 4.1s"}; err != nil || !slices.Equal(got, want) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
}
