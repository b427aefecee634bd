package interference

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
)

// world is a simulated pool in virtual time: the real policy core, scripted
// deployments, and the calls under way. Everything is deterministic: events at
// one instant happen in the order in which they were scheduled, and every call
// has its own source of randomness. So a call that is added to a run changes
// the others only through what the core makes of it, or through the capacity
// that it uses.
type world struct {
	t      *testing.T
	engine *policy.Engine
	peers  []*peer
	now    time.Duration // since the start
	agenda agenda
	draw   *rand.Rand // of the call that the engine works on
	kind   *kind      // what the guilty caller's requests do; nil without one
	uses   []use      // of the guilty caller
	finish func(*call)
}

// start is the instant at which virtual time begins.
var start = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// forever is a wait that does not end.
const forever time.Duration = 1<<63 - 1

// newWorld returns the pool of a layout. finish is called with every call that
// has settled.
func newWorld(t *testing.T, l layout, k *kind, finish func(*call)) *world {
	t.Helper()
	w := &world{t: t, kind: k, finish: finish}
	cfg := policy.Config{Version: "1", Pool: spillway.Pool{Name: "pool", Tiers: l.tiers()}}
	for _, d := range l.deployments {
		if k != nil && k.tpm > 0 {
			d.deployment.Kind, d.deployment.PTU, d.deployment.TPM = spillway.Standard, 0, k.configuredTPM
		}
		cfg.Deployments = append(cfg.Deployments, d.deployment)
		p := &peer{name: d.deployment.Name, pace: d.pace}
		if k != nil {
			p.tpm, p.saysLimit = k.tpm, k.saysLimit
		}
		w.peers = append(w.peers, p)
	}
	engine, err := policy.New(cfg, func() float64 { return w.draw.Float64() })
	if err != nil {
		t.Fatal(err)
	}
	w.engine = engine
	return w
}

// peer returns the deployment of that name.
func (w *world) peer(name string) *peer {
	for _, p := range w.peers {
		if p.name == name {
			return p
		}
	}
	w.t.Fatalf("the engine sends to %q, which does not exist", name)
	return nil
}

// at schedules what happens at an instant.
func (w *world) at(when time.Duration, do func()) {
	if when < w.now {
		when = w.now
	}
	w.agenda.next++
	heap.Push(&w.agenda, entry{when, w.agenda.next, do})
}

// maxAtOnce is how many events may happen at one instant. More mean that a
// flight asks to be woken at once, and again.
const maxAtOnce = 10_000

// run processes all events in the order of time.
func (w *world) run() {
	w.t.Helper()
	for atOnce := 0; len(w.agenda.entries) > 0; atOnce++ {
		e := heap.Pop(&w.agenda).(entry)
		if e.at > w.now {
			atOnce = 0
		}
		if atOnce > maxAtOnce {
			w.t.Fatalf("more than %d events at %v", maxAtOnce, w.now)
		}
		w.now = e.at
		e.do()
	}
	for _, d := range w.engine.Status(w.clock(), nil) {
		if d.InFlight != 0 || d.OutstandingTokens != 0 {
			w.t.Errorf("%s: %d attempts in flight and %v tokens reserved at the end, want none", d.Name, d.InFlight, d.OutstandingTokens)
		}
	}
}

// clock is the virtual instant.
func (w *world) clock() time.Time { return start.Add(w.now) }

// arrive schedules a call.
func (w *world) arrive(c *call) { w.at(c.at, func() { w.begin(c) }) }

// begin starts a call's flight.
func (w *world) begin(c *call) {
	c.world = w
	w.draw = c.draw
	f, step := w.engine.Begin(w.clock(), &c.req)
	f.Driver, c.flight = c, f
	c.perform(step)
	if c.leave > 0 {
		w.at(c.at+c.leave, func() {
			if !c.settled {
				c.reportProgress()
				c.report(spillway.Event{Kind: spillway.EventGone})
			}
			w.wakeReady()
		})
	}
	w.wakeReady()
}

// wakeReady wakes the flights that the last use of the engine made ready.
func (w *world) wakeReady() {
	for f := w.engine.Ready(); f != nil; f = w.engine.Ready() {
		f.Driver.(*call).onWake()
	}
}

