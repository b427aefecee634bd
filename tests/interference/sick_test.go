package interference

import (
	"fmt"
	"slices"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// sickness is what makes a deployment useless for everybody.
type sickness struct {
	name  string
	reply reply
	ask   func(*call) // changes the healthy requests
	// noticed is how long the evidence takes to come, in which requests are sent
	// there still.
	noticed time.Duration
	// lossy says that what it does to a request cannot be repaired.
	lossy bool
}

// breaking begins to answer and breaks off.
func breaking() reply {
	r := reply{
		status: 200, busy: true, retryAfter: -1, limitTokens: -1,
		ttft: 250 * time.Millisecond, tbt: 20 * time.Millisecond, tokens: 90,
	}
	breaksOff(spillway.FailureCut, 0)(&r)
	return r
}

func sicknesses() []sickness {
	const soon, later = 30 * time.Millisecond, 300 * time.Millisecond
	return []sickness{
		{name: "500", reply: status(500, later)},
		{name: "503 at once", reply: status(503, soon)},
		{name: "503, retry-after 60 s", reply: refuses(503, time.Minute)},
		{name: "401, expired credential", reply: status(401, soon)},
		{name: "403", reply: status(403, soon)},
		{name: "404 DeploymentNotFound", reply: with(status(404, soon), missing)},
		{name: "404 Resource not found", reply: with(status(404, soon), unsupported)},
		{name: "429, retry-after 30 s", reply: refuses(429, 30*time.Second)},
		{name: "429, no retry-after", reply: refuses(429, -1)},
		{name: "connection refused", reply: fails(spillway.FailureUnreachable, time.Millisecond)},
		{name: "connect timeout", reply: fails(spillway.FailureUnreachable, 5*time.Second), noticed: 6 * time.Second},
		{name: "connection reset", reply: fails(spillway.FailureBroken, later)},
		{name: "responses cannot be read", reply: with(fails(spillway.FailureUnreadable, later), unreadable)},
		{name: "responses break off", reply: breaking(), ask: unstreamed, noticed: 4 * time.Second},
		{name: "streams break off", reply: breaking(), ask: streamed, lossy: true, noticed: 2 * time.Second},
		{name: "silence", reply: silent(), noticed: 12 * time.Second},
		{name: "silence, streams", reply: silent(), ask: streamed, noticed: 12 * time.Second},
	}
}

const (
	// When a deployment is sick.
	sickFrom, sickUntil = 20 * time.Second, 73 * time.Second
	// watched is how long the traffic lasts.
	watched = 160 * time.Second
	// maxBack is how long after it has recovered a deployment may stay unused: the
	// longest time that a breaker is open.
	maxBack = time.Minute
	// While it is sick, it may get sickAttempts attempts, a probe every
	// probeEvery, and what arrives before the evidence does.
	sickAttempts = 20
	probeEvery   = 2 * time.Second
)

// TestSimulatedSick is the counterpart of TestSimulated: a deployment that fails
// everybody is left after a few requests, whoever sent them, and used again
// soon after it has recovered. Callers do not notice.
func TestSimulatedSick(t *testing.T) {
	for i, sick := range sicknesses() {
		for j, l := range layouts() {
			for _, c := range crowds() {
				if c.class.Objective.TTFT > 0 && l.name == "2 tiers" {
					continue // the second tier alone cannot keep the objectives
				}
				for _, rate := range []float64{20, 1} {
					name := fmt.Sprintf("%s/%s/%s/%v per second", sick.name, l.name, c.name, rate)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						f := fault{2*i + j, sick, scenario{layout: l, crowd: c, healthy: int(rate * watched.Seconds()), seed: 1, rate: rate, change: sick.ask}}
						f.check(t)
					})
				}
			}
		}
	}
}

// fault is one of these cases.
type fault struct {
	place int // in the table
	sickness
	scenario
}

func (f *fault) check(t *testing.T) {
	var sick *peer
	r := f.run(t, func(w *world) {
		sick = w.peer("a")
		w.at(sickFrom, func() { sick.isSick, sick.sick = true, f.reply })
		w.at(sickUntil, func() { sick.isSick = false })
	})
	share := float64(len(within(sick.arrivals, 0, sickFrom))) / float64(len(r.world.all(0, sickFrom)))
	expected := f.rate * share // attempts per second while it is well
	attempts := len(within(sick.arrivals, sickFrom, sickUntil))
	bound := sickAttempts + int((sickUntil-sickFrom)/probeEvery) + int(expected*f.noticed.Seconds())
	if attempts > bound {
		t.Errorf("%d attempts while it was sick, want at most %d", attempts, bound)
	}
	back, ok := f.back(sick, expected)
	if !ok {
		t.Errorf("not used again %v after it recovered", maxBack)
	}
	if !f.lossy && r.success() < 99.9 {
		t.Errorf("%.2f%% of the requests succeeded, want 99.9%%", r.success())
	}
	if f.rate == 20 && f.crowd.name == crowds()[0].name {
		board.addSick(sickRow{f.place, f.name, f.layout.name, attempts, back, r})
	}
}

// back returns how long after its recovery the deployment was used again: from
// an attempt on half as much as before, for ten seconds.
func (f *fault) back(p *peer, expected float64) (time.Duration, bool) {
	const span = 10 * time.Second
	for _, at := range within(p.arrivals, sickUntil, sickUntil+maxBack) {
		if n := len(within(p.arrivals, at, at+span)); float64(n) >= expected*span.Seconds()/2 {
			return at - sickUntil, true
		}
	}
	return 0, false
}

// within returns the instants of a sorted list from one to another.
func within(list []time.Duration, from, to time.Duration) []time.Duration {
	i, _ := slices.BinarySearch(list, from)
	j, _ := slices.BinarySearch(list, to)
	return list[i:j]
}

// all returns the instants of all attempts from one to another.
func (w *world) all(from, to time.Duration) []time.Duration {
	var list []time.Duration
	for _, p := range w.peers {
		list = append(list, within(p.arrivals, from, to)...)
	}
	return list
}
