package gateway

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// TestSpilledOver neither charges a provisioned deployment for a response that Azure's
// own spillover moved elsewhere, nor learns its speed from it: by any of the headers
// that say so.
func TestSpilledOver(t *testing.T) {
	for _, tt := range []struct {
		name, header, value string
		spilled             bool
	}{
		{"alone", "x-ms-is-spilled-over", "true", true},
		{"from", "x-ms-spillover-from-deployment", "east", true},
		{"error", "x-ms-spillover-error", "429", true},
		{"false", "x-ms-is-spilled-over", "false", false},
		{"none", "x-other", "true", false},
	} {
		for _, more := range []string{"", `,"stream":true`} {
			t.Run(tt.name+more, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, _ := oddWorld(t, func(w http.ResponseWriter, r *http.Request) {
						time.Sleep(5 * time.Second)
						w.Header().Set(tt.header, tt.value)
						speak(w, doneTail, wholeFirst)
					}, func(w *world) {
						d := &w.cfg.Pools[0].Deployments[0]
						d.Kind, d.PTU, d.InputTPMPerPTU, d.TPM, d.RPM = spillway.Provisioned, 15, 500, 0, 0
					})
					before := w.gateway.Status(nil)[0].Deployments[0]
					w.want(w.post(`{"messages":[{"role":"user","content":"`+strings.Repeat("word ", 10_000)+`"}]`+more+`}`), 200)
					rec := w.record()
					if spilled := rec.Attempts[0].ServedBy != ""; spilled != tt.spilled || rec.Outcome != spillway.OutcomeOK {
						t.Errorf("served by %q, outcome %v; spilled: want %v", rec.Attempts[0].ServedBy, rec.Outcome, tt.spilled)
					}
					after := w.gateway.Status(nil)[0].Deployments[0]
					if learned := after.TTFTP50 != before.TTFTP50; learned == tt.spilled {
						t.Errorf("TTFT %v became %v; spilled: %v", before.TTFTP50, after.TTFTP50, tt.spilled)
					}
					if charged := after.Utilization > 0; charged == tt.spilled {
						t.Errorf("utilization %v; spilled: %v", after.Utilization, tt.spilled)
					}
					w.idle()
				})
			})
		}
	}
}
