package upstream

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// sent is a request as a deployment receives it.
type sent struct {
	*http.Request
	body map[string]any
}

// capture returns a dial function to a deployment that answers 204, and the
// requests that it gets.
func capture(t *testing.T) (DialFunc, <-chan sent) {
	got := make(chan sent, 8)
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			in := bufio.NewReader(far)
			for {
				req, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				s := sent{Request: req}
				if text, _ := io.ReadAll(req.Body); len(text) > 0 {
					if err := json.Unmarshal(text, &s.body); err != nil {
						t.Errorf("the body is not JSON: %s", text)
					}
				}
				got <- s
				io.WriteString(far, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
			}
		}()
		return near, nil
	}, got
}

// TestRequest holds what a deployment receives against what its dialect wants.
func TestRequest(t *testing.T) {
	for _, tt := range []struct {
		name      string
		style     wire.Family
		model     string // that the deployment names
		reasoning bool
		more      string // of the client's JSON
		send      Send
		path      string
		body      map[string]any // members, and nil for those that must be absent
	}{
		{
			"azure names the deployment in the path", wire.Azure, "chat", false, `,"max_tokens":900`,
			Send{Grant: 100, Stream: true},
			"/openai/deployments/chat/chat/completions?api-version=2024-10-21",
			map[string]any{"max_tokens": 100.0, "stream": true, "model": nil, "stream_options": map[string]any{"include_usage": true}},
		},
		{
			"azure v1 names it in the body", wire.AzureV1, "chat", false, `,"model":"theirs"`,
			Send{Stream: true},
			"/openai/v1/chat/completions",
			map[string]any{"model": "chat", "stream": true, "max_tokens": nil},
		},
		{
			"openai keeps the client's model", wire.OpenAI, "", false, `,"model":"theirs"`,
			Send{},
			"/v1/chat/completions",
			map[string]any{"model": "theirs", "stream": nil, "stream_options": nil},
		},
		{
			"a reasoning model has its own field", wire.Azure, "o3", true, `,"max_completion_tokens":9000`,
			Send{Grant: 500},
			"",
			map[string]any{"max_completion_tokens": 500.0, "max_tokens": nil},
		},
		{
			"without a grant the client's limit stays", wire.Azure, "chat", false, `,"max_tokens":900`,
			Send{},
			"",
			map[string]any{"max_tokens": 900.0, "stream": nil},
		},
		{
			"a client's stream stays one, with its own options", wire.Azure, "chat", false, `,"stream":true,"stream_options":{"include_usage":false,"x":1}`,
			Send{},
			"",
			map[string]any{"stream": true, "stream_options": map[string]any{"include_usage": true, "x": 1.0}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, got := capture(t)
				target, err := wire.ParseTarget(tt.style, "http://peer.test", tt.model, "")
				if err != nil {
					t.Fatal(err)
				}
				transports := NewTransports(dial, nil)
				d, err := transports.Deployment("east", &Config{
					Target: target, Credential: Bearer("secret"), Reasoning: tt.reasoning, Header: http.Header{"x-extra": {"1"}},
				}, nil)
				if err != nil {
					t.Fatal(err)
				}
				p := newPeer(t, nil)
				c, body := p.call(tt.more)
				c.Header = http.Header{"Api-Key": {"theirs"}, "Authorization": {"Bearer theirs"}, "X-Custom": {"kept"}, "Connection": {"x-hop"}, "X-Hop": {"1"}}
				c.Hops = 1
				tt.send.Number, tt.send.Deployment, tt.send.Body = 1, d, body
				a := c.Start(tt.send)
				next(c)
				req := <-got
				if tt.path != "" && req.RequestURI != tt.path {
					t.Errorf("path %s, want %s", req.RequestURI, tt.path)
				}
				for name, want := range map[string]string{
					"Authorization": "Bearer secret", "Api-Key": "", "X-Extra": "1", "X-Custom": "kept", "X-Hop": "", "User-Agent": "", wire.HeaderHops: "2",
				} {
					if got := strings.Join(req.Header.Values(name), "|"); got != want {
						t.Errorf("header %s is %q, want %q", name, got, want)
					}
				}
				for name, want := range tt.body {
					gotText, _ := json.Marshal(req.body[name])
					wantText, _ := json.Marshal(want)
					if string(gotText) != string(wantText) {
						t.Errorf("%s is %s, want %s", name, gotText, wantText)
					}
				}
				p.finish(c, a)
				transports.CloseIdle(nil)
			})
		})
	}
}

