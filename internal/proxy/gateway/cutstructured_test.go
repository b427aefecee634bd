package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// TestCutStructured cuts responses at the deadline. One that does not parse then is an
// error for a client that does not stream, unless its class wants what has arrived.
func TestCutStructured(t *testing.T) {
	const tools = `,"tools":[{"type":"function","function":{"name":"f"}}]`
	const schema = `,"response_format":{"type":"json_object"}`
	text := func(n int) string { return fmt.Sprintf(`{"content":"%d "}`, n) }
	call := func(n int) string {
		if n == 0 {
			return `{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":\""}}]}`
		}
		return `{"tool_calls":[{"index":0,"function":{"arguments":"more "}}]}`
	}
	for _, tt := range []struct {
		name, more string
		mode       spillway.CutMode
		delta      func(int) string
		ends       int // deltas until the end; 0 is never
		status     int
		outcome    spillway.Outcome
		contains   string
	}{
		{"tool call", tools, spillway.CutTimeout, call, 0, 408, spillway.OutcomeTimeout, "tool call or structured output was not complete within 10s"},
		{"structured", schema, spillway.CutTimeout, text, 0, 408, spillway.OutcomeTimeout, "was not complete"},
		{"text although tools are offered", tools, spillway.CutTimeout, text, 0, 200, spillway.OutcomeTruncatedDeadline, `"finish_reason":"length"`},
		{"text", "", spillway.CutTimeout, text, 0, 200, spillway.OutcomeTruncatedDeadline, `"finish_reason":"length"`},
		{"tool call, partial", tools, spillway.CutPartial, call, 0, 200, spillway.OutcomeTruncatedDeadline, `"finish_reason":"length"`},
		{"structured, partial", schema, spillway.CutPartial, text, 0, 200, spillway.OutcomeTruncatedDeadline, `"finish_reason":"length"`},
		{"tool call in a stream", tools + `,"stream":true`, spillway.CutTimeout, call, 0, 200, spillway.OutcomeTruncatedDeadline, `"finish_reason":"length"`},
		{"complete tool call whose stream goes on", tools, spillway.CutTimeout, call, 3, 200, spillway.OutcomeOK, `"finish_reason":"tool_calls"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Content-Type", "text/event-stream")
					for n := 0; r.Context().Err() == nil; n++ {
						delta, finish := tt.delta(n), "null"
						if tt.ends > 0 && n >= tt.ends {
							delta, finish = "{}", `"tool_calls"`
						}
						if tt.ends == 0 || n <= tt.ends {
							send(rw, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":`+delta+`,"finish_reason":`+finish+"}]}\n\n")
						}
						pause(r, time.Second)
					}
				}, func(w *world) {
					w.class.Window, w.class.StreamWindow, w.class.CutStructured = 10*time.Second, 10*time.Second, tt.mode
				})
				got := w.post(chat("5", tt.more))
				w.want(got, tt.status)
				if !strings.Contains(got.body, tt.contains) {
					t.Errorf("the body lacks %q: %s", tt.contains, got.body)
				}
				rec := w.record()
				if rec.Outcome != tt.outcome || rec.Status != tt.status || (rec.Truncated != spillway.TruncatedNot) != (tt.outcome == spillway.OutcomeTruncatedDeadline) {
					t.Errorf("record: outcome %v, status %d, truncated %v", rec.Outcome, rec.Status, rec.Truncated)
				}
				if tt.status == 408 {
					var body struct{ Error struct{ Code string } }
					if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.Error.Code != "Timeout" || rec.Refusal != spillway.RefusalDeadline {
						t.Errorf("error %q (%v), refusal %q", body.Error.Code, err, rec.Refusal)
					}
					if got.header.Get("x-should-retry") != "false" || got.header.Get("x-spillway-truncated") != "" || got.header.Get("x-spillway-deployment") != "east" {
						t.Errorf("headers %v", got.header)
					}
				}
				w.idle()
			})
		})
	}
}

// TestCutStructuredAtShutdown refuses what does not parse when the gateway shuts down.
func TestCutStructuredAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(rw, firstEvent)
			send(rw, firstEvent)
			pause(r, time.Hour)
		}, nil)
		got := make(chan answer)
		go func() { got <- w.post(chat("5", `,"response_format":{"type":"json_object"}`)) }()
		time.Sleep(5 * time.Second)
		w.gateway.EndRequests()
		a := <-got
		w.want(a, 503)
		if rec := w.record(); rec.Outcome != spillway.OutcomeRefusedQueue || rec.Refusal != spillway.RefusalEnding || !strings.Contains(a.body, "shutting_down") {
			t.Errorf("outcome %v, refusal %q: %s", rec.Outcome, rec.Refusal, a.body)
		}
		w.idle()
	})
}
