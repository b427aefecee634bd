package clientconn

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

// h2Client is an HTTP/2 client that sends single frames.
type h2Client struct {
	*http2.Framer
	t      *testing.T
	conn   net.Conn
	block  bytes.Buffer
	encode *hpack.Encoder
	stream uint32
	mu     sync.Mutex // held while a frame is written, where two goroutines write
	read   chan error // why reading has ended
}

// dialH2 connects, and reads what the server sends. onData is called for each DATA
// frame; nil ignores them.
func dialH2(t *testing.T, dial func() net.Conn, onData func(*h2Client, *http2.DataFrame)) *h2Client {
	conn := dial()
	c := &h2Client{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, stream: 1, read: make(chan error, 1)}
	c.encode = hpack.NewEncoder(&c.block)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			frame, err := c.ReadFrame()
			if err != nil {
				c.read <- err
				return
			}
			if data, ok := frame.(*http2.DataFrame); ok && onData != nil {
				onData(c, data)
			}
		}
	}()
	return c
}

// headers is the header block of a request.
func (c *h2Client) headers(method string) []byte {
	c.block.Reset()
	for _, f := range [][2]string{{":method", method}, {":scheme", "http"}, {":authority", "gateway.test"}, {":path", "/"}} {
		if err := c.encode.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			c.t.Fatal(err)
		}
	}
	return c.block.Bytes()
}

// request begins a request, and returns its stream.
func (c *h2Client) request(method string, whole bool) (stream uint32, err error) {
	stream = c.stream
	c.stream += 2
	return stream, c.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: c.headers(method), EndStream: whole, EndHeaders: true,
	})
}

// took returns to the server what a DATA frame has taken of a window.
func (c *h2Client) took(d *http2.DataFrame, stream uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(d.Data()); n > 0 {
		_ = c.WriteWindowUpdate(stream, uint32(n)) // a reader sees the error
	}
}

// floodFront is a front for HTTP/2 clients that send frames. It counts the
// connections that it closes for them.
func floodFront(t *testing.T, serve func(c *Conn, r *http.Request)) (f *front, floods *atomic.Int64) {
	f, floods = newFront(t, false, nil), new(atomic.Int64)
	f.conns.opts.Flooded = func(net.Addr) { floods.Add(1) }
	f.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := new(Conn)
		c.Init(w, r, Options{Now: time.Now, WriteTimeout: writeTimeout})
		serve(c, r)
		c.EndResponse(true)
	})
	f.server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1000, MaxReadFrameSize: 1 << 20}
	return f, floods
}

