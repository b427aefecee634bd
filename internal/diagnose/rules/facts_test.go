package rules

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// The rates are shares of the tries; calls are first tries.
func TestRates(t *testing.T) {
	var f feed
	f.minutes(0, 10, 10)                                            // 100 answered
	f.minutes(0, 4, 10, long())                                     // 40 timed out
	f.minutes(0, 1, 10, unsent(spillway.OutcomeRefusedQueue))       // 10 refused
	f.minutes(0, 2, 10, refused(), retried(1))                      // 20 refused retries
	f.minutes(0, 1, 10, gone(20*time.Second))                       // 10 left
	f.minutes(0, 1, 10, broken())                                   // 10 failed
	f.minutes(0, 1, 10, long(), set(func(o *diagnose.Observation) { // 10 cut
		o.Outcome, o.Status = spillway.OutcomeTruncatedDeadline, 200
	}))
	d := f.diagnose(Config{})
	if d.Tries != 200 || d.Calls != 180 {
		t.Errorf("%d tries, %d calls, want 200, 180", d.Tries, d.Calls)
	}
	got := [...]float64{d.Timeout, d.Cut, d.Refused, d.Failed}
	if want := [...]float64{0.2, 0.05, 0.15, 0.5}; got != want {
		t.Errorf("timeout, cut, refused, failed: %v, want %v", got, want)
	}
	if !d.From.Equal(noon) || !d.To.After(noon.Add(9*time.Minute)) || d.To.After(noon.Add(10*time.Minute)) {
		t.Errorf("from %v to %v", d.From, d.To)
	}
}

// What observations lack is said, with the share that lacks it, once it is more
// than one in twenty.
func TestCoverage(t *testing.T) {
	without := func(change func(o *diagnose.Observation)) option { return set(change) }
	for _, tc := range []struct {
		name    string
		options []option
		want    string // the text begins so
		share   float64
	}{
		{"prompt", []option{without(func(o *diagnose.Observation) { o.PromptTokens = 0 })}, "prompt tokens unknown", 1},
		{"half the prompts", []option{nth(2, without(func(o *diagnose.Observation) { o.PromptTokens = 0 }))}, "prompt tokens unknown", 0.5},
		{"one prompt in fifty", []option{nth(50, without(func(o *diagnose.Observation) { o.PromptTokens = 0 }))}, "", 0},
		{"first token", []option{without(func(o *diagnose.Observation) { o.TTFT, o.Attempts[0].TTFT = 0, 0 })}, "time to first token unknown", 1},
		{"pace", []option{without(func(o *diagnose.Observation) { o.TBT = 0 })}, "time between tokens unknown", 1},
		{"cached tokens", []option{without(func(o *diagnose.Observation) { o.CachedTokens = -1 })}, "cached tokens unknown", 1},
		{"utilization", []option{provisioned()}, "utilization not reported", 1},
		{"deployment", []option{unsent(spillway.OutcomeUnknown)}, "deployment unknown", 1},
	} {
		var f feed
		f.minutes(0, 10, 20, tc.options...)
		d := f.diagnose(Config{Deployments: []spillway.Deployment{{Name: "std"}}})
		var got []diagnose.Missing
		for _, m := range d.Coverage {
			if !strings.HasPrefix(m.Text, "capacity of deployments") {
				got = append(got, m)
			}
		}
		switch {
		case tc.want == "" && len(got) == 0:
		case len(got) != 1 || !strings.HasPrefix(got[0].Text, tc.want) || got[0].Share != tc.share:
			t.Errorf("%s: %+v, want %q, %v", tc.name, got, tc.want, tc.share)
		}
	}
	var f feed
	f.minutes(0, 10, 20)
	f.minutes(0, 10, 20, by("other"))
	d := f.diagnose(Config{Deployments: []spillway.Deployment{{Name: "std"}}})
	if len(d.Coverage) != 1 || d.Coverage[0].Share != 0.5 {
		t.Errorf("%+v, want that the capacity of one of two is inferred", d.Coverage)
	}
}

