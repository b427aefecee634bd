package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// oneShot is a deployment over sockets whose connections answer one request each,
// and end in some way at the next.
type oneShot struct {
	*testing.T
	*peer
	listener net.Listener
	tls      *tls.Config // nil for none
	end      func(socket *net.TCPConn, c net.Conn)
	hold     chan struct{} // answers wait until it is closed

	mu       sync.Mutex
	requests []int // by connection
	arrived  chan struct{}
	serving  sync.WaitGroup
}

func newOneShot(t *testing.T, secure *tls.Config, end func(*net.TCPConn, net.Conn)) *oneShot {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &oneShot{T: t, peer: newPeer(t, nil), listener: listener, tls: secure, end: end, hold: make(chan struct{}), arrived: make(chan struct{}, 100)}
	o.serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			o.mu.Lock()
			o.requests = append(o.requests, 0)
			index := len(o.requests) - 1
			o.mu.Unlock()
			o.serving.Go(func() { o.serve(index, c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		o.serving.Wait()
	})
	return o
}

// serve answers the first request of a connection.
func (o *oneShot) serve(index int, socket *net.TCPConn) {
	c := net.Conn(socket)
	if o.tls != nil {
		c = tls.Server(socket, o.tls)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for n := 1; ; n++ {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		o.mu.Lock()
		o.requests[index] = n
		o.mu.Unlock()
		if n > 1 {
			o.end(socket, c)
			return
		}
		o.arrived <- struct{}{}
		<-o.hold
		const body = `{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}

// ends are how a peer ends a connection.
var ends = map[string]func(socket *net.TCPConn, c net.Conn){
	"FIN": func(_ *net.TCPConn, c net.Conn) { c.Close() },
	"RST": func(socket *net.TCPConn, _ net.Conn) { socket.SetLinger(0); socket.Close() },
}

// TestStaleConnections leaves several idle connections that end at their next
// request. Each request succeeds, once, on a new connection. When one has failed, no
// other is sent on an old one.
func TestStaleConnections(t *testing.T) {
	const pooled = 4
	secure := &tls.Config{Certificates: []tls.Certificate{testCertificate()}}
	for name, end := range ends {
		for scheme, config := range map[string]*tls.Config{"http": nil, "https": secure} {
			t.Run(name+" "+scheme+" one by one", func(t *testing.T) {
				o, send := newOneShot(t, config, end).pool(scheme, pooled)
				for range 2 {
					o.finishCall(send())
				}
				if got, want := o.counts(), []int{1, 1, 1, 1, 1, 2}; !slices.Equal(got, want) {
					t.Errorf("connections had %v requests, want %v", got, want)
				}
			})
			t.Run(name+" "+scheme+" at once", func(t *testing.T) {
				o, send := newOneShot(t, config, end).pool(scheme, pooled)
				var finishing sync.WaitGroup
				for range pooled {
					c, a := send()
					finishing.Go(func() { o.finishCall(c, a) })
				}
				finishing.Wait()
				// Each of the new connections had one request, each of the old one or two. The
				// transport may have opened some that it did not need.
				got := slices.DeleteFunc(o.counts(), func(n int) bool { return n == 0 })
				if len(got) != 2*pooled || got[pooled-1] != 1 || got[2*pooled-1] != 2 {
					t.Errorf("connections had %v requests", got)
				}
			})
		}
	}
}

// pool leaves so many idle connections behind, and returns what sends a request.
func (o *oneShot) pool(scheme string, connections int) (*oneShot, func() (*Call, *Attempt)) {
	target, err := wire.ParseTarget(wire.Azure, scheme+"://"+o.listener.Addr().String(), "chat", "")
	if err != nil {
		o.T.Fatal(err)
	}
	transports := NewTransports(nil, nil)
	o.T.Cleanup(func() { transports.CloseIdle(nil) })
	d, err := transports.Deployment("east", &Config{Target: target, Insecure: true}, nil)
	if err != nil {
		o.T.Fatal(err)
	}
	send := func() (*Call, *Attempt) {
		c, body := o.call("")
		return c, c.Start(Send{Number: 1, Deployment: d, Body: body})
	}
	calls, attempts := make([]*Call, connections), make([]*Attempt, connections)
	for i := range connections {
		calls[i], attempts[i] = send()
	}
	for range connections {
		<-o.arrived
	}
	close(o.hold)
	for i := range connections {
		o.finishCall(calls[i], attempts[i])
	}
	return o, send
}

// finishCall wants a complete response, and nothing else reported.
func (o *oneShot) finishCall(c *Call, a *Attempt) {
	if ev := next(c); ev.Kind != spillway.EventDone || ev.Usage.Completion != 1 {
		o.T.Errorf("event %+v, want a complete response", ev)
	}
	if len(c.Reports()) > 0 {
		o.T.Error("the attempt has reported more than its end")
	}
	o.finish(c, a)
}

// counts returns how many requests each connection had, in rising order.
func (o *oneShot) counts() []int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(slices.Values(o.requests))
}

// answerOnce answers the first request of a connection, and does something else at
// the next.
func answerOnce(then func(*peerConn)) func(*peerConn) {
	var mu sync.Mutex
	seen := map[net.Conn]bool{}
	return func(c *peerConn) {
		mu.Lock()
		again := seen[c.Conn]
		seen[c.Conn] = true
		mu.Unlock()
		if again {
			then(c)
			return
		}
		c.head("200 OK", "application/json")
		c.chunk(`{"choices":[{"index":0,"finish_reason":"stop"}]}`)
		c.end()
	}
}

// TestDeadConnection sends a request on a connection that was used before and ends
// before a response, and holds what follows against what may be repeated.
func TestDeadConnection(t *testing.T) {
	closed := func(c *peerConn) { c.Close() }
	for _, tt := range []struct {
		name, method, path string
		then               func(*peerConn)
		want               spillway.Event
		conns, asked       int
	}{
		{"generation", "POST", "/openai/deployments/chat/chat/completions", closed, spillway.Event{Kind: spillway.EventDone, Status: 200}, 2, 3},
		{"another operation", "POST", "/openai/files", closed, spillway.Event{Kind: spillway.EventFailed, Class: spillway.FailureBroken}, 1, 2},
		{"another operation that may be repeated", "GET", "/openai/files", closed, spillway.Event{Kind: spillway.EventFirstToken, Status: 200}, 2, 3},
		{
			"half a header", "POST", "/openai/deployments/chat/chat/completions",
			func(c *peerConn) { io.WriteString(c, "HTTP/1.1 2"); c.Close() },
			spillway.Event{Kind: spillway.EventFailed, Class: spillway.FailureBroken},
			1, 2,
		},
		{
			"no header in time", "POST", "/openai/deployments/chat/chat/completions",
			func(c *peerConn) { io.Copy(io.Discard, c) },
			spillway.Event{Kind: spillway.EventFailed, Class: spillway.FailureSlow},
			1, 2,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, answerOnce(tt.then))
				transports := NewTransports(p.dial, nil)
				d := p.slowDeployment(transports)
				send := func() spillway.Event {
					c, body := p.call("")
					path, known := wire.ParsePath(tt.path, "api-version=2024-10-21")
					if !known {
						t.Fatal("the path is not known")
					}
					c.Method, c.Path, c.API, c.Idempotent = tt.method, path, path.API, tt.method == "GET"
					if c.Idempotent {
						body = nil
					}
					a := c.Start(Send{Number: 1, Deployment: d, Body: body})
					ev := next(c)
					if ev.Kind == spillway.EventFirstToken {
						forwarded(a)
					}
					p.finish(c, a)
					return ev
				}
				send()
				time.Sleep(10 * time.Second)
				if ev := send(); ev.Kind != tt.want.Kind || ev.Class != tt.want.Class || ev.Status != tt.want.Status {
					t.Errorf("event %+v, want %+v", ev, tt.want)
				}
				if conns, asked := p.counts(); conns != tt.conns || asked != tt.asked {
					t.Errorf("%d connections with %d requests, want %d with %d", conns, asked, tt.conns, tt.asked)
				}
				transports.CloseIdle(nil)
			})
		})
	}
}

// slowDeployment returns the peer as a deployment that has 30 s for headers.
func (p *peer) slowDeployment(transports *Transports) *Deployment {
	p.Helper()
	target, err := wire.ParseTarget(wire.Azure, "http://peer.test", "chat", "")
	if err != nil {
		p.Fatal(err)
	}
	d, err := transports.Deployment("east", &Config{Target: target, HeaderTimeout: 30 * time.Second}, nil)
	if err != nil {
		p.Fatal(err)
	}
	return d
}

// TestFreshConnectionFails fails at new connections: that is not repeated.
func TestFreshConnectionFails(t *testing.T) {
	for _, used := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var answer atomic.Bool
			answer.Store(used)
			p := newPeer(t, func(c *peerConn) {
				if answer.CompareAndSwap(true, false) {
					c.head("200 OK", "application/json")
					c.chunk(`{"choices":[{"index":0,"finish_reason":"stop"}]}`)
					c.end()
					return
				}
				c.Close()
			})
			transports := NewTransports(p.dial, nil)
			d := p.deployment(transports, nil)
			send := func() spillway.Event {
				c, body := p.call("")
				a := c.Start(Send{Number: 1, Deployment: d, Body: body})
				ev := next(c)
				p.finish(c, a)
				return ev
			}
			want := 1
			if used {
				send()
				want = 3
			}
			ev := send()
			if _, asked := p.counts(); ev.Class != spillway.FailureBroken || ev.Replayable || asked != want {
				t.Errorf("used before: %v: event %+v after %d requests, want %d", used, ev, asked, want)
			}
		})
	}
}

// TestSilentConnection gives up a request on a used connection that is silent. Idle
// connections of its age are not used again, unless it was the client that left, or
// soon.
func TestSilentConnection(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration
		leave bool // the client leaves
		conns int
	}{
		{"silent", 3 * time.Second, false, 3},
		{"canceled soon", 10 * time.Millisecond, false, 2},
		{"client left", 3 * time.Second, true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var silent atomic.Bool // the next request gets no answer
				p := newPeer(t, func(c *peerConn) {
					if silent.CompareAndSwap(true, false) {
						io.Copy(io.Discard, c)
						return
					}
					time.Sleep(time.Second)
					c.head("200 OK", "application/json")
					c.chunk(`{"choices":[{"index":0,"finish_reason":"stop"}]}`)
					c.end()
				})
				transports := NewTransports(p.dial, nil)
				d := p.deployment(transports, nil)
				start := func(ctx context.Context) (*Call, *Attempt) {
					c, body := p.call("")
					c.Context = ctx
					return c, c.Start(Send{Number: 1, Deployment: d, Body: body})
				}
				c1, a1 := start(t.Context())
				c2, a2 := start(t.Context())
				next(c1)
				next(c2)
				p.finish(c1, a1)
				p.finish(c2, a2)

				silent.Store(true)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				c, a := start(ctx)
				time.Sleep(tt.after)
				if tt.leave {
					leave()
				} else {
					a.Cancel()
				}
				c.Wait()
				p.finish(c, a)

				c, a = start(t.Context())
				if ev := next(c); ev.Kind != spillway.EventDone {
					t.Errorf("event %+v", ev)
				}
				p.finish(c, a)
				if conns, _ := p.counts(); conns != tt.conns {
					t.Errorf("%d connections, want %d", conns, tt.conns)
				}
				transports.CloseIdle(nil)
			})
		})
	}
}

// TestUnreachable cannot send a request: that is known in the time for connecting,
// and the request may be sent elsewhere.
func TestUnreachable(t *testing.T) {
	certificate := testCertificate()
	for _, tt := range []struct {
		name, base string
		dial       DialFunc
		within     time.Duration
	}{
		{"connecting hangs", "http://peer.test", func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, time.Second},
		{"TLS handshake hangs", "https://peer.test", func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go io.Copy(io.Discard, far)
			return near, nil
		}, time.Second},
		{"not TLS", "https://peer.test", func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				go io.Copy(io.Discard, far)
				io.WriteString(far, "HTTP/1.1 400 Bad Request\r\n\r\n")
				far.Close()
			}()
			return near, nil
		}, 0},
		{"unknown certificate", "https://peer.test", func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				tls.Server(far, &tls.Config{Certificates: []tls.Certificate{certificate}}).Handshake()
				far.Close()
			}()
			return near, nil
		}, 0},
		{"refused", "http://peer.test", func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("refused")
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, nil)
				target, err := wire.ParseTarget(wire.Azure, tt.base, "chat", "")
				if err != nil {
					t.Fatal(err)
				}
				d, err := NewTransports(tt.dial, nil).Deployment("east", &Config{Target: target, DialTimeout: time.Second}, nil)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				c, body := p.call("")
				a := c.Start(Send{Number: 1, Deployment: d, Body: body})
				ev := next(c)
				if took := time.Since(began); ev.Class != spillway.FailureUnreachable || !ev.Replayable || took > tt.within {
					t.Errorf("event %+v after %v, want it within %v", ev, took, tt.within)
				}
				p.finish(c, a)
			})
		})
	}
}
