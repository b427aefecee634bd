package gateway

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

const (
	firstEvent = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}` + "\n\n"
	finalEvent = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}` + "\n\n"
	doneEvent  = "data: [DONE]\n\n"
)

// envKeepStreams makes a process of this test binary run its tests with
// Config.KeepStreams.
const envKeepStreams = "SPILLWAY_TEST_KEEP_STREAMS"

// keepStreams is the Config.KeepStreams of the gateways of this process.
func keepStreams() bool { return os.Getenv(envKeepStreams) != "" }

// TestKeepStreams runs all tests of this package once more, with streams that
// stay in the server: clients and records must not see a difference.
func TestKeepStreams(t *testing.T) {
	if keepStreams() {
		t.Skip("this is the process that it starts")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=.")
	cmd.Env = append(os.Environ(), envKeepStreams+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// front is a gateway behind real sockets, with and without TLS.
type front struct {
	*testing.T
	rec     recorder
	gateway *Gateway
	config  Config
	tls     *tls.Config
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
	f.config = Config{
		Pools: []policy.Config{{
			Pool:        spillway.Pool{Name: "gpt-4o-mini", Tiers: [][]string{{"east"}}},
			Deployments: []spillway.Deployment{d.Deployment},
		}},
		Upstreams: map[string]upstream.Config{"east": {Target: target, Insecure: true}},
		Callers:   []Caller{{Name: "tester", Keys: []string{"demo"}, Class: &spillway.Class{Name: "c"}}},

		KeepStreams: keepStreams(),
	}
	f.gateway, err = New(f.config, Deps{Recorder: &f.rec})
	if err != nil {
		t.Fatal(err)
	}
	f.tls = &tls.Config{Certificates: up.TLS.Certificates}
	plain, encrypted := f.gateway.Server(nil), f.gateway.Server(f.tls)
	f.servers = []*http.Server{plain, encrypted}
	plainAt := listen(t, func(l net.Listener) error { return f.gateway.Serve(plain, l) })
	encryptedAt := listen(t, func(l net.Listener) error { return f.gateway.Serve(encrypted, l) })
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

// read reads one whole response.
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

// whole responds with a stream at once.
func whole(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, firstEvent+finalEvent+doneEvent)
}

// TestConnectionReused asks again and again on one connection: after the end of
// each response, before it, and for the last time.
func TestConnectionReused(t *testing.T) {
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
			conn.SetReadDeadline(time.Now().Add(5 * time.Minute)) // only a hang takes as long
			if _, err := in.ReadByte(); err != io.EOF {
				t.Errorf("after the last answer: %v", err)
			}
		})
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
		conn, _ := w.net.Dial(t.Context(), "tcp", "gateway.test:80")
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

// TestClientLeaves closes connections while their streams are under way: the
// deployment's request is canceled.
func TestClientLeaves(t *testing.T) {
	canceled := make(chan struct{}, 1)
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, firstEvent)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		canceled <- struct{}{}
	})
	for name, dial := range f.dials {
		t.Run(name, func(t *testing.T) {
			conn := dial()
			io.WriteString(conn, ask("HTTP/1.1", ""))
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(resp.Body, make([]byte, len(firstEvent))); err != nil {
				t.Fatal(err)
			}
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