// TestURLs asks one deployment for several paths in turn: the last one is kept,
// and never given to another.
func TestURLs(t *testing.T) {
	target, err := wire.ParseTarget(wire.Azure, "https://x.openai.azure.com", "my chat", "")
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewTransports(nil, nil).Deployment("east", &Config{Target: target}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for path, want := range map[string]string{
			"/openai/deployments/a/chat/completions": "https://x.openai.azure.com/openai/deployments/my%20chat/chat/completions?api-version=2024-10-21",
			"/openai/deployments/a/embeddings":       "https://x.openai.azure.com/openai/deployments/my%20chat/embeddings?api-version=2024-10-21",
			"/openai/files/file-1%2B":                "https://x.openai.azure.com/openai/files/file-1+?api-version=2024-10-21",
		} {
			p, known := wire.ParsePath(path, "api-version=2024-10-21")
			if !known {
				t.Fatalf("%s is not known", path)
			}
			got := d.url(p, "api-version=2024-10-21")
			if got.String() != want && !strings.Contains(want, "file-1") {
				t.Errorf("%s goes to %s, want %s", path, got, want)
			}
			if again := d.url(p, "api-version=2024-10-21"); again != got {
				t.Errorf("%s is made anew for the same path", path)
			}
		}
	}
}

// TestSame compares deployments as a reload does.
func TestSame(t *testing.T) {
	transports := NewTransports(nil, nil)
	open := func(base string, credential Credential) *Deployment {
		target, err := wire.ParseTarget(wire.Azure, base, "chat", "")
		if err != nil {
			t.Fatal(err)
		}
		d, err := transports.Deployment("east", &Config{Target: target, Credential: credential}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	base := open("https://a.test", APIKey("k"))
	for name, tt := range map[string]struct {
		other *Deployment
		want  bool
	}{
		"the same":      {open("https://a.test", APIKey("k")), true},
		"another key":   {open("https://a.test", APIKey("l")), false},
		"another kind":  {open("https://a.test", Bearer("k")), false},
		"another place": {open("https://b.test", APIKey("k")), false},
		"no credential": {open("https://a.test", nil), false},
	} {
		if got := base.Same(tt.other); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	if s := APIKey("hunter2"); strings.Contains(s.(interface{ String() string }).String(), "hunter2") {
		t.Error("a credential prints its key")
	}
}

// TestBadEndpoint refuses a deployment that requests could not reach.
func TestBadEndpoint(t *testing.T) {
	transports := NewTransports(nil, nil)
	for name, c := range map[string]Config{
		"no host":         {Target: wire.Target{Base: "https://"}},
		"not a URL":       {Target: wire.Target{Base: "https://a b"}},
		"no CA file":      {Target: wire.Target{Base: "https://a.test"}, CAFile: "/nonexistent/ca.pem"},
		"CA file is none": {Target: wire.Target{Base: "https://a.test"}, CAFile: "request_test.go"},
	} {
		if _, err := transports.Deployment("east", &c, nil); err == nil || !strings.Contains(err.Error(), `"east"`) {
			t.Errorf("%s: error %v does not name the deployment", name, err)
		}
	}
}

// TestHedge runs two attempts of one call beside each other: each reports for
// itself, and canceling one leaves the other alone.
func TestHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		slow := newPeer(t, func(c *peerConn) {
			<-release
			c.head("200 OK", "text/event-stream")
			c.chunk(delta("slow") + stop + doneMark)
			c.end()
		})
		quick := newPeer(t, func(c *peerConn) {
			c.head("200 OK", "text/event-stream")
			c.chunk(delta("quick") + stop + doneMark)
			c.end()
		})
		transports := []*Transports{NewTransports(slow.dial, nil), NewTransports(quick.dial, nil)}
		c, body := slow.call("")
		first := c.Start(Send{Number: 1, Deployment: slow.deployment(transports[0], nil), Stream: true, Body: body})
		second := c.Start(Send{Number: 2, Deployment: quick.deployment(transports[1], nil), Stream: true, Body: body})
		for _, kind := range []spillway.EventKind{spillway.EventFirstToken, spillway.EventDone} {
			if ev := next(c); ev.Attempt != 2 || ev.Kind != kind {
				t.Fatalf("event %v of attempt %d, want %v of 2", ev.Kind, ev.Attempt, kind)
			}
		}
		first.Cancel()
		c.Wait()
		if text, ok, err := second.AppendResponse(nil, spillway.Usage{}); err != nil || !ok || !strings.Contains(string(text), "quick") {
			t.Errorf("%v, %v: %s", ok, err, text)
		}
		first.Close()
		second.Close()
		close(release)
		slow.trailers.Wait()
		quick.trailers.Wait()
		for _, tr := range transports {
			tr.CloseIdle(nil)
		}
	})
}