// call is one call of a client.
type call struct {
	world  *world
	req    spillway.Request
	at     time.Duration
	guilty bool
	draw   *rand.Rand
	// ttft, tokens and noisy are what an idle deployment of pace 1 needs for it,
	// and whether its first attempt meets one of the occasional 500s.
	ttft   time.Duration
	tokens int
	noisy  bool
	// leave is when the client leaves, after its arrival; 0 is never. retries is
	// how often its SDK tries again.
	leave   time.Duration
	retries int

	flight   *policy.Flight
	attempts []*attempt
	wakeAt   time.Duration // that the engine wants; forever for never
	// scheduled is the newest instant in the agenda for it; 0 is none.
	scheduled time.Duration
	settled   bool
	verdict   spillway.Action
}

// report tells the engine of an event, and performs what it returns.
func (c *call) report(ev spillway.Event) {
	if c.settled {
		return
	}
	w := c.world
	w.draw = c.draw
	c.perform(c.flight.On(w.clock(), ev))
}

// onWake reports progress and then the wake-up, as drivers do.
func (c *call) onWake() {
	c.reportProgress()
	c.report(spillway.Event{Kind: spillway.EventWake})
}

// perform performs the actions of a step, and schedules its wake-up.
func (c *call) perform(step spillway.Step) {
	w := c.world
	c.wakeAt = forever
	if !step.WakeAt.IsZero() {
		c.wakeAt = max(step.WakeAt.Sub(start), w.now)
		c.scheduleWake()
	}
	for _, a := range step.Actions {
		switch a.Kind {
		case spillway.ActionSend:
			c.send(a)
		case spillway.ActionCut, spillway.ActionCancel:
			c.attempts[a.Attempt-1].stop()
		case spillway.ActionSettle:
			c.settled, c.verdict = true, a
		case spillway.ActionForward:
		}
	}
	if c.settled {
		c.end()
	}
}

// scheduleWake schedules the call's wake-up, unless it is scheduled already.
func (c *call) scheduleWake() {
	at := c.wakeAt
	if c.scheduled == at {
		return
	}
	c.scheduled = at
	c.world.at(at, func() {
		if c.scheduled == at {
			c.scheduled = 0
		}
		if !c.settled && c.wakeAt == at {
			c.onWake()
			c.world.wakeReady()
		}
	})
}

// end ends a settled call: what still runs is stopped, and its client may try
// again.
func (c *call) end() {
	for _, a := range c.attempts {
		a.stop()
	}
	c.world.finish(c)
	if again := c.again(); again != nil {
		c.world.arrive(again)
	}
	c.flight.Release()
	c.flight = nil
}

// again returns the call that the client's SDK makes after this one, if any. It
// waits half a second and doubles that, or as long as it is told up to a minute.
func (c *call) again() *call {
	status := c.flight.Record().Status
	retried := status == 408 || status == 409 || status == 429 || status >= 500 || status == spillway.StatusClientGone
	if c.retries == 0 || !retried || c.verdict.NoRetry {
		return nil
	}
	wait := 500 * time.Millisecond << c.req.ClientRetry
	if told := c.verdict.Refusal.RetryAfter; told > 0 && told <= time.Minute {
		wait = told
	}
	next := &call{
		req: c.req, at: c.world.now + wait, guilty: c.guilty, ttft: c.ttft, tokens: c.tokens, leave: c.leave,
		retries: c.retries - 1, draw: rand.New(rand.NewPCG(c.draw.Uint64(), 1)),
	}
	next.req.ClientRetry++
	return next
}

// entry is an event to come.
type entry struct {
	at    time.Duration
	order int
	do    func()
}

// agenda is a heap of events to come.
type agenda struct {
	entries []entry
	next    int
}

func (g *agenda) Len() int { return len(g.entries) }
func (g *agenda) Less(i, j int) bool {
	a, b := &g.entries[i], &g.entries[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}
func (g *agenda) Swap(i, j int) { g.entries[i], g.entries[j] = g.entries[j], g.entries[i] }
func (g *agenda) Push(x any)    { g.entries = append(g.entries, x.(entry)) }
func (g *agenda) Pop() any {
	last := len(g.entries) - 1
	e := g.entries[last]
	g.entries[last] = entry{}
	g.entries = g.entries[:last]
	return e
}
