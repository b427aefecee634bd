package rules

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// seen is an observation of one attempt at a deployment.
func seen(at time.Time, deployment string, status int) *diagnose.Observation {
	o := &diagnose.Observation{
		Time: at, Pool: "chat", Model: "gpt-4o-mini", Class: "sync", Caller: "search", AskTokens: 500, PromptTokens: 300, CachedTokens: 0,
		CompletionTokens: 100, Window: time.Minute, TTFT: 400 * time.Millisecond, E2E: 1400 * time.Millisecond, TBT: 10 * time.Millisecond,
		Outcome: spillway.OutcomeOK, Status: status,
		Attempts: []spillway.Attempt{{
			Deployment: deployment, Region: "eastus", End: 1400 * time.Millisecond, TTFT: 400 * time.Millisecond, Status: status, GrantTokens: 500,
			Tokens: 100, Utilization: -1,
		}},
	}
	if status >= 500 {
		o.Outcome, o.CompletionTokens = spillway.OutcomeUpstreamError, 0
		o.Attempts[0].Class, o.Attempts[0].Tokens = spillway.FailureBroken, 0
	}
	return o
}

// A month of forty deployments is more than the cells that are kept: buckets
// become longer, nothing is lost, and an outage of hours is still seen.
func TestBucketsGrow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	c := NewCollector(Config{})
	names := make([]string, 40)
	for i := range names {
		names[i] = "std-" + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	const days = 30
	n := 0
	for at := noon; at.Before(noon.AddDate(0, 0, days)); at = at.Add(20 * time.Second) {
		status := 200
		name := names[rng.IntN(len(names))]
		if day := at.Sub(noon).Hours() / 24; day > 12 && day < 13 && name == names[3] {
			status = 503
		}
		o := seen(at, name, status)
		o.Attempts[0].Region = name // each its own
		c.Add(o)
		n++
	}
	if c.bucket <= firstBucket || c.cells > maxCells {
		t.Errorf("buckets of %v, %d cells", c.bucket, c.cells)
	}
	total := 0.0
	for _, d := range c.deployments {
		for _, x := range d.byBucket {
			total += x.tries
			parts := 0.0
			for _, p := range x.parts {
				parts += p.tries
			}
			if math.Abs(parts-x.tries) > 1e-6 {
				t.Fatalf("a bucket has %v tries, its parts %v", x.tries, parts)
			}
		}
	}
	if total != float64(n) {
		t.Errorf("%v tries in buckets, %d were added", total, n)
	}
	d := c.Diagnose()
	if len(d.Findings) != 1 || d.Findings[0].Code != diagnose.RegionalOutage || d.Findings[0].Subject != names[3] {
		t.Fatalf("found %+v, want the outage of %s", d.Findings, names[3])
	}
	f := d.Findings[0]
	if begin, end := noon.AddDate(0, 0, 12), noon.AddDate(0, 0, 13); f.From.Before(begin.Add(-2*c.bucket)) || f.To.After(end.Add(2*c.bucket)) {
		t.Errorf("seen from %v to %v, was from %v to %v", f.From, f.To, begin, end)
	}
}

// Of two deployments of one region one fails: that one is named.
func TestOneDeploymentOfARegion(t *testing.T) {
	c := NewCollector(Config{})
	for i := range 6000 {
		at := noon.Add(time.Duration(i) * 200 * time.Millisecond)
		c.Add(seen(at, "std-good", 200))
		status := 200
		if m := at.Sub(noon).Minutes(); m > 5 && m < 12 {
			status = 500
		}
		c.Add(seen(at, "std-bad", status))
	}
	d := c.Diagnose()
	if len(d.Findings) != 1 || d.Findings[0].Code != diagnose.RegionalOutage || d.Findings[0].Subject != "std-bad" {
		t.Fatalf("found %+v, want the outage of std-bad", d.Findings)
	}
}

// Names beyond the bounds count as one, and what clients send is no danger.
func TestManyNames(t *testing.T) {
	c := NewCollector(Config{})
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range 20_000 {
		o := seen(noon.Add(time.Duration(i)*time.Second), "d"+time.Duration(rng.Int64N(5000)).String(), 200)
		o.Tenant = "t" + time.Duration(rng.Int64N(1e6)).String()
		c.Add(o)
	}
	if len(c.deployments) > maxDeployments+1 || len(c.callers) > maxCallers+1 {
		t.Errorf("%d deployments, %d callers", len(c.deployments), len(c.callers))
	}
	c.Diagnose()
}

// Nothing, and too little, are told apart from health.
func TestTooLittle(t *testing.T) {
	c := NewCollector(Config{})
	for i := range diagnose.MinTries - 1 {
		c.Add(seen(noon.Add(time.Duration(i)*time.Second), "std", 200))
	}
	if d := c.Diagnose(); d.Healthy || len(d.Findings) != 0 {
		t.Errorf("%d tries: healthy %t, found %v", d.Tries, d.Healthy, d.Findings)
	}
}
