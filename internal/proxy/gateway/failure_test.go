package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// TestFailover breaks the first deployment in every way, and expects a response
// from the second.
func TestFailover(t *testing.T) {
	tests := []struct {
		name  string
		fault fleet.Fault
		class spillway.FailureClass
	}{
		{"429", fleet.Fault{Kind: fleet.FaultStatus429, RetryAfter: 30 * time.Second}, spillway.FailureRefused},
		{"a day", fleet.Fault{Kind: fleet.FaultAbsurdRetryAfter}, spillway.FailureRefused},
		{"500", fleet.Fault{Kind: fleet.FaultStatus5xx}, spillway.FailureBroken},
		{"reset", fleet.Fault{Kind: fleet.FaultReset}, spillway.FailureBroken},
		{"stall", fleet.Fault{Kind: fleet.FaultStallBeforeHeaders}, spillway.FailureSlow},
	}
	for _, tt := range tests {
		for _, more := range []string{"", `,"stream":true`} {
			t.Run(tt.name+more, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, two(), nil)
					tt.fault.Deployment = "east"
					w.azure.SetFaults([]fleet.Fault{tt.fault})
					got := w.post(chat("20", more))
					w.want(got, 200)
					if got.trailer.Get("x-spillway-deployment") != "" { // heartbeats came first
						got.header = got.trailer
					}
					if d := got.header.Get("x-spillway-deployment"); d != "west" || got.header.Get("x-spillway-attempts") != "2" {
						t.Errorf("served by %q, %v", d, got.header)
					}
					if got.header.Get("x-spillway-spill") == "" {
						t.Errorf("no x-spillway-spill in %v", got.header)
					}
					rec := w.record()
					if len(rec.Attempts) != 2 || rec.Attempts[0].Class != tt.class {
						t.Errorf("unexpected attempts: %+v", rec.Attempts)
					}
					w.idle()
				})
			})
		}
	}
}

// TestCutAtDeadline asks for more than fits the window.
func TestCutAtDeadline(t *testing.T) {
	for _, more := range []string{"", `,"stream":true`} {
		t.Run(more, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), func(w *world) {
					w.class.Window, w.class.StreamWindow = 5*time.Second, 5*time.Second
				})
				got := w.post(chat("4000", more))
				w.want(got, 200)
				if got.took > 5*time.Second || got.took < 4*time.Second {
					t.Errorf("answer took %v, want just under 5 s", got.took)
				}
				rec := w.record()
				if rec.Outcome != spillway.OutcomeTruncatedDeadline || rec.Usage.Completion < 300 {
					t.Errorf("unexpected record: %+v", rec)
				}
				if more == "" {
					c := w.completion(got.body)
					if c.Choices[0].FinishReason != "length" || got.header.Get("x-spillway-truncated") != "deadline" {
						t.Errorf("finish %q, headers %v", c.Choices[0].FinishReason, got.header)
					}
				} else {
					data := events(got.body)
					if last := data[len(data)-1]; last != "[DONE]" || !strings.Contains(data[len(data)-2], `"finish_reason":"length"`) {
						t.Errorf("stream ends with %q", data[len(data)-2:])
					}
					if got.trailer.Get("x-spillway-truncated") != "deadline" {
						t.Errorf("trailer %v", got.trailer)
					}
				}
				w.idle()
				synctest.Wait()
				if s, _ := w.azure.Stats("east"); s.Canceled != 1 {
					t.Errorf("upstream saw %d cancellations, want 1", s.Canceled)
				}
			})
		})
	}
}

// TestTimeout has nothing to return at the deadline.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), func(w *world) { w.class.Window = 3 * time.Second })
		w.azure.SetFaults([]fleet.Fault{{Kind: fleet.FaultStallBeforeHeaders}})
		got := w.post(chat("20", ""))
		w.want(got, 408)
		if c := w.completion(got.body); c.Error == nil || c.Error.Code != "Timeout" || got.took > 3*time.Second {
			t.Errorf("after %v: %s", got.took, got.body)
		}
		if rec := w.record(); rec.Outcome != spillway.OutcomeTimeout {
			t.Errorf("unexpected record: %+v", rec)
		}
		w.idle()
	})
}

