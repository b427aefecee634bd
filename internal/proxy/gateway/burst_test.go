package gateway

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// dials is how many requests to a deployment look for a connection at one time.
const dials = 4

// TestBurst sends many requests at once to a deployment that no connection leads
// to yet. They must share few where they can, and be served together.
func TestBurst(t *testing.T) {
	tests := []struct {
		requests int
		limit    int // of streams on a connection; 0 for HTTP/1.1
		conns    int // at most
	}{{250, 250, dials * 4}, {250, 100, dials * 5}, {40, 0, 40 + dials}}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			var opened atomic.Int64
			w := newWorld(t, one(), func(w *world) {
				up := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					time.Sleep(time.Second) // all are under way at one time
					rw.Header().Set("Content-Type", "application/json")
					io.WriteString(rw, `{"id":"x","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`)
				}))
				up.Listener.Close()
				up.Listener = w.net.Listen("east.test")
				up.EnableHTTP2 = tt.limit > 0
				up.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: tt.limit}
				up.Config.ErrorLog = log.New(io.Discard, "", 0)
				up.Config.ConnState = func(_ net.Conn, s http.ConnState) {
					if s == http.StateNew {
						opened.Add(1)
					}
				}
				up.StartTLS()
				t.Cleanup(up.Close)
				target, err := wire.ParseTarget(wire.Azure, "https://east.test", "east", "")
				if err != nil {
					t.Fatal(err)
				}
				w.cfg.Upstreams["east"] = upstream.Config{Target: target, Insecure: true}
			})
			began := time.Now()
			var wg sync.WaitGroup
			for range tt.requests {
				wg.Go(func() {
					if got := w.post(chat("5", "")); got.status != 200 {
						t.Errorf("status %d, %v", got.status, got.err)
					}
				})
			}
			wg.Wait()
			if took := time.Since(began); took > 1500*time.Millisecond {
				t.Errorf("limit of %d streams: answers of a second took %v", tt.limit, took)
			}
			if n := int(opened.Load()); n > tt.conns {
				t.Errorf("%d connections at a limit of %d streams, want at most %d", n, tt.limit, tt.conns)
			}
			w.idle()
			w.gateway.snap.Load().transports.CloseIdle(nil)
		})
	}
}
