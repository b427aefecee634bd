package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/length"
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

// serve takes one request through a response of 100 tokens.
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

// benchLife is one way that requests travel in BenchmarkLife.
type benchLife struct {
	name  string
	tiers [][]string
	rule  spillway.BudgetRule
	sync  spillway.SyncMode
}

var benchLives = []benchLife{
	{"observe_pass", [][]string{{"ptu-eastus"}}, spillway.BudgetRule{Mode: spillway.BudgetObserve}, spillway.SyncPass},
	{"clamp_stream", [][]string{{"ptu-eastus"}, {"std-sweden"}}, spillway.BudgetRule{Mode: spillway.BudgetClamp}, spillway.SyncStream},
}

// convoy returns that many flights of this kind, in a pool with room for all of
// them.
func (l benchLife) convoy(tb testing.TB, flights int) *convoy {
	tb.Helper()
	cfg := testConfig()
	cfg.Pool.Tiers = l.tiers
	cfg.Deployments[0].PTU = 2_000_000
	e, err := New(cfg, rand.New(rand.NewPCG(1, 2)).Float64)
	if err != nil {
		tb.Fatal(err)
	}
	c := &convoy{engine: e, now: epoch, streams: l.sync == spillway.SyncStream, ring: make([]*Flight, flights), req: &spillway.Request{
		Caller: "search", Route: "openai/chat", API: spillway.APIChat, CanStream: true, Choices: 1, AskTokens: 4096, BodyBytes: 2000,
		Class: &spillway.Class{Name: "sync", Window: time.Minute, Budget: l.rule, Sync: l.sync},
	}}
	for range max(4*flights, 2000) {
		c.turn()
	}
	return c
}

// convoy holds flights at every stage of their lives: each call to turn begins
// one and takes three others a step further, of which the last one ends.
type convoy struct {
	engine  *Engine
	req     *spillway.Request
	now     time.Time
	streams bool
	ring    []*Flight
	i       int
}

func (c *convoy) turn() {
	c.now = c.now.Add(time.Millisecond)
	n := len(c.ring)
	if f := c.ring[c.i]; f != nil {
		f.On(c.now, answered)
		f.Release()
	}
	if f := c.ring[(c.i+n/2)%n]; f != nil && c.streams {
		f.On(c.now, spillway.Event{Kind: spillway.EventProgress, Attempt: 1, Tokens: 50})
	}
	if f := c.ring[(c.i+n-n/8)%n]; f != nil && c.streams {
		f.On(c.now, firstToken)
	}
	c.ring[c.i], _ = c.engine.Begin(c.now, c.req)
	c.i = (c.i + 1) % n
}

// BenchmarkLife is all of one request: begin, first token, progress, end and
// release, among 3,000 others under way. What is passed through has no events
// between its beginning and its end.
func BenchmarkLife(b *testing.B) {
	for _, l := range benchLives {
		b.Run(l.name, func(b *testing.B) {
			c := l.convoy(b, 3000)
			b.ReportAllocs()
			for b.Loop() {
				c.turn()
			}
		})
	}
}

// BenchmarkQueued is a Begin that meets 5,000 waiting flights, of two callers,
// in a full queue: one that finds no place, and one that takes the place of
// another. The last is a client that leaves the midst of the queue, the one
// that takes the place, and a wake of the first in the queue.
func BenchmarkQueued(b *testing.B) {
	b.Run("refused", func(b *testing.B) { benchmarkQueued(b, time.Minute) })
	b.Run("evicts", func(b *testing.B) { benchmarkQueued(b, -time.Second) })
	b.Run("leaves", benchmarkLeaves)
}

