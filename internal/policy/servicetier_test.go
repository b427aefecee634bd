package policy

import (
	"math"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// alone is one standard deployment of a model.
func alone(t *testing.T, model string) *Engine {
	t.Helper()
	e, err := New(Config{
		Pool:        spillway.Pool{Name: "chat", Tiers: [][]string{{"east"}}},
		Deployments: []spillway.Deployment{{Name: "east", Model: model, TPM: 1_000_000}},
	}, middling)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// done is the end of attempt 1, with what the deployment reports.
func done(tier string, u spillway.Usage) spillway.Event {
	return spillway.Event{
		Kind: spillway.EventDone, Attempt: 1, Status: 200, Tokens: 1, Usage: u, ServiceTier: tier, Signals: spillway.NoSignals(),
	}
}

// TestPriceByServiceTier prices responses by the service tier that they name, else by the
// one that was asked for, and says nothing where that price is unknown.
func TestPriceByServiceTier(t *testing.T) {
	million := spillway.Usage{Prompt: 1_000_000, Cached: 200_000, CacheWrite: 400_000, Completion: 100_000, Known: true}
	// gpt-6-sol: 2 input, 0.20 cached, 2.50 written, 10 output
	const sol = 0.4*2 + 0.2*0.20 + 0.4*2.50 + 0.1*10
	// gpt-5-nano: 0.05 input, which writing costs as well, 0.005 cached, 0.40 output
	const nano = 0.8*0.05 + 0.2*0.005 + 0.1*0.40
	for _, tt := range []struct {
		model, asked, served string
		usd                  float64
	}{
		{"gpt-6-sol", "", "", sol},
		{"gpt-6-sol", "", "default", sol},
		{"gpt-6-sol", "auto", "auto", sol},
		{"gpt-6-sol", "", "priority", 2 * sol}, // the deployment's own setting
		{"gpt-6-sol", "priority", "priority", 2 * sol},
		{"gpt-6-sol", "priority", "default", sol},
		{"gpt-6-sol", "priority", "", 2 * sol},
		{"gpt-6-sol", "flex", "flex", sol / 2},
		{"gpt-6-sol", "scale", "scale", -1},
		{"gpt-6-sol", "", "other", -1},
		{"gpt-5-nano", "", "", nano},
		{"gpt-5-nano", "flex", "flex", nano / 2},
		{"gpt-5-nano", "priority", "priority", -1},
		{"gpt-5-nano", "priority", "default", nano},
		{"unheard-of", "", "default", -1},
	} {
		e := alone(t, tt.model)
		f, _ := e.Begin(epoch, &spillway.Request{
			API: spillway.APIChat, Stream: true, Choices: 1, Unsized: true, ServiceTier: tt.asked, Class: &spillway.Class{Name: "c"},
		})
		f.On(epoch.Add(time.Second), spillway.Event{
			Kind: spillway.EventFirstToken, Attempt: 1, Status: 200, Tokens: 1, ServiceTier: "auto", Signals: spillway.NoSignals(),
		})
		if tt.served == "" { // not even in the first chunk
			f.Record().Attempts[0].ServiceTier = ""
		}
		f.On(epoch.Add(2*time.Second), done(tt.served, million))
		rec := f.Record()
		if a := rec.Attempts[0]; math.Abs(a.CostUSD-tt.usd) > 1e-9 || a.ServiceTier != tt.served {
			t.Errorf("%s at %q for %q: %v USD at %q, want %v", tt.model, tt.served, tt.asked, a.CostUSD, a.ServiceTier, tt.usd)
		}
		if rec.ServiceTier != tt.asked || rec.Usage != million {
			t.Errorf("%s: asked %q, usage %+v", tt.model, rec.ServiceTier, rec.Usage)
		}
	}
}

// TestCutIsPricedByServiceTier prices a response that was cut by the tier that its
// chunks have named.
func TestCutIsPricedByServiceTier(t *testing.T) {
	cost := map[string]float64{}
	for _, tier := range []string{"default", "priority"} {
		e := alone(t, "gpt-5.4")
		f, _ := e.Begin(epoch, &spillway.Request{
			API: spillway.APIChat, Stream: true, Choices: 1, BodyBytes: 4000, Class: &spillway.Class{Name: "c"},
		})
		f.On(epoch.Add(time.Second), spillway.Event{
			Kind: spillway.EventFirstToken, Attempt: 1, Status: 200, Tokens: 10, ServiceTier: tier, Signals: spillway.NoSignals(),
		})
		f.On(epoch.Add(2*time.Second), spillway.Event{Kind: spillway.EventGone})
		cost[tier] = f.Record().Attempts[0].CostUSD
	}
	if cost["default"] <= 0 || math.Abs(cost["priority"]-2*cost["default"]) > 1e-12 {
		t.Errorf("%v", cost)
	}
}

// TestServedAtAnotherTier has a request at priority refused, and another one of its size
// probe the deployment: that ends the doubt about priority only when it is served there.
func TestServedAtAnotherTier(t *testing.T) {
	for served, ends := range map[string]bool{"priority": true, "": true, "auto": true, "default": false} {
		e := alone(t, "gpt-5.4")
		class := &spillway.Class{Name: "c", Window: time.Minute}
		ask := func(caller, tier string, bytes int) *Flight {
			f, _ := e.Begin(epoch, &spillway.Request{
				API: spillway.APIChat, Stream: true, Choices: 1, AskTokens: 100, BodyBytes: bytes, Caller: caller, ServiceTier: tier, Class: class,
			})
			return f
		}
		refused := ask("a", "priority", 40_000)
		refused.On(epoch, spillway.Event{
			Kind: spillway.EventFailed, Attempt: 1, Status: 429, RetryAfter: 20 * time.Second, Signals: spillway.NoSignals(),
		})
		probe := ask("b", "priority", 4_000) // smaller, and of another caller
		if probe.n != 1 {
			t.Fatalf("the probe is not sent")
		}
		probe.On(epoch, spillway.Event{
			Kind: spillway.EventFirstToken, Attempt: 1, Status: 200, Tokens: 1, ServiceTier: served, Signals: spillway.NoSignals(),
		})
		smaller := false
		for _, p := range e.Status(epoch, nil)[0].Pauses {
			if p.Tier != "priority" {
				t.Errorf("%q: tier %q pauses", served, p.Tier)
			}
			smaller = smaller || p.Smaller
		}
		if smaller != ends {
			t.Errorf("served at %q: smaller requests are sent: %v, want %v", served, smaller, ends)
		}
		if other := ask("a", "", 40_000); other.n != 1 {
			t.Errorf("%q: the default tier pauses", served)
		}
	}
}

// TestWaitForReset pauses a deployment that names no wait until the limit is restored of
// which nothing remains.
func TestWaitForReset(t *testing.T) {
	for name, tt := range map[string]struct {
		signals spillway.Signals
		after   time.Duration // Retry-After; -1 for none
		want    time.Duration
	}{
		"tokens":                       {spillway.Signals{RemainingTokens: 0, RemainingRequests: 5, ResetTokens: 12 * time.Second, ResetRequests: 40 * time.Second}, -1, 12 * time.Second},
		"requests":                     {spillway.Signals{RemainingTokens: 7, RemainingRequests: 0, ResetTokens: 12 * time.Second, ResetRequests: 9 * time.Second}, -1, 9 * time.Second},
		"both":                         {spillway.Signals{ResetTokens: 3 * time.Second, ResetRequests: 9 * time.Second}, -1, 9 * time.Second},
		"neither":                      {spillway.Signals{RemainingTokens: 7, RemainingRequests: 7, ResetTokens: 12 * time.Second, ResetRequests: 9 * time.Second}, -1, time.Second},
		"no reset":                     {spillway.Signals{ResetTokens: -1, ResetRequests: -1}, -1, time.Second},
		"no headers":                   {spillway.NoSignals(), -1, time.Second},
		"at once, although it is full": {spillway.Signals{}, -1, time.Second},
		"a day":                        {spillway.Signals{ResetTokens: 24 * time.Hour, ResetRequests: -1}, -1, spillway.MaxRetryAfter},
		"a millisecond":                {spillway.Signals{ResetTokens: time.Millisecond, ResetRequests: -1}, -1, spillway.MinRetryAfter},
		"the named wait counts more":   {spillway.Signals{ResetTokens: 12 * time.Second, ResetRequests: -1}, 2 * time.Second, 2 * time.Second},
	} {
		tt.signals.Utilization, tt.signals.LimitTokens = -1, -1
		e := alone(t, "gpt-4o-mini")
		f, _ := e.Begin(epoch, &spillway.Request{API: spillway.APIChat, Stream: true, Choices: 1, BodyBytes: 400, Class: &spillway.Class{Name: "c", Window: time.Minute}})
		f.On(epoch, spillway.Event{Kind: spillway.EventFailed, Attempt: 1, Status: 429, RetryAfter: tt.after, Signals: tt.signals})
		pauses := e.Status(epoch, nil)[0].Pauses
		if len(pauses) != 1 || pauses[0].Until.Sub(epoch) != tt.want {
			t.Errorf("%s: pauses %+v, want until %v", name, pauses, epoch.Add(tt.want))
		}
		a := f.Record().Attempts[0]
		if a.ResetTokens != max(tt.signals.ResetTokens, 0) || a.ResetRequests != max(tt.signals.ResetRequests, 0) || a.RetryAfter != max(tt.after, 0) {
			t.Errorf("%s: recorded %+v", name, a)
		}
	}
}