// TestFloods sends frames without end that do not move any request forward: the
// connection is closed.
func TestFloods(t *testing.T) {
	const most = 1_000_000 // frames; sockets hold a part of them
	bomb := func(c *h2Client) []byte {
		c.block.Reset()
		_ = c.encode.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("y", 3000)})
		return append(c.block.Bytes(), bytes.Repeat([]byte{0x80 | 62}, 1<<20-8<<10)...) // its index in the table
	}
	floods := map[string]struct {
		before func(*h2Client) error
		send   func(*h2Client, int) error
		most   int
	}{
		"PING":          {nil, func(c *h2Client, _ int) error { return c.WritePing(false, [8]byte{}) }, most},
		"PING ACK":      {nil, func(c *h2Client, _ int) error { return c.WritePing(true, [8]byte{}) }, most},
		"SETTINGS":      {nil, func(c *h2Client, _ int) error { return c.WriteSettings() }, most},
		"PRIORITY":      {nil, func(c *h2Client, _ int) error { return c.WritePriority(1, http2.PriorityParam{StreamDep: 3}) }, most},
		"WINDOW_UPDATE": {nil, func(c *h2Client, _ int) error { return c.WriteWindowUpdate(0, 1) }, most},
		"unknown":       {nil, func(c *h2Client, _ int) error { return c.WriteRawFrame(0xee, 0, 0, nil) }, most},
		"CONTINUATION": {
			func(c *h2Client) error {
				return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.headers("GET")})
			},
			func(c *h2Client, _ int) error { return c.WriteContinuation(1, false, nil) }, most,
		},
		"empty DATA": {
			func(c *h2Client) error { _, err := c.request("POST", false); return err },
			func(c *h2Client, _ int) error { return c.WriteData(1, false, nil) }, most,
		},
		"small DATA": {
			func(c *h2Client) error { _, err := c.request("POST", false); return err },
			func(c *h2Client, _ int) error { return c.WriteData(1, false, []byte("x")) }, most,
		},
		"rapid reset": {nil, func(c *h2Client, _ int) error {
			stream, err := c.request("GET", true)
			if err != nil {
				return err
			}
			return c.WriteRSTStream(stream, http2.ErrCodeCancel)
		}, most},
		"HPACK bomb": {nil, func(c *h2Client, _ int) error {
			stream := c.stream
			c.stream += 2
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: bomb(c), EndStream: true, EndHeaders: true})
		}, 50}, // of 1 MiB each; sockets hold a few
	}
	f, closed := floodFront(t, func(_ *Conn, r *http.Request) { <-r.Context().Done() })
	for kind, dial := range f.listen() {
		for name, flood := range floods {
			t.Run(kind+", "+name, func(t *testing.T) {
				f.T = t
				before := closed.Load()
				c := dialH2(t, dial, nil)
				if flood.before != nil {
					if err := flood.before(c); err != nil {
						t.Fatal(err)
					}
				}
				sent := 0
				for ; flood.send(c, sent) == nil; sent++ {
					if sent == flood.most {
						t.Fatalf("not closed after %d frames", sent)
					}
				}
				await(t, "the server closes the connection", c.read)
				// The server itself closes after 10,000 unread responses and after
				// 4,000 resets without a handler.
				if own := name == "rapid reset"; closed.Load() == before && !own {
					t.Errorf("closed after %d frames, but not for their number", sent)
				}
			})
		}
	}
}

// TestBusyClients sends and receives much on one connection, with the frames that
// this needs: it is not closed.
func TestBusyClients(t *testing.T) {
	var pools buffer.Pools
	f, floods := floodFront(t, func(c *Conn, r *http.Request) {
		if r.Method != http.MethodPost { // not authenticated
			c.Start(http.StatusUnauthorized)
			_, _ = io.WriteString(c, "who are you?")
			return
		}
		c.Authenticated(100)
		body := pools.Get(16)
		defer body.Release()
		if _, err := c.ReadBody(body, BodyLimits{MaxBytes: 1 << 30, Timeout: patience, MinRate: 1}); err != nil {
			t.Error(err)
		}
		c.Start(http.StatusOK)
		for range len(body.B) / 100 {
			_, _ = io.WriteString(c, "a part of the response")
			_ = c.Flush()
		}
	})
	for kind, dial := range f.listen() {
		t.Run(kind+", many requests", func(t *testing.T) {
			f.T = t
			ended := make(chan struct{}, 1000)
			c := dialH2(t, dial, func(c *h2Client, d *http2.DataFrame) {
				c.took(d, 0)
				if d.StreamEnded() {
					ended <- struct{}{}
				}
			})
			for range 8 {
				for range 1000 {
					c.mu.Lock()
					_, err := c.request("GET", true)
					c.mu.Unlock()
					if err != nil {
						t.Fatal(err)
					}
				}
				for range 1000 {
					select {
					case <-ended:
					case err := <-c.read:
						t.Fatal(err)
					}
				}
			}
		})
		t.Run(kind+", a long upload and a long stream", func(t *testing.T) {
			f.T = t
			done := make(chan struct{})
			got := 0
			c := dialH2(t, dial, func(c *h2Client, d *http2.DataFrame) {
				got += len(d.Data())
				c.took(d, 0)
				c.took(d, 1)
				if d.StreamEnded() {
					close(done)
				}
			})
			c.mu.Lock()
			_, err := c.request("POST", false)
			c.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			// The server's window of a stream has room for all of it.
			part := make([]byte, freeDataBytes)
			const parts = 4000
			for i := range parts {
				c.mu.Lock()
				err = c.WriteData(1, i == parts-1, part)
				c.mu.Unlock()
				if err != nil {
					t.Fatal(err)
				}
			}
			select {
			case <-done:
			case err := <-c.read:
				t.Fatal(err)
			}
			if want := parts * freeDataBytes / 100 * len("a part of the response"); got != want {
				t.Errorf("%d bytes, want %d", got, want)
			}
		})
	}
	if n := floods.Load(); n != 0 {
		t.Errorf("%d connections closed for their control frames", n)
	}
}