// crowd returns a pool whose only place is taken and 5,000 flights that wait.
func crowd(tb testing.TB) (*Engine, *spillway.Request, []*Flight) {
	tb.Helper()
	cfg := testConfig()
	cfg.Pool.Tiers = [][]string{{"std-westus"}}
	cfg.Deployments[2].MaxInFlight = 1
	cfg.Queue.MaxLength = 5000
	e, err := New(cfg, rand.New(rand.NewPCG(1, 2)).Float64)
	if err != nil {
		tb.Fatal(err)
	}
	class := &spillway.Class{Name: "patient", Window: time.Hour, MaxWait: time.Hour}
	req := &spillway.Request{Caller: "b", Route: "openai/chat", API: spillway.APIChat, CanStream: true, Choices: 1, BodyBytes: 2000, Class: class}
	other := *req
	other.Caller = "a"
	flights := make([]*Flight, 0, 5001)
	for i := range cap(flights) {
		r := req
		if i%2 == 0 {
			r = &other
		}
		f, _ := e.Begin(epoch.Add(time.Duration(i)*time.Microsecond), r)
		flights = append(flights, f)
	}
	if e.Waiting() != 5000 {
		tb.Fatalf("%d wait, want 5,000", e.Waiting())
	}
	return e, req, flights
}

// drain wakes whom the engine names, and gives back those that settle.
func drain(e *Engine, now time.Time) {
	for f := e.Ready(); f != nil; f = e.Ready() {
		f.On(now, spillway.Event{Kind: spillway.EventWake})
		if f.settled {
			f.Release()
		}
	}
}

// benchmarkQueued begins flights of a third caller that have that much more
// patience than those who wait. What follows from them is not timed.
func benchmarkQueued(b *testing.B, more time.Duration) {
	e, req, _ := crowd(b)
	late := *req
	late.Caller, late.Class = "c", &spillway.Class{Name: "late", Window: time.Hour + more, MaxWait: time.Hour + more}
	now := epoch.Add(time.Second)
	refused := make([]*Flight, 0, 256)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now = now.Add(-time.Nanosecond)
		if f, _ := e.Begin(now, &late); f.settled {
			refused = append(refused, f)
		}
		if i%256 == 255 {
			b.StopTimer()
			drain(e, now)
			for _, f := range refused {
				f.Release()
			}
			refused = refused[:0]
			b.StartTimer()
		}
	}
}

func benchmarkLeaves(b *testing.B) {
	e, req, flights := crowd(b)
	now, next := epoch.Add(time.Second), 1
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		gone := flights[next]
		gone.On(now, spillway.Event{Kind: spillway.EventGone})
		gone.Release()
		flights[next], _ = e.Begin(now, req)
		drain(e, now)
		if next++; next == len(flights) {
			next = 1
		}
	}
}

// TestNoAllocationAfterWarmUp is the bound that the benchmarks only report.
func TestNoAllocationAfterWarmUp(t *testing.T) {
	for _, l := range benchLives {
		c := l.convoy(t, 100)
		if n := testing.AllocsPerRun(1000, c.turn); n != 0 {
			t.Errorf("%s: %v allocations for one request, want none", l.name, n)
		}
	}
}

// BenchmarkLearned is the longest that the pool's lock is held to take a part
// of what the engine has learned: a deployment that was measured, and callers.
func BenchmarkLearned(b *testing.B) {
	e, _, now := warmEngine(b)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		s := e.lengths.Of(length.Key{Caller: fmt.Sprint("caller-", i), Route: "openai/chat"})
		for range 100 {
			s.Observe(now, int(lognormal(rnd, 300, 1)))
		}
		s.ObservePrompt(now, 2000, 500)
	}
	for range 5000 {
		for _, d := range e.deployments {
			d.speed.ObserveTTFT(now, rnd.Float64(), time.Duration(lognormal(rnd, 0.3, 0.6)*1e9))
			d.speed.ObserveTBT(now, rnd.Float64(), time.Duration(lognormal(rnd, 9e-3, 0.5)*1e9), 100)
		}
		now = now.Add(time.Second / 10)
	}
	keys := make([]length.KeyState, 0, keysPerPart)
	for _, part := range []struct {
		name string
		part int
	}{{"deployment", 0}, {"keys", len(e.deployments)}} {
		b.Run(part.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l := Learned{part: part.part, Keys: keys[:0]}
				e.Learned(now, &l)
			}
		})
	}
	b.Run("all", func(b *testing.B) {
		bytes := 0
		for b.Loop() {
			var l Learned
			for e.Learned(now, &l) {
			}
			data, err := json.Marshal(&l)
			if err != nil {
				b.Fatal(err)
			}
			bytes = len(data)
		}
		b.ReportMetric(float64(bytes), "B")
	})
}
