package interference

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// layout is a pool.
type layout struct {
	name        string
	deployments []member
}

// member is a deployment of a layout.
type member struct {
	tier       int
	deployment spillway.Deployment
	pace       float64
}

// tiers are the names of the deployments, tier by tier.
func (l *layout) tiers() [][]string {
	var tiers [][]string
	for _, m := range l.deployments {
		for len(tiers) <= m.tier {
			tiers = append(tiers, nil)
		}
		tiers[m.tier] = append(tiers[m.tier], m.deployment.Name)
	}
	return tiers
}

// layouts are the pools: three equal deployments, and a provisioned one before
// a slower one, so that who is pushed off the first is late. They have room for
// the largest requests that any model accepts, 16,384 tokens for each of 128
// choices.
func layouts() []layout {
	standard := func(name string) spillway.Deployment {
		return spillway.Deployment{Name: name, Model: "gpt-4o-mini", TPM: 400_000_000}
	}
	provisioned := spillway.Deployment{Name: "a", Model: "gpt-4o-mini", Kind: spillway.Provisioned, PTU: 4000}
	return []layout{
		{"3 in one tier", []member{{0, standard("a"), 1}, {0, standard("b"), 1}, {0, standard("c"), 1}}},
		{"2 tiers", []member{{0, provisioned, 1}, {1, standard("b"), 2}}},
	}
}

// crowd is who the healthy callers are.
type crowd struct {
	name    string
	callers []string // of the healthy requests, in turn
	guilty  string   // caller of the guilty ones
	uniform bool     // the healthy requests have one shape
	class   *spillway.Class
}

// crowds are the callers. The first is that of the tables. The budgets and
// objectives of the last depend on what is learned of the deployments' speed.
func crowds() []crowd {
	five := []string{"amber", "birch", "cedar", "daisy", "elder"}
	usual := &spillway.Class{Name: "interactive", Window: time.Minute}
	strict := &spillway.Class{
		Name: "strict", Window: 30 * time.Second, StreamWindow: 30 * time.Second,
		Objective: spillway.Objective{TTFT: 2 * time.Second, TBT: 80 * time.Millisecond},
		Budget:    spillway.BudgetRule{Mode: spillway.BudgetClamp},
	}
	return []crowd{
		{"5 callers", five, "guilty", false, usual},
		{"1 caller", []string{"amber"}, "guilty", true, usual},
		{"anonymous", []string{"anonymous"}, "anonymous", false, usual},
		{"5 callers with objectives", five, "guilty", false, strict},
		{"120 callers", many(120), "guilty", false, usual},
	}
}

// many returns callers.
func many(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("caller ", i)
	}
	return names
}

// pattern is when the guilty caller's requests come. All have the rate of 5% of
// the healthy requests.
type pattern struct {
	name   string
	burst  int           // requests at one time
	shapes int           // different ones, in turn
	sdk    int           // retries of its SDK
	alone  time.Duration // before any healthy request
}

func patterns() []pattern {
	return []pattern{
		{name: "spread", burst: 1, shapes: 1},
		{name: "10 at a time", burst: 10, shapes: 1},
		{name: "3 shapes", burst: 1, shapes: 3},
		{name: "SDK retries", burst: 1, shapes: 1, sdk: 4},
		{name: "alone for 10 s", burst: 1, shapes: 1, alone: 10 * time.Second},
		{name: "all of it", burst: 10, shapes: 3, sdk: 4, alone: 10 * time.Second},
	}
}

// perGuilty is how many healthy requests there are for each guilty one.
const perGuilty = 20

// rate returns healthy requests per second. Deployments of 30,000 tokens per
// minute bear light traffic only.
func (k *kind) rate() float64 {
	if k.tpm > 0 {
		return 1
	}
	return 20
}

// scenario is one comparison.
type scenario struct {
	kind    kind
	layout  layout
	crowd   crowd
	pattern pattern
	healthy int // requests
	seed    uint64
	rate    float64     // of the healthy requests, per second
	change  func(*call) // of each healthy request; nil for none
	ended   func(*call) // is called with each healthy one that has settled; nil for none
}

func (s *scenario) String() string {
	return fmt.Sprintf("%s/%s/%s/%s", s.kind.name, s.layout.name, s.crowd.name, s.pattern.name)
}

// healthyCalls returns the traffic of the healthy callers.
func (s *scenario) healthyCalls() []*call {
	rng := rand.New(rand.NewPCG(s.seed, 1))
	at := s.pattern.alone
	calls := make([]*call, s.healthy)
	for i := range calls {
		at += time.Duration(rng.ExpFloat64() / s.rate * float64(time.Second))
		calls[i] = s.newCall(rng, at, s.crowd.callers[i%len(s.crowd.callers)], uint64(i))
		calls[i].noisy = rng.Float64() < 0.005
		if s.change != nil {
			s.change(calls[i])
		}
	}
	return calls
}

