package upstream

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// TestWithhold has a deployment repeat the credential that it got, in every way in
// which an error goes to the client.
func TestWithhold(t *testing.T) {
	const key = "0123456789abcdef"
	raw := func(status, contentType, body string) func(*peerConn) {
		return func(c *peerConn) {
			fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Type: %s\r\nX-Echo: %s\r\nContent-Encoding: x\r\nContent-Length: %d\r\n\r\n%s",
				status, contentType, key, len(body), body)
		}
	}
	for name, tt := range map[string]struct {
		credential Credential
		more       string
		stream     bool
		play       func(*peerConn)
		status     int
		commit     bool // the stream goes to the client
	}{
		"key in an error":   {APIKey(key), "", false, raw("401 Unauthorized", "text/plain", "bad key "+key), 401, false},
		"token in an error": {Bearer(key), "", false, raw("500 Internal Server Error", "application/json", `{"x":"Bearer `+key+`"}`), 500, false},
		"page":              {APIKey(key), "", false, raw("200 OK", "text/html", "<pre>Api-Key: "+key), 200, false},
		"error with 200":    {APIKey(key), "", false, raw("200 OK", "application/json", `{"error":{"code":"401","message":"bad `+key+`"}}`), 401, false},
		"assembled stream":  {APIKey(key), "", true, raw("200 OK", "text/event-stream", `data: {"error":{"code":"401","message":"bad `+key+`"}}`+"\n\n"), 401, false},
		"escaped parameter": {
			APIKey(key), "", true,
			raw("200 OK", "text/event-stream", `data: {"error":{"code":"401","message":"bad","param":"0\u0031`+key[2:]+`"}}`+"\n\n"), 401, false,
		},
		"escaped type": {
			APIKey(key), "", true,
			raw("200 OK", "text/event-stream", `data: {"error":{"code":"401","message":"bad","type":"0\u0031`+key[2:]+`"}}`+"\n\n"), 401, false,
		},
		"begun stream": {
			APIKey(key), `,"stream":true`, false,
			raw("200 OK", "text/event-stream", delta("a")+`data: {"error":{"code":"401","message":"bad `+key+`"}}`+"\n\n"), 401, false,
		},
		"forwarded stream": {APIKey(key), `,"stream":true`, false, func(c *peerConn) {
			c.head("200 OK", "text/event-stream")
			c.chunk(delta("a"))
			c.chunk(`data: {"error":{"code":"401","message":"bad ` + key + `"}}` + "\n\n")
			c.end()
		}, 401, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, tt.play)
				target, err := wire.ParseTarget(wire.Azure, "http://peer.test", "chat", "")
				if err != nil {
					t.Fatal(err)
				}
				transports := NewTransports(p.dial, nil)
				d, err := transports.Deployment("east", &Config{Target: target, Credential: tt.credential}, nil)
				if err != nil {
					t.Fatal(err)
				}
				c, body := p.call(tt.more)
				a := c.Start(Send{Number: 1, Deployment: d, Stream: tt.stream, Body: body})
				ev, text := next(c), ""
				if ev.Kind == spillway.EventFirstToken {
					text, err = forwarded(a)
					ev = *a.EndEvent(err)
				} else if a.WholeRead() {
					text = string(a.Beginning())
				}
				if tt.commit != (text != "" && strings.Contains(text, "delta")) {
					t.Errorf("forwarded %q", text)
				}
				if ev.Kind != spillway.EventFailed || ev.Status != tt.status {
					t.Errorf("event %+v, want status %d", ev, tt.status)
				}
				if f := a.Fault(); f != nil && !tt.commit {
					text = f.Message + f.Code + f.Type + f.Param // all that the client gets
				}
				for _, values := range a.Response().Header {
					if a.Fault() == nil {
						text += strings.Join(values, " ")
					}
				}
				if strings.Contains(text, key) {
					t.Errorf("the credential is in %q", text)
				}
				if tt.status == 500 || tt.commit {
					if !strings.Contains(text, "withheld") {
						t.Errorf("the client is not told: %q", text)
					}
				}
				p.finish(c, a)
				transports.CloseIdle(nil)
			})
		})
	}
}

// TestUnreadable reads successful responses that cannot be parsed. What was read as
// a whole can be passed on.
func TestUnreadable(t *testing.T) {
	const page = "<html><h1>Maintenance</h1></html>"
	for name, tt := range map[string]struct {
		more              string
		stream            bool
		contentType, body string
		whole             bool
	}{
		"page":                      {"", false, "text/html", page, true},
		"page for a stream":         {`,"stream":true`, false, "text/html", page, true},
		"page for an assembled one": {"", true, "text/html", page, true},
		"half a document":           {"", false, "application/json", `{"choices":[`, false},
		"half a string":             {"", false, "application/json", `{"choices":[],"x":"]}\"`, false},
		"malformed":                 {"", false, "application/json", `{"choices" ["x"]}`, true},
		"other JSON":                {"", false, "application/json", `{"status":"ok"}`, true},
		"nothing":                   {"", false, "application/json", "", false},
		"stream that was not asked": {"", false, "text/event-stream", "data: {}\n\n", true},
		"broken stream":             {`,"stream":true`, false, "text/event-stream", ": hello\n\ndata: {\n\n", false},
		"broken assembled stream":   {"", true, "text/event-stream", delta("a") + "data: {\n\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, func(c *peerConn) {
					c.head("200 OK", tt.contentType)
					if tt.body != "" {
						c.chunk(tt.body)
					}
					c.end()
				})
				c, a := p.attempt(tt.more, tt.stream)
				ev := next(c)
				if ev.Kind == spillway.EventFirstToken {
					ev = next(c)
				}
				if ev.Class != spillway.FailureUnreadable || ev.Status != 200 || ev.Replayable || !a.Unreadable() || a.Complete() {
					t.Errorf("event %+v", ev)
				}
				if a.WholeRead() != tt.whole || tt.whole && string(a.Beginning()) != tt.body {
					t.Errorf("read whole: %v, %q", a.WholeRead(), a.Beginning())
				}
				c.Wait()
				if _, assembled, err := a.AppendResponse(nil, spillway.Usage{}); assembled || err != nil {
					t.Errorf("assembled: %v, %v", assembled, err)
				}
				p.finish(c, a)
			})
		})
	}
}
