package gateway

import (
	"net/http"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// reasoningPath is chatPath with an api-version that is older than reasoning.
const reasoningPath = "/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21"

// TestUnknownReasoningModel serves a client of a model that refuses max_tokens, and the
// client's api-version, where the configuration does not say so.
func TestUnknownReasoningModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment("own")
		d.Reasoning = true
		w := newWorld(t, []fleet.Deployment{d}, func(w *world) {
			w.cfg.Pools[0].Deployments[0].Reasoning = false
			w.class.Budget.Mode = spillway.BudgetClamp
			w.class.Budget.MaxOutputTokens = 40
		})
		for range 2 {
			w.want(w.do(http.MethodPost, reasoningPath, chat("20", "")), 200)
			w.want(w.do(http.MethodPost, reasoningPath, chat("20", `,"max_tokens":30`)), 200)
		}
		w.idle()
		for _, r := range w.rec.records {
			if r.Status != 200 || len(r.Attempts) != 1 {
				t.Errorf("status %d after %d attempts, want 200 after 1", r.Status, len(r.Attempts))
			}
		}
	})
}

// TestEffortNone caps a request that turns reasoning off like any other.
func TestEffortNone(t *testing.T) {
	for _, tt := range []struct {
		effort    string
		reasoning bool // of the deployment
		want      int
	}{{"none", false, 40}, {"none", true, 40}, {"low", false, 100}} {
		t.Run(tt.effort, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := deployment("own")
				d.Reasoning = tt.reasoning
				w := newWorld(t, []fleet.Deployment{d}, func(w *world) {
					w.class.Budget = spillway.BudgetRule{Mode: spillway.BudgetClamp, MaxOutputTokens: 40}
				})
				got := w.do(http.MethodPost, reasoningPath, chat("100", `,"reasoning_effort":"`+tt.effort+`"`))
				w.want(got, 200)
				if n := w.completion(got.body).Usage.CompletionTokens; n != tt.want {
					t.Errorf("%d tokens, want %d", n, tt.want)
				}
				w.idle()
			})
		})
	}
}