// report sets severity, confidence and period; rank drops what another finding
// covers at the same deployment.
func TestReport(t *testing.T) {
	for _, tc := range []struct {
		affected, confidence float64
		severity             diagnose.Severity
		want                 float64
	}{
		{0.2, 0.777, diagnose.Critical, 0.78},
		{0.01, 0.2, diagnose.Critical, 0.5},
		{0.009, 3, diagnose.Warning, 0.99},
		{0.001, 0.9, diagnose.Warning, 0.9},
		{0.0009, 0.9, diagnose.Notice, 0.9},
		{0, 0.9, diagnose.Notice, 0.9},
	} {
		f := &facts{Collector: NewCollector(Config{})}
		f.from, f.to = noon, noon.Add(time.Hour)
		f.report(diagnose.Finding{Affected: tc.affected, Confidence: tc.confidence}, scope{})
		x := f.findings[0]
		if x.Severity != tc.severity || x.Confidence != tc.want || !x.From.Equal(noon) || !x.To.Equal(noon.Add(time.Hour)) {
			t.Errorf("%+v: %s, confidence %v, %v to %v", tc, x.Severity, x.Confidence, x.From, x.To)
		}
	}
	f := &facts{Collector: NewCollector(Config{})}
	n := f.number(noon)
	f.report(diagnose.Finding{}, scope{cells: []*cell{{at: n}, {at: n + 1}, {at: n + 4}}})
	if x := f.findings[0]; !x.From.Equal(noon) || !x.To.Equal(noon.Add(5*time.Minute)) {
		t.Errorf("%v to %v, want the time from the first to the last cell", x.From, x.To)
	}
}

func TestRank(t *testing.T) {
	a, b := &deployment{name: "a"}, &deployment{name: "b"}
	build := func(code diagnose.Code, affected float64, s scope) candidate {
		return candidate{diagnose.Finding{Code: code, Affected: affected, Confidence: 0.9}, s}
	}
	outage := func(at ...*deployment) candidate {
		return build(diagnose.RegionalOutage, 0.01, scope{at: at, covers: []diagnose.Code{diagnose.QuotaExhausted}})
	}
	for _, tc := range []struct {
		name string
		all  []candidate
		want string
	}{
		{"none", nil, ""},
		{"the most affected first", []candidate{build(diagnose.CacheLoss, 0.1, scope{}), build(diagnose.SlowDecode, 0.3, scope{})}, "slow_decode, cache_loss"},
		{"a consequence", []candidate{outage(a), build(diagnose.QuotaExhausted, 0.5, scope{at: []*deployment{a}})}, "regional_outage"},
		{"a consequence, found first", []candidate{build(diagnose.QuotaExhausted, 0.5, scope{at: []*deployment{a}}), outage(a)}, "regional_outage"},
		{"at another deployment", []candidate{outage(b), build(diagnose.QuotaExhausted, 0.5, scope{at: []*deployment{a}})}, "quota_exhausted, regional_outage"},
		{"at one of two", []candidate{outage(a, b), build(diagnose.QuotaExhausted, 0.5, scope{at: []*deployment{b}})}, "regional_outage"},
		{"not a consequence", []candidate{outage(a), build(diagnose.SlowDecode, 0.5, scope{at: []*deployment{a}})}, "slow_decode, regional_outage"},
	} {
		d := diagnose.Diagnosis{Findings: rank(tc.all)}
		if got := found(&d); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// The class that the remedy names is the one with most of the tries that
// matter.
func TestClassName(t *testing.T) {
	class := func(name string) option { return set(func(o *diagnose.Observation) { o.Class = name }) }
	var f feed
	f.minutes(0, 10, 20, class("interactive"))
	f.minutes(0, 10, 5, class("reports"), nth(2, long()))
	x := &facts{Collector: f.collect(Config{})}
	if got := x.className(allTries); got != "interactive" {
		t.Errorf("most tries are of %q", got)
	}
	if got := x.className(lateTries); got != "reports" {
		t.Errorf("most late tries are of %q", got)
	}
	if got := (&facts{Collector: NewCollector(Config{})}).className(allTries); got != "sync" {
		t.Errorf("without classes the name is %q", got)
	}
}

// troubles is traffic with several causes at once.
func troubles() feed {
	var f feed
	f.minutes(0, 30, 40, by("ptu"), provisioned(), nth(6, refused()), callerNamed("chat"))
	f.minutes(0, 30, 40, by("std-a"), pool("a"), nth(40, long()))
	f.minutes(0, 20, 20, by("std-b"), pool("b"), region("westus"))
	f.minutes(20, 25, 20, by("std-b"), pool("b"), region("westus"), broken())
	f.minutes(25, 30, 20, by("std-b"), pool("b"), region("westus"))
	return f
}

// signature is what must not depend on how observations are ordered.
func signature(d *diagnose.Diagnosis) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %.9f %.9f\n", d.Tries, d.Calls, d.Failed, d.Refused)
	for _, f := range d.Findings {
		fmt.Fprintf(&b, "%s %s %s %.6f %v %v %s\n", f.Code, f.Subject, f.Severity, f.Affected, f.From, f.To, f.Remedy.Config)
	}
	return b.String()
}

// The order in which observations come does not matter.
func TestOrder(t *testing.T) {
	f := troubles()
	d := f.diagnose(Config{})
	want := signature(&d)
	if len(d.Findings) < 3 {
		t.Fatalf("found %q, want several", found(&d))
	}
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 1))
		rng.Shuffle(len(f), func(i, j int) { f[i], f[j] = f[j], f[i] })
		d := f.diagnose(Config{})
		if got := signature(&d); got != want {
			t.Fatalf("seed %d:\n%s\nwant\n%s", seed, got, want)
		}
	}
}

