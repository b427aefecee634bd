package policy

import (
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/length"
)

// TestRightSize is when the learned length takes the place of an ask of 4,000
// tokens. 100 tokens are in the bucket of 96 to 103.
func TestRightSize(t *testing.T) {
	const ask, twice = 4000, 2 * 103
	for _, tc := range []struct {
		name                       string
		complete, cut, cutAt, used int
		change                     func(*spillway.Request)
		want                       int
	}{
		{"enough answers, capacity short", 300, 0, 0, 70_000, nil, twice},
		{"capacity left", 300, 0, 0, 50_000, nil, 0},
		{"too few answers", 299, 0, 0, 70_000, nil, 0},
		{"too few complete ones", 299, 500, 50, 70_000, nil, 0},
		{"short cut ones do not lower it", 300, 500, 50, 70_000, nil, twice},
		{"long cut ones leave it open", 300, 10, 1000, 70_000, nil, 0},
		{"an ask below it", 300, 0, 0, 70_000, func(req *spillway.Request) { req.AskTokens = twice }, 0},
		{"tools, which a limit would break", 300, 0, 0, 70_000, func(req *spillway.Request) { req.Tools = true }, 0},
		{"mode observe", 300, 0, 0, 70_000, func(req *spillway.Request) { req.Class.Budget.Mode = spillway.BudgetObserve }, 0},
		{"a class without it", 300, 0, 0, 70_000, func(req *spillway.Request) { req.Class.RightSize = false }, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, err := New(Config{
				Pool:        spillway.Pool{Name: "chat", Tiers: [][]string{{"east"}}},
				Deployments: []spillway.Deployment{{Name: "east", Model: "gpt-4o-mini", TPM: 100_000}},
			}, middling)
			if err != nil {
				t.Fatal(err)
			}
			lengths := e.lengths.Of(length.Key{Caller: "caller", Route: "openai/chat"})
			for range tc.complete {
				lengths.Observe(epoch, 100)
			}
			for range tc.cut {
				lengths.ObserveAtLeast(epoch, tc.cutAt)
			}
			class := &spillway.Class{Name: "bulk"}
			e.Begin(epoch, &spillway.Request{API: spillway.APIChat, Class: class, CanStream: true, Choices: 1, AskTokens: tc.used})
			req := asking("caller", ask, 0.99)
			req.Class.Window, req.Class.Budget.Mode = time.Hour, spillway.BudgetWindow
			if tc.change != nil {
				tc.change(req)
			}
			if _, step := e.Begin(epoch, req); len(step.Actions) != 1 || step.Actions[0].Grant != tc.want {
				t.Errorf("%+v, want a send with the limit %d", step.Actions, tc.want)
			}
		})
	}
}

// TestChargeOfUnlimited is what is reserved for a response without a limit.
func TestChargeOfUnlimited(t *testing.T) {
	for _, tc := range []struct {
		name                 string
		complete, cut, cutAt int
		want                 float64
	}{
		{"nothing known", 0, 0, 0, defaultCharge},
		{"known", 300, 0, 0, 103},
		{"at least this", 100, 100, 3000, 3071},
		{"at least little", 0, 100, 20, defaultCharge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, err := New(Config{
				Pool:        spillway.Pool{Name: "chat", Tiers: [][]string{{"east"}}},
				Deployments: []spillway.Deployment{{Name: "east", Model: "gpt-4o-mini", TPM: 1_000_000}},
			}, middling)
			if err != nil {
				t.Fatal(err)
			}
			lengths := e.lengths.Of(length.Key{Caller: "caller", Route: "openai/chat"})
			for range tc.complete {
				lengths.Observe(epoch, 100)
			}
			for range tc.cut {
				lengths.ObserveAtLeast(epoch, tc.cutAt)
			}
			req := asking("caller", 0, 0.99)
			req.BodyBytes, req.Class.Window, req.Class.Budget.Mode = 0, 0, spillway.BudgetWindow
			e.Begin(epoch, req)
			if got := e.find("east").meter.Outstanding(); got != tc.want {
				t.Errorf("%v tokens are reserved, want %v", got, tc.want)
			}
		})
	}
}
