package replay

import (
	"reflect"
	"slices"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// answered is an observation of one attempt at "ptu": 300 prompt tokens, 100
// output tokens in 1.4 s.
func answered(at time.Time) *diagnose.Observation {
	return &diagnose.Observation{
		Time: at, Pool: "chat", Model: "gpt-4o-mini", Class: "sync", Caller: "search", Outcome: spillway.OutcomeOK, Status: 200,
		AskTokens: 500, PromptTokens: 300, CompletionTokens: 100, Window: time.Minute,
		TTFT: 400 * time.Millisecond, E2E: 1400 * time.Millisecond, TBT: 10 * time.Millisecond,
		Attempts: []spillway.Attempt{{
			Deployment: "ptu", Kind: spillway.Provisioned, End: 1400 * time.Millisecond, TTFT: 400 * time.Millisecond, Status: 200, Tokens: 100,
		}},
	}
}

// timedOut ran out of a minute with that many tokens seen.
func timedOut(at time.Time, tokens int) *diagnose.Observation {
	o := answered(at)
	o.Outcome, o.Status, o.CompletionTokens, o.E2E, o.TTFT, o.TBT = spillway.OutcomeTimeout, 408, tokens, time.Minute, 0, 0
	o.Attempts[0].Status, o.Attempts[0].Tokens, o.Attempts[0].End, o.Attempts[0].TTFT = 408, tokens, time.Minute, 0
	return o
}

// profile is how "ptu" performs: 400 ms to the first token, 10 ms per token.
func profile() diagnose.Profile {
	return diagnose.Profile{
		Name: "ptu", Pool: "chat", Model: "gpt-4o-mini", Region: "eastus", Kind: spillway.Provisioned,
		FirstMedian: 400 * time.Millisecond, PaceMedian: 10 * time.Millisecond, FirstSigma: 0.1, PaceSigma: 0.1, WorkPerSecond: 5000,
	}
}

func gather(profiles []diagnose.Profile, all ...*diagnose.Observation) *traffic {
	t := newTraffic(&Options{From: noon, Profiles: profiles})
	for _, o := range all {
		t.add(o)
	}
	t.complete()
	return t
}

// Each call carries what its first try said, and nothing of how it ended but
// the length of its response.
func TestCall(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(o *diagnose.Observation)
		want   func(c *workload.Call)
	}{
		{"as it is", func(*diagnose.Observation) {}, func(*workload.Call) {}},
		{"later", func(o *diagnose.Observation) { o.Time = noon.Add(time.Hour) }, func(c *workload.Call) { c.At = time.Hour }},
		{"of a tenant", func(o *diagnose.Observation) { o.Tenant = "acme" }, func(c *workload.Call) { c.Client = "acme" }},
		{"without a pool", func(o *diagnose.Observation) { o.Pool = "" }, func(c *workload.Call) { c.Model = "gpt-4o-mini" }},
		{"without a model either", func(o *diagnose.Observation) { o.Pool, o.Model = "", "" }, func(c *workload.Call) { c.Model = "chat" }},
		{"without a limit", func(o *diagnose.Observation) { o.AskTokens = 0 }, func(c *workload.Call) { c.MaxTokens = 0 }},
		{"with a limit that nobody knows", func(o *diagnose.Observation) { o.AskTokens = -1 }, func(c *workload.Call) { c.MaxTokens = 0 }},
		{"streamed", func(o *diagnose.Observation) { o.Stream = true }, func(c *workload.Call) { c.Stream = true }},
		{"longer", func(o *diagnose.Observation) { o.CompletionTokens = 700 }, func(c *workload.Call) { c.OutputTokens = 700 }},
		{"ended at the client's limit", func(o *diagnose.Observation) {
			o.Outcome, o.CompletionTokens = spillway.OutcomeOKClientCap, 500
		}, func(c *workload.Call) { c.OutputTokens = 500 }},
	} {
		o := answered(noon)
		tc.change(o)
		want := workload.Call{Client: "search", Class: "sync", Model: "chat", PromptTokens: 300, MaxTokens: 500, OutputTokens: 100}
		tc.want(&want)
		if got := gather([]diagnose.Profile{profile()}, o).calls; len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%s: %+v, want %+v", tc.name, got, want)
		}
	}
}

