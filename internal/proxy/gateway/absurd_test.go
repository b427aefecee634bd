package gateway

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// TestAbsurdAnswers lets the first deployment response nonsense and expects the
// response of the second.
func TestAbsurdAnswers(t *testing.T) {
	tests := map[string]http.HandlerFunc{
		"html": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<html><body>Welcome to nginx!</body></html>")
		},
		"truncated JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"id":"x","choices":[{"message":{"content":"he`)
		},
		"empty": func(http.ResponseWriter, *http.Request) {},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.test/", http.StatusFound)
		},
		"endless line": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: ")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		},
		"endless comments": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, ": "+strings.Repeat("x", 1000)+"\n\n"); err != nil {
					return
				}
			}
		},
		"malformed event": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: {\"choices\":[{\n\n")
		},
		"error in the stream": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: {\"error\":{\"message\":\"oops\",\"type\":\"server_error\"}}\n\n")
		},
		"short body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "{}")
		},
		"error without end": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	}
	for name, handler := range tests {
		for _, more := range []string{"", `,"stream":true`} {
			t.Run(name+more, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, two(), func(w *world) {
						w.serve("odd.test", handler)
						w.upstream("east", "http://odd.test")
						w.cfg.Limits.MaxEventBytes = 1 << 20
					})
					got := w.post(chat("5", more))
					w.want(got, 200)
					if d := got.header.Get("x-spillway-deployment"); d != "west" {
						t.Errorf("served by %q: %s", d, got.body)
					}
					w.idle()
				})
			})
		}
	}
}

// TestStreamOptionsRefused is about deployments of an old api-version, and servers that
// validate what they are sent: they are asked again without stream_options, and not
// asked for it any more.
func TestStreamOptionsRefused(t *testing.T) {
	for status, problem := range map[int]string{
		400: `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`,
		422: `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{"include_usage":true}}]}`,
	} {
		for _, more := range []string{"", `,"stream":true`} {
			synctest.Test(t, func(t *testing.T) {
				var refusals int
				w := newWorld(t, one(), func(w *world) {
					w.serve("old.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						body, _ := io.ReadAll(r.Body)
						if strings.Contains(string(body), "stream_options") {
							refusals++
							rw.Header().Set("Content-Type", "application/json")
							rw.WriteHeader(status)
							io.WriteString(rw, problem)
							return
						}
						r.Body = io.NopCloser(strings.NewReader(string(body)))
						r.ContentLength = int64(len(body))
						w.azure.ServeHTTP(rw, r)
					}))
					w.upstream("east", "http://old.test")
				})
				for i := range 3 {
					got := w.post(chat(strconv.Itoa(5+i), more))
					w.want(got, 200)
				}
				if refusals != 1 {
					t.Errorf("refused %d times with %d, want once", refusals, status)
				}
				w.idle()
			})
		}
	}
}
