package clientconn

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

const maxRefusals = 16

const testRefusal = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfull"

// TestLimit opens more connections than may be open at one time: the others get the
// refusal, until one is closed.
func TestLimit(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		name := map[bool]string{false: "TCP", true: "TLS"}[encrypted]
		t.Run(name, func(t *testing.T) {
			const most = 3
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "served")
			}))
			certified := httptest.NewUnstartedServer(nil)
			certified.StartTLS()
			config := certified.TLS
			certified.Close()
			var refused atomic.Int64
			options := LimitOptions{Max: most, Refusals: maxRefusals, Refusal: func() []byte { return []byte(testRefusal) }, Refused: func() { refused.Add(1) }}
			if encrypted {
				options.TLS = config
			}
			server.Listener = Limit(server.Listener, options)
			if encrypted {
				server.TLS = config.Clone()
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			dial := func() net.Conn {
				conn, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				if encrypted {
					conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
				}
				if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				return conn
			}
			ask := func(conn net.Conn) (int, string) {
				// A body that the refusal does not read must not lose it.
				_, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"+strings.Repeat("x", 5000))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(body)
			}
			var open []net.Conn
			for range most {
				conn := dial()
				if status, body := ask(conn); status != 200 || body != "served" {
					t.Fatalf("%d %s", status, body)
				}
				open = append(open, conn)
			}
			for range 2 * maxRefusals {
				conn := dial()
				if status, body := ask(conn); status != 503 || body != "full" {
					t.Fatalf("%d %s beyond the limit", status, body)
				}
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					t.Fatal("the connection was not closed")
				}
				conn.Close()
			}
			if n := refused.Load(); n != 2*maxRefusals {
				t.Errorf("%d refused", n)
			}
			open[0].Close()
			for status := 0; status != 200; { // once the server has seen that
				conn := dial()
				status, _ = ask(conn)
				conn.Close()
			}
		})
	}
}

// TestLimitSilent has silent clients beyond the limit: the listener still accepts, and
// closes them.
func TestLimitSilent(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Limit(inner, LimitOptions{Max: 0, Refusals: maxRefusals, Refusal: func() []byte { return []byte(testRefusal) }})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = l.Accept()
	}()
	var conns []net.Conn
	for range 3 * maxRefusals {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a silent client was not closed: %v", err)
		}
	}
	l.Close()
	<-done
}

// TestLimitHeaders counts headers that are not complete, and lets go of them once
// they are, or their connection is closed.
func TestLimitHeaders(t *testing.T) {
	var pools buffer.Pools
	pools.SetLimit(100 << 10)
	inFlight := make(chan int64)
	server := &http.Server{MaxHeaderBytes: 1 << 20, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := new(Conn)
		c.Init(w, r, Options{Now: time.Now, WriteTimeout: writeTimeout})
		inFlight <- pools.Used()
		c.Start(http.StatusOK)
		c.EndResponse(true)
	})}
	Attach(server, ServerOptions{Base: t.Context(), Buffers: &pools, Now: time.Now})
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	l := Limit(inner, LimitOptions{Max: 100, Refusals: 1, Headers: &pools.Budget})
	go func() { ended <- server.Serve(l) }()
	defer func() {
		server.Close()
		<-ended
	}()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	await := func(least, most int64) {
		t.Helper()
		end := time.Now().Add(time.Minute)
		for used := pools.Used(); used < least || used > most; used = pools.Used() {
			if time.Now().After(end) {
				t.Fatalf("%d bytes count, want %d to %d", used, least, most)
			}
			runtime.Gosched()
		}
	}
	const long = 60 << 10
	begin := "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", long)
	conn := dial()
	in := bufio.NewReader(conn)
	for range 2 { // a connection is used again
		if _, err := io.WriteString(conn, begin); err != nil {
			t.Fatal(err)
		}
		await(long-freeHeaderBytes, long+freeHeaderBytes)
		if _, err := io.WriteString(conn, "\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if used := <-inFlight; used != 0 {
			t.Errorf("%d bytes count while the request is served", used)
		}
		if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
	}
	if _, err := io.WriteString(conn, begin); err != nil {
		t.Fatal(err)
	}
	await(long-freeHeaderBytes, long+freeHeaderBytes)
	second := dial()
	defer second.Close()
	_, _ = io.WriteString(second, begin)
	if _, err := second.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a header without room was not cut off: %v", err)
	}
	conn.Close()
	await(0, 0)
}