// A client's retries are not calls: the simulated client retries by itself, as
// often as clients were seen to.
func TestRetriesAreNoCalls(t *testing.T) {
	var all []*diagnose.Observation
	for i, retry := range []int{0, 1, 2, -1, 0} {
		o := answered(noon.Add(time.Duration(i) * time.Second))
		o.Retry = retry
		all = append(all, o)
	}
	all[0].Attempts = append(all[0].Attempts, all[0].Attempts[0], all[0].Attempts[0])
	tr := gather([]diagnose.Profile{profile()}, all...)
	if len(tr.calls) != 3 || tr.clientRetries != 2 || tr.attempts != 3 {
		t.Errorf("%d calls, %d retries, %d attempts, want 3, 2, 3", len(tr.calls), tr.clientRetries, tr.attempts)
	}
	if tr.observed.tries != 5 || tr.observed.calls != 3 {
		t.Errorf("%+v, want 5 tries of 3 calls", tr.observed)
	}
}

// Calls are sorted by time, in whichever order observations come.
func TestCallsSorted(t *testing.T) {
	var all []*diagnose.Observation
	for _, s := range []int{5, 1, 9, 3, 3} {
		all = append(all, answered(noon.Add(time.Duration(s)*time.Second)))
	}
	var got []time.Duration
	for _, c := range gather(nil, all...).with(1) {
		got = append(got, c.At/time.Second)
	}
	if !slices.Equal(got, []time.Duration{1, 3, 3, 5, 9}) {
		t.Errorf("calls at %v", got)
	}
}

// Lengths that are guessed are longer by a factor, within their limits; those that are
// known are not.
func TestGuessedLengths(t *testing.T) {
	late := func(ask int) *diagnose.Observation {
		o := timedOut(noon, 50)
		o.AskTokens = ask
		return o
	}
	tr := gather([]diagnose.Profile{profile()}, answered(noon), late(0), late(10_000))
	first := tr.with(1)
	for i, want := range []int{first[0].OutputTokens, 3 * first[1].OutputTokens, 10_000} {
		if got := tr.with(3)[i].OutputTokens; got != want {
			t.Errorf("call %d: %d tokens, want %d", i, got, want)
		}
	}
	if again := tr.with(1); !slices.EqualFunc(again, first, func(a, b workload.Call) bool { return a.OutputTokens == b.OutputTokens }) {
		t.Error("the calls were changed")
	}
}

// What a response would have come to, had it had its time.
func TestLength(t *testing.T) {
	earlier := func(tokens ...int) (all []*diagnose.Observation) {
		for i, n := range tokens {
			o := answered(noon.Add(time.Duration(i) * time.Second))
			o.CompletionTokens, o.Attempts[0].Tokens = n, n
			all = append(all, o)
		}
		return all
	}
	at := noon.Add(time.Hour)
	slow := profile()
	slow.PaceMedian = 0
	with := func(o *diagnose.Observation, change func(o *diagnose.Observation)) *diagnose.Observation {
		change(o)
		return o
	}
	for _, tc := range []struct {
		name    string
		profile diagnose.Profile
		before  []*diagnose.Observation
		o       *diagnose.Observation
		want    int
	}{
		{"complete", profile(), nil, answered(at), 100},
		// A minute at 10 ms is 5,960 tokens.
		{"late, beyond what was written", profile(), earlier(100, 7000, 9000), with(timedOut(at, 50), func(o *diagnose.Observation) { o.AskTokens = 16384 }), 7000},
		{"late, no recent one is so long", profile(), earlier(100, 200), with(timedOut(at, 50), func(o *diagnose.Observation) { o.AskTokens = 16384 }), 7279},
		{"late, a limit that just does not fit", profile(), earlier(100, 200), with(timedOut(at, 50), func(o *diagnose.Observation) { o.AskTokens = 6500 }), 6500},
		{"late, without a limit", profile(), earlier(100, 200), with(timedOut(at, 50), func(o *diagnose.Observation) { o.AskTokens = 0 }), 7279},
		{"its client left", profile(), earlier(100, 200), with(timedOut(at, 50), func(o *diagnose.Observation) { o.AskTokens, o.Outcome = 0, spillway.OutcomeClientGone }), 7279},
		{"late after a wait", profile(), earlier(100, 5500), with(timedOut(at, 50), func(o *diagnose.Observation) { o.Queue, o.AskTokens = 10*time.Second, 16384 }), 5500},
		{"late, more was seen than the pace says", profile(), nil, with(timedOut(at, 8000), func(o *diagnose.Observation) { o.AskTokens = 0 }), 9771},
		{"late, at an unknown pace", slow, nil, timedOut(at, 0), 500},
		{"late, without an attempt", profile(), nil, with(timedOut(at, 0), func(o *diagnose.Observation) { o.Attempts = nil }), 500},
		{"refused, as a recent one", profile(), earlier(120), with(answered(at), func(o *diagnose.Observation) {
			o.Outcome, o.CompletionTokens, o.Attempts[0].Tokens = spillway.OutcomeThrottled, 0, 0
		}), 120},
		{"refused, of a class that nobody saw", profile(), earlier(120), with(answered(at), func(o *diagnose.Observation) {
			o.Outcome, o.CompletionTokens, o.Attempts[0].Tokens, o.Class = spillway.OutcomeThrottled, 0, 0, "other"
		}), 1},
		{"broken off, at least what the attempt wrote", profile(), earlier(10), with(answered(at), func(o *diagnose.Observation) {
			o.Outcome, o.CompletionTokens, o.Attempts[0].Tokens = spillway.OutcomePartial, 0, 60
		}), 60},
	} {
		tr := newTraffic(&Options{From: noon, Profiles: []diagnose.Profile{tc.profile}})
		for _, o := range tc.before {
			tr.add(o)
		}
		if got, _ := tr.length(tc.o); got != tc.want {
			t.Errorf("%s: %d tokens, want %d", tc.name, got, tc.want)
		}
	}
}

