package clientconn

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

// headerFront serves HTTP/1.1 and HTTP/2 within limits of connections and headers; serve
// gets every request. It returns how to connect to it.
func headerFront(t *testing.T, pools *buffer.Pools, serve http.HandlerFunc) (dial func() net.Conn) {
	server := &http.Server{MaxHeaderBytes: 1 << 20, Handler: serve, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	conns := Attach(server, ServerOptions{Base: t.Context(), Buffers: pools, Now: time.Now})
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- conns.Serve(Limit(inner, LimitOptions{Max: 100, Headers: &pools.Budget})) }()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return func() net.Conn {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
}

// awaitUsed waits until from least to most bytes count.
func awaitUsed(t *testing.T, pools *buffer.Pools, least, most int64) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for used := pools.Used(); used < least || used > most; used = pools.Used() {
		if time.Now().After(end) {
			t.Fatalf("%d bytes count, want %d to %d", used, least, most)
		}
		runtime.Gosched()
	}
}

// TestHeadersHTTP2 counts the headers that HTTP/2 clients do not complete, and nothing
// else that they send.
func TestHeadersHTTP2(t *testing.T) {
	var pools buffer.Pools
	pools.SetLimit(100 << 10)
	served := make(chan int64)
	dial := headerFront(t, &pools, func(w http.ResponseWriter, r *http.Request) {
		c := new(Conn)
		c.Init(w, r, Options{Now: time.Now, WriteTimeout: writeTimeout})
		served <- pools.Used()
		c.Start(http.StatusOK)
		c.EndResponse(true)
	})
	c := dialH2(t, dial, nil)
	for range 1000 {
		if err := c.WritePing(false, [8]byte{}); err != nil {
			t.Fatal(err)
		}
	}
	const part = 12 << 10
	for range 2 { // the second time there have been requests
		block := c.headers("GET")
		if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: block, EndStream: true}); err != nil {
			t.Fatal(err)
		}
		c.block.Reset()
		for range 5 {
			_ = c.encode.WriteField(hpack.HeaderField{Name: "x-long", Value: strings.Repeat("~", part/2)}) // to memory
		}
		long := int64(c.block.Len())
		if err := c.WriteContinuation(c.stream, false, c.block.Bytes()[:long/2]); err != nil {
			t.Fatal(err)
		}
		if err := c.WriteContinuation(c.stream, false, c.block.Bytes()[long/2:]); err != nil {
			t.Fatal(err)
		}
		awaitUsed(t, &pools, long-freeHeaderBytes, long)
		if err := c.WriteContinuation(c.stream, true, nil); err != nil {
			t.Fatal(err)
		}
		if used := <-served; used != 0 {
			t.Errorf("%d bytes count while the request is served", used)
		}
		c.stream += 2
	}
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: c.headers("GET")}); err != nil {
		t.Fatal(err)
	}
	c.block.Reset()
	_ = c.encode.WriteField(hpack.HeaderField{Name: "x-long", Value: strings.Repeat("~", part), Sensitive: true}) // to memory
	for range 20 {                                                                                                // fewer frames than are too many
		if err := c.WriteContinuation(c.stream, false, c.block.Bytes()); err != nil {
			break
		}
	}
	await(t, "the server closes a connection whose header has no room", c.read)
	awaitUsed(t, &pools, 0, 0)
}

// TestHeaderRead sends many requests that are answered without a Conn on one connection:
// their headers do not add up.
func TestHeaderRead(t *testing.T) {
	var pools buffer.Pools
	pools.SetLimit(100 << 10)
	dial := headerFront(t, &pools, func(_ http.ResponseWriter, r *http.Request) { HeaderRead(r) })
	conn := dial()
	in := bufio.NewReader(conn)
	for range 100 {
		_, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 2<<10)+"\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		if used := pools.Used(); used != 0 {
			t.Fatalf("%d bytes count between requests", used)
		}
	}
}
