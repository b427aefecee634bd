package gateway

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

func one() []fleet.Deployment { return []fleet.Deployment{deployment("east")} }
func two() []fleet.Deployment { return []fleet.Deployment{deployment("east"), deployment("west")} }

func TestChat(t *testing.T) {
	for _, mode := range []spillway.SyncMode{spillway.SyncStream, spillway.SyncPass} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), func(w *world) { w.class.Sync = mode })
				got := w.post(chat("20", `,"max_tokens":100`))
				w.want(got, 200)
				c := w.completion(got.body)
				if len(c.Choices) != 1 || c.Choices[0].FinishReason != "stop" || c.Usage.CompletionTokens != 20 {
					t.Errorf("unexpected answer: %s", got.body)
				}
				if d := got.header.Get("x-spillway-deployment"); d != "east" {
					t.Errorf("deployment %q, want east", d)
				}
				rec := w.record()
				if rec.Outcome != spillway.OutcomeOK || rec.Usage.Completion != 20 || rec.Caller != "tester" || rec.Status != 200 {
					t.Errorf("unexpected record: %+v", rec)
				}
				w.idle()
			})
		})
	}
}

func TestStream(t *testing.T) {
	for _, include := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, one(), nil)
			more := `,"stream":true`
			if include {
				more += `,"stream_options":{"include_usage":true}`
			}
			got := w.post(chat("20", more))
			w.want(got, 200)
			data := events(got.body)
			if len(data) < 20 || data[len(data)-1] != "[DONE]" {
				t.Fatalf("unexpected stream of %d events:\n%s", len(data), got.body)
			}
			if hasUsage := strings.Contains(got.body, `"completion_tokens":20`); hasUsage != include {
				t.Errorf("usage chunk present: %v, want %v", hasUsage, include)
			}
			rec := w.record()
			if rec.Outcome != spillway.OutcomeOK || rec.Usage.Completion != 20 || !rec.Usage.Known || rec.TTFT <= 0 || rec.TBTMax <= 0 {
				t.Errorf("unexpected record: %+v", rec)
			}
			w.idle()
		})
	}
}

// TestGrantedTokens lowers an ask and says so.
func TestGrantedTokens(t *testing.T) {
	for _, mode := range []spillway.SyncMode{spillway.SyncStream, spillway.SyncPass} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, one(), func(w *world) {
				w.class.Sync = mode
				w.class.Budget = spillway.BudgetRule{Mode: spillway.BudgetClamp, MaxOutputTokens: 50}
			})
			got := w.post(chat("400", `,"max_tokens":300`))
			w.want(got, 200)
			h := got.header
			if h.Get("x-spillway-granted-tokens") != "50" || h.Get("x-spillway-requested-tokens") != "300" ||
				h.Get("x-spillway-truncated") != "budget" {
				t.Errorf("unexpected headers: %v", h)
			}
			rec := w.record()
			if rec.Outcome != spillway.OutcomeTruncatedBudget || rec.Usage.Completion != 50 || rec.GrantTokens != 50 {
				t.Errorf("unexpected record: %+v", rec)
			}
			w.idle()
		})
	}
}

// TestHeaders passes what belongs to the client and the deployment, and keeps
// what does not.
func TestHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent http.Header
		w := newWorld(t, one(), func(w *world) {
			w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				sent = r.Header.Clone()
				rw.Header().Set("Keep-Alive", "timeout=5")
				w.azure.ServeHTTP(rw, r)
			}))
			w.upstream("east", "http://east.test")
			u := w.cfg.Upstreams["east"]
			u.Header = http.Header{"x-fixed": {"yes"}}
			w.cfg.Upstreams["east"] = u
		})
		got := w.post(chat("5", ""), "x-ms-client-request-id", "abc", "Cookie", "secret", "Authorization", "Bearer demo",
			"x-slo-ttft-ms", "500", "x-stainless-lang", "go", "Accept-Encoding", "gzip")
		w.want(got, 200)
		want := map[string]string{
			"X-Ms-Client-Request-Id": "abc", "X-Fixed": "yes", "Api-Key": "azure", "X-Spillway-Hops": "1",
			"Cookie": "", "Authorization": "", "X-Slo-Ttft-Ms": "", "X-Stainless-Lang": "", "Accept-Encoding": "identity",
		}
		for name, value := range want {
			if sent.Get(name) != value {
				t.Errorf("%s: sent %q, want %q", name, sent.Get(name), value)
			}
		}
		for _, name := range []string{"x-ms-region", "apim-request-id", "server-timing", "x-spillway-attempts"} {
			if got.header.Get(name) == "" {
				t.Errorf("no %s in %v", name, got.header)
			}
		}
		if got.header.Get("Keep-Alive") != "" || strings.Contains(got.header.Get("Content-Type"), "event-stream") {
			t.Errorf("unexpected headers: %v", got.header)
		}
	})
}
