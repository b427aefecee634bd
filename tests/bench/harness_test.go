package bench

import (
	"testing"
	"time"
)

// TestHarness sends a little of each load through the contestants that need no
// build, so that the harness itself does not rot.
func TestHarness(t *testing.T) {
	pace := newPacer(t, 5*time.Millisecond)
	up := newDeployment(t, pace.stream)
	few := streams{count: 10, interval: pace.interval, window: 100 * time.Millisecond}
	f, u := few.run(t, startRole(t, roleProxy, up.base), pace)
	if f.cpu <= 0 || f.rate <= 0 || u.in.quantile(0.99) <= 0 || f.grown <= 0 {
		t.Errorf("no chunks through a proxy: %+v", f)
	}
	shared := newSharedDeployment(t, pace)
	f, u = few.run(t, startRole(t, roleProxy, shared.base), pace)
	if f.rate <= 0 || u.in.quantile(0.99) <= 0 {
		t.Errorf("no chunks through a proxy over HTTP/2: %+v", f)
	}
	few.whole = true
	f, _ = few.run(t, startRole(t, roleReader, up.base), pace)
	if f.cpu <= 0 || f.rate <= 0 {
		t.Errorf("no chunks through a reader: %+v", f)
	}

	proxy := startRole(t, rolePooled, newDeployment(t, whole(1<<10)).base)
	req := request(proxy.addr, 16<<10, false)
	if err := each(dial(t, proxy.addr, 4), func(c *client) error { return c.exchange(req) }); err != nil {
		t.Error(err)
	}
}