// TestPanic hands a panic of an attempt's goroutine to the receiver of reports.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		transports := NewTransports(p.dial, nil)
		target, err := wire.ParseTarget(wire.Azure, "http://peer.test", "chat", "")
		if err != nil {
			t.Fatal(err)
		}
		d, err := transports.Deployment("east", &Config{Target: target, Credential: panicking{}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, body := p.call("")
		a := c.Start(Send{Number: 1, Deployment: d, Body: body})
		if r := <-c.Reports(); r.Panic == nil || r.Panic.Cause != "boom" || len(r.Panic.Stack) == 0 {
			t.Errorf("report %+v", r)
		}
		c.Wait()
		a.Close()
	})
}

type panicking struct{}

func (panicking) Apply(http.Header) error { panic("boom") }

// TestCanceledCall ends the call while an attempt waits: for headers, for the
// first token, and for more of a stream that is being forwarded.
func TestCanceledCall(t *testing.T) {
	for name, play := range map[string]func(*peerConn){
		"before headers": func(c *peerConn) { c.Read(make([]byte, 1)) },
		"before a token": func(c *peerConn) { c.head("200 OK", "text/event-stream"); c.Read(make([]byte, 1)) },
		"after a token": func(c *peerConn) {
			c.head("200 OK", "text/event-stream")
			c.chunk(delta("a"))
			c.Read(make([]byte, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, play)
				ctx, cancel := context.WithCancel(t.Context())
				transports := NewTransports(p.dial, nil)
				c, body := p.call(`,"stream":true`)
				c.Context = ctx
				a := c.Start(Send{Number: 1, Deployment: p.deployment(transports, nil), Body: body})
				synctest.Wait()
				if name != "after a token" {
					cancel()
					if ev := next(c); ev.Kind != spillway.EventFailed {
						t.Errorf("event %v", ev.Kind)
					}
				} else {
					next(c)
					if b, err := a.Next(); err != nil || !strings.Contains(string(b.B), `"a"`) {
						t.Fatalf("%v: %q", err, b.B)
					}
					cancel()
					if _, err := forwarded(a); err == nil || err == io.EOF {
						t.Errorf("the stream goes on: %v", err)
					}
					if ev := a.EndEvent(io.ErrUnexpectedEOF); ev.Class != spillway.FailureCut || ev.Tokens != 1 {
						t.Errorf("event %+v", ev)
					}
				}
				p.finish(c, a)
			})
		})
	}
}

// TestRelayed passes on what is no generated response: whole, cut off, and
// without a body.
func TestRelayed(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		want      string
		err       error
	}{
		{"of known length", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n[1,2]", "[1,2]", io.EOF},
		{"in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", io.EOF},
		{"not modified", "HTTP/1.1 304 Not Modified\r\n\r\n", "", io.EOF},
		{"cut off", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", "half", io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, func(c *peerConn) {
					io.WriteString(c, tt.raw)
					c.Close()
				})
				transports := NewTransports(p.dial, nil)
				path, known := wire.ParsePath("/openai/files/file-1", "api-version=2024-10-21")
				if !known {
					t.Fatal("the path is not known")
				}
				c := &Call{
					Context: t.Context(), Method: http.MethodGet, Header: http.Header{}, Path: path,
					API: path.API, Idempotent: true, Settings: &p.settings,
				}
				a := c.Start(Send{Number: 1, Deployment: p.deployment(transports, nil)})
				if ev := next(c); ev.Kind != spillway.EventFirstToken || a.Form() != Relayed || !ev.Replayable {
					t.Fatalf("event %+v, form %v", ev, a.Form())
				}
				got, err := forwarded(a)
				if got != tt.want || err != tt.err || a.Complete() != (tt.err == io.EOF) {
					t.Errorf("%q, %v, complete: %v; want %q, %v", got, err, a.Complete(), tt.want, tt.err)
				}
				p.finish(c, a)
				transports.CloseIdle(nil)
			})
		})
	}
}
