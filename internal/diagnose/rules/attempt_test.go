package rules

import (
	"math"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// single collects a single request and returns the cell of its deployment.
func single(t *testing.T, cfg Config, options ...option) (*Collector, *cell) {
	t.Helper()
	var f feed
	f.at(noon, 0, options...)
	c := NewCollector(cfg)
	c.Add(f[0])
	for _, d := range c.deployments {
		for _, at := range d.byBucket {
			return c, at
		}
	}
	t.Fatal("no cell")
	return nil, nil
}

// How a request ends decides what its deployment's cell counts.
func TestAttemptCounts(t *testing.T) {
	for _, tc := range []struct {
		name                                 string
		options                              []option
		ok, refused, timedOut, broken, admit float64
		lost                                 float64
	}{
		{"answered", nil, 1, 0, 0, 0, 1, 0},
		{"refused", []option{refused()}, 0, 1, 0, 0, 0, 1},
		{"refused by class alone", []option{refused(), set(func(o *diagnose.Observation) { o.Attempts[0].Status = 0 })}, 0, 1, 0, 0, 0, 1},
		{"broken", []option{broken()}, 0, 0, 0, 1, 1, 1},
		{"status 500 alone", []option{broken(), set(func(o *diagnose.Observation) { o.Attempts[0].Class = 0 })}, 0, 0, 0, 1, 1, 1},
		{"cut", []option{set(func(o *diagnose.Observation) {
			o.Outcome, o.Attempts[0].Class = spillway.OutcomePartial, spillway.FailureCut
		})}, 0, 0, 0, 1, 1, 1},
		{"timed out", []option{late(time.Minute, 5000)}, 0, 0, 1, 0, 1, 1},
		{"cut at the deadline", []option{late(time.Minute, 5000), set(func(o *diagnose.Observation) {
			o.Outcome, o.Status, o.Attempts[0].Status = spillway.OutcomeTruncatedDeadline, 200, 200
		})}, 0, 0, 1, 0, 1, 1},
		{"a client that left after some tokens", []option{gone(9 * time.Second), set(func(o *diagnose.Observation) { o.Attempts[0].Tokens = 50 })}, 0, 0, 0, 0, 1, 1},
		{"truncated by its budget", []option{set(func(o *diagnose.Observation) { o.Outcome = spillway.OutcomeTruncatedBudget })}, 1, 0, 0, 0, 1, 0},
		{"an outcome that nobody knows, with tokens", []option{set(func(o *diagnose.Observation) { o.Outcome = spillway.OutcomeUnknown })}, 0, 0, 0, 0, 1, 0},
	} {
		_, c := single(t, Config{}, tc.options...)
		admitted := 0.0
		for _, p := range c.parts {
			admitted += p.ok
		}
		got := [...]float64{c.tries, c.ok, c.refused, c.timedOut, c.broken, admitted, c.lost}
		if want := [...]float64{1, tc.ok, tc.refused, tc.timedOut, tc.broken, tc.admit, tc.lost}; got != want {
			t.Errorf("%s: tries, ok, refused, timed out, broken, admitted, lost: %v, want %v", tc.name, got, want)
		}
	}
}

// weighing is a configured provisioned deployment whose cached input weighs something.
func weighing(cachedRatio float64) Config {
	cfg := ptu(1)
	cfg.Deployments[0].CachedRatio = cachedRatio
	return cfg
}

// The work of a response is its uncached prompt and its weighed output; the
// reservation is the prompt and the limit.
func TestAcceptedWork(t *testing.T) {
	for _, tc := range []struct {
		name                             string
		cfg                              Config
		options                          []option
		work, tokens, reserved, outTotal float64
	}{
		{"standard", Config{}, []option{answer(300, 100, 500)}, 400, 400, 800, 100},
		{"provisioned, at the usual ratio", Config{}, []option{provisioned(), answer(300, 100, 500)}, 700, 400, 800, 100},
		{"provisioned, as configured", ptu(1), []option{by("ptu"), provisioned(), answer(300, 100, 500)}, 700, 400, 800, 100},
		{"a cached prompt", Config{}, []option{provisioned(), answer(300, 100, 500), cached(200)}, 500, 400, 800, 100},
		{"a cached prompt that weighs a tenth", weighing(0.1), []option{by("ptu"), provisioned(), answer(300, 100, 500), cached(200)}, 520, 400, 800, 100},
		{"more cached than asked", Config{}, []option{provisioned(), answer(300, 100, 500), cached(400)}, 400, 400, 800, 100},
		{"no limit at a standard deployment", Config{}, []option{answer(300, 100, 0)}, 400, 400, 316, 100},
		{"no limit at a provisioned one", Config{}, []option{provisioned(), answer(300, 100, 0)}, 700, 400, 4396, 100},
		{"an unknown limit", Config{}, []option{answer(300, 100, 500), set(func(o *diagnose.Observation) { o.AskTokens, o.Attempts[0].GrantTokens = -1, 0 })}, 400, 400, 400, 100},
		{"embeddings generate nothing", Config{}, []option{answer(300, 0, 0)}, 300, 300, 300, 0},
		{"the grant is what was sent", Config{}, []option{answer(300, 100, 500), set(func(o *diagnose.Observation) { o.Attempts[0].GrantTokens = 200 })}, 400, 400, 500, 100},
	} {
		_, c := single(t, tc.cfg, tc.options...)
		got := [...]float64{c.work, c.tokens, c.reserved, c.out}
		if want := [...]float64{tc.work, tc.tokens, tc.reserved, tc.outTotal}; got != want {
			t.Errorf("%s: work, tokens, reserved, output: %v, want %v", tc.name, got, want)
		}
	}
}

// A response that ran out of time without a token seen was written all the
// same: at the pace of the interval.
func TestAcceptedUnseenOutput(t *testing.T) {
	var f feed
	f.minutes(0, 1, 10) // at 10 ms
	f.at(noon.Add(59*time.Second), 0, late(time.Minute, 0))
	c := NewCollector(Config{})
	for _, o := range f {
		c.Add(o)
	}
	at := c.deployments["std"].byBucket[c.number(noon)]
	if want := 10*100.0 + 6000; at.out < want*0.999 || at.out > want*1.001 {
		t.Errorf("%v output tokens, want %v", at.out, want)
	}
}

// Speeds are learned from complete responses, from what was measured or, of long
// responses, from the whole time.
func TestSpeed(t *testing.T) {
	for _, tc := range []struct {
		name        string
		options     []option
		first, pace float64 // ms; 0 is unknown
	}{
		{"measured", nil, 400, 10},
		{"of the attempt, the request's own", []option{set(func(o *diagnose.Observation) { o.Attempts[0].TTFT = 0 })}, 400, 10},
		{"nobody measured", []option{set(func(o *diagnose.Observation) { o.TTFT, o.Attempts[0].TTFT = 0, 0 })}, 0, 10},
		{"too few tokens", []option{answer(300, 7, 500)}, 400, 0},
		{"a long answer's whole time", []option{answer(300, 500, 500), set(func(o *diagnose.Observation) { o.TBT = 0 })}, 400, 2},
		{"a short answer's whole time", []option{answer(300, 200, 500), set(func(o *diagnose.Observation) { o.TBT = 0 })}, 400, 0},
		{"an answer without an end", []option{answer(300, 500, 500), set(func(o *diagnose.Observation) { o.TBT, o.Attempts[0].End = 0, 0 })}, 400, 2},
		{"failed", []option{broken()}, 0, 0},
		{"late", []option{late(time.Minute, 5000)}, 0, 0},
	} {
		_, c := single(t, Config{}, tc.options...)
		near := func(a, b float64) bool { return a >= 0.999*b && a <= 1.001*b }
		if !near(c.first.value(), tc.first) || !near(c.pace.value(), tc.pace) {
			t.Errorf("%s: first token %v, pace %v, want %v, %v", tc.name, c.first.value(), c.pace.value(), tc.first, tc.pace)
		}
	}
}

// What ran out of time is divided by its likely reason.
func TestLateReasons(t *testing.T) {
	start := func(d time.Duration) option {
		return set(func(o *diagnose.Observation) { o.Attempts[0].Start = d })
	}
	for _, tc := range []struct {
		name                        string
		options                     []option
		long, short, silent, waited float64
	}{
		{"writing", []option{long()}, 1, 0, 0, 0},
		{"a short window", []option{late(30*time.Second, 900)}, 0, 1, 0, 0},
		{"the service's shorter limit", []option{long(), set(func(o *diagnose.Observation) { o.E2E = 20 * time.Second })}, 0, 1, 0, 0},
		{"no window known", []option{long(), set(func(o *diagnose.Observation) { o.Window = 0 })}, 1, 0, 0, 0},
		{"the client's timeout", []option{long(), set(func(o *diagnose.Observation) { o.E2E, o.ClientTimeout = 40*time.Second, 40*time.Second })}, 0, 1, 0, 0},
		{"a client's timeout as long as services have", []option{long(), set(func(o *diagnose.Observation) { o.ClientTimeout = time.Minute })}, 1, 0, 0, 0},
		{"the client waits for longer", []option{long(), set(func(o *diagnose.Observation) { o.ClientTimeout = 10 * time.Minute })}, 1, 0, 0, 0},
		{"a quarter of the time in the queue", []option{long(), set(func(o *diagnose.Observation) { o.Queue = 15 * time.Second })}, 0, 0, 0, 1},
		{"a late attempt", []option{long(), start(31 * time.Second)}, 0, 0, 0, 1},
		{"answered", nil, 0, 0, 0, 0},
	} {
		var f feed
		f.minutes(-10, -5, 20) // the time to the first token is usually known
		f.at(noon, 0, tc.options...)
		c := NewCollector(Config{})
		for _, o := range f {
			c.Add(o)
		}
		at := c.deployments["std"].byBucket[c.number(noon)]
		got := [...]float64{at.late, at.lateShort, at.lateSilent, at.waited}
		if want := [...]float64{tc.long, tc.short, tc.silent, tc.waited}; got != want {
			t.Errorf("%s: long, short, silent, waited: %v, want %v", tc.name, got, want)
		}
	}
}

// Azure's metrics of utilization make a deployment a provisioned one.
func TestUtilizationMetric(t *testing.T) {
	for _, tc := range []struct {
		name    string
		samples []float64
		want    float64 // p95 of the means
		known   bool
	}{
		{"none", nil, 0, false},
		{"one", []float64{0.5}, 0.5, true},
		{"not a number", []float64{math.NaN()}, 0, false},
		{"negative", []float64{-1}, 0, false},
		{"two of one minute", []float64{0.5, 0.7}, 0.6, true},
	} {
		c := NewCollector(Config{})
		var f feed
		f.minutes(0, 1, 60)
		for _, o := range f {
			c.Add(o)
		}
		for _, v := range tc.samples {
			c.Utilization("std", noon, v, v)
		}
		c.Diagnose()
		d := c.deployments["std"]
		p95, _, known := d.utilizationP95(cellLate)
		if p95 != tc.want || known != tc.known || (d.kind == spillway.Provisioned) != tc.known {
			t.Errorf("%s: %v, %t, %v", tc.name, p95, known, d.kind)
		}
	}
}
