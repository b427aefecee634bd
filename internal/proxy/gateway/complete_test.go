package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

const (
	textChunk   = `data: {"id":"c","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"all of it"},"finish_reason":null}]}` + "\n\n"
	finishChunk = `data: {"id":"c","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
)

// TestCompleteBeforeItsEnd demands that a response counts as complete once every
// choice has ended: the deadline may come before the end of the stream, and the
// deployment may close its connection instead of ending the stream.
func TestCompleteBeforeItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(http.ResponseWriter, *http.Request)
	}{
		{"the end comes after the deadline", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, textChunk+finishChunk)
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(5 * time.Second):
				io.WriteString(w, doneEvent)
			case <-r.Context().Done():
			}
		}},
		{"the connection is closed instead", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, textChunk+finishChunk)
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}},
	} {
		for _, more := range []string{"", `,"stream":true`} {
			t.Run(tt.name+more, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, two(), func(w *world) {
						w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
							rw.Header().Set("Content-Type", "text/event-stream")
							tt.play(rw, r)
						}))
						w.upstream("east", "http://east.test")
					})
					got := w.post(chat("5", more), "x-spillway-deadline-ms", "2000")
					w.want(got, 200)
					if !strings.Contains(got.body, "all of it") || !strings.Contains(got.body, `"finish_reason":"stop"`) || strings.Contains(got.body, `"length"`) {
						t.Errorf("body %s", got.body)
					}
					if v := got.header.Get("x-spillway-truncated") + got.trailer.Get("x-spillway-truncated"); v != "" {
						t.Errorf("a complete response is said to be truncated: %s", v)
					}
					rec := w.record()
					if a := rec.Attempts[0]; rec.Outcome != spillway.OutcomeOK || rec.Finish != spillway.FinishStop || len(rec.Attempts) != 1 || a.Class != spillway.FailureNone {
						t.Errorf("outcome %v, finish %v, %d attempts, class %v; want ok, stop, 1, none", rec.Outcome, rec.Finish, len(rec.Attempts), a.Class)
					}
					w.idle()
				})
			})
		}
	}
}

// TestHalfClosedClient closes a client's sending side after its request: that
// client counts as gone, and gets no response that could be taken for one.
func TestHalfClosedClient(t *testing.T) {
	f := newFront(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	conn := f.dials["TCP"]()
	io.WriteString(conn, strings.Replace(ask("HTTP/1.1", ""), `,"stream":true`, "              ", 1))
	if half, ok := conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		t.Fatal("the connection cannot be closed by half")
	}
	if got, _ := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("the client gets %q", got)
	}
}

// TestConnectionKept ends streams some time after their [DONE]. Neither the
// client waits for that, whether it stays or leaves at once, nor is the connection
// to the deployment lost.
func TestConnectionKept(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		t.Run(fmt.Sprint("client leaves: ", leaves), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var conns atomic.Int64
				w := newWorld(t, one(), func(w *world) {
					server := &http.Server{
						Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
							rw.Header().Set("Content-Type", "text/event-stream")
							for range 6 {
								io.WriteString(rw, textChunk)
								http.NewResponseController(rw).Flush()
								time.Sleep(5 * time.Millisecond)
							}
							io.WriteString(rw, finishChunk+doneEvent)
							http.NewResponseController(rw).Flush()
							time.Sleep(50 * time.Millisecond)
						}),
						ConnState: countNew(&conns),
					}
					w.start("east.test", server)
					w.upstream("east", "http://east.test")
				})
				for range 4 {
					conn, err := w.net.Dial(t.Context(), "tcp", "gateway.test:80")
					if err != nil {
						t.Fatal(err)
					}
					began := time.Now()
					io.WriteString(conn, ask("HTTP/1.1", ""))
					resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err != nil {
						t.Fatal(err)
					}
					if leaves {
						io.ReadFull(resp.Body, make([]byte, 6*len(textChunk)+len(finishChunk)+len(doneEvent)))
						conn.Close()
					} else if _, err := io.ReadAll(resp.Body); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); took > 40*time.Millisecond {
						t.Errorf("the client waits until %v after its request for the end", took)
					}
					time.Sleep(time.Second)
					conn.Close()
				}
				if n := conns.Load(); n != 1 {
					t.Errorf("%d connections to the deployment, want 1", n)
				}
				w.idle()
			})
		})
	}
}

// countNew is a ConnState that counts new connections.
func countNew(n *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			n.Add(1)
		}
	}
}
