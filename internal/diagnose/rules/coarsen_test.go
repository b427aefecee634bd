package rules

import (
	"math"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// total adds up what a collector's cells, callers and retry buckets hold.
func total(c *Collector) (deployments cell, callers callerCell, retries retryCell) {
	for _, d := range c.deployments {
		for _, x := range d.byBucket {
			deployments.join(x, false)
		}
	}
	for _, who := range c.callers {
		for _, x := range who.byBucket {
			callers.requests, callers.work, callers.met = callers.requests+x.requests, callers.work+x.work, callers.met+x.met
		}
	}
	for _, x := range c.total.retryBuckets {
		retries.first, retries.tries, retries.deep = retries.first+x.first, retries.tries+x.tries, retries.deep+x.deep
		retries.failed, retries.late, retries.refused = retries.failed+x.failed, retries.late+x.late, retries.refused+x.refused
	}
	return deployments, callers, retries
}

// Longer buckets hold the same sums, and later observations find them.
func TestCoarsen(t *testing.T) {
	var f feed
	f.minutes(0, 33, 20, nth(7, refused()), nth(11, retried(3)))
	f.minutes(0, 33, 10, by("ptu"), provisioned(), utilized(0.8), nth(5, long()))
	c := f.collect(Config{})
	before, callersBefore, retriesBefore := total(c)
	for step := 1; step <= 4; step++ {
		c.coarsen()
		if want := firstBucket << step; c.bucket != want {
			t.Fatalf("buckets of %v, want %v", c.bucket, want)
		}
		after, callers, retries := total(c)
		if after.tries != before.tries || after.refused != before.refused || after.late != before.late || after.lost != before.lost ||
			math.Abs(after.work-before.work) > 1e-6 || math.Abs(after.util-before.util) > 1e-9 || after.pace.n != before.pace.n || after.utilMax != before.utilMax {
			t.Errorf("step %d: %+v, want %+v", step, after, before)
		}
		if callers != callersBefore || retries != retriesBefore {
			t.Errorf("step %d: callers %+v, retries %+v, want %+v, %+v", step, callers, retries, callersBefore, retriesBefore)
		}
		n := 0
		for _, d := range c.deployments {
			n += len(d.byBucket)
			for at, x := range d.byBucket {
				if x.at != at {
					t.Errorf("bucket %d calls itself %d", at, x.at)
				}
			}
		}
		if n != c.cells {
			t.Errorf("%d cells are counted, there are %d", c.cells, n)
		}
	}
	one := seen(noon.Add(5*time.Minute), "std", 200)
	cells := c.cells
	c.Add(one)
	if c.cells != cells {
		t.Error("an observation of a known time made a new cell")
	}
}

// The parts of a bucket that becomes half of a longer one go to that half.
func TestJoinKeepsHalves(t *testing.T) {
	half := func(n float64) *cell {
		c := &cell{}
		for i := range c.parts {
			c.parts[i] = part{first: n, tries: n, ok: n, refused: n}
		}
		return c
	}
	var c cell
	c.join(half(1), false)
	c.join(half(10), true)
	for i, p := range c.parts {
		want := 2.0
		if i >= parts/2 {
			want = 20
		}
		if (p != part{first: want, tries: want, ok: want, refused: want}) {
			t.Errorf("part %d is %+v, want %v of each", i, p, want)
		}
	}
}

// A time belongs to the part of its bucket that holds it, before 1970 too.
func TestPart(t *testing.T) {
	c := NewCollector(Config{})
	for _, tc := range []struct {
		at     time.Duration // from 1970 on
		bucket time.Duration
		number int64
		part   int
	}{
		{0, time.Minute, 0, 0},
		{9 * time.Second, time.Minute, 0, 0},
		{10 * time.Second, time.Minute, 0, 1},
		{59 * time.Second, time.Minute, 0, 5},
		{60 * time.Second, time.Minute, 1, 0},
		{90 * time.Second, 2 * time.Minute, 0, 4},
		{120 * time.Second, 2 * time.Minute, 1, 0},
	} {
		c.bucket = tc.bucket
		when := time.Unix(0, 0).Add(tc.at)
		if n, p := c.number(when), c.part(when); n != tc.number || p != tc.part {
			t.Errorf("%v of buckets of %v: bucket %d, part %d, want %d, %d", tc.at, tc.bucket, n, p, tc.number, tc.part)
		}
	}
}

// Requests without an attempt, waits and losses count at the first tier of their
// pool, which is the lowest that any request has seen.
func TestHome(t *testing.T) {
	var f feed
	second := set(func(o *diagnose.Observation) { o.Attempts[0].Tier = 1 })
	f.at(noon, 0, by("backup"), second)
	f.at(noon, 0, by("main"))
	f.at(noon, 0, by("backup"), second, queued(3*time.Second))
	f.at(noon, 0, unsent(spillway.OutcomeRefusedQueue))
	f.at(noon, 0, unsent(spillway.OutcomeUpstreamError))
	f.at(noon, 0, unsent(spillway.OutcomeRefusedQueue), pool("new"))
	c := f.collect(Config{})
	at := func(name string) *cell { return c.deployments[name].byBucket[c.number(noon)] }
	if m := at("main"); m.unsent != 1 || m.unsentBroken != 1 || m.waited != 1 || m.lost != 2 {
		t.Errorf("main has %+v", m)
	}
	if u := at(unknownDeployment); u.unsent != 1 || u.lost != 1 {
		t.Errorf("a pool without a deployment has %+v", u)
	}
	if b := at("backup"); b.tries != 2 || b.lost != 0 {
		t.Errorf("backup has %+v", b)
	}
	if c.total.withoutDeployment != 1 {
		t.Errorf("%v without a deployment", c.total.withoutDeployment)
	}
}

// Callers are told apart by pool, by tenant where there is one, and retries are
// no work of theirs.
func TestCallers(t *testing.T) {
	var f feed
	f.at(noon, 0, callerNamed("a"), answer(300, 100, 500))
	f.at(noon, 0, callerNamed("a"), answer(300, 100, 500), retried(1))
	f.at(noon, 0, callerNamed("a"), pool("other"))
	f.at(noon, 0, callerNamed("a"), set(func(o *diagnose.Observation) { o.Tenant = "acme" }))
	f.at(noon, 0, callerNamed("b"), refused())
	f.at(noon, 0, callerNamed(""))
	c := f.collect(Config{})
	for _, tc := range []struct {
		pool, name          string
		requests, work, met float64
	}{
		{"chat", "a", 2, 800, 0}, // pools that share a deployment are one
		{"chat", "acme", 1, 400, 0},
		{"chat", "b", 1, 400, 1}, // its response counts as long as others are
		{"chat", unknownDeployment, 1, 400, 0},
	} {
		who := c.callers[callerKey{tc.pool, tc.name}]
		if who == nil {
			t.Errorf("no caller %s of %s", tc.name, tc.pool)
			continue
		}
		got := *who.byBucket[c.number(noon)]
		if (tc.requests != got.requests) || tc.met != got.met || math.Abs(got.work-tc.work) > 1e-9 {
			t.Errorf("%s of %s: %+v, want %v requests, work %v, met %v", tc.name, tc.pool, got, tc.requests, tc.work, tc.met)
		}
	}
	if len(c.callers) != 4 {
		t.Errorf("%d callers, want 4", len(c.callers))
	}
}
