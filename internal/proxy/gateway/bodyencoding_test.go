package gateway

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// gzipped compresses text.
func gzipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.String()
}

// TestEncodedBody reads gzip within the limits on bodies, and says clearly what it does
// not read.
func TestEncodedBody(t *testing.T) {
	const limit = 100_000
	good := gzipped(chat("5", ""))
	spaces := strings.Repeat(" ", 1<<20)
	for name, tt := range map[string]struct {
		path, body, encoding, contentType string
		status                            int
		code                              string
	}{
		"gzip":                 {chatPath, good, "gzip", "", 200, ""},
		"gzip by another name": {chatPath, good, "X-GZip", "", 200, ""},
		"gzip in two members":  {chatPath, gzipped(`{"messages":[{"role":"user",`) + gzipped(`"content":"[[tokens=5]]"}]}`), "gzip", "", 200, ""},
		"gzip of a stream":     {chatPath, gzipped(chat("5", `,"stream":true`)), "gzip", "", 200, ""},
		"identity":             {chatPath, chat("5", ""), "identity", "", 200, ""},
		"a bomb":               {chatPath, gzipped(spaces), "gzip", "", 413, "request_too_large"},
		"not gzip":             {chatPath, chat("5", ""), "gzip", "", 400, "invalid_encoding"},
		"cut gzip":             {chatPath, good[:len(good)-9], "gzip", "", 400, "invalid_encoding"},
		"cut within its head":  {chatPath, good[:5], "gzip", "", 400, "invalid_encoding"},
		"bytes after gzip":     {chatPath, good + "x", "gzip", "", 400, "invalid_encoding"},
		"a wrong checksum":     {chatPath, good[:len(good)-8] + "xxxxxxxx", "gzip", "", 400, "invalid_encoding"},
		"not JSON in gzip":     {chatPath, gzipped("hello"), "gzip", "", 400, "invalid_json"},
		"brotli":               {chatPath, "\x0b\x02\x80", "br", "", 415, "unsupported_encoding"},
		"twice":                {chatPath, gzipped(good), "gzip, gzip", "", 415, "unsupported_encoding"},
		"UTF-16":               {chatPath, "\xff\xfe{\x00}\x00", "", "application/json; charset=utf-16", 415, "unsupported_encoding"},
		"not JSON":             {chatPath, "hello", "", "", 400, "invalid_json"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), func(w *world) { w.cfg.Limits.MaxBodyBytes = limit })
				headers := []string{"Content-Encoding", tt.encoding}
				if tt.contentType != "" {
					headers = append(headers, "Content-Type", tt.contentType)
				}
				got := w.do(http.MethodPost, tt.path, tt.body, headers...)
				w.want(got, tt.status)
				if tt.code != "" && w.completion(got.body).Error.Code != tt.code {
					t.Errorf("want code %s: %s", tt.code, got.body)
				}
				if accept := got.header.Get("Accept-Encoding"); (accept == "gzip") != (tt.encoding != "" && tt.status == 415) {
					t.Errorf("accept-encoding is %q", accept)
				}
				if rec := w.record(); tt.status == 200 && rec.Usage.Completion != 5 || tt.status != 200 && rec.Outcome != spillway.OutcomeRefusedInvalid {
					t.Errorf("unexpected record: %+v", rec)
				}
				w.idle()
			})
		})
	}
}

// TestEncodedForward sends a decoded body on without its encoding, and leaves an
// encoding that it does not read to the deployment where it need not read the body.
func TestEncodedForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		w := newWorld(t, one(), func(w *world) {
			w.serve("own.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				var b bytes.Buffer
				b.ReadFrom(r.Body)
				asked = append(asked, r.Header.Get("Content-Encoding")+" "+b.String())
			}))
			for name := range w.cfg.Upstreams {
				w.upstream(name, "http://own.test")
			}
		})
		const path = "/openai/deployments/gpt-4o-mini/audio/speech?api-version=2024-10-21"
		w.want(w.do(http.MethodPost, path, gzipped("text"), "Content-Encoding", "gzip"), 200)
		w.want(w.do(http.MethodPost, path, "packed", "Content-Encoding", "br"), 200)
		if len(asked) != 2 || asked[0] != " text" || asked[1] != "br packed" {
			t.Errorf("asked %q", asked)
		}
	})
}

// TestSlowGzip ends a compressed body that does not arrive, like any other.
func TestSlowGzip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), func(w *world) { w.cfg.Limits.BodyTimeout = time.Second })
		conn, err := w.net.Dial(t.Context(), "tcp", "gateway.test:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		began := time.Now()
		body := gzipped(chat("5", ""))
		conn.Write([]byte("POST " + chatPath + " HTTP/1.1\r\nHost: g\r\napi-key: demo\r\nContent-Encoding: gzip\r\nContent-Length: 500\r\n\r\n" + body[:20]))
		got := make([]byte, 12)
		if _, err := conn.Read(got); err != nil || string(got) != "HTTP/1.1 408" {
			t.Errorf("%q, %v", got, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

// TestWebSocket refuses a WebSocket at once, after it has looked at the key.
func TestWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), nil)
		for _, path := range []string{"/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-4o-mini", "/v1/realtime?model=gpt-4o-mini", "/v1/responses"} {
			got := w.do(http.MethodGet, path, "", "Connection", "Upgrade", "Upgrade", "websocket")
			w.want(got, 501)
			if w.completion(got.body).Error.Code != "websocket_not_supported" || got.header.Get("x-should-retry") != "false" || got.took > time.Second {
				t.Errorf("%s: after %v: %v %s", path, got.took, got.header, got.body)
			}
		}
		w.want(w.do(http.MethodGet, "/v1/realtime", "", "Connection", "Upgrade", "Upgrade", "websocket", "api-key", "wrong"), 401)
		w.idle()
	})
}

// TestKeyHeaders takes the caller's key from the headers of all kinds of clients.
func TestKeyHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), nil)
		for _, name := range []string{"Ocp-Apim-Subscription-Key", "x-api-key"} {
			w.want(w.do(http.MethodPost, chatPath, chat("1", ""), "api-key", "", name, "demo"), 200)
			w.want(w.do(http.MethodPost, chatPath, chat("1", ""), "api-key", "", name, "wrong"), 401)
		}
	})
}

// TestRequestIDs names the request in our own responses as Azure and OpenAI do.
func TestRequestIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), nil)
		for name, got := range map[string]answer{
			"refused": w.do(http.MethodPost, chatPath, "{"),
			"no key":  w.do(http.MethodPost, chatPath, "{}", "api-key", ""),
			"models":  w.do(http.MethodGet, "/v1/models", ""),
			"no path": w.do(http.MethodGet, "/v3", ""),
		} {
			id := got.header.Get("x-spillway-request-id")
			if id == "" || got.header.Get("apim-request-id") != id || got.header.Get("x-request-id") != id {
				t.Errorf("%s: %v", name, got.header)
			}
		}
	})
}