// TestPartial breaks the only deployment in the middle of a stream.
func TestPartial(t *testing.T) {
	for _, kind := range []fleet.FaultKind{fleet.FaultCutStream, fleet.FaultReset} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), nil)
				w.azure.SetFaults([]fleet.Fault{{Kind: kind, AtToken: 7}})
				got := w.post(chat("20", `,"stream":true`))
				w.want(got, 200)
				data := events(got.body)
				if last := data[len(data)-1]; !strings.Contains(last, `"error"`) {
					t.Errorf("stream ends with %q, want an error event", last)
				}
				if rec := w.record(); rec.Outcome != spillway.OutcomePartial {
					t.Errorf("unexpected record: %+v", rec)
				}
				w.idle()
			})
		})
	}
}

// TestCutStreamIsAskedAgain breaks a stream of which the client has seen
// nothing yet, because it is being assembled.
func TestCutStreamIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, two(), nil)
		w.azure.SetFaults([]fleet.Fault{{Kind: fleet.FaultCutStream, Deployment: "east", AtToken: 7}})
		got := w.post(chat("20", ""))
		w.want(got, 200)
		if c := w.completion(got.body); c.Usage.CompletionTokens != 20 {
			t.Errorf("unexpected answer: %s", got.body)
		}
		w.idle()
	})
}

// TestClientGone leaves in every phase and watches the deployment notice.
func TestClientGone(t *testing.T) {
	for _, tt := range []struct {
		name, more string
		stay       time.Duration
	}{
		{"before the first token", "", 50 * time.Millisecond},
		{"while assembling", "", 500 * time.Millisecond},
		{"while streaming", `,"stream":true`, 500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), nil)
				ctx, cancel := context.WithTimeout(t.Context(), tt.stay)
				defer cancel()
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway.test"+chatPath, strings.NewReader(chat("2000", tt.more)))
				req.Header.Set("api-key", "demo")
				if got := w.read(req); got.err == nil {
					t.Fatalf("got an answer: %s", got.body)
				}
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				if s, _ := w.azure.Stats("east"); s.Canceled != 1 {
					t.Errorf("upstream saw %d cancellations within 100 ms, want 1", s.Canceled)
				}
				if rec := w.record(); rec.Outcome != spillway.OutcomeClientGone {
					t.Errorf("unexpected record: %+v", rec)
				}
				w.idle()
			})
		})
	}
}

// TestHedge makes the first deployment stall once and be overtaken.
func TestHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, two(), func(w *world) { w.class.Hedge = true })
		for range 30 { // teach the usual time to first token
			w.want(w.post(chat("5", "")), 200)
		}
		w.azure.SetFaults([]fleet.Fault{{Kind: fleet.FaultStallBeforeHeaders, Deployment: "east"}})
		got := w.post(chat("5", ""))
		w.want(got, 200)
		if d := got.header.Get("x-spillway-deployment"); d != "west" || got.took > 4*time.Second {
			t.Errorf("served by %q after %v", d, got.took)
		}
		if err := w.gateway.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		rec := w.rec.records[len(w.rec.records)-1]
		if len(rec.Attempts) != 2 || !rec.Attempts[1].Hedge {
			t.Errorf("unexpected attempts: %+v", rec.Attempts)
		}
		w.idle()
	})
}

// TestPanic crashes in the handler and in an attempt.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), func(w *world) {
			u := w.cfg.Upstreams["east"]
			u.Credential = panicking{}
			w.cfg.Upstreams["east"] = u
		})
		got := w.post(chat("5", ""))
		w.want(got, 500)
		if c := w.completion(got.body); c.Error == nil || c.Error.Code != "internal_error" {
			t.Errorf("unexpected body: %s", got.body)
		}
		w.record()
		w.idle()
	})
}

type panicking struct{}

func (panicking) Apply(http.Header) error { panic("no credential today") }
