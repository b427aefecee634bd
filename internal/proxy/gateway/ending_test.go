package gateway

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// TestEnd ends requests in every phase: each client gets a valid response, and
// each record says what happened.
func TestEnd(t *testing.T) {
	tests := []struct {
		name, more string
		stall      bool
		status     int
		outcome    spillway.Outcome
		tail       string
	}{
		{"no token yet", "", true, 503, spillway.OutcomeRefusedQueue, `"shutting_down"`},
		{"no token of a stream yet", `,"stream":true`, true, 503, spillway.OutcomeRefusedQueue, `"shutting_down"`},
		{"while assembling", "", false, 200, spillway.OutcomeTruncatedDeadline, `"finish_reason":"length"`},
		{"while streaming", `,"stream":true`, false, 200, spillway.OutcomeTruncatedDeadline, "data: [DONE]\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), nil)
				if tt.stall {
					w.azure.SetFaults([]fleet.Fault{{Kind: fleet.FaultStallBeforeHeaders}})
				}
				done := make(chan answer)
				go func() { done <- w.post(chat("2000", tt.more)) }()
				time.Sleep(2 * time.Second)
				w.gateway.EndRequests()
				got := <-done
				w.want(got, tt.status)
				if !strings.Contains(got.body, tt.tail) || got.took > 2*time.Second {
					t.Errorf("after %v without %q: %.200s", got.took, tt.tail, got.body[max(0, len(got.body)-200):])
				}
				rec := w.record()
				if rec.Outcome != tt.outcome || rec.Status != tt.status {
					t.Errorf("outcome %v, status %d; want %v, %d", rec.Outcome, rec.Status, tt.outcome, tt.status)
				}
				if tt.status == 200 && (rec.Usage.Completion < 100 || got.header.Get("x-spillway-truncated")+got.trailer.Get("x-spillway-truncated") != "deadline") {
					t.Errorf("%d tokens, %v, %v", rec.Usage.Completion, got.header, got.trailer)
				}
				w.idle()
			})
		})
	}
}

// TestEndRelayed ends a response that can only be broken off.
func TestEndRelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), func(w *world) {
			w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				rw.Write([]byte("half of"))
				rw.(http.Flusher).Flush()
				<-r.Context().Done()
			}))
			w.upstream("east", "http://east.test")
		})
		done := make(chan answer)
		go func() { done <- w.do(http.MethodGet, "/openai/v1/files/x", "") }()
		time.Sleep(time.Second)
		w.gateway.EndRequests()
		if got := <-done; got.err == nil {
			t.Errorf("the client takes half an answer for a whole one: %+v", got)
		}
		if rec := w.record(); rec.Outcome != spillway.OutcomePartial || rec.Status != 200 {
			t.Errorf("outcome %v, status %d", rec.Outcome, rec.Status)
		}
		w.idle()
	})
}

// TestEndIsNotLeaving keeps the departure of a client apart from the gateway's
// own end.
func TestEndIsNotLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), nil)
		w.client.Timeout = time.Second
		if got := w.post(chat("2000", "")); got.err == nil {
			t.Fatalf("got an answer: %s", got.body)
		}
		synctest.Wait()
		w.gateway.EndRequests()
		if rec := w.record(); rec.Outcome != spillway.OutcomeClientGone || rec.Status != 499 {
			t.Errorf("outcome %v, status %d", rec.Outcome, rec.Status)
		}
		w.idle()
	})
}
