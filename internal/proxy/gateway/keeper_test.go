package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

const (
	firstEvent = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}` + "\n\n"
	finalEvent = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}` + "\n\n"
	doneEvent  = "data: [DONE]\n\n"
)

// front is a gateway behind real sockets, with and without TLS.
type front struct {
	*testing.T
	rec     recorder
	gateway *Gateway
	servers []*http.Server
	dials   map[string]func() net.Conn
}

// newFront starts a gateway before a deployment that the handler plays.
func newFront(t *testing.T, serve http.HandlerFunc) *front {
	up := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		serve(w, r)
	}))
	t.Cleanup(up.Close)
	target, err := wire.ParseTarget(wire.AzureV1, up.URL, "east", "")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{T: t}
	d := deployment("east")
	f.gateway, err = New(Config{
		Pools: []policy.Config{{
			Pool:        spillway.Pool{Name: "gpt-4o-mini", Tiers: [][]string{{"east"}}},
			Deployments: []spillway.Deployment{d.Deployment},
		}},
		Upstreams: map[string]upstream.Config{"east": {Target: target, Insecure: true}},
		Callers:   []Caller{{Name: "tester", Keys: []string{"demo"}, Class: &spillway.Class{Name: "c"}}},
	}, Deps{Recorder: &f.rec})
	if err != nil {
		t.Fatal(err)
	}
	plain, encrypted := f.gateway.Server(nil), f.gateway.Server(&tls.Config{Certificates: up.TLS.Certificates})
	f.servers = []*http.Server{plain, encrypted}
	plainAt := listen(t, func(l net.Listener) error { return plain.Serve(l) })
	encryptedAt := listen(t, func(l net.Listener) error { return encrypted.ServeTLS(l, "", "") })
	t.Cleanup(func() { plain.Close(); encrypted.Close() })
	keep := func(conn net.Conn, err error) net.Conn {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	f.dials = map[string]func() net.Conn{
		"TCP": func() net.Conn { return keep(net.Dial("tcp", plainAt)) },
		"TLS": func() net.Conn {
			conn, err := tls.Dial("tcp", encryptedAt, &tls.Config{InsecureSkipVerify: true})
			return keep(conn, err)
		},
	}
	return f
}

// ask is a request for a stream as bytes.
func ask(proto, header string) string {
	body := chat("5", `,"stream":true`)
	return fmt.Sprintf("POST %s %s\r\nHost: gateway.test\r\napi-key: demo\r\nContent-Length: %d\r\n%s\r\n%s", chatPath, proto, len(body), header, body)
}

// read reads one whole answer.
func (f *front) read(in *bufio.Reader) *http.Response {
	f.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		f.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if want := firstEvent + finalEvent + doneEvent; err != nil || resp.StatusCode != 200 || string(body) != want {
		f.Fatalf("%s, %v: %q", resp.Status, err, body)
	}
	return resp
}

// whole answers with a stream at once.
func whole(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, firstEvent+finalEvent+doneEvent)
}

// TestConnectionGoesOn asks again and again on one connection: after the end of
// each answer, before it, and for the last time.
func TestConnectionGoesOn(t *testing.T) {
	f := newFront(t, whole)
	for name, dial := range f.dials {
		t.Run(name, func(t *testing.T) {
			f.T = t
			conn := dial()
			in := bufio.NewReader(conn)
			for range 3 {
				io.WriteString(conn, ask("HTTP/1.1", ""))
				if resp := f.read(in); resp.Close {
					t.Error("the connection is said to be closed")
				}
			}
			for range 2 {
				io.WriteString(conn, strings.Repeat(ask("HTTP/1.1", ""), 3))
				for range 3 {
					f.read(in)
				}
			}
			io.WriteString(conn, ask("HTTP/1.1", "Connection: close\r\n"))
			f.read(in)
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := in.ReadByte(); err != io.EOF {
				t.Errorf("after the last answer: %v", err)
			}
		})
	}
}

// TestOldClient gets its stream without chunks.
func TestOldClient(t *testing.T) {
	f := newFront(t, whole)
	conn := f.dials["TCP"]()
	io.WriteString(conn, ask("HTTP/1.0", ""))
	if resp := f.read(bufio.NewReader(conn)); len(resp.TransferEncoding) > 0 {
		t.Errorf("transfer encoding %v", resp.TransferEncoding)
	}
}