// What says how requests were served is kept by class, of requests that wait
// for the whole response.
func TestWindows(t *testing.T) {
	var all []*diagnose.Observation
	for i, w := range []time.Duration{20, 60, 40, 0} {
		o := answered(noon.Add(time.Duration(i) * time.Second))
		o.Window, o.Class = w*time.Second, "sync"
		all = append(all, o)
	}
	stream := answered(noon)
	stream.Stream, stream.Window = true, time.Hour
	tr := gather(nil, append(all, stream)...)
	if got := tr.class("sync", tr.windows["sync"]); got.Window != 40*time.Second || got.Budget.Mode != spillway.BudgetObserve || got.Sync != spillway.SyncStream {
		t.Errorf("%+v, want the median window, no budget, and streams", got)
	}
	if got := tr.class("other", nil); got.Window != time.Minute || got.Name != "other" {
		t.Errorf("%+v, want a minute", got)
	}
	if w := tr.windows["sync"]; !slices.Equal(w, []time.Duration{20e9, 60e9, 40e9}) {
		t.Errorf("windows %v: deriving a class reordered them", w)
	}
}

// Requests pass through without streaming where most responses have no time to
// the first token.
func TestPassedThrough(t *testing.T) {
	for _, tc := range []struct {
		known, unknown int
		want           spillway.SyncMode
	}{{4, 0, spillway.SyncStream}, {2, 2, spillway.SyncStream}, {1, 2, spillway.SyncPass}, {0, 4, spillway.SyncPass}, {0, 0, spillway.SyncStream}} {
		var all []*diagnose.Observation
		for i := range tc.known + tc.unknown {
			o := answered(noon)
			if i >= tc.known {
				o.TTFT = 0
			}
			all = append(all, o)
		}
		if got := gather(nil, all...).class("sync", nil).Sync; got != tc.want {
			t.Errorf("%d known, %d unknown: %v, want %v", tc.known, tc.unknown, got, tc.want)
		}
	}
}

func TestTally(t *testing.T) {
	var got tally
	for _, x := range []struct {
		outcome spillway.Outcome
		status  int
		tokens  int
		first   bool
	}{
		{spillway.OutcomeOK, 200, 100, true},
		{spillway.OutcomeTruncatedBudget, 200, 50, true},
		{spillway.OutcomeTruncatedDeadline, 200, 30, true},
		{spillway.OutcomeTimeout, 408, 0, true},
		{spillway.OutcomeThrottled, 429, 0, true},
		{spillway.OutcomeThrottled, 429, 0, false},
		{spillway.OutcomeUpstreamError, 500, 0, false},
		{spillway.OutcomeOK, 200, 20, false},
	} {
		got.add(x.outcome, x.status, x.tokens, x.first)
	}
	want := tally{tries: 8, calls: 5, timeout: 1, cut: 1, refused: 2, truncated: 1, failed: 4, tokens: 200}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	r := got.rates()
	if r.Timeout != 0.125 || r.Cut != 0.125 || r.Refused != 0.25 || r.Truncated != 0.125 || r.TokensPerCall != 40 || r.Generated != 0 || r.Failed != 0.2 {
		t.Errorf("rates %+v", r)
	}
	if r := (&tally{}).rates(); r != (diagnose.Rates{}) {
		t.Errorf("of nothing: %+v", r)
	}
}
