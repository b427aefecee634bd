package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// TestStreamRefused serves a synchronous client although its model may not stream. What
// is silent then for a long time is not slow: nothing can come before the end.
func TestStreamRefused(t *testing.T) {
	const whole = `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"whole"},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`
	for _, tt := range []struct {
		name, more string
		option     bool // the deployment's own option
		takes      time.Duration
		status     int
		asked      [2]int
	}{
		{"asked again", "", false, time.Second, 200, [2]int{2, 1}},
		{"long silence", "", false, 50 * time.Second, 200, [2]int{2, 1}},
		{"option", "", true, 50 * time.Second, 200, [2]int{1, 1}},
		{"deadline", "", false, 2 * time.Minute, 408, [2]int{2, 2}},
		{"the client's own stream", `,"stream":true`, false, time.Second, 400, [2]int{1, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				east := newCalls(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					w.Header().Set("Content-Type", "application/json")
					if strings.Contains(string(body), `"stream":true`) {
						w.WriteHeader(http.StatusBadRequest)
						io.WriteString(w, `{"error":{"message":"Your organization must be verified to stream this model.","type":"invalid_request_error","param":"stream","code":"unsupported_value"}}`)
						return
					}
					select {
					case <-time.After(tt.takes):
						io.WriteString(w, whole)
					case <-r.Context().Done():
					}
				})
				w := newWorld(t, two(), func(w *world) {
					w.serve("east.test", east)
					w.upstream("east", "http://east.test")
					if tt.option {
						w.cfg.Pools[0].Deployments[0].Sync = spillway.SyncPass
					}
				})
				before := 0
				for i, want := range tt.asked {
					got := w.post(chat("5", tt.more))
					w.want(got, tt.status)
					if tt.status == 200 && (got.body != whole || got.header.Get("x-spillway-deployment") != "east") {
						t.Errorf("from %s: %s", got.header.Get("x-spillway-deployment"), got.body)
					}
					east.mu.Lock()
					sent := len(east.body) - before
					before += sent
					east.mu.Unlock()
					if sent != want {
						t.Errorf("request %d was sent %d times, want %d", i+1, sent, want)
					}
				}
				if tt.status == 200 {
					for _, rec := range w.rec.records {
						if rec.Outcome != spillway.OutcomeOK || len(rec.Attempts) != 1 || rec.Usage.Completion != 2 {
							t.Errorf("unexpected record: %+v", rec)
						}
					}
				}
				w.idle()
			})
		})
	}
}
