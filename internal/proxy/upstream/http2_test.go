package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// framePeer is a deployment that is played frame by frame over HTTP/2, on
// connections in memory.
type framePeer struct {
	*peer
	certificate tls.Certificate
	// play answers the request of a stream.
	play  func(*frameConn, uint32)
	http2 []http2.Setting

	mu       sync.Mutex
	requests []int // by connection
}

// frameConn is a connection of the peer. What is written to it is sent by a
// goroutine, because a write to a pipe waits for its reader.
type frameConn struct {
	*http2.Framer
	frames chan []byte // to send; nil closes the connection
	pings  bool        // pings are answered
}

// Write queues a frame.
func (c *frameConn) Write(frame []byte) (int, error) {
	c.frames <- bytes.Clone(frame)
	return len(frame), nil
}

// Close closes the connection after the frames before.
func (c *frameConn) Close() { c.frames <- nil }

// send sends what is queued.
func (c *frameConn) send(to net.Conn) {
	for frame := range c.frames {
		if frame == nil {
			to.Close()
		} else {
			to.Write(frame)
		}
	}
}

// dial connects to the peer.
func (p *framePeer) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.mu.Lock()
	index := len(p.requests)
	p.requests = append(p.requests, 0)
	p.mu.Unlock()
	go p.serve(index, far)
	return near, nil
}

// serve reads the frames of a connection.
func (p *framePeer) serve(index int, far net.Conn) {
	defer far.Close()
	secure := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{p.certificate}, NextProtos: []string{"h2"}})
	if _, err := io.ReadFull(secure, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	c := &frameConn{frames: make(chan []byte, 100), pings: true}
	c.Framer = http2.NewFramer(c, secure)
	go c.send(secure)
	defer close(c.frames)
	c.WriteSettings(p.http2...)
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() && c.pings {
				c.WritePing(true, f.Data)
			}
		case *http2.DataFrame:
			if !f.StreamEnded() {
				continue
			}
			p.mu.Lock()
			p.requests[index]++
			p.mu.Unlock()
			p.play(c, f.StreamID)
		}
	}
}

// answer answers the request of a stream.
func (c *frameConn) answer(stream uint32) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	enc.WriteField(hpack.HeaderField{Name: "content-type", Value: "application/json"})
	c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
	c.WriteData(stream, true, []byte(`{"choices":[{"index":0,"finish_reason":"stop"}]}`))
}

// TestHTTP2 sends a request on an HTTP/2 connection that was used before.
func TestHTTP2(t *testing.T) {
	certificate := testCertificate()
	var first atomic.Bool
	onFirst := func(what func(*frameConn, uint32)) func(*frameConn, uint32) {
		return func(c *frameConn, stream uint32) {
			if stream == 3 {
				what(c, stream)
				return
			}
			c.answer(stream)
		}
	}
	for _, tt := range []struct {
		name     string
		play     func(*frameConn, uint32)
		want     spillway.Event
		requests []int
		within   time.Duration
	}{
		{
			"closed", onFirst(func(c *frameConn, _ uint32) { c.Close() }),
			spillway.Event{Kind: spillway.EventDone},
			[]int{2, 1},
			0,
		},
		{
			"GOAWAY, then closed", onFirst(func(c *frameConn, stream uint32) {
				c.WriteGoAway(stream, http2.ErrCodeNo, nil)
				c.Close()
			}),
			spillway.Event{Kind: spillway.EventDone},
			[]int{2, 1},
			0,
		},
		{
			"GOAWAY before the request", onFirst(func(c *frameConn, stream uint32) {
				c.WriteGoAway(stream-2, http2.ErrCodeNo, nil)
				c.Close()
			}),
			spillway.Event{Kind: spillway.EventDone},
			[]int{2, 1},
			0,
		},
		{
			"silent", onFirst(func(c *frameConn, _ uint32) { c.pings = false }),
			spillway.Event{Kind: spillway.EventDone},
			[]int{2, 1},
			pingAfter + pingTimeout,
		},
		{
			"stream reset", onFirst(func(c *frameConn, stream uint32) { c.WriteRSTStream(stream, http2.ErrCodeInternal) }),
			spillway.Event{Kind: spillway.EventFailed, Class: spillway.FailureBroken},
			[]int{2},
			0,
		},
		{
			"always closed", func(c *frameConn, stream uint32) {
				if first.Swap(false) {
					c.answer(stream)
					return
				}
				c.Close()
			},
			spillway.Event{Kind: spillway.EventFailed, Class: spillway.FailureBroken},
			[]int{2, 1},
			0,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &framePeer{peer: newPeer(t, nil), certificate: certificate, play: tt.play}
				first.Store(true)
				transports := NewTransports(p.dial, nil)
				d := p.deployment(transports)
				send := func() spillway.Event {
					c, body := p.call("")
					a := c.Start(Send{Number: 1, Deployment: d, Body: body})
					ev := next(c)
					p.finish(c, a)
					return ev
				}
				send()
				began := time.Now()
				ev := send()
				if took := time.Since(began); ev.Kind != tt.want.Kind || ev.Class != tt.want.Class || took > tt.within {
					t.Errorf("event %+v after %v, want %+v within %v", ev, took, tt.want, tt.within)
				}
				p.mu.Lock()
				used := slices.DeleteFunc(slices.Clone(p.requests), func(n int) bool { return n == 0 })
				if !slices.Equal(used, tt.requests) {
					t.Errorf("connections had %v requests, want %v", p.requests, tt.requests)
				}
				p.mu.Unlock()
				transports.CloseIdle(nil)
			})
		})
	}
}

