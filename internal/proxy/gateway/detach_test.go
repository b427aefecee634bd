package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The last event of a stream has no blank line, and the end comes by itself: the
// client gets it with one, because clients ignore an event that is open.
func TestUnterminatedEnd(t *testing.T) {
	for _, proto := range []string{"HTTP/1.0", "HTTP/1.1"} {
		t.Run(proto, func(t *testing.T) {
			read := make(chan struct{})
			f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, firstEvent+finalEvent+"data: [DONE]\n")
				http.NewResponseController(w).Flush()
				<-read
			})
			conn := f.dials["TCP"]()
			io.WriteString(conn, ask(proto, ""))
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body := bufio.NewReader(resp.Body)
			for range 4 { // two events, each with its blank line
				if _, err := body.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			close(read)
			if rest, err := io.ReadAll(body); err != nil || string(rest) != doneEvent {
				t.Errorf("the end is %q, %v", rest, err)
			}
		})
	}
}

// Who asks in turn never meets the limit of one request at a time.
func TestOneAtATime(t *testing.T) {
	f := newFront(t, whole)
	f.gateway.snap.Load().limits.MaxInFlight = 1
	conn := f.dials["TCP"]()
	in := bufio.NewReader(conn)
	for range 200 {
		io.WriteString(conn, ask("HTTP/1.1", ""))
		f.read(in)
	}
	for range 100 {
		io.WriteString(conn, ask("HTTP/1.1", "")+ask("HTTP/1.1", ""))
		f.read(in)
		f.read(in)
	}
}

// The end of the gateway refuses streams that have no token yet, each of them.
func TestEndBeforeFirstTokens(t *testing.T) {
	const n = 100
	var began, ended sync.WaitGroup
	began.Add(n)
	f := newFront(t, func(_ http.ResponseWriter, r *http.Request) {
		began.Done()
		<-r.Context().Done()
	})
	f.gateway.snap.Load().limits.FirstHeartbeat = -1 // on a slow machine, it would begin the response
	for range n {
		conn := f.dials["TCP"]()
		ended.Go(func() {
			io.WriteString(conn, ask("HTTP/1.1", ""))
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Error(err)
				return
			}
			if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusServiceUnavailable || len(body) == 0 {
				t.Errorf("%s with %d bytes", resp.Status, len(body))
			}
		})
	}
	began.Wait()
	f.gateway.EndRequests()
	ended.Wait()
}

// A client that asks again on its connection and does not read is given up like
// one that asks for the first time.
func TestSecondRequestNotRead(t *testing.T) {
	for before := range 2 {
		t.Run(fmt.Sprint(before, " before"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), func(w *world) { w.cfg.Limits.WriteTimeout = 5 * time.Second })
				conn, err := w.net.Dial(t.Context(), "tcp", "gateway.test:80")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				in := bufio.NewReader(conn)
				send := func(more string) {
					body := chat("5", more)
					fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: gateway.test\r\napi-key: demo\r\nContent-Length: %d\r\n\r\n%s", chatPath, len(body), body)
				}
				for range before {
					send("")
					resp, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body)
				}
				send(`,"stream":true`)
				time.Sleep(time.Hour)
				if n := w.gateway.InFlight(); n != 0 {
					t.Errorf("%d in flight after an hour, with a write timeout of 5 s", n)
				}
			})
		})
	}
}

// What is cut leaves nothing in flight, whoever does not read it.
func TestCut(t *testing.T) {
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, strings.Repeat(firstEvent, 100))
		}
	})
	conn := f.dials["TCP"]()
	io.WriteString(conn, ask("HTTP/1.1", ""))
	if _, err := bufio.NewReaderSize(conn, 16).Peek(1); err != nil {
		t.Fatal(err)
	}
	f.gateway.EndRequests()
	f.gateway.CutStreams()
	if err := f.gateway.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}
