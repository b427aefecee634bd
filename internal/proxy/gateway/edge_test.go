package gateway

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// echo is a deployment that returns every request to its sender, as TRACE does.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "message/http")
	w.Header().Set("X-Echo", fmt.Sprint(r.Method, " ", r.Header))
	_ = r.Write(w)
}

// TestMethods sends each method over a raw connection to a deployment that returns
// what it gets: what is not for deployments is refused before its body is read, and
// the gateway's own key never comes back.
func TestMethods(t *testing.T) {
	const secret = "the-gateways-own-key"
	asked := make(chan string, 100)
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method
		echo(w, r)
	})
	cfg := f.config
	up := cfg.Upstreams["east"]
	up.Credential = upstream.APIKey(secret)
	cfg.Callers = slices.Clone(cfg.Callers)
	for i := range cfg.Callers {
		cfg.Callers[i].Access.Operations = []string{"*"}
	}
	cfg.Upstreams = map[string]upstream.Config{"east": up}
	if err := f.gateway.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	const file, all = "/openai/v1/files/x", "GET, HEAD, POST, PUT, PATCH, DELETE"
	for _, tt := range []struct {
		method, path, key string
		status            int
		allow             string
	}{
		{"TRACE", file, "demo", 405, all},
		{"TRACE", chatPath, "demo", 405, all},
		{"TRACE", "/", "", 405, all},
		{"TRACK", file, "demo", 405, all},
		{"OPTIONS", file, "demo", 405, all},
		{"OPTIONS", chatPath, "", 405, all},
		{"OPTIONS", "*", "demo", 405, all},
		{"CONNECT", "east.test:443", "demo", 405, all},
		{"CONNECT", file, "demo", 405, all},
		{"PROPFIND", file, "demo", 405, all},
		{"get", file, "demo", 405, all},
		{"Post", chatPath, "demo", 405, all},
		{"POSTx", chatPath, "demo", 405, all},
		{"!#$%&'*+-.^_`|~", file, "demo", 405, all},
		{"PUT", chatPath, "demo", 405, "POST"},
		{"PUT", chatPath, "", 401, ""},
		{"PUT", file, "demo", 200, ""},
		{"PATCH", file, "demo", 200, ""},
		{"DELETE", file, "demo", 200, ""},
		{"GET", file, "demo", 200, ""},
		{"POST", file, "demo", 200, ""},
	} {
		t.Run(tt.method+" "+tt.path+" "+tt.key, func(t *testing.T) {
			f.T = t
			conn := f.dials["TCP"]()
			length := 0
			if tt.path == chatPath && tt.method == "TRACE" {
				length = 1000 // which never come
			}
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: gateway.test\r\napi-key: %s\r\nContent-Length: %d\r\n\r\n", tt.method, tt.path, tt.key, length)
			conn.SetReadDeadline(time.Now().Add(5 * time.Minute)) // only a hang takes as long
			resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: "GET"})
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status || resp.Header.Get("Allow") != tt.allow {
				t.Errorf("%s, Allow %q: %s", resp.Status, resp.Header.Get("Allow"), body)
			}
			if text := fmt.Sprint(resp.Header, string(body)); tt.status != 200 && strings.Contains(text, secret) {
				t.Errorf("the gateway's key comes back: %s", text)
			}
			var own struct {
				Error struct{ Code, Message string }
			}
			if err := json.Unmarshal(body, &own); tt.status == 405 && (err != nil || own.Error.Code != "method_not_allowed") {
				t.Errorf("%v: %s", err, body)
			}
			if n := len(asked); n > 0 != (tt.status == 200) {
				t.Errorf("the deployment was asked %d times", n)
			}
			for len(asked) > 0 {
				<-asked
			}
		})
	}
}

// TestUnauthenticatedRecords sends requests that are refused before and after their
// caller is known: the former have a recorder of their own.
func TestUnauthenticatedRecords(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, key, body string
		status                        int
		known                         bool
	}{
		{"no key", "POST", chatPath, "", "{}", 401, false},
		{"wrong key", "POST", chatPath, "guess", "{}", 401, false},
		{"wrong key, unknown path", "GET", "/nope", "guess", "", 401, false},
		{"wrong method without a key", "OPTIONS", chatPath, "", "", 405, false},
		{"large header", "GET", "/v1/models?" + strings.Repeat("x", 80<<10), "demo", "", 431, false},
		{"wrong method", "TRACE", chatPath, "demo", "", 405, true},
		{"unknown path", "GET", "/nope", "demo", "", 404, true},
		{"unknown model", "POST", "/v1/chat/completions", "demo", `{"model":"none","messages":[]}`, 404, true},
		{"bad JSON", "POST", chatPath, "demo", "{", 400, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var strangers recorder
				w := newWorld(t, one(), nil)
				w.gateway.deps.Unauthenticated = &strangers
				if got := w.do(tt.method, tt.path, tt.body, "api-key", tt.key); got.status != tt.status {
					t.Fatalf("status %d: %s", got.status, got.body)
				}
				if err := w.gateway.Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				mine, other := w.rec.records, strangers.records
				if !tt.known {
					mine, other = other, mine
				}
				if len(mine) != 1 || len(other) != 0 || mine[0].Status != tt.status || (mine[0].Caller != "") != tt.known {
					t.Errorf("records %+v and %+v", w.rec.records, strangers.records)
				}
			})
		})
	}
}

