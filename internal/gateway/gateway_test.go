package gateway

import (
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/fleet"
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
