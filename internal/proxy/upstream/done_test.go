package upstream

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
)

// TestAfterDone goes on after [DONE], in the same piece: nothing of that is for the
// client, and what is wrong with it does not matter.
func TestAfterDone(t *testing.T) {
	for _, more := range []string{delta("late"), delta("late") + doneMark, "data: {\n\n", "data: half"} {
		for _, head := range []string{delta("a"), ""} {
			for _, stream := range []bool{true, false} {
				synctest.Test(t, func(t *testing.T) {
					p := newPeer(t, func(c *peerConn) {
						c.head("200 OK", "text/event-stream")
						if head != "" { // else all of it comes before the first token is reported
							c.chunk(head)
						}
						c.chunk(delta("b") + stop + doneMark + more)
						c.end()
					})
					transports := NewTransports(p.dial, nil)
					d := p.deployment(transports, nil)
					ask := `,"stream":true`
					if stream {
						ask = ""
					}
					c, body := p.call(ask)
					a := c.Start(Send{Number: 1, Deployment: d, Stream: stream, Body: body})
					next(c)
					if stream {
						if ev := next(c); ev.Kind != spillway.EventDone {
							t.Errorf("%q: kind %v, class %v", more, ev.Kind, ev.Class)
						}
						if text, _, err := a.AppendResponse(nil, spillway.Usage{}); err != nil || strings.Contains(string(text), "late") {
							t.Errorf("%q: %s %v", more, text, err)
						}
					} else if text, err := forwarded(a); err != io.EOF || text != head+delta("b")+stop+doneMark {
						t.Errorf("%q: %q, %v", more, text, err)
					}
					p.finish(c, a)
					transports.CloseIdle(nil)
				})
			}
		}
	}
}