// TestOverloadedRecords refuses a known caller and an unknown one for the number of
// requests in flight.
func TestOverloadedRecords(t *testing.T) { synctest.Test(t, testOverloadedRecords) }

func testOverloadedRecords(t *testing.T) {
	var strangers recorder
	w := newWorld(t, one(), nil)
	w.gateway.deps.Unauthenticated = &strangers
	w.gateway.snap.Load().limits.MaxInFlight = 0
	for _, key := range []string{"demo", "guess"} {
		if got := w.post(chat("5", ""), "api-key", key); got.status != 503 {
			t.Errorf("status %d", got.status)
		}
	}
	if len(w.rec.records) != 1 || w.rec.records[0].Caller != "tester" || w.rec.records[0].Class != "interactive" || len(strangers.records) != 1 {
		t.Errorf("records %+v and %+v", w.rec.records, strangers.records)
	}
}

// TestHealth probes without a key: nothing is said but the status, and no record is
// left.
func TestHealth(t *testing.T) { synctest.Test(t, testHealth) }

func testHealth(t *testing.T) {
	w := newWorld(t, one(), nil)
	probe := func(method, path string, status int, body string) {
		t.Helper()
		if got := w.do(method, path, "", "api-key", ""); got.status != status || got.body != body {
			t.Errorf("%s %s: status %d, %q", method, path, got.status, got.body)
		}
	}
	probe("GET", "/healthz", 200, `{"status":"ok"}`)
	probe("GET", "/health", 200, `{"status":"ok"}`)
	probe("GET", "/readyz", 200, `{"status":"ready"}`)
	probe("HEAD", "/readyz", 200, "")
	w.gateway.CloseAfterResponse()
	probe("GET", "/healthz", 200, `{"status":"ok"}`)
	probe("GET", "/readyz", 503, `{"status":"draining"}`)
	probe("HEAD", "/readyz", 503, "")
	if n := len(w.rec.records); n != 0 {
		t.Errorf("%d records", n)
	}
	if got := w.do("POST", "/readyz", "", "api-key", ""); got.status != 401 {
		t.Errorf("POST: status %d", got.status)
	}
}

// TestNoH2C turns HTTP/2 without TLS off, and only that.
func TestNoH2C(t *testing.T) {
	f := newFront(t, whole)
	cfg := f.config
	cfg.NoH2C = true
	if err := f.gateway.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	serve := func(config *tls.Config) string {
		server := f.gateway.Server(config)
		t.Cleanup(func() { server.Close() })
		return listen(t, func(l net.Listener) error { return f.gateway.Serve(server, l) })
	}
	plain, encrypted := serve(nil), serve(f.tls)
	ask := func(base string, protocols func(*http.Protocols)) (proto string, err error) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
		protocols(transport.Protocols)
		defer transport.CloseIdleConnections()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1/models", http.NoBody)
		req.Header.Set("api-key", "demo")
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return "", err
		}
		resp.Body.Close()
		return resp.Proto, nil
	}
	if proto, err := ask("http://"+plain, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }); err == nil {
		t.Errorf("h2c: %s", proto)
	}
	if proto, err := ask("http://"+plain, func(p *http.Protocols) { p.SetHTTP1(true) }); err != nil || proto != "HTTP/1.1" {
		t.Errorf("HTTP/1.1: %s, %v", proto, err)
	}
	if proto, err := ask("https://"+encrypted, func(p *http.Protocols) { p.SetHTTP2(true) }); err != nil || proto != "HTTP/2.0" {
		t.Errorf("HTTP/2 over TLS: %s, %v", proto, err)
	}
}

// TestLeavesBehindBytes sends a byte beyond a request whose response is awaited, and
// leaves: the deployment's request is canceled.
func TestLeavesBehindBytes(t *testing.T) {
	asked, canceled := make(chan struct{}, 1), make(chan struct{}, 1)
	f := newFront(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
		canceled <- struct{}{}
	})
	for name, dial := range f.dials {
		t.Run(name, func(t *testing.T) {
			conn := dial()
			body := chat("5", "")
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: gateway.test\r\napi-key: demo\r\nContent-Length: %d\r\n\r\n%s", chatPath, len(body), body)
			<-asked
			io.WriteString(conn, "x")
			conn.Close()
			<-canceled
		})
	}
	if err := f.gateway.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range f.rec.records {
		if r.Outcome != spillway.OutcomeClientGone {
			t.Errorf("outcome %v", r.Outcome)
		}
	}
}

// TestFloodLogged closes several connections for their frames: the log says so once
// a minute, with their number.
func TestFloodLogged(t *testing.T) {
	var log bytes.Buffer
	now := time.Unix(1_700_000_000, 0)
	f := newFront(t, whole)
	g, err := New(f.config, Deps{
		Recorder: &f.rec, Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	client := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}
	for range 3 {
		for range 10 {
			g.onFlood(client)
		}
		now = now.Add(floodLogInterval)
	}
	text := log.String()
	if n := strings.Count(text, "\n"); n != 3 || !strings.Contains(text, "client=192.0.2.1:7 closed_so_far=21") {
		t.Errorf("%d lines, want 3:\n%s", n, text)
	}
}
