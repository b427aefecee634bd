package interference

import (
	"fmt"
	"testing"
	"time"
)

// socketSickness is what makes a deployment useless for everybody, over sockets.
type socketSickness struct {
	name   string
	script script
	// recovers says that it is used again within seconds: its breaker decides, and
	// not a time that is longer than a test may take.
	recovers bool
}

func socketSicknesses() []socketSickness {
	return []socketSickness{
		{"500", says(500, "", "server_error"), true},
		{"401, expired credential", says(401, "", "401"), false},
		{"403 in HTML", page(403), false},
		{"404 DeploymentNotFound", says(404, "", "DeploymentNotFound"), false},
		{"404 Resource not found", says(404, "", "404"), false},
		{"429, retry-after 30 s", says(429, "Retry-After: 30\r\n", "429"), false},
		{"200 in HTML", page(200), true},
		{"reset", reset, true},
		{"closed", hangUp, true},
		{"silence", hang, false},
		{"connection refused", nil, false},
	}
}

const (
	sickAfter = 60 // healthy requests that a deployment serves before
	// maxSickRequests is how many it may get until the test ends, of the 180 that
	// follow. Several are under way at a time, and a breaker probes.
	maxSickRequests = 60
	// maxSickSocketBack only a deployment exceeds that is not used again.
	maxSickSocketBack = time.Minute
)

// TestSocketsSick is the counterpart of TestSockets: a deployment that fails
// everybody is left after a few requests, of several callers or of one, and
// nobody notices.
func TestSocketsSick(t *testing.T) {
	var cases group
	for _, s := range socketSicknesses() {
		for _, l := range layouts() {
			for _, callers := range []int{healthyCallers, 1} {
				cases.run(t, fmt.Sprintf("%s/%s/%d callers", s.name, l.name, callers), func(t *testing.T) { s.check(t, l, callers) })
			}
		}
	}
	cases.wait()
}

func (s *socketSickness) check(t *testing.T, l layout, callers int) {
	c := newSocketCase(t, l, socketKind{script: s.script, openFor: 500 * time.Millisecond})
	sick := c.peers[0]
	r := c.healthyTraffic(t, callers, func(n int) {
		switch {
		case n != sickAfter:
		case s.script == nil:
			sick.refuse()
		default:
			sick.sick.Store(true)
		}
	})
	r.expectAll(t)
	if n := sick.sickRequests.Load(); n > maxSickRequests {
		t.Errorf("%d requests while it was sick, want at most %d", n, maxSickRequests)
	}
	if !s.recovers {
		return
	}
	sick.sick.Store(false)
	before := sick.requests.Load()
	poll := time.NewTicker(think)
	defer poll.Stop()
	for began := time.Now(); sick.requests.Load() < before+3; <-poll.C {
		if time.Since(began) > maxSickSocketBack {
			t.Fatalf("not used again %v after it recovered", maxSickSocketBack)
		}
		if err := c.call(t, 0, false); err != nil {
			t.Errorf("after it recovered: %v", err)
		}
	}
}
