package memnet

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n Net
		l := n.Listen("a.test")
		go func() {
			conn, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Hour)
			_, _ = io.WriteString(conn, "hello")
			_ = conn.Close()
		}()
		began := time.Now()
		conn, err := n.Dial(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(conn); string(text) != "hello" || err != nil || time.Since(began) != time.Hour {
			t.Errorf("%q, %v after %v", text, err, time.Since(began))
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Dial(ctx, "tcp", "a.test:443"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("where nobody accepts: %v", err)
		}
		for range 2 {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after close: %v", err)
		}
		for _, address := range []string{"a.test:80", "b.test:80", "no address"} {
			if _, err := n.Dial(t.Context(), "tcp", address); err == nil {
				t.Errorf("%s: connected", address)
			}
		}
	})
}
