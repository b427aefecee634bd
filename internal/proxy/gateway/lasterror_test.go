package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// lockedBuffer is a buffer for logs of many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends to the buffer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestUnreachableExplained puts the error of an endpoint that cannot be reached into the
// log and the status: at once, and when its breaker opens.
func TestUnreachableExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		w := newWorld(t, two(), func(w *world) { w.upstream("east", "http://east.nohost.test") })
		deps := w.gateway.deps
		deps.Logger = slog.New(slog.NewTextHandler(&log, nil))
		deps.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.HasPrefix(addr, "east.nohost.test") {
				return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: "east.nohost.test", IsNotFound: true}}
			}
			return w.net.Dial(ctx, network, addr)
		}
		g, err := New(w.cfg, deps)
		if err != nil {
			t.Fatal(err)
		}
		server := g.Server(nil)
		w.startServing("second.test", server, func(l net.Listener) error { return g.Serve(server, l) })
		w.host = "second.test"
		for range 20 {
			w.want(w.post(chat("5", "")), 200)
			time.Sleep(100 * time.Millisecond)
		}
		text := log.String()
		for _, want := range []string{`level=WARN msg="attempt failed"`, "lookup east.nohost.test: no such host", "cannot be resolved", `msg="breaker open, deployment skipped"`} {
			if !strings.Contains(text, want) {
				t.Errorf("the log lacks %q:\n%s", want, text)
			}
		}
		for line := range strings.Lines(text) {
			if strings.Contains(line, "breaker open") && !strings.Contains(line, "no such host") {
				t.Errorf("the breaker's line lacks the error: %s", line)
			}
		}
		east := g.Status(nil)[0].Deployments[0].LastFailure
		if east.Class != spillway.FailureUnreachable || !strings.Contains(east.Error, "no such host") {
			t.Errorf("last failure %+v", east)
		}
		if err := g.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
