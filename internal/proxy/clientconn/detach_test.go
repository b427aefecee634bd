package clientconn

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

func more(_ context.Context, c *Conn) bool {
	_, _ = io.WriteString(c, "more")
	return true
}

// TestReuse sends further requests on one connection: after the end of each
// response, before it, and for the last time.
func TestReuse(t *testing.T) {
	modes(t, func(t *testing.T, keep bool) {
		f := newFront(t, keep, more)
		for name, dial := range f.listen() {
			t.Run(name, func(t *testing.T) {
				f.T = t
				conn := dial()
				in := bufio.NewReader(conn)
				for range 3 {
					io.WriteString(conn, ask("HTTP/1.1", ""))
					if resp := f.read(in, "firstmore"); resp.Close {
						t.Error("the answer says that the connection closes")
					}
				}
				for range 2 {
					io.WriteString(conn, strings.Repeat(ask("HTTP/1.1", ""), 3))
					for range 3 {
						f.read(in, "firstmore")
					}
				}
				io.WriteString(conn, ask("HTTP/1.1", "Connection: close\r\n"))
				f.read(in, "firstmore")
				if _, err := in.ReadByte(); err != io.EOF {
					t.Errorf("after the last answer: %v", err)
				}
			})
		}
	})
}

// TestConcurrent has many clients ask again at one time, some of them ahead of
// their responses.
func TestConcurrent(t *testing.T) {
	modes(t, func(t *testing.T, keep bool) {
		f := newFront(t, keep, more)
		dial := f.listen()["TCP"]
		var clients sync.WaitGroup
		for i := range 20 {
			conn := dial()
			clients.Go(func() {
				in := bufio.NewReader(conn)
				text := strings.Repeat(ask("HTTP/1.1", ""), 1+i%2)
				for range 10 {
					io.WriteString(conn, text)
					for range 1 + i%2 {
						resp, err := http.ReadResponse(in, nil)
						if err != nil {
							t.Error(err)
							return
						}
						if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "firstmore" {
							t.Errorf("%q, %v", body, err)
						}
					}
				}
			})
		}
		clients.Wait()
	})
}

// TestClientLeaves closes connections while their streams are under way: the
// context of PrepareDetach ends.
func TestClientLeaves(t *testing.T) {
	modes(t, func(t *testing.T, keep bool) {
		ended := make(chan error)
		f := newFront(t, keep, func(ctx context.Context, _ *Conn) bool {
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return false
		})
		for name, dial := range f.listen() {
			conn := dial()
			io.WriteString(conn, ask("HTTP/1.1", ""))
			if _, err := bufio.NewReader(conn).Peek(1); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestBaseEnds ends the context that all requests have in common.
func TestBaseEnds(t *testing.T) {
	modes(t, func(t *testing.T, keep bool) {
		errEnd := errors.New("the end")
		f := newFront(t, keep, func(ctx context.Context, _ *Conn) bool {
			<-ctx.Done()
			return errors.Is(context.Cause(ctx), errEnd)
		})
		conn := f.listen()["TCP"]()
		io.WriteString(conn, ask("HTTP/1.1", ""))
		in := bufio.NewReader(conn)
		if _, err := in.Peek(1); err != nil {
			t.Fatal(err)
		}
		f.end(errEnd)
		f.read(in, "first") // whole, so that was the cause
	})
}

// TestShutdown closes a connection that waits for another request, and one
// whose stream is under way once that has ended.
func TestShutdown(t *testing.T) {
	for _, name := range []string{"TCP", "TLS"} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			f := newFront(t, false, func(ctx context.Context, c *Conn) bool {
				<-release
				return more(ctx, c)
			})
			dial := f.listen()[name]
			idle, busy := dial(), dial()
			idleIn, busyIn := bufio.NewReader(idle), bufio.NewReader(busy)
			io.WriteString(idle, ask("HTTP/1.1", ""))
			release <- struct{}{}
			f.read(idleIn, "firstmore")
			io.WriteString(busy, ask("HTTP/1.1", ""))
			if _, err := busyIn.Peek(1); err != nil {
				t.Fatal(err)
			}
			if err := f.server.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := idleIn.ReadByte(); err != io.EOF {
				t.Errorf("between requests: %v", err)
			}
			release <- struct{}{}
			f.read(busyIn, "firstmore")
			if _, err := busyIn.ReadByte(); err != io.EOF {
				t.Errorf("after the last stream: %v", err)
			}
		})
	}
}

// TestCut breaks off a stream whose client does not read.
func TestCut(t *testing.T) {
	f := newFront(t, false, func(_ context.Context, c *Conn) bool {
		for !c.Gone() {
			_, _ = io.WriteString(c, strings.Repeat("more", 1000))
			_ = c.Flush()
		}
		return false
	})
	for _, dial := range f.listen() {
		conn := dial()
		io.WriteString(conn, ask("HTTP/1.1", ""))
		if _, err := bufio.NewReaderSize(conn, 16).Peek(1); err != nil {
			t.Fatal(err)
		}
	}
	f.conns.CutStreams()
	if err := f.inFlight.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestIdleTimeout closes a connection whose client does not send another
// request, after the server's idle timeout.
func TestIdleTimeout(t *testing.T) {
	modes(t, func(t *testing.T, keep bool) {
		synctest.Test(t, func(t *testing.T) {
			f := newFront(t, keep, more)
			conn := f.dialPipe()
			io.WriteString(conn, ask("HTTP/1.1", ""))
			in := bufio.NewReader(conn)
			f.read(in, "firstmore")
			began := time.Now()
			if _, err := in.ReadByte(); err != io.EOF || time.Since(began) != idleTimeout {
				t.Errorf("%v after %v, want the end after %v", err, time.Since(began), idleTimeout)
			}
		})
	})
}

func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f InFlight
		if err := f.Wait(t.Context()); err != nil {
			t.Errorf("waiting for none: %v", err)
		}
		for i, want := range []bool{true, true, false} {
			if got := f.Enter(2); got != want {
				t.Errorf("request %d enters: %v, want %v", i+1, got, want)
			}
		}
		if f.Count() != 2 {
			t.Errorf("%d entered, want 2", f.Count())
		}
		errLate := errors.New("late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errLate)
		defer cancel()
		if err := f.Wait(ctx); err != errLate {
			t.Errorf("the wait ended with %v, want %v", err, errLate)
		}
		time.AfterFunc(time.Second, f.Leave)
		time.AfterFunc(2*time.Second, f.Leave)
		began := time.Now()
		if err := f.Wait(t.Context()); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestChunkHead(t *testing.T) {
	for size, want := range map[int]string{0: "0\r\n", 1: "1\r\n", 0x1234: "1234\r\n", deadlineBytes + 8<<20: "840000\r\n"} {
		b := make([]byte, buffer.Headroom+size)
		if got := string(b[putChunkHead(b):buffer.Headroom]); got != want {
			t.Errorf("%d bytes begin with %q, want %q", size, got, want)
		}
	}
}
