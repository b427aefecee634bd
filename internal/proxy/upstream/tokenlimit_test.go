package upstream

import (
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
)

// refuseMaxTokens plays a reasoning model.
func refuseMaxTokens(status, refusal string) func(*peerConn) {
	return func(c *peerConn) {
		if strings.Contains(c.body, `"max_tokens"`) {
			c.head(status, "application/json")
			c.chunk(refusal)
		} else {
			c.head("200 OK", "text/event-stream")
			c.chunk(delta("a") + stop + doneMark)
		}
		c.end()
	}
}

const useCompletionTokens = `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens","code":"unsupported_parameter"}}`

// TestMaxTokensRefused asks again with max_completion_tokens, and knows it the next
// time, also after a reload that leaves the endpoint as it was.
func TestMaxTokensRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, refuseMaxTokens("400 Bad Request", useCompletionTokens))
		send := func(d *Deployment, more string, grant int) (times int, last string) {
			before := len(p.asked)
			c, body := p.call(more)
			a := c.Start(Send{Number: 1, Deployment: d, Stream: true, Grant: grant, Body: body})
			for next(c).Kind != spillway.EventDone {
			}
			p.finish(c, a)
			return len(p.asked) - before, p.asked[len(p.asked)-1]
		}
		old := NewTransports(p.dial, nil)
		first := p.deployment(old, nil)
		reloaded := NewTransports(p.dial, old)
		same, fresh := p.deployment(reloaded, first), p.deployment(reloaded, nil)
		for i, tt := range []struct {
			d     *Deployment
			more  string
			grant int
			want  int
			limit string
		}{
			{first, "", 0, 1, ""}, // nothing to refuse
			{first, `,"max_completion_tokens":70`, 0, 1, `"max_completion_tokens":70`},
			{first, "", 50, 2, `"max_completion_tokens":50`},
			{first, "", 60, 1, `"max_completion_tokens":60`},
			{same, `,"max_tokens":90`, 40, 1, `"max_completion_tokens":40`},
			{fresh, `,"max_tokens":90`, 0, 2, `"max_completion_tokens":90`},
		} {
			times, last := send(tt.d, tt.more, tt.grant)
			if times != tt.want || !strings.Contains(last, tt.limit) || tt.limit == "" && strings.Contains(last, "tokens") {
				t.Errorf("request %d was sent %d times, want %d, at last as %s", i+1, times, tt.want, last)
			}
		}
		old.CloseIdle(nil)
		reloaded.CloseIdle(nil)
	})
}

// TestMaxTokensRefusedTwice passes on a refusal that another field does not mend, and
// learns nothing from it.
func TestMaxTokensRefusedTwice(t *testing.T) {
	for name, tt := range map[string]struct {
		status, refusal string
		want            int // requests
	}{
		"a validator's status":  {"422 Unprocessable Entity", useCompletionTokens, 2},
		"another parameter":     {"400 Bad Request", `{"error":{"message":"max_tokens is too large"}}`, 1},
		"another status":        {"500 Internal Server Error", useCompletionTokens, 1},
		"refuses every request": {"400 Bad Request", useCompletionTokens, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, func(c *peerConn) {
					c.head(tt.status, "application/json")
					c.chunk(tt.refusal)
					c.end()
				})
				c, a := p.attempt(`,"max_tokens":90`, true)
				if ev := next(c); ev.Kind != spillway.EventFailed {
					t.Errorf("event %v", ev.Kind)
				}
				if len(p.asked) != tt.want || a.deployment.endpoint.refusesMaxTokens.Load() || !strings.Contains(string(a.Beginning()), "max_") {
					t.Errorf("sent %d times, want %d; the client gets %s", len(p.asked), tt.want, a.Beginning())
				}
				p.finish(c, a)
			})
		})
	}
}
