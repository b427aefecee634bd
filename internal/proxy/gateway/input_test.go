package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// TestBadInput sends what must be refused at once, in the right shape, with
// nothing sent to a deployment.
func TestBadInput(t *testing.T) {
	const azure, v1 = chatPath, "/v1/chat/completions"
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     string
	}{
		{"not JSON", "POST", azure, `{"messages":`, nil, 400, "invalid_json"},
		{"empty body", "POST", azure, ``, nil, 400, "invalid_json"},
		{"no object", "POST", azure, `[1]`, nil, 400, "invalid_type"},
		{"trailing bytes", "POST", azure, `{"messages":[]} x`, nil, 400, "invalid_json"},
		{"duplicate key", "POST", v1, `{"model":"gpt-4o-mini","model":"other","messages":[]}`, nil, 400, "invalid_json"},
		{"too deep", "POST", azure, `{"messages":` + deep + `}`, nil, 400, "invalid_json"},
		{"invalid UTF-8", "POST", azure, "{\"user\":\"\xff\"}", nil, 400, "invalid_json"},
		{"model of the wrong type", "POST", v1, `{"model":7}`, nil, 400, "invalid_type"},
		{"stream of the wrong type", "POST", azure, `{"stream":"yes"}`, nil, 400, "invalid_type"},
		{"negative max_tokens", "POST", azure, `{"max_tokens":-1}`, nil, 400, "integer_below_min_value"},
		{"absurd max_tokens", "POST", azure, `{"max_tokens":1e99}`, nil, 400, "invalid_type"},
		{"huge max_tokens", "POST", azure, `{"max_tokens":99999999999999999999}`, nil, 400, "integer_above_max_value"},
		{"both token fields", "POST", azure, `{"max_tokens":5,"max_completion_tokens":5}`, nil, 400, "invalid_parameter_combination"},
		{"bad deadline", "POST", azure, `{}`, []string{"x-spillway-deadline-ms", "soon"}, 400, "invalid_header"},
		{"no key", "POST", azure, `{}`, []string{"api-key", ""}, 401, "401"},
		{"wrong key", "POST", azure, `{}`, []string{"api-key", "guess"}, 401, "401"},
		{"wrong key in OpenAI's style", "POST", v1, `{}`, []string{"api-key", "", "Authorization", "Bearer guess"}, 401, "invalid_api_key"},
		{"unknown deployment", "POST", "/openai/deployments/none/chat/completions?api-version=2024-10-21", `{}`, nil, 404, "DeploymentNotFound"},
		{"unknown model", "POST", v1, `{"model":"none","messages":[]}`, nil, 404, "model_not_found"},
		{"unknown path", "POST", "/v2/chat", `{}`, nil, 404, "404"},
		{"dot segments", "POST", "/openai/deployments/%2e%2e/chat/completions", `{}`, nil, 404, "404"},
		{"wrong method", "PUT", azure, ``, nil, 405, "method_not_allowed"},
		{"unknown single model", "GET", "/v1/models/none", ``, nil, 404, "model_not_found"},
		{"huge body", "POST", azure, `{"messages":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "request_too_large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), func(w *world) { w.cfg.Limits.MaxBodyBytes = 1 << 20 })
				got := w.do(tt.method, tt.path, tt.body, tt.headers...)
				w.want(got, tt.status)
				if c := w.completion(got.body); c.Error == nil || c.Error.Code != tt.code || c.Error.Message == "" {
					t.Errorf("want code %q in %s", tt.code, got.body)
				}
				if got.took > 0 {
					t.Errorf("took %v", got.took)
				}
				if rec := w.record(); rec.Outcome != spillway.OutcomeRefusedInvalid || rec.Status != tt.status {
					t.Errorf("unexpected record: %+v", rec)
				}
				if s, _ := w.azure.Stats("east"); len(s.Status) != 0 || s.Canceled != 0 {
					t.Errorf("the deployment was asked: %+v", s)
				}
				w.idle()
			})
		})
	}
}

// TestEndlessBody sends a body of unknown length that does not end.
func TestEndlessBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), func(w *world) { w.cfg.Limits.MaxBodyBytes = 1 << 20 })
		body, feed := io.Pipe()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				if _, err := feed.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}()
		req, _ := http.NewRequest(http.MethodPost, "http://gateway.test"+chatPath, body)
		req.Header.Set("api-key", "demo")
		got := w.read(req)
		body.Close()
		<-stopped
		w.want(got, 413)
		w.idle()
	})
}

// TestSlowBody trickles a body, and expects to be cut off.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), nil)
		conn, err := w.net.Dial(t.Context(), "tcp", "gateway.test:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		began := time.Now()
		io.WriteString(conn, "POST "+chatPath+" HTTP/1.1\r\nHost: gateway.test\r\napi-key: demo\r\nContent-Length: 1000000\r\n\r\n")
		go func() {
			for {
				if _, err := io.WriteString(conn, " "); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		status := make([]byte, len("HTTP/1.1 408"))
		if _, err := io.ReadFull(conn, status); err != nil || string(status) != "HTTP/1.1 408" {
			t.Errorf("got %q, %v", status, err)
		}
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("cut off after %v", took)
		}
		drainConn(conn)
	})
}

// TestUnreadBody announces a body and does not send it: whatever the response is,
// it comes soon.
func TestUnreadBody(t *testing.T) {
	const unreadTime = time.Second
	tests := []struct {
		name, request, key, body string
		status                   string
		within                   time.Duration
	}{
		{"wrong key", "POST " + chatPath, "guess", "", "401", unreadTime},
		{"no key, unknown path", "POST /nope", "", "", "401", unreadTime},
		{"unknown path", "POST /nope", "demo", "", "404", unreadTime},
		{"wrong header", "POST " + chatPath, "demo\r\nx-spillway-deadline-ms: soon", "", "400", unreadTime},
		{"models", "GET /v1/models", "demo", "", "200", unreadTime},
		{"too slow", "POST " + chatPath, "demo", "{", "408", 10*time.Second + unreadTime},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), nil)
				conn, err := w.net.Dial(t.Context(), "tcp", "gateway.test:80")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				began := time.Now()
				conn.SetReadDeadline(began.Add(time.Hour))
				io.WriteString(conn, tt.request+" HTTP/1.1\r\nHost: gateway.test\r\napi-key: "+tt.key+"\r\nContent-Length: 1000\r\n\r\n"+tt.body)
				status := make([]byte, len("HTTP/1.1 408"))
				if _, err := io.ReadFull(conn, status); err != nil || !strings.HasSuffix(string(status), tt.status) {
					t.Errorf("got %q, %v; want %s", status, err, tt.status)
				}
				if took := time.Since(began); took > tt.within {
					t.Errorf("took %v, want at most %v", took, tt.within)
				}
				drainConn(conn)
				w.record()
			})
		})
	}
}

// TestCutBody leaves, or loses count, while it sends the body.
func TestCutBody(t *testing.T) {
	tests := []struct {
		name, head, body string
		outcome          spillway.Outcome
		status           int
	}{
		{"left", "Content-Length: 1000", "{", spillway.OutcomeClientGone, 499},
		{"left between chunks", "Transfer-Encoding: chunked", "1\r\n{\r\n", spillway.OutcomeClientGone, 499},
		{"no chunk", "Transfer-Encoding: chunked", "what?\r\n", spillway.OutcomeRefusedInvalid, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), nil)
				conn, err := w.net.Dial(t.Context(), "tcp", "gateway.test:80")
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(conn, "POST "+chatPath+" HTTP/1.1\r\nHost: gateway.test\r\napi-key: demo\r\n"+tt.head+"\r\n\r\n"+tt.body)
				synctest.Wait()
				conn.Close()
				synctest.Wait()
				if rec := w.record(); rec.Outcome != tt.outcome || rec.Status != tt.status {
					t.Errorf("outcome %v, status %d; want %v, %d", rec.Outcome, rec.Status, tt.outcome, tt.status)
				}
			})
		})
	}
}

// TestTenant says who the tenant is in the header and in the configuration.
func TestTenant(t *testing.T) {
	for configured, want := range map[string]string{"acme": "acme", "": "sent"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, one(), func(w *world) { w.cfg.Callers[0].Tenant = configured })
			w.want(w.post(chat("5", ""), "x-spillway-tenant", "sent"), 200)
			if got := w.record().Tenant; got != want {
				t.Errorf("tenant %q, want %q", got, want)
			}
		})
	}
}

// TestHeaderBomb sends headers about and beyond the limit, which is 64 KiB: as
// one large value, as many small ones, and as a long address.
func TestHeaderBomb(t *testing.T) {
	large := func(size int) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("bomb", strings.Repeat("x", size)) }
	}
	tests := []struct {
		name   string
		load   func(*http.Request)
		status int
		code   string // "" where the server itself responses
	}{
		{"within", large(60 << 10), 200, ""},
		{"beyond", large(80 << 10), 431, "request_header_too_large"},
		{"far beyond", large(300 << 10), 431, ""},
		{"many", func(r *http.Request) { r.Header["Bomb"] = slices.Repeat([]string{"12345678"}, 5<<10) }, 431, "request_header_too_large"},
		{"address", func(r *http.Request) { r.URL.RawQuery = strings.Repeat("x", 80<<10) }, 431, "request_header_too_large"},
	}
	for _, tt := range tests {
		for _, h2 := range []bool{false, true} {
			if h2 && tt.status == 431 && tt.code == "" {
				continue // a pipe has no room for the two ends to write at one time
			}
			t.Run(fmt.Sprintf("%s, HTTP/2 %t", tt.name, h2), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, one(), nil)
					if h2 {
						w.speakHTTP2()
					}
					req, _ := http.NewRequest(http.MethodPost, "http://gateway.test"+chatPath, strings.NewReader(chat("5", "")))
					req.Header.Set("api-key", "demo")
					tt.load(req)
					got := w.read(req)
					if tt.status == 431 && tt.code == "" {
						// The server may close the connection before everything was sent.
						if got.err == nil && got.status != 431 {
							t.Errorf("status %d, want 431", got.status)
						}
						return
					}
					w.want(got, tt.status)
					if tt.code == "" {
						return
					}
					if c := w.completion(got.body); c.Error == nil || c.Error.Code != tt.code {
						t.Errorf("unexpected error: %s", got.body)
					}
					if rec := w.record(); rec.Status != 431 || rec.Outcome != spillway.OutcomeRefusedInvalid || len(rec.Attempts) != 0 {
						t.Errorf("unexpected record: %+v", rec)
					}
				})
			})
		}
	}
}

// TestSlowReader does not read the stream that it asked for.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), func(w *world) { w.cfg.Limits.WriteTimeout = 5 * time.Second })
		conn, err := w.net.Dial(t.Context(), "tcp", "gateway.test:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		body := chat("2000", `,"stream":true`)
		req, _ := http.NewRequest(http.MethodPost, "http://gateway.test"+chatPath, strings.NewReader(body))
		req.Header.Set("api-key", "demo")
		if err := req.Write(conn); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if n := w.gateway.InFlight(); n != 0 {
			t.Errorf("%d requests in flight, want 0", n)
		}
		if rec := w.record(); rec.Outcome != spillway.OutcomeClientGone {
			t.Errorf("unexpected record: %+v", rec)
		}
		w.idle()
	})
}

func drainConn(c net.Conn) {
	c.SetReadDeadline(time.Now().Add(time.Second))
	io.Copy(io.Discard, c)
}

// TestPromptOfFiles estimates the prompt of a request with audio, escapes and white space
// by what they mean: it fits a deployment with few tokens per minute.
func TestPromptOfFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment("small")
		d.TPM = 10_000
		w := newWorld(t, []fleet.Deployment{d, deployment("large")}, nil)
		audio := strings.Repeat("UklGRiQ+AABXQVZF", 40_000)
		got := w.post(`{"max_tokens":9,"messages":[{"role":"user","content":[` + strings.Repeat(" \n", 20_000) +
			`{"type":"text","text":"hello ` + strings.Repeat(`\u4e2d`, 100) + ` [[tokens=3]]"},{"type":"input_audio","input_audio":{"format":"wav","data":"` + audio + `"}}]}]}`)
		w.want(got, 200)
		rec := w.record()
		if rec.PromptEstimate > 2000 || rec.Attempts[0].Deployment != "small" {
			t.Errorf("estimate %d, deployment %s", rec.PromptEstimate, rec.Attempts[0].Deployment)
		}
	})
}
