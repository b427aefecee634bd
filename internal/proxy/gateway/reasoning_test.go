package gateway

import (
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// TestUnknownReasoningModel serves a client of a model that refuses max_tokens, where
// the configuration does not say so.
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
			w.want(w.post(chat("20", "")), 200)
			w.want(w.post(chat("20", `,"max_tokens":30`)), 200)
		}
		w.idle()
		for _, r := range w.rec.records {
			if r.Status != 200 || len(r.Attempts) != 1 {
				t.Errorf("status %d after %d attempts, want 200 after 1", r.Status, len(r.Attempts))
			}
		}
	})
}
