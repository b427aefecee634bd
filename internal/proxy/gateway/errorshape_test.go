package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/clientconn"
)

// TestUnreadableErrors has the only deployment return errors of all forms. Clients get a
// JSON error with the same status; one that is JSON already is not changed.
func TestUnreadableErrors(t *testing.T) {
	const (
		html = "<html><body><h1>429 Too Many Requests</h1></body></html>"
		good = `{"error":{"code":"429","message":"Requests have exceeded the limit."}}`
	)
	for _, tt := range []struct {
		name    string
		status  int
		header  map[string]string
		body    string
		message string // "" for a body that is not changed
		retry   string // retry-after
	}{
		{"HTML 429", 429, nil, html, "returned status 429 without a readable error", "1"},
		{"empty 429", 429, nil, "", "returned status 429 without a readable error", "1"},
		{"HTML 429 with a hint", 429, map[string]string{"Retry-After": "7"}, html, "without a readable error", "7"},
		{"HTML 429 with a day", 429, map[string]string{"Retry-After": "86400"}, html, "without a readable error", "60"},
		{"an API gateway's 429", 429, nil, `{"statusCode":429,"message":"Rate limit is exceeded. Try again in 5 seconds."}`, "with the message: Rate limit is exceeded.", "1"},
		{"JSON 429", 429, nil, good, "", "1"},
		{"JSON 429 with a day", 429, map[string]string{"Retry-After": "86400"}, good, "", "60"},
		{"JSON 503 with no time", 503, map[string]string{"Retry-After": "soon"}, good, "", ""},
		{"JSON 429 with a hint", 429, map[string]string{"Retry-After": "7"}, good, "", "7"},
		{"HTML 400", 400, nil, html, "returned status 400 without a readable error", ""},
		{"empty 408", 408, nil, "", "returned status 408 without a readable error", ""},
		{"a text 500", 500, nil, "Internal Server Error", "returned status 500 without a readable error", ""},
		{"HTML 502", 502, nil, html, "returned status 502 without a readable error", ""},
		{"HTML 503 with a hint", 503, map[string]string{"Retry-After": "2"}, html, "returned status 503 without a readable error", "2"},
		{"half of a JSON 503", 503, nil, good[:20], "returned status 503 without a readable error", ""},
	} {
		for op, send := range map[string]func(*world) answer{
			"chat":   func(w *world) answer { return w.post(chat("5", "")) },
			"stream": func(w *world) answer { return w.post(chat("5", `,"stream":true`)) },
			"any path": func(w *world) answer {
				return w.do(http.MethodPost, "/openai/v1/moderations", `{"model":"gpt-4o-mini"}`)
			},
		} {
			t.Run(tt.name+", "+op, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, one(), func(w *world) {
						w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
							for name, value := range tt.header {
								rw.Header().Set(name, value)
							}
							rw.WriteHeader(tt.status)
							io.WriteString(rw, tt.body)
						}))
						w.upstream("east", "http://east.test")
						w.cfg.Pools[0].Retry.MaxAttempts = 1
						w.class.MaxWait = time.Millisecond
					})
					got := send(w)
					w.want(got, tt.status)
					if tt.message == "" {
						if got.body != tt.body {
							t.Errorf("body %s, want %s", got.body, tt.body)
						}
					} else {
						var e struct {
							Error struct {
								Code, Message, Type string
								RequestID           string `json:"request_id"`
							}
						}
						if err := json.Unmarshal([]byte(got.body), &e); err != nil {
							t.Fatalf("%v: %s", err, got.body)
						}
						if !strings.Contains(e.Error.Message, tt.message) || e.Error.Type == "" || e.Error.RequestID == "" {
							t.Errorf("error %s, want a message with %q", got.body, tt.message)
						}
						if v := got.header.Get("content-type"); v != "application/json" {
							t.Errorf("content-type %q", v)
						}
					}
					if v := got.header.Get("retry-after"); v != tt.retry {
						t.Errorf("retry-after %q, want %q", v, tt.retry)
					}
					if rec := w.record(); rec.Status != tt.status {
						t.Errorf("status %d in the record", rec.Status)
					}
				})
			})
		}
	}
}

// TestUnreadableHead leaves the answer to a HEAD without a body as it is.
func TestUnreadableHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), func(w *world) {
			w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("X-Reason", "gone")
				rw.WriteHeader(http.StatusNotFound)
			}))
			w.upstream("east", "http://east.test")
		})
		got := w.do(http.MethodHead, "/openai/v1/files/x", "")
		w.want(got, 404)
		if got.header.Get("x-reason") != "gone" {
			t.Errorf("headers %v", got.header)
		}
	})
}

// TestNoRetry has the core say that a retry cannot help: SDKs learn it, whoever wrote the
// error.
func TestNoRetry(t *testing.T) {
	for name, body := range map[string]string{
		"the deployment's error": `{"error":{"code":"x","message":"m"}}`,
		"the gateway's":          "<html>",
	} {
		for _, noRetry := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, one(), func(w *world) {
						w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
							rw.WriteHeader(http.StatusBadRequest)
							io.WriteString(rw, body)
						}))
						w.upstream("east", "http://east.test")
					})
					r := httptest.NewRequest(http.MethodPost, chatPath, strings.NewReader(chat("5", "")))
					r.Header.Set("Api-Key", "demo")
					g, rw := w.gateway, httptest.NewRecorder()
					f := &flight{g: g, snap: g.snap.Load(), r: r, accepted: time.Now()}
					f.call.ID, f.call.Context = "req", r.Context()
					f.out.Init(rw, r, clientconn.Options{Now: time.Now, WriteTimeout: time.Second})
					if _, e := f.admit(); e != nil {
						t.Fatal(e)
					}
					f.run()
					if f.verdict.Kind != spillway.ActionSettle {
						t.Fatalf("the flight ended with %v", f.verdict)
					}
					f.verdict.NoRetry = noRetry
					f.writeResponse()
					f.finish()
					if got := rw.Header().Get("x-should-retry"); (got == "false") != noRetry {
						t.Errorf("x-should-retry is %q; no retry: %v", got, noRetry)
					}
				})
			})
		}
	}
}
