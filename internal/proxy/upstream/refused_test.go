package upstream

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// TestMemberRefused asks again without what the gateway has added and the deployment
// refuses. It asks so at once the next time, a refused stream for an hour.
func TestMemberRefused(t *testing.T) {
	const whole = `{"choices":[{"index":0,"message":{"content":"whole"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`
	refused := map[string]string{
		"options": `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}`,
		"stream":  `{"error":{"message":"Your organization must be verified to stream this model.","param":"stream","code":"unsupported_value"}}`,
	}
	for _, tt := range []struct {
		name, status string
		more         string // of the client's request
		options      bool   // stream_options are refused
		stream       bool   // streams are refused
		all          bool   // every request is refused
		asked        []int  // requests at the start, at once after it, and two hours later
		form         Form
		failed       bool
	}{
		{"options, 400", "400 Bad Request", "", true, false, false, []int{2, 1, 1}, Assembled, false},
		{"options, 422", "422 Unprocessable Entity", "", true, false, false, []int{2, 1, 1}, Assembled, false},
		{"options of a client's stream, 422", "422 Unprocessable Entity", `,"stream":true`, true, false, false, []int{2, 1, 1}, Streamed, false},
		{"stream, 400", "400 Bad Request", "", false, true, false, []int{2, 1, 2}, Whole, false},
		{"stream, 403", "403 Forbidden", "", false, true, false, []int{2, 1, 2}, Whole, false},
		{"both", "400 Bad Request", "", true, true, false, []int{3, 1, 3}, Whole, false},
		{"a client's stream", "400 Bad Request", `,"stream":true`, false, true, false, []int{1, 1, 1}, Streamed, true},
		{"a client's options", "422 Unprocessable Entity", `,"stream":true,"stream_options":{}`, true, false, false, []int{1, 1, 1}, Streamed, true},
		{"refused in any form", "400 Bad Request", "", false, true, true, []int{2, 2, 2}, Whole, true},
		{"another status", "500 Internal Server Error", "", false, true, false, []int{1, 1, 1}, Assembled, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, func(c *peerConn) {
					streams := strings.Contains(c.body, `"stream":true`)
					switch {
					case tt.options && strings.Contains(c.body, "stream_options"):
						c.head(tt.status, "application/json")
						c.chunk(refused["options"])
					case tt.stream && streams, tt.all:
						c.head(tt.status, "application/json")
						c.chunk(refused["stream"])
					case streams:
						c.head("200 OK", "text/event-stream")
						c.chunk(delta("a") + stop + doneMark)
					default:
						fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(whole), whole)
						return
					}
					c.end()
				})
				transports := NewTransports(p.dial, nil)
				d := p.deployment(transports, nil)
				for i, want := range tt.asked {
					_, before := p.counts()
					c, body := p.call(tt.more)
					a := c.Start(Send{Number: 1, Deployment: d, Stream: true, Body: body})
					var kinds []spillway.EventKind
					var last spillway.Event
					for last.Kind != spillway.EventDone && last.Kind != spillway.EventFailed {
						if last = next(c); last.Kind == spillway.EventFirstToken && tt.more != "" {
							_, err := forwarded(a)
							last = *a.EndEvent(err)
						}
						kinds = append(kinds, last.Kind)
					}
					if _, after := p.counts(); after-before != want {
						t.Errorf("request %d was sent %d times, want %d", i+1, after-before, want)
					}
					if a.Form() != tt.form || (last.Kind == spillway.EventFailed) != tt.failed {
						t.Errorf("request %d: form %v, events %v; want form %v, failed %v", i+1, a.Form(), kinds, tt.form, tt.failed)
					}
					if unstreamed := kinds[0] == spillway.EventUnstreamed; unstreamed != (tt.form == Whole) {
						t.Errorf("request %d: events %v; reported as unstreamed: %v", i+1, kinds, unstreamed)
					}
					if tt.form == Whole && !tt.failed && (string(a.Beginning()) != whole || last.Usage.Completion != 2) {
						t.Errorf("request %d: %s, usage %+v", i+1, a.Beginning(), last.Usage)
					}
					p.finish(c, a)
					if i == 1 {
						time.Sleep(2 * time.Hour)
					}
				}
				transports.CloseIdle(nil)
			})
		})
	}
}

// TestUnstreamedModels remembers refused streams by model, and not without bound.
func TestUnstreamedModels(t *testing.T) {
	var u unstreamed
	now := time.Unix(1e9, 0)
	u.add("a", now)
	if !u.has("a", now) || u.has("b", now) || u.has("a", now.Add(unstreamedFor)) {
		t.Error("a refused stream must be remembered for its model, for an hour")
	}
	for i := range 10 * maxUnstreamed {
		u.add(fmt.Sprint(i), now)
	}
	if len(u.models) > maxUnstreamed || !u.has(fmt.Sprint(10*maxUnstreamed-1), now) {
		t.Errorf("%d models are remembered, want at most %d and the newest", len(u.models), maxUnstreamed)
	}
}