// Healthy traffic in another pool takes no finding away and adds none, as long
// as the troubles remain a noticeable part of all.
func TestHealthyBeside(t *testing.T) {
	f := troubles()
	d := f.diagnose(Config{})
	before := found(&d)
	f.minutes(0, 30, 60, by("calm"), pool("calm"), region("northeurope"), model("gpt-4o"))
	d = f.diagnose(Config{})
	count := func(s string) int { return len(strings.Split(s, ", ")) }
	after := found(&d)
	for x := range strings.SplitSeq(before, ", ") {
		if !strings.Contains(after, x) {
			t.Errorf("%s is no longer found: %s", x, after)
		}
	}
	if count(after) != count(before) {
		t.Errorf("found %q, before %q", after, before)
	}
}

// The time of day and the date do not matter.
func TestShiftedTime(t *testing.T) {
	f := troubles()
	d := f.diagnose(Config{})
	want := found(&d)
	for _, by := range []time.Duration{time.Minute, 7 * time.Hour, 400 * 24 * time.Hour, -60 * 365 * 24 * time.Hour} {
		moved := make(feed, len(f))
		for i, o := range f {
			next := *o
			next.Time = o.Time.Add(by)
			moved[i] = &next
		}
		d := moved.diagnose(Config{})
		if got := found(&d); got != want {
			t.Errorf("%v later: %q, want %q", by, got, want)
		}
	}
}

// Twice the same traffic has the same causes with the same shares.
func TestTwice(t *testing.T) {
	f := troubles()
	once := f.diagnose(Config{})
	f = append(f, troubles()...)
	twice := f.diagnose(Config{})
	if found(&once) != found(&twice) || math.Abs(once.Failed-twice.Failed) > 1e-9 {
		t.Errorf("once %q, %v, twice %q, %v", found(&once), once.Failed, found(&twice), twice.Failed)
	}
	for i := range once.Findings {
		if a, b := once.Findings[i].Affected, twice.Findings[i].Affected; math.Abs(a-b) > 1e-6 {
			t.Errorf("%s affects %v, twice %v", once.Findings[i].Code, a, b)
		}
	}
}

// Whatever observations say, the diagnosis is finite and within its bounds.
func TestArbitraryObservations(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	outcomes := int(spillway.OutcomeClientGone) + 1
	for range 30 {
		c := NewCollector(Config{Direct: rng.IntN(2) == 0})
		for range 400 {
			o := seen(noon.Add(time.Duration(rng.Int64N(int64(time.Hour)))), fmt.Sprint("d", rng.IntN(3)), []int{200, 408, 429, 500, 0}[rng.IntN(5)])
			o.Outcome = spillway.Outcome(rng.IntN(outcomes))
			o.E2E, o.Queue, o.TTFT = time.Duration(rng.Int64N(1e11)), time.Duration(rng.Int64N(1e10)), time.Duration(rng.Int64N(1e10))
			o.Retry, o.AskTokens, o.CachedTokens = rng.IntN(12)-1, rng.IntN(20_000)-1, rng.IntN(4000)-1
			o.PromptTokens, o.CompletionTokens = rng.IntN(20_000), rng.IntN(20_000)
			o.Attempts[0].Kind, o.Attempts[0].Utilization = spillway.Kind(rng.IntN(2)), rng.Float64()*2-1
			if rng.IntN(4) == 0 {
				o.Attempts = nil
			}
			c.Add(o)
		}
		d := c.Diagnose()
		for _, v := range []float64{d.Failed, d.Timeout, d.Refused, d.Cut} {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("a rate is %v", v)
			}
		}
		for i := range d.Findings {
			wellFormed(t, &d, &d.Findings[i])
		}
	}
}
