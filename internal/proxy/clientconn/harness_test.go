package clientconn

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

const (
	writeTimeout = 5 * time.Second
	idleTimeout  = time.Minute
)

// front is a server whose handler streams: it sends "first" and then what rest
// writes, detached where that is possible.
type front struct {
	*testing.T
	server   *http.Server
	conns    *Conns
	buffers  buffer.Pools
	inFlight InFlight
	end      context.CancelCauseFunc // ends Base
	// rest writes the rest of a response and reports whether it is whole.
	rest func(ctx context.Context, c *Conn) (whole bool)
	// detached receives what Detach returned, if it is not nil.
	detached chan bool
	pipes    *pipeListener // of dialPipe
}

func newFront(t *testing.T, keepStreams bool, rest func(ctx context.Context, c *Conn) bool) *front {
	f := &front{T: t, rest: rest}
	f.server = &http.Server{Handler: f, IdleTimeout: idleTimeout, Protocols: new(http.Protocols)}
	f.server.Protocols.SetHTTP1(true)
	f.server.Protocols.SetHTTP2(true)
	f.server.Protocols.SetUnencryptedHTTP2(true)
	base, end := context.WithCancelCause(context.Background())
	f.end = end
	f.conns = Attach(f.server, ServerOptions{Base: base, Buffers: &f.buffers, Now: time.Now, KeepStreams: keepStreams})
	t.Cleanup(func() {
		f.server.Close()
		f.conns.CutStreams()
		end(nil)
		if err := f.inFlight.Wait(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// ServeHTTP streams a response.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.inFlight.Enter(1 << 20)
	c := new(Conn)
	c.Init(w, r, Options{Now: time.Now, WriteTimeout: writeTimeout})
	ctx := c.PrepareDetach()
	c.Set("Content-Type", "text/event-stream")
	c.Start(http.StatusOK)
	_, _ = io.WriteString(c, "first")
	_ = c.Flush()
	detached := c.Detach()
	if f.detached != nil {
		f.detached <- detached
	}
	if detached {
		go f.finish(ctx, c)
		return
	}
	f.finish(ctx, c)
}

func (f *front) finish(ctx context.Context, c *Conn) {
	defer f.inFlight.Leave()
	c.EndResponse(f.rest(ctx, c))
	c.ReleaseConn()
}

// listen serves on the loopback, and returns how to connect to it.
func (f *front) listen() map[string]func() net.Conn {
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	certificates := &tls.Config{Certificates: certified.TLS.Certificates}
	certified.Close()
	plain := f.serve(func(l net.Listener) error { return f.conns.Serve(l) })
	encrypted := f.serve(func(l net.Listener) error { return f.conns.serve(l, certificates) })
	checked := func(conn net.Conn, err error) net.Conn {
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { conn.Close() })
		return conn
	}
	return map[string]func() net.Conn{
		"TCP": func() net.Conn { return checked(net.Dial("tcp", plain)) },
		"TLS": func() net.Conn {
			conn, err := tls.Dial("tcp", encrypted, &tls.Config{InsecureSkipVerify: true})
			return checked(conn, err)
		},
	}
}

func (f *front) serve(serve func(net.Listener) error) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { serve(l) })
	f.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// dialPipe connects to the server in memory, where a write waits for its
// reader.
func (f *front) dialPipe() net.Conn {
	if f.pipes == nil {
		f.pipes = &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		go f.server.Serve(f.pipes)
	}
	near, far := net.Pipe()
	f.pipes.conns <- far
	f.Cleanup(func() { near.Close() })
	return near
}

// pipeListener accepts the ends of pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// ask is a request as bytes.
func ask(proto, header string) string {
	return "GET / " + proto + "\r\nHost: gateway.test\r\n" + header + "\r\n"
}

// read reads one response, which must be want.
func (f *front) read(in *bufio.Reader, want string) *http.Response {
	f.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		f.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || string(body) != want {
		f.Fatalf("%s, %v: %q; want %q", resp.Status, err, body, want)
	}
	return resp
}

// modes runs a test with streams that are detached, and with streams that stay
// in the server.
func modes(t *testing.T, test func(t *testing.T, keepStreams bool)) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("keep=%t", keep), func(t *testing.T) { test(t, keep) })
	}
}
