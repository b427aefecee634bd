package clientconn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

// TestAnswers has responses written in each way: clients get the same bytes,
// detached or not.
func TestAnswers(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 3*deadlineBytes/16) + "end"
	tests := map[string]struct {
		write func(f *front, c *Conn)
		want  string
	}{
		"nothing": {func(*front, *Conn) {}, ""},
		"writes that are flushed": {func(_ *front, c *Conn) {
			_, _ = io.WriteString(c, "a")
			_, _ = io.WriteString(c, "b")
			_ = c.Flush()
			_ = c.Flush()
		}, "ab"},
		"a write that is not": {func(_ *front, c *Conn) { _, _ = io.WriteString(c, "a") }, "a"},
		"a long write":        {func(_ *front, c *Conn) { _, _ = io.WriteString(c, long) }, long},
		"chunks": {func(f *front, c *Conn) {
			for _, text := range []string{"a", "bc", strings.Repeat("x", 1000)} {
				b := f.buffers.Get(2 << 10)
				b.B = append(b.B[:buffer.Headroom], text...)
				_ = c.Send(time.Now(), b)
				b.Release()
			}
		}, "abc" + strings.Repeat("x", 1000)},
	}
	modes(t, func(t *testing.T, keep bool) {
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := newFront(t, keep, nil)
				f.rest = func(_ context.Context, c *Conn) bool {
					tt.write(f, c)
					return true
				}
				conn := f.listen()["TCP"]()
				io.WriteString(conn, ask("HTTP/1.1", ""))
				f.read(bufio.NewReader(conn), "first"+tt.want)
			})
		}
	})
}

// TestHeaders sets more headers than are backed, and a trailer.
func TestHeaders(t *testing.T) {
	modes(t, func(t *testing.T, keep bool) {
		f := newFront(t, keep, func(_ context.Context, c *Conn) bool {
			c.Set(http.TrailerPrefix+"X-Late", "yes")
			return true
		})
		conn := f.listen()["TCP"]()
		io.WriteString(conn, ask("HTTP/1.1", ""))
		if resp := f.read(bufio.NewReader(conn), "first"); resp.Trailer.Get("X-Late") != "yes" {
			t.Errorf("trailer %v", resp.Trailer)
		}
	})
	rec, c := httptest.NewRecorder(), new(Conn)
	c.Init(rec, httptest.NewRequest("GET", "/", nil), Options{Now: time.Now, WriteTimeout: writeTimeout})
	for i := range 20 {
		c.Set(http.CanonicalHeaderKey(fmt.Sprint("x-", i)), fmt.Sprint(i))
	}
	c.Start(http.StatusTeapot)
	if c.Status() != http.StatusTeapot || c.Gone() {
		t.Errorf("status %d, gone %t", c.Status(), c.Gone())
	}
	for i := range 20 {
		if got := rec.Header().Get(fmt.Sprint("x-", i)); got != fmt.Sprint(i) {
			t.Errorf("header %d is %q", i, got)
		}
	}
}

// TestBrokenOff ends a response that is not whole: the client sees an error.
func TestBrokenOff(t *testing.T) {
	modes(t, func(t *testing.T, keep bool) {
		f := newFront(t, keep, func(context.Context, *Conn) bool { return false })
		conn := f.listen()["TCP"]()
		io.WriteString(conn, ask("HTTP/1.1", ""))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q, %v; want an unexpected end", body, err)
		}
	})
}

// TestNotRead has a client that does not read: it counts as gone after the
// write timeout.
func TestNotRead(t *testing.T) {
	modes(t, func(t *testing.T, keep bool) {
		synctest.Test(t, func(t *testing.T) {
			took := make(chan time.Duration, 1)
			f := newFront(t, keep, func(_ context.Context, c *Conn) bool {
				began := time.Now()
				for !c.Gone() {
					_, _ = io.WriteString(c, "more")
					_ = c.Flush()
				}
				took <- time.Since(began)
				return true
			})
			conn := f.dialPipe()
			io.WriteString(conn, ask("HTTP/1.1", ""))
			in := bufio.NewReaderSize(conn, 16)
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			for !strings.HasSuffix(func() string { s, _ := in.ReadString('\n'); return s }(), "first\r\n") {
			}
			if got := <-took; got < writeTimeout*3/4 || got > writeTimeout {
				t.Errorf("given up after %v, want %v", got, writeTimeout)
			}
		})
	})
}

