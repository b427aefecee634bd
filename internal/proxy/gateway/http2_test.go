package gateway

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// TestGap lets an upstream pause for longer than one write to the client may
// take. That is no reason to cut the client off.
func TestGap(t *testing.T) {
	const event = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}` + "\n\n"
	const last = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
	tests := []struct {
		name, method, path, body string
		head                     map[string]string
		parts                    []string
	}{
		{"stream", "POST", chatPath, chat("5", `,"stream":true`), map[string]string{"Content-Type": "text/event-stream"}, []string{event, last}},
		{"known length", "GET", "/openai/v1/files/x", "", map[string]string{"Content-Length": "4"}, []string{"ab", "cd"}},
		{"late first byte", "GET", "/openai/v1/files/x", "", map[string]string{"Content-Length": "2"}, []string{"", "ab"}},
		{"unknown length", "GET", "/openai/v1/files/x", "", nil, []string{"ab", "cd"}},
	}
	for _, tt := range tests {
		for _, h2 := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, one(), func(w *world) {
						w.cfg.Limits.WriteTimeout = 5 * time.Second
						w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
							io.Copy(io.Discard, r.Body)
							for k, v := range tt.head {
								rw.Header().Set(k, v)
							}
							for i, part := range tt.parts {
								time.Sleep(time.Duration(i) * 8 * time.Second)
								io.WriteString(rw, part)
								rw.(http.Flusher).Flush()
							}
						}))
						w.upstream("east", "http://east.test")
					})
					if h2 {
						w.speakHTTP2()
					}
					got := w.do(tt.method, tt.path, tt.body)
					w.want(got, 200)
					if want := tt.parts[len(tt.parts)-1]; !strings.HasSuffix(got.body, want[len(want)-2:]) {
						t.Errorf("body ends early: %q", got.body)
					}
					w.idle()
				})
			})
		}
	}
}

// TestSlowReaderHTTP2 stops reading: flow control stalls the stream, and the
// write deadline still holds.
func TestSlowReaderHTTP2(t *testing.T) {
	const window = 4 << 20 // that the client grants a stream
	for _, size := range []struct {
		bytes int
		known bool
	}{{4 * window, false}, {4 * window, true}, {window + 100, true}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, one(), func(w *world) {
				w.cfg.Limits.WriteTimeout = 5 * time.Second
				w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					if size.known {
						rw.Header().Set("Content-Length", strconv.Itoa(size.bytes))
					}
					rw.Write(make([]byte, window))
					rw.(http.Flusher).Flush()
					time.Sleep(time.Second) // so that what follows is read by itself
					rw.Write(make([]byte, size.bytes-window))
				}))
				w.upstream("east", "http://east.test")
			})
			w.speakHTTP2()
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway.test/openai/v1/files/x", http.NoBody)
			req.Header.Set("api-key", "demo")
			resp, err := w.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
			if n := w.gateway.InFlight(); n != 0 {
				t.Errorf("%+v: %d requests in flight, want 0", size, n)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err == nil {
				t.Errorf("%+v: the stream has waited for its reader", size)
			}
			resp.Body.Close()
			w.idle()
		})
	}
}

// TestBlackHole loses an HTTP/2 connection to a deployment without a word: a
// new one must take its place.
func TestBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hole := &holeListener{}
		w := newWorld(t, one(), func(w *world) {
			w.class.Window = 3 * time.Second
			hole.Listener = w.net.Listen("east.test")
			up := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				rw.Header().Set("Content-Type", "application/json")
				io.WriteString(rw, `{"id":"x","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`)
			}))
			up.Listener.Close()
			up.Listener = hole
			up.EnableHTTP2 = true
			up.StartTLS()
			t.Cleanup(up.Close)
			target, err := wire.ParseTarget(wire.Azure, "https://east.test", "east", "")
			if err != nil {
				t.Fatal(err)
			}
			w.cfg.Upstreams["east"] = upstream.Config{Target: target, Insecure: true}
		})
		w.want(w.post(chat("5", "")), 200)
		hole.dead.Store(true)
		if got := w.post(chat("5", "")); got.status == 200 {
			t.Fatal("the connection is not lost")
		}
		time.Sleep(8 * time.Second) // a ping is sent after 5 s, and missed 3 s later
		w.want(w.post(chat("5", "")), 200)
		w.idle()
		w.gateway.snap.Load().transports.CloseIdle(nil)
		hole.first.Close()
	})
}

// holeListener accepts connections of which the first hears nothing once it is
// dead.
type holeListener struct {
	net.Listener
	dead  atomic.Bool
	first net.Conn
}

func (l *holeListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil && l.first == nil {
		l.first = c
		c = &holeConn{Conn: c, dead: &l.dead}
	}
	return c, err
}

type holeConn struct {
	net.Conn
	dead *atomic.Bool
}

func (c *holeConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.dead.Load() {
			return n, err
		}
	}
}

// speakHTTP2 has the client speak HTTP/2 with prior knowledge.
func (w *world) speakHTTP2() {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	transport := &http.Transport{DialContext: w.net.Dial, Protocols: &p}
	w.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport}
}
