package gateway

import (
	"context"
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

	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// TestBurst sends many requests at once to a deployment that no connection leads
// to yet. They must share few where they can, and be served together.
func TestBurst(t *testing.T) {
	tests := []struct {
		requests int
		limit    int // of streams on a connection; 0 for HTTP/1.1
		conns    int // at most
	}{{250, 250, gateWidth * 4}, {250, 100, gateWidth * 5}, {40, 0, 40 + gateWidth}}
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
				up.Listener = w.net.listen("east.test")
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
				w.cfg.Upstreams["east"] = Upstream{Target: target, Insecure: true}
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
			for _, transport := range w.gateway.snap.Load().transports {
				transport.CloseIdleConnections()
			}
		})
	}
}

// TestGatePatience fills a gate: who comes next waits for a slot, for as long as
// the gate's patience lasts and the request is wanted.
func TestGatePatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate("https")
		first := passage{gate: g}
		for range gateWidth {
			if !g.enter(t.Context()) {
				t.Fatal("no slot in an empty gate")
			}
		}
		began := time.Now()
		if g.enter(t.Context()) || time.Since(began) != gatePatience {
			t.Errorf("gave up after %v, want %v", time.Since(began), gatePatience)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		began = time.Now()
		if g.enter(ctx) || time.Since(began) != time.Millisecond {
			t.Errorf("gave up %v after the request, want at once", time.Since(began)-time.Millisecond)
		}
		time.AfterFunc(time.Millisecond, func() {
			first.leave()
			first.leave() // counts once
		})
		if !g.enter(t.Context()) {
			t.Error("the slot that was left is not free")
		}
		if n := len(g.slots); n != gateWidth {
			t.Errorf("%d slots taken, want %d", n, gateWidth)
		}
	})
}