// TestReadBody sends bodies at several rates.
func TestReadBody(t *testing.T) {
	limits := BodyLimits{MaxBytes: 1000, Timeout: 10 * time.Second, MinRate: 10}
	for name, tt := range map[string]struct {
		size, announced int
		pause           time.Duration // after each byte
		within          bool
		err             error
		took            time.Duration
	}{
		"at once":       {500, 500, 0, true, nil, 0},
		"fast enough":   {500, 500, 50 * time.Millisecond, true, nil, 25 * time.Second},
		"slow":          {500, 500, 200 * time.Millisecond, true, os.ErrDeadlineExceeded, 10 * time.Second},
		"nothing comes": {0, 500, 0, true, os.ErrDeadlineExceeded, 10 * time.Second},
		"too large":     {2000, 2000, 0, false, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				read := make(chan error, 1)
				var within bool
				var pools buffer.Pools
				f := newFront(t, false, nil)
				f.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					c := new(Conn)
					c.Init(w, r, Options{Now: time.Now, WriteTimeout: writeTimeout})
					b := pools.Get(16)
					defer b.Release()
					var err error
					within, err = c.ReadBody(b, limits)
					if err == nil && within && len(b.B) != tt.size {
						t.Errorf("%d bytes", len(b.B))
					}
					c.SkipBody()
					c.Start(http.StatusOK)
					c.EndResponse(true)
					read <- err
				})
				conn := f.dialPipe()
				go io.Copy(io.Discard, conn)
				began := time.Now()
				var sending sync.WaitGroup
				sending.Go(func() {
					fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: %d\r\n\r\n", tt.announced)
					for range tt.size {
						time.Sleep(tt.pause)
						if _, err := conn.Write([]byte{'x'}); err != nil {
							return
						}
					}
				})
				err := <-read
				if within != tt.within || !errors.Is(err, tt.err) {
					t.Errorf("within %t, %v; want %t, %v", within, err, tt.within, tt.err)
				}
				if took := time.Since(began); took < tt.took || took > tt.took+2*time.Second {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				conn.Close()
				sending.Wait()
			})
		})
	}
}

// TestProtocols asks by each protocol: only HTTP/1.1 can be detached.
func TestProtocols(t *testing.T) {
	modes(t, func(t *testing.T, keep bool) {
		f := newFront(t, keep, func(context.Context, *Conn) bool { return true })
		f.detached = make(chan bool, 1)
		dials := f.listen()
		check := func(proto string, want bool) {
			t.Helper()
			if got := <-f.detached; got != (want && !keep) {
				t.Errorf("%s: detached %t", proto, got)
			}
		}
		for _, proto := range []string{"HTTP/1.0", "HTTP/1.1"} {
			conn := dials["TCP"]()
			io.WriteString(conn, ask(proto, ""))
			resp := f.read(bufio.NewReader(conn), "first")
			if chunked := len(resp.TransferEncoding) > 0; chunked != (proto == "HTTP/1.1") {
				t.Errorf("%s: transfer encoding %v", proto, resp.TransferEncoding)
			}
			check(proto, proto == "HTTP/1.1")
		}
		var h2 http.Protocols
		h2.SetUnencryptedHTTP2(true)
		client := &http.Transport{Protocols: &h2, DialContext: func(context.Context, string, string) (net.Conn, error) { return dials["TCP"](), nil }}
		defer client.CloseIdleConnections()
		resp, err := (&http.Client{Transport: client}).Get("http://gateway.test")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "first" || resp.ProtoMajor != 2 {
			t.Errorf("%s %q, %v", resp.Proto, body, err)
		}
		check("HTTP/2", false)
	})
}
