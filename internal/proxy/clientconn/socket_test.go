package clientconn

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is longer than anything takes that does not hang.
const patience = time.Minute

// await receives from c.
func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("it does not happen: %s", what)
		panic("unreachable")
	}
}

// tcpOf is the connection below TLS.
func tcpOf(conn net.Conn) *net.TCPConn {
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn()
	}
	return conn.(*net.TCPConn)
}

// waiting has the server answer nothing until the client leaves. It returns
// what its handler reports: that it has begun, and that the context has ended.
func (f *front) waiting() (begun, ended chan struct{}) {
	begun, ended = make(chan struct{}, 8), make(chan struct{}, 8)
	f.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := new(Conn)
		c.Init(w, r, Options{Now: time.Now, WriteTimeout: writeTimeout})
		begun <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
		c.EndResponse(false)
	})
	return begun, ended
}

// TestClientLeavesBehindBytes sends bytes beyond the request and leaves: while the
// response is awaited, and while it is streamed.
func TestClientLeavesBehindBytes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	modes(t, func(t *testing.T, keep bool) {
		for _, streams := range []bool{false, true} {
			t.Run(fmt.Sprintf("stream %t", streams), func(t *testing.T) {
				t.Parallel()
				f := newFront(t, keep, nil)
				begun, ended := make(chan struct{}, 8), make(chan struct{}, 8)
				if streams {
					f.rest = func(ctx context.Context, _ *Conn) bool {
						begun <- struct{}{}
						<-ctx.Done()
						ended <- struct{}{}
						return false
					}
				} else {
					begun, ended = f.waiting()
				}
				for kind, dial := range f.listen() {
					for _, tt := range departures() {
						t.Run(kind+", "+tt.name, func(t *testing.T) {
							f.T = t
							conn := dial()
							if tt.together {
								io.WriteString(conn, ask("HTTP/1.1", "")+tt.beyond)
								await(t, "the request is served", begun)
							} else {
								io.WriteString(conn, ask("HTTP/1.1", ""))
								await(t, "the request is served", begun)
								io.WriteString(conn, tt.beyond)
							}
							tt.leave(conn)
							await(t, "the context ends", ended)
						})
					}
				}
			})
		}
	})
}

// departure is how a client leaves.
type departure struct {
	name, beyond string         // beyond is what it sends after its request
	together     bool           // in one write
	leave        func(net.Conn) // closes the connection
}

func departures() (all []departure) {
	fin := func(c net.Conn) { c.Close() }
	rst := func(c net.Conn) {
		_ = tcpOf(c).SetLinger(0)
		tcpOf(c).Close()
	}
	for _, together := range []bool{false, true} {
		suffix := fmt.Sprintf(", together %t", together)
		all = append(
			all,
			departure{"a byte, FIN" + suffix, "x", together, fin},
			departure{"a byte, RST" + suffix, "x", together, rst},
			departure{"a request, FIN" + suffix, ask("HTTP/1.1", ""), together, fin},
			departure{"garbage, FIN" + suffix, strings.Repeat("\x00garbage", 4<<10), together, fin},
		)
	}
	return all
}

// TestPatientPipelining sends the next requests while the first is being served. The
// client has not left, and gets its responses in order.
func TestPatientPipelining(t *testing.T) {
	f := newFront(t, false, nil)
	proceed := make(chan struct{})
	f.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := new(Conn)
		c.Init(w, r, Options{Now: time.Now, WriteTimeout: writeTimeout})
		if r.URL.Path == "/1" {
			<-proceed
			for range 3 {
				socketOf(r).check()
			}
		}
		if err := r.Context().Err(); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		c.Start(http.StatusOK)
		_, _ = io.WriteString(c, r.URL.Path)
		c.EndResponse(true)
	})
	for name, dial := range f.listen() {
		t.Run(name, func(t *testing.T) {
			f.T = t
			conn := dial()
			in := bufio.NewReader(conn)
			for i := 1; i <= 3; i++ {
				fmt.Fprintf(conn, "GET /%d HTTP/1.1\r\nHost: gateway.test\r\n\r\n", i)
			}
			proceed <- struct{}{}
			for i := 1; i <= 3; i++ {
				f.read(in, fmt.Sprintf("/%d", i))
			}
		})
	}
}

// TestHungUp asks the kernel about a connection in each state.
func TestHungUp(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, tt := range map[string]struct {
		do   func(*net.TCPConn)
		want bool
	}{
		"open":         {func(*net.TCPConn) {}, false},
		"unread bytes": {func(c *net.TCPConn) { io.WriteString(c, "x") }, false},
		"half closed":  {func(c *net.TCPConn) { io.WriteString(c, "x"); c.CloseWrite() }, true},
		"closed":       {func(c *net.TCPConn) { io.WriteString(c, "x"); c.Close() }, true},
		"reset":        {func(c *net.TCPConn) { io.WriteString(c, "x"); c.SetLinger(0); c.Close() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			served, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer served.Close()
			raw, err := served.(syscall.Conn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			tt.do(client.(*net.TCPConn))
			for began := time.Now(); tt.want && !hungUp(raw); runtime.Gosched() {
				if time.Since(began) > patience {
					t.Fatal("not noticed")
				}
			}
			if got := hungUp(raw); got != tt.want {
				t.Errorf("hung up: %t", got)
			}
		})
	}
}

// TestPlaintextToTLS speaks HTTP without TLS to a TLS listener.
func TestPlaintextToTLS(t *testing.T) {
	f := newFront(t, false, more)
	conn := tcpOf(f.listen()["TLS"]())
	plain, err := net.Dial("tcp", conn.RemoteAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	io.WriteString(plain, ask("HTTP/1.1", ""))
	resp, err := http.ReadResponse(bufio.NewReader(plain), nil)
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Fatalf("%v, %v", resp, err)
	}
	text, _ := io.ReadAll(resp.Body)
	if !strings.Contains(string(text), "HTTPS") {
		t.Errorf("%q", text)
	}
}

// TestCloseAfterResponse asks clients to leave: with the next response, whole or
// detached, and not before.
func TestCloseAfterResponse(t *testing.T) {
	modes(t, func(t *testing.T, keep bool) {
		f := newFront(t, keep, more)
		dials := f.listen()
		conn := dials["TCP"]()
		in := bufio.NewReader(conn)
		io.WriteString(conn, ask("HTTP/1.1", ""))
		if resp := f.read(in, "firstmore"); resp.Close {
			t.Error("closed before")
		}
		f.conns.CloseAfterResponse()
		io.WriteString(conn, ask("HTTP/1.1", ""))
		if resp := f.read(in, "firstmore"); !resp.Close {
			t.Error("the response does not say that the connection is closed")
		}
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("after the response: %v", err)
		}
	})
}