// TestGoAway asks an HTTP/2 client to leave: with its next response, and not before.
func TestGoAway(t *testing.T) {
	f, _ := floodFront(t, func(c *Conn, _ *http.Request) { c.Start(http.StatusNoContent) })
	c := &h2Client{t: t, conn: f.listen()["TCP"](), stream: 1}
	c.Framer, c.encode = http2.NewFramer(c.conn, c.conn), hpack.NewEncoder(&c.block)
	io.WriteString(c.conn, http2.ClientPreface)
	if err := c.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	// ask sends a request and returns what follows the response, up to the answer
	// to a PING.
	ask := func() (goAway bool) {
		if _, err := c.request("GET", true); err != nil {
			t.Fatal(err)
		}
		for {
			frame, err := c.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch frame := frame.(type) {
			case *http2.HeadersFrame:
				if err := c.WritePing(false, [8]byte{1}); err != nil {
					t.Fatal(err)
				}
			case *http2.GoAwayFrame:
				return true
			case *http2.PingFrame:
				if frame.IsAck() {
					return false
				}
			}
		}
	}
	if ask() {
		t.Error("asked to leave at once")
	}
	f.conns.CloseAfterResponse()
	if !ask() {
		t.Error("not asked to leave")
	}
}

// TestFrameGuard reads frames in pieces of every size.
func TestFrameGuard(t *testing.T) {
	frame := func(kind byte, length int) string {
		return string([]byte{byte(length >> 16), byte(length >> 8), byte(length), kind, 0, 0, 0, 0, 1}) + strings.Repeat("z", length)
	}
	for name, tt := range map[string]struct {
		sent string
		cost int64
	}{
		"HTTP/1":          {"POST / HTTP/1.1\r\n", 0},
		"nearly HTTP/2":   {"PRI * HTTP/2.0\r\n\r\nSX" + strings.Repeat("x", 100), 0},
		"only a preface":  {preface, 0},
		"pings":           {preface + strings.Repeat(frame(6, 8), 5), 5},
		"large DATA":      {preface + frame(0, 256) + frame(0, 5000), 0},
		"small DATA":      {preface + frame(0, 0) + frame(0, 255), 2},
		"large HEADERS":   {preface + frame(1, 2560), 11},
		"DATA, then PING": {preface + frame(0, 2000) + frame(6, 8), 1},
	} {
		for size := 1; size <= len(tt.sent); size++ {
			var g frameGuard
			for rest := []byte(tt.sent); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				if !g.read(rest[:min(size, len(rest))], time.Now) {
					t.Fatalf("%s: refused", name)
				}
			}
			if spent := controlBurst - g.budget.Load(); g.protocol == protocolHTTP2 && spent != tt.cost || g.protocol != protocolHTTP2 && tt.cost != 0 {
				t.Fatalf("%s in pieces of %d: cost %d, want %d", name, size, spent, tt.cost)
			}
		}
	}
}

// TestFrameBudget spends what there is, and what comes with time.
func TestFrameBudget(t *testing.T) {
	now := time.Unix(0, 0)
	clock := func() time.Time { return now }
	var g frameGuard
	g.read([]byte(preface), clock)
	steps := []struct {
		after time.Duration
		cost  int64
		want  bool
	}{
		{0, controlBurst, true},
		{time.Second, controlRate, true},
		{time.Second / 2, controlRate / 2, true},
		{time.Hour, controlBurst, true}, // and no more
		{0, 1, false},
	}
	for i, s := range steps {
		now = now.Add(s.after)
		if got := g.spend(s.cost, clock); got != s.want {
			t.Errorf("step %d: %t with %d left", i, got, g.budget.Load())
		}
	}
	for range 100 * controlMax / creditAuthenticated {
		g.credit(creditAuthenticated)
	}
	if left := g.budget.Load(); left > controlMax+creditAuthenticated {
		t.Errorf("%d collected, want at most %d", left, controlMax)
	}
	(*frameGuard)(nil).credit(1)
}
