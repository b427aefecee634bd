package policy

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// lognormal draws with this mean and log-sigma.
func lognormal(rnd *rand.Rand, mean, sigma float64) float64 {
	return mean * math.Exp(sigma*rnd.NormFloat64()-sigma*sigma/2)
}

// warmEngine has served enough to have learned everything that it learns.
func warmEngine(tb testing.TB) (*Engine, *spillway.Request, time.Time) {
	tb.Helper()
	return warmEngineOf(tb, 20_000)
}

func warmEngineOf(tb testing.TB, ptu int) (*Engine, *spillway.Request, time.Time) {
	tb.Helper()
	cfg := testConfig()
	cfg.Deployments[0].PTU = ptu
	e, err := New(cfg, rand.New(rand.NewPCG(1, 2)).Float64)
	if err != nil {
		tb.Fatal(err)
	}
	req := &spillway.Request{
		Caller: "search", Route: "openai/chat", API: spillway.APIChat, CanStream: true, Choices: 1, AskTokens: 4096, BodyBytes: 2000,
		Class: &spillway.Class{Name: "sync", Window: time.Minute, Budget: spillway.BudgetRule{Mode: spillway.BudgetClamp}},
	}
	now := epoch
	for range 2000 {
		now = serve(e, req, now)
	}
	return e, req, now
}

// serve takes one request through an answer of 100 tokens.
func serve(e *Engine, req *spillway.Request, now time.Time) time.Time {
	f, _ := e.Begin(now, req)
	f.On(now.Add(200*time.Millisecond), firstToken)
	f.On(now.Add(time.Second), answered)
	f.Release()
	return now.Add(3 * time.Millisecond)
}

var (
	firstToken = spillway.Event{Kind: spillway.EventFirstToken, Attempt: 1, Status: 200, Signals: spillway.NoSignals()}
	answered   = spillway.Event{
		Kind: spillway.EventDone, Attempt: 1, Status: 200, Finish: spillway.FinishStop, Signals: spillway.NoSignals(),
		Usage: spillway.Usage{Prompt: 500, Completion: 100, Known: true},
	}
)

// BenchmarkBegin is the decision about one request: deadline, budget, meters,
// route. Ending the flight is not timed.
func BenchmarkBegin(b *testing.B) {
	b.Run("first_tier", func(b *testing.B) { benchmarkBegin(b, 20_000) })
	b.Run("all_full", func(b *testing.B) { benchmarkBegin(b, 25) })
}

func benchmarkBegin(b *testing.B, ptu int) {
	e, req, now := warmEngineOf(b, ptu)
	b.ReportAllocs()
	flights := make([]*Flight, 0, 256)
	for b.Loop() {
		f, _ := e.Begin(now, req)
		flights = append(flights, f)
		if now = now.Add(time.Microsecond); len(flights) == cap(flights) {
			b.StopTimer()
			for _, f := range flights {
				f.On(now, answered)
				f.Release()
			}
			flights, now = flights[:0], now.Add(time.Second)
			b.StartTimer()
		}
	}
}

// BenchmarkOn is one event of a flight under way: the first token, which
// learns a TTFT, and then a wake with nothing due.
func BenchmarkOn(b *testing.B) {
	for _, bench := range []struct {
		name string
		ev   spillway.Event
	}{
		{"first_token", firstToken},
		{"wake", spillway.Event{Kind: spillway.EventWake}},
		{"progress", spillway.Event{Kind: spillway.EventProgress, Attempt: 1, Tokens: 10}},
		{"done", answered},
	} {
		b.Run(bench.name, func(b *testing.B) {
			e, req, now := warmEngine(b)
			b.ReportAllocs()
			flights := make([]*Flight, 256)
			i := len(flights)
			for b.Loop() {
				if i == len(flights) {
					b.StopTimer()
					now = now.Add(time.Second)
					for k := range flights {
						if f := flights[k]; f != nil {
							f.On(now, answered)
							f.Release()
						}
						flights[k], _ = e.Begin(now, req)
						if bench.name != "first_token" {
							flights[k].On(now, firstToken)
						}
					}
					i = 0
					b.StartTimer()
				}
				flights[i].On(now.Add(time.Millisecond), bench.ev)
				i++
			}
		})
	}
}

// TestNoAllocationAfterWarmUp is the bound that the benchmarks only report.
func TestNoAllocationAfterWarmUp(t *testing.T) {
	e, req, now := warmEngine(t)
	if n := testing.AllocsPerRun(1000, func() { now = serve(e, req, now) }); n != 0 {
		t.Errorf("%v allocations for one request, want none", n)
	}
}