// TestPieces sends each byte of a stream by itself. The client gets each event
// as soon as its last byte is there.
func TestPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pause = time.Millisecond
		longer := strings.Replace(firstEvent, `"a"`, `"aa"`, 1) // odd lengths and even ones
		parts := []string{firstEvent, firstEvent, longer, firstEvent, finalEvent, doneEvent}
		w := newWorld(t, one(), func(w *world) {
			w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Type", "text/event-stream")
				for _, b := range []byte(strings.Join(parts, "")) {
					time.Sleep(pause)
					rw.Write([]byte{b})
					rw.(http.Flusher).Flush()
				}
			}))
			w.upstream("east", "http://east.test")
		})
		began := time.Now()
		conn, _ := w.net.dial(t.Context(), "tcp", "gateway.test:80")
		defer conn.Close()
		io.WriteString(conn, ask("HTTP/1.1", ""))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		due := began
		for _, event := range parts {
			due = due.Add(time.Duration(len(event)) * pause)
			text := make([]byte, len(event))
			if _, err := io.ReadFull(resp.Body, text); err != nil || string(text) != event {
				t.Fatalf("%v: %q", err, text)
			}
			if late := time.Since(due); late > pause/2 {
				t.Errorf("%q came %v late", event[:len("data: [")], late)
			}
		}
	})
}

// TestLeaving takes clients away while their streams are under way: upstream
// learns within 100 ms. Of several tries the quickest counts, as the machine may
// have more to do.
func TestLeaving(t *testing.T) {
	const tries, limit = 5, 100 * time.Millisecond
	cancelled := make(chan time.Time, 1)
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, firstEvent)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		cancelled <- time.Now()
	})
	leave := func(t *testing.T, conn net.Conn) time.Duration {
		io.WriteString(conn, ask("HTTP/1.1", ""))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, len(firstEvent))); err != nil {
			t.Fatal(err)
		}
		left := time.Now()
		conn.Close()
		return (<-cancelled).Sub(left)
	}
	for name, dial := range f.dials {
		t.Run(name, func(t *testing.T) {
			quickest := time.Hour
			for range tries {
				late := leave(t, dial())
				if quickest = min(quickest, late); late > 2*time.Second {
					t.Errorf("upstream was cancelled after %v", late)
				}
			}
			if quickest > limit {
				t.Errorf("upstream was cancelled after %v", quickest)
			}
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

// TestShutdownBetweenRequests closes a connection that has had a stream and
// waits for more, and another once its stream has ended.
func TestShutdownBetweenRequests(t *testing.T) {
	release := make(chan struct{})
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, firstEvent)
		http.NewResponseController(w).Flush()
		<-release
		io.WriteString(w, finalEvent+doneEvent)
	})
	for i, name := range []string{"TCP", "TLS"} {
		idle, busy := f.dials[name](), f.dials[name]()
		idleIn, busyIn := bufio.NewReader(idle), bufio.NewReader(busy)
		io.WriteString(idle, ask("HTTP/1.1", ""))
		release <- struct{}{}
		f.read(idleIn)
		io.WriteString(busy, ask("HTTP/1.1", ""))
		if _, err := busyIn.Peek(1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := f.servers[i].Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		idle.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := idleIn.ReadByte(); err != io.EOF {
			t.Errorf("%s: between requests: %v", name, err)
		}
		release <- struct{}{}
		f.read(busyIn)
		busy.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := busyIn.ReadByte(); err != io.EOF {
			t.Errorf("%s: after the last stream: %v", name, err)
		}
	}
	if err := f.gateway.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestChunkHead(t *testing.T) {
	for size, want := range map[int]string{0: "0\r\n", 1: "1\r\n", 0x1234: "1234\r\n", writeStretch + 8<<20: "840000\r\n"} {
		b := make([]byte, buffer.Headroom+size)
		if got := string(b[putChunkHead(b):buffer.Headroom]); got != want {
			t.Errorf("%d bytes begin with %q, want %q", size, got, want)
		}
	}
}