// testCertificate returns a certificate of no particular name.
func testCertificate() tls.Certificate {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return server.TLS.Certificates[0]
}

// deployment returns the peer as a deployment.
func (p *framePeer) deployment(transports *Transports) *Deployment {
	p.Helper()
	target, err := wire.ParseTarget(wire.Azure, "https://peer.test", "chat", "")
	if err != nil {
		p.Fatal(err)
	}
	d, err := transports.Deployment("east", &Config{Target: target, Insecure: true}, nil)
	if err != nil {
		p.Fatal(err)
	}
	return d
}

// TestHTTP2SameAge leaves two idle HTTP/2 connections that end at their next
// request. That request is sent again, and none on the other connection.
func TestHTTP2SameAge(t *testing.T) {
	certificate := testCertificate()
	synctest.Test(t, func(t *testing.T) {
		p := &framePeer{peer: newPeer(t, nil), certificate: certificate, http2: []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 1}}}
		p.play = func(c *frameConn, stream uint32) {
			if stream > 1 {
				c.Close()
				return
			}
			time.Sleep(time.Second)
			c.answer(stream)
		}
		transports := NewTransports(p.dial, nil)
		d := p.deployment(transports)
		start := func() (*Call, *Attempt) {
			c, body := p.call("")
			return c, c.Start(Send{Number: 1, Deployment: d, Body: body})
		}
		finish := func(c *Call, a *Attempt) {
			if ev := next(c); ev.Kind != spillway.EventDone {
				t.Errorf("event %+v, want a complete response", ev)
			}
			p.finish(c, a)
		}
		c1, a1 := start()
		time.Sleep(100 * time.Millisecond)
		c2, a2 := start()
		finish(c1, a1)
		finish(c2, a2)
		finish(start())
		finish(start())
		p.mu.Lock()
		used := slices.DeleteFunc(slices.Sorted(slices.Values(p.requests)), func(n int) bool { return n == 0 })
		if want := []int{1, 1, 1, 2}; !slices.Equal(used, want) {
			t.Errorf("connections had %v requests, want %v", used, want)
		}
		p.mu.Unlock()
		transports.CloseIdle(nil)
	})
}

// TestHTTP2Herd loses an HTTP/2 connection on which many requests wait. All are sent
// again, on few connections.
func TestHTTP2Herd(t *testing.T) {
	const waiting = 40
	certificate := testCertificate()
	synctest.Test(t, func(t *testing.T) {
		p := &framePeer{peer: newPeer(t, nil), certificate: certificate}
		var asked atomic.Int32
		p.play = func(c *frameConn, stream uint32) {
			switch n := asked.Add(1); {
			case n == 1, n > 1+waiting:
				c.answer(stream)
			case n == 1+waiting:
				c.Close()
			}
		}
		transports := NewTransports(p.dial, nil)
		d := p.deployment(transports)
		start := func() (*Call, *Attempt) {
			c, body := p.call("")
			return c, c.Start(Send{Number: 1, Deployment: d, Body: body})
		}
		finish := func(c *Call, a *Attempt) {
			if ev := next(c); ev.Kind != spillway.EventDone {
				t.Errorf("event %+v, want a complete response", ev)
			}
			p.finish(c, a)
		}
		finish(start())
		var finishing sync.WaitGroup
		for range waiting {
			c, a := start()
			finishing.Go(func() { finish(c, a) })
		}
		finishing.Wait()
		p.mu.Lock()
		if len(p.requests) > waiting/2 {
			t.Errorf("connections had %v requests, want few connections", p.requests)
		}
		if n := asked.Load(); n != 1+2*waiting {
			t.Errorf("the deployment got %d requests, want %d", n, 1+2*waiting)
		}
		p.mu.Unlock()
		transports.CloseIdle(nil)
		time.Sleep(2 * idleConnTimeout) // also of connections that were not needed
	})
}
