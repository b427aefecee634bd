package bench

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// TestHarness sends a little of each load through the contestants that need no
// build, so that the harness itself does not rot.
func TestHarness(t *testing.T) {
	pace := newPacer(t, 5*time.Millisecond)
	up := newDeployment(t, pace.stream)
	few := streams{count: 10, interval: pace.interval, window: time.Second}
	f, u := few.run(t, startRole(t, roleProxy, up), pace)
	if f.cpu <= 0 || f.rate <= 0 || u.in.quantile(0.99) <= 0 || f.grown <= 0 {
		t.Errorf("no chunks through a proxy: %+v", f)
	}
	shared := newSharedDeployment(t, pace)
	f, u = few.run(t, startRole(t, roleProxy, shared), pace)
	if f.rate <= 0 || u.in.quantile(0.99) <= 0 {
		t.Errorf("no chunks through a proxy over HTTP/2: %+v", f)
	}
	few.whole = true
	f, _ = few.run(t, startRole(t, roleReader, up), pace)
	if f.cpu <= 0 || f.rate <= 0 {
		t.Errorf("no chunks through a reader: %+v", f)
	}

	secure := startRole(t, roleProxy, newSharedDeployment(t, wholeHandler(1<<10)))
	if err := dial(t, secure.addr, 1)[0].exchange(request(secure.addr, 1<<10, false)); err != nil {
		t.Errorf("through a proxy over TLS: %v", err)
	}
	for _, answer := range []func(net.Conn) error{late(streamAtOnce), streamSpread} {
		passing := startRole(t, roleProxy, newDeployment(t, answer))
		resp, err := dial(t, passing.addr, 1)[0].ask(request(passing.addr, 1<<10, true))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if n := bytes.Count(text, []byte(`"delta":{"content":"`+stampMark)); err != nil || n != assembledTokens {
			t.Errorf("a short stream has %d tokens, %v", n, err)
		}
	}

	proxy := startRole(t, rolePooled, newDeployment(t, whole(1<<10)))
	req := request(proxy.addr, 16<<10, false)
	if err := each(dial(t, proxy.addr, 4), func(c *client) error { return c.exchange(req) }); err != nil {
		t.Error(err)
	}
}