// newCall returns a call of a healthy kind.
func (s *scenario) newCall(rng *rand.Rand, at time.Duration, caller string, id uint64) *call {
	logNormal := func(median, sigma float64) float64 { return median * math.Exp(sigma*rng.NormFloat64()) }
	bytes, ask, tokens := 400+rng.IntN(8000), 500, logNormal(90, 0.6)
	stream := rng.IntN(2) == 0
	if s.kind.tpm > 0 {
		bytes, ask, tokens = 200+bytes/12, 100, min(tokens, 99)
	}
	if s.crowd.uniform {
		bytes, stream = 2000, false
		if s.kind.tpm > 0 {
			bytes = 400
		}
	}
	return &call{
		at: at, ttft: time.Duration(logNormal(250, 0.3) * float64(time.Millisecond)), tokens: min(max(int(tokens), 2), ask-1),
		draw: rand.New(rand.NewPCG(s.seed, id+1<<20)),
		req: spillway.Request{
			Caller: caller, Route: "azure/chat", Model: "pool", API: spillway.APIChat, Class: s.crowd.class,
			Stream: stream, CanStream: true, Choices: 1, AskTokens: ask, BodyBytes: bytes,
		},
	}
}

// guiltyCalls returns the guilty caller's traffic, spread over the time of the
// healthy one.
func (s *scenario) guiltyCalls() []*call {
	rng := rand.New(rand.NewPCG(s.seed, 2))
	every := time.Duration(float64(perGuilty*s.pattern.burst) / s.rate * float64(time.Second))
	end := s.pattern.alone + time.Duration(float64(s.healthy)/s.rate*float64(time.Second))
	var calls []*call
	for at := every / 2; at < end; at += every {
		for range s.pattern.burst {
			n := uint64(len(calls))
			c := s.newCall(rng, at, s.crowd.guilty, n|1<<40)
			c.guilty, c.retries = true, s.pattern.sdk
			shape := int(n) % s.pattern.shapes
			c.req.BodyBytes, c.req.AskTokens = c.req.BodyBytes<<shape, c.req.AskTokens>>shape
			c.req.Stream = c.req.Stream != (shape == 1)
			if s.kind.ask != nil {
				s.kind.ask(c)
			}
			calls = append(calls, c)
		}
	}
	return calls
}

// result is what became of the healthy requests of a run.
type result struct {
	requests, succeeded int
	took                []time.Duration // of those that succeeded
	failure             string          // one of the others, over sockets
	uses                []use           // in simulations
	world               *world
}

// add counts a healthy call. A complete response is a success, also where the
// client's own limit ended it.
func (r *result) add(c *call) {
	r.requests++
	rec := c.flight.Record()
	if rec.Status == 200 && (rec.Outcome == spillway.OutcomeOK || rec.Outcome == spillway.OutcomeOKClientCap) {
		r.succeeded++
		r.took = append(r.took, rec.E2E)
	}
}

// success is the share of requests that succeeded, in percent.
func (r *result) success() float64 { return 100 * float64(r.succeeded) / float64(max(r.requests, 1)) }

// p99 is the time that 99% of the successful requests stay within.
func (r *result) p99() time.Duration { return quantile(r.took, 0.99) }

// quantile returns a quantile of durations, which it sorts.
func quantile(of []time.Duration, q float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[min(int(math.Ceil(q*float64(len(of))))-1, len(of)-1)]
}

// with runs the healthy traffic with the guilty caller.
func (s *scenario) with(t *testing.T) result {
	return s.run(t, func(w *world) {
		for _, c := range s.guiltyCalls() {
			w.arrive(c)
		}
	})
}

// without runs it with harmless requests in their place: they use the capacity
// that the guilty ones used, tokens and time, where and when they did. They do
// not pass through the gateway, so that they cannot teach it anything.
func (s *scenario) without(t *testing.T, uses []use) result {
	return s.run(t, func(w *world) {
		for _, u := range uses {
			p := w.peer(u.peer.name)
			w.at(u.from, func() {
				p.inFlight++
				p.admit(w.now, u.tokens)
			})
			w.at(u.to, func() { p.inFlight-- })
		}
	})
}

func (s *scenario) run(t *testing.T, others func(*world)) result {
	var r result
	w := newWorld(t, s.layout, &s.kind, func(c *call) {
		if !c.guilty {
			r.add(c)
			if s.ended != nil {
				s.ended(c)
			}
		}
	})
	for _, c := range s.healthyCalls() {
		w.arrive(c)
	}
	others(w)
	w.run()
	r.uses, r.world = w.uses, w
	return r
}
