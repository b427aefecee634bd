package policy

import (
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

var epoch = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

func testConfig() Config {
	return Config{
		Version: "test",
		Pool: spillway.Pool{
			Name: "gpt-4o-mini", Tiers: [][]string{{"ptu-eastus"}, {"std-sweden", "std-westus"}},
		},
		Deployments: []spillway.Deployment{
			{Name: "ptu-eastus", Model: "gpt-4o-mini", Region: "eastus", Kind: spillway.Provisioned, PTU: 200},
			{Name: "std-sweden", Model: "gpt-4o-mini", Region: "swedencentral", TPM: 2_000_000, RPM: 12_000},
			{Name: "std-westus", Model: "gpt-4o-mini", Region: "westus3", TPM: 2_000_000, RPM: 12_000, MaxInFlight: 3},
		},
	}
}

// TestBudgetFollowsMeasuredSpeed feeds responses at the reference incident's
// pace: the grant comes to about 1,955 tokens of 60 s, and follows when the
// deployment becomes twice as fast.
func TestBudgetFollowsMeasuredSpeed(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	cfg := testConfig()
	cfg.Speed.Decay = 10 * time.Minute
	e, err := New(cfg, rnd.Float64)
	if err != nil {
		t.Fatal(err)
	}
	class := &spillway.Class{Name: "sync", Window: time.Minute, Budget: spillway.BudgetRule{Mode: spillway.BudgetClamp}}
	now := epoch
	answers := func(n int, pace float64) (grant int) {
		for range n {
			req := &spillway.Request{API: spillway.APIChat, Class: class, CanStream: true, Choices: 1, AskTokens: 8000}
			f, step := e.Begin(now, req)
			if grant = step.Actions[0].Grant; grant == 0 {
				grant = 8000 // nothing had to be lowered
			}
			tbt := lognormal(rnd, 9.6e-3*pace, 0.56)
			f.On(now.Add(300*time.Millisecond), spillway.Event{Kind: spillway.EventFirstToken, Attempt: 1, Signals: spillway.NoSignals()})
			end := now.Add(300*time.Millisecond + time.Duration(100*tbt*float64(time.Second)))
			f.On(end, spillway.Event{
				Kind: spillway.EventDone, Attempt: 1, Status: 200, Finish: spillway.FinishStop, Signals: spillway.NoSignals(),
				Usage: spillway.Usage{Prompt: 100, Completion: 101, Known: true},
			})
			f.Release()
			now = now.Add(100 * time.Millisecond)
		}
		return grant
	}
	if got := answers(10, 1); got < 1850 || got > 1950 {
		t.Errorf("grant %d with thin data, want the contractual ~1,905", got)
	}
	if got := answers(5000, 1); got < 1955*90/100 || got > 1955*110/100 {
		t.Errorf("grant %d at the incident's pace, want 1,955 ± 10%%", got)
	}
	if got := answers(12_000, 0.5); got < 2*1955*88/100 || got > 2*1955*112/100 {
		t.Errorf("grant %d at twice the pace, want about 3,910", got)
	}
	if got := answers(12_000, 2); got < 1955/2*85/100 || got > 1955/2*115/100 {
		t.Errorf("grant %d at half the pace, want about 977", got)
	}
}

// TestBudgetBasis has the record say what a budget was computed from.
func TestBudgetBasis(t *testing.T) {
	e, err := New(Config{
		Pool:        spillway.Pool{Name: "chat", Tiers: [][]string{{"east"}}},
		Deployments: []spillway.Deployment{{Name: "east", Model: "gpt-4o-mini"}},
	}, middling)
	if err != nil {
		t.Fatal(err)
	}
	now := epoch
	check := func(name string, want spillway.BudgetBasis, change func(*spillway.Request)) {
		t.Helper()
		req := asking("caller-0", 4000, 0.9)
		change(req)
		f, _ := e.Begin(now, req)
		if rec := f.Record(); rec.BudgetBasis != want || (rec.BudgetTokens > 0) != (want != spillway.BudgetUnbounded) {
			t.Errorf("%s: a budget of %d is said to be %q, want %q", name, rec.BudgetTokens, rec.BudgetBasis, want)
		}
	}
	plain := func(*spillway.Request) {}
	capped := func(req *spillway.Request) { req.Class.Budget.MaxOutputTokens = 2000 }
	check("before anything is measured", spillway.BudgetPublished, plain)
	now = teach(e, rand.New(rand.NewPCG(1, 1)), now, 600).Add(time.Minute)
	check("measured", spillway.BudgetMeasured, plain)
	check("a cap", spillway.BudgetFixed, capped)
	check("a structured answer, which the cap is not for", spillway.BudgetMeasured, func(req *spillway.Request) { capped(req); req.Structured = true })
	check("without a window", spillway.BudgetUnbounded, func(req *spillway.Request) { req.Class.Window = 0 })
	check("a cap without a window", spillway.BudgetFixed, func(req *spillway.Request) { capped(req); req.Class.Window = 0 })
}
