package policy

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/retry"
	"github.com/spillway-ai/spillway/internal/policy/route"
	"pgregory.net/rapid"
)

// world drives an engine with random events and keeps the books.
type world struct {
	t       *rapid.T
	engine  *Engine
	now     time.Time
	flights []*traveller // that have not settled
	begun   int
	settled int

	deposits int // requests that earn retries
	spent    float64
	refunded int // at most

	callers int  // that there are; 0 means 3
	jumps   bool // the clock may go back
}

// mostRefund is what a retry that is served gives back at most: its cost, and that of
// another one.
const mostRefund = 2

type traveller struct {
	flight    *Flight
	req       *spillway.Request
	live      []int // attempts, in order of their start
	sent      int
	served    uint // attempts after the first that began to respond, as bits
	committed bool
	settled   bool
	wake      time.Time
}

// drop takes an attempt off the live ones and reports whether it was there.
func (tr *traveller) drop(n int) bool {
	for i, l := range tr.live {
		if l == n {
			tr.live = append(tr.live[:i], tr.live[i+1:]...)
			return true
		}
	}
	return false
}

// drawConfig is a random pool.
func drawConfig(t *rapid.T) Config {
	cfg := Config{
		Version:  "test",
		Pool:     spillway.Pool{Name: "gpt-4o-mini", MaxTiers: rapid.IntRange(0, 3).Draw(t, "maxTiers")},
		Strategy: route.Strategy(rapid.IntRange(0, 2).Draw(t, "strategy")),
		Queue:    admit.Config{MaxLength: rapid.IntRange(-1, 8).Draw(t, "queue")},
		Retry: retry.Config{
			MaxAttempts:  rapid.IntRange(0, 9).Draw(t, "maxAttempts"),
			Ratio:        rapid.SampledFrom([]float64{0, -1, 0.5}).Draw(t, "ratio"),
			MinPerSecond: rapid.SampledFrom([]float64{0, -1, 0.2}).Draw(t, "minPerSecond"),
		},
	}
	for i := range rapid.IntRange(1, 5).Draw(t, "deployments") {
		d := spillway.Deployment{
			Name: fmt.Sprint("d", i), Model: "gpt-4o-mini", Weight: rapid.IntRange(0, 3).Draw(t, "weight"),
			MaxInFlight: rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "maxInFlight"),
		}
		if rapid.Bool().Draw(t, "provisioned") {
			d.Kind, d.PTU = spillway.Provisioned, rapid.SampledFrom([]int{1, 15, 500}).Draw(t, "ptu")
		} else {
			d.TPM = rapid.SampledFrom([]int{0, 20_000, 2_000_000}).Draw(t, "tpm")
			d.RPM = rapid.SampledFrom([]int{0, 6, 12_000}).Draw(t, "rpm")
		}
		cfg.Deployments = append(cfg.Deployments, d)
		if tiers := &cfg.Pool.Tiers; i == 0 || rapid.Bool().Draw(t, "nextTier") {
			*tiers = append(*tiers, []string{d.Name})
		} else {
			(*tiers)[len(*tiers)-1] = append((*tiers)[len(*tiers)-1], d.Name)
		}
	}
	return cfg
}

func drawClass(t *rapid.T) *spillway.Class {
	seconds := func(name string, most int) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Second
	}
	return &spillway.Class{
		Name: "c", Priority: spillway.Priority(rapid.IntRange(-1, 1).Draw(t, "priority")),
		Window: seconds("window", 90), StreamWindow: seconds("streamWindow", 90), MaxWait: seconds("maxWait", 20),
		Objective: spillway.Objective{TTFT: seconds("ttft", 4)},
		Sync:      spillway.SyncMode(rapid.IntRange(0, 1).Draw(t, "sync")),
		Hedge:     rapid.Bool().Draw(t, "hedge"), RightSize: rapid.Bool().Draw(t, "rightSize"),
		Budget: spillway.BudgetRule{
			Mode:            spillway.BudgetMode(rapid.IntRange(0, 3).Draw(t, "mode")),
			MaxOutputTokens: rapid.SampledFrom([]int{0, 0, 2000}).Draw(t, "cap"),
			ClampStructured: rapid.Bool().Draw(t, "clampStructured"),
		},
	}
}

func (w *world) arrive() {
	t := w.t
	req := &spillway.Request{
		ID: fmt.Sprint(w.begun), Caller: fmt.Sprint("caller ", rapid.IntRange(1, max(w.callers, 3)).Draw(t, "caller")), Route: "openai/chat",
		API:   spillway.API(rapid.SampledFrom([]int{1, 1, 1, 0, 2, 3, 4}).Draw(t, "api")),
		Class: drawClass(t), CanStream: rapid.Bool().Draw(t, "canStream"), Choices: rapid.IntRange(1, 3).Draw(t, "n"),
		Stream: rapid.Bool().Draw(t, "stream"), AskTokens: rapid.IntRange(0, 20_000).Draw(t, "ask"),
		BodyBytes: rapid.IntRange(0, 100_000).Draw(t, "body"), Tools: rapid.Bool().Draw(t, "tools"),
		Deadline:    time.Duration(rapid.IntRange(0, 90).Draw(t, "deadline")) * time.Second,
		ClientRetry: rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "clientRetry"),
		Affinity:    rapid.Uint64Range(0, 3).Draw(t, "affinity"),
		Pin:         rapid.SampledFrom([]string{"", "", "", "d0", "gone"}).Draw(t, "pin"),
	}
	w.begun++
	if req.ClientRetry == 0 {
		w.deposits++
	}
	f, step := w.engine.Begin(w.now, req)
	tr := &traveller{flight: f, req: req}
	f.Driver = tr
	w.flights = append(w.flights, tr)
	w.apply(tr, step)
	w.ready()
}

// apply checks what every step has to keep, and carries the step out.
func (w *world) apply(tr *traveller, step spillway.Step) {
	for _, a := range step.Actions {
		if tr.settled {
			w.t.Fatalf("%v after the settle", a.Kind)
		}
		switch a.Kind {
		case spillway.ActionSend:
			tr.sent++
			switch {
			case tr.committed:
				w.t.Fatalf("a send after the commit")
			case a.Attempt != tr.sent, tr.sent > spillway.MaxAttempts, tr.sent > w.engine.cfg.Retry.Attempts():
				w.t.Fatalf("attempt %d is sent as number %d", tr.sent, a.Attempt)
			case tr.req.AskTokens > 0 && a.Grant > tr.req.AskTokens:
				w.t.Fatalf("granted %d of %d asked for", a.Grant, tr.req.AskTokens)
			}
			tr.live = append(tr.live, a.Attempt)
		case spillway.ActionForward:
			tr.committed = true
			if len(tr.live) != 1 || tr.live[0] != a.Attempt {
				w.t.Fatalf("attempt %d is committed, and live are %v", a.Attempt, tr.live)
			}
		case spillway.ActionCancel, spillway.ActionCut:
			if !tr.drop(a.Attempt) {
				w.t.Fatalf("%v of attempt %d, which is not live", a.Kind, a.Attempt)
			}
		case spillway.ActionSettle:
			tr.settled = true
			w.settled++
			w.audit(tr)
		}
	}
	tr.wake = step.WakeAt
	switch {
	case tr.settled && len(tr.live) > 0:
		w.t.Fatalf("settled with %v under way", tr.live)
	case tr.settled:
		w.forget(tr)
	case len(tr.live) == 0 && tr.wake.IsZero():
		w.t.Fatalf("nothing under way and nothing to wait for")
	}
}

// audit reads the record of a settled flight: what it shows, and what its
// attempts have cost at least.
func (w *world) audit(tr *traveller) {
	r := tr.flight.Record()
	if len(r.Attempts) != tr.sent || r.Outcome == spillway.OutcomeUnknown {
		w.t.Fatalf("%d attempts recorded as %d, outcome %v", tr.sent, len(r.Attempts), r.Outcome)
	}
	if !w.jumps && (r.TTFT < 0 || r.TBTMean < 0 || r.TTFT > r.E2E || r.TBTMean > r.E2E) {
		w.t.Fatalf("TTFT %v, TBT %v of %v", r.TTFT, r.TBTMean, r.E2E)
	}
	for i := range tr.sent {
		if a := tr.flight.attempt(i); a.lastAt.Before(a.firstAt) || a.lastAt.After(w.now) && !w.jumps {
			w.t.Fatalf("attempt %d: last output at %v, the first at %v", i+1, a.lastAt, a.firstAt)
		}
	}
	for i := 1; i < len(r.Attempts); i++ {
		w.spent += leastCost(r.Attempts[:i], &r.Attempts[i])
	}
	w.refunded += mostRefund * bits.OnesCount(tr.served)
}

// leastCost is what an attempt has taken from the retry budget: by the class
// of the attempt that ended last before it.
func leastCost(earlier []spillway.Attempt, a *spillway.Attempt) float64 {
	if a.Hedge {
		return retry.CostRetry
	}
	cost, ended := 0.0, time.Duration(-1)
	for i := range earlier {
		e := &earlier[i]
		c := retry.CostRetry
		switch e.Class {
		case spillway.FailureRefused:
			c = 0
		case spillway.FailureSlow, spillway.FailureOversized:
			c = retry.CostTimeout
		}
		switch {
		case e.End > a.Start || e.End < ended:
		case e.End == ended:
			cost = min(cost, c)
		default:
			cost, ended = c, e.End
		}
	}
	return cost
}

// ready wakes whom the engine names.
func (w *world) ready() {
	for f := w.engine.Ready(); f != nil; f = w.engine.Ready() {
		w.apply(f.Driver.(*traveller), f.On(w.now, spillway.Event{Kind: spillway.EventWake}))
	}
}

func (w *world) forget(tr *traveller) {
	for i, other := range w.flights {
		if other == tr {
			w.flights = append(w.flights[:i], w.flights[i+1:]...)
			break
		}
	}
	tr.flight.Release()
}

func (w *world) on(tr *traveller, ev spillway.Event) {
	switch ev.Kind {
	case spillway.EventDone, spillway.EventFailed:
		tr.drop(ev.Attempt)
	}
	if ev.Attempt > 1 && (ev.Kind == spillway.EventFirstToken || ev.Kind == spillway.EventDone) {
		tr.served |= 1 << ev.Attempt
	}
	before := outputs(tr.flight)
	w.apply(tr, tr.flight.On(w.now, ev))
	if !tr.settled {
		w.checkOutputs(tr.flight, before)
	}
	w.ready()
}

// outputs is what a flight's attempts have produced so far.
func outputs(f *Flight) (all [spillway.MaxAttempts]attempt) {
	for i := range f.n {
		all[i] = *f.attempt(i)
	}
	return all
}

// checkOutputs compares a flight's attempts with what they were before an
// event: counts only grow, and output is read within the attempt and in order.
func (w *world) checkOutputs(f *Flight, before [spillway.MaxAttempts]attempt) {
	for i := range f.n {
		a, b := f.attempt(i), &before[i]
		switch {
		case a.read < b.read, a.live && a.tokens < b.tokens:
			w.t.Fatalf("attempt %d had read %d tokens, and now %d", i+1, b.read, a.read)
		case a.lastAt.Before(b.lastAt), a.lastAt.After(w.now) && !w.jumps, a.lastAt.Before(a.firstAt):
			w.t.Fatalf("attempt %d: last output at %v, before at %v, the first at %v", i+1, a.lastAt, b.lastAt, a.firstAt)
		case !a.firstAt.IsZero() && a.firstAt.Before(a.start), !b.firstAt.IsZero() && a.firstAt != b.firstAt:
			w.t.Fatalf("attempt %d: first output at %v, before at %v; it started at %v", i+1, a.firstAt, b.firstAt, a.start)
		case a.firstRead > a.read:
			w.t.Fatalf("attempt %d: %d tokens came first, of %d", i+1, a.firstRead, a.read)
		}
	}
}

// nextWake is the flight that wants to be woken first, or nil.
func (w *world) nextWake() *traveller {
	var next *traveller
	for _, tr := range w.flights {
		if !tr.wake.IsZero() && (next == nil || tr.wake.Before(next.wake)) {
			next = tr
		}
	}
	return next
}

// advance passes time and delivers the wakes on the way, in order.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	for range 10_000 {
		next := w.nextWake()
		if next == nil || next.wake.After(end) {
			w.now = end
			return
		}
		if next.wake.After(w.now) {
			w.now = next.wake
		}
		w.on(next, spillway.Event{Kind: spillway.EventWake})
	}
	w.t.Fatalf("the engine does not come to rest at %v", w.now.Sub(epoch))
}

// happen gives a flight a random fate.
func (w *world) happen() {
	if len(w.flights) == 0 {
		return
	}
	t := w.t
	tr := rapid.SampledFrom(w.flights).Draw(t, "flight")
	ev := spillway.Event{RetryAfter: -1, Signals: spillway.NoSignals()}
	if len(tr.live) > 0 {
		ev.Attempt = rapid.SampledFrom(tr.live).Draw(t, "attempt")
	}
	if rapid.Bool().Draw(t, "at") { // before the attempt, within it, or after now
		ev.At = w.now.Add(time.Duration(rapid.IntRange(-100_000, 1000).Draw(t, "read")) * time.Millisecond)
	}
	if rapid.Bool().Draw(t, "counts") {
		ev.Tokens = rapid.IntRange(0, 5000).Draw(t, "count")
		ev.Blocked = time.Duration(rapid.IntRange(0, 5000).Draw(t, "blocked")) * time.Millisecond
	}
	if rapid.Bool().Draw(t, "signals") {
		ev.Signals.Utilization = rapid.Float64Range(0, 1.5).Draw(t, "utilization")
		ev.Signals.RemainingTokens = rapid.IntRange(-1, 10_000).Draw(t, "remaining")
	}
	switch rapid.IntRange(0, 12).Draw(t, "fate") {
	case 0, 1, 2:
		ev.Kind, ev.Status = spillway.EventFirstToken, 200
	case 3:
		ev.Kind, ev.Tokens = spillway.EventProgress, rapid.IntRange(0, 5000).Draw(t, "tokens")
	case 4, 5:
		ev.Kind, ev.Status, ev.Tokens, ev.Finish = spillway.EventDone, 200, rapid.IntRange(0, 5000).Draw(t, "tokens"), spillway.FinishStop
		ev.Usage = spillway.Usage{Prompt: 100, Completion: ev.Tokens, Known: rapid.Bool().Draw(t, "usage")}
	case 6, 7:
		ev.Kind, ev.Status, ev.RetryAfter = spillway.EventFailed, 429, time.Duration(rapid.IntRange(-1, 90).Draw(t, "after"))*time.Second
	case 8, 9:
		ev.Kind, ev.Class, ev.Status = spillway.EventFailed, spillway.FailureBroken, 503
		ev.Hopeless, ev.Replayable = rapid.Bool().Draw(t, "hopeless"), rapid.Bool().Draw(t, "replayable")
	case 10:
		ev.Kind, ev.Status = spillway.EventFailed, rapid.SampledFrom([]int{400, 401, 404, 408, 500}).Draw(t, "status")
		ev.Missing = ev.Status == 404
	case 11:
		ev.Kind = spillway.EventGone
	case 12:
		ev.Kind = spillway.EventEnd
	}
	w.on(tr, ev)
}

// finish lets everything under way end and every waiting flight be served,
// without the help of clients that leave.
func (w *world) finish() {
	for range 10_000 {
		if len(w.flights) == 0 {
			return
		}
		answering := false
		for _, tr := range w.flights {
			if answering = len(tr.live) > 0; answering {
				w.on(tr, spillway.Event{
					Kind: spillway.EventDone, Attempt: tr.live[0], Status: 200, Finish: spillway.FinishStop, Tokens: 10, Signals: spillway.NoSignals(),
				})
				break
			}
		}
		if !answering {
			w.advance(w.nextWake().wake.Sub(w.now))
		}
	}
	w.t.Fatalf("%d flights never settle", len(w.flights))
}

// TestEngineKeepsItsBooks drives random traffic through a random pool. Every
// flight settles exactly once; nothing is sent after the commit, nor more
// often than allowed; no grant exceeds the ask; retries stay within their
// budget; and in the end nothing is reserved, in flight or waiting.
func TestEngineKeepsItsBooks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawConfig(rt)
		e, err := New(cfg, rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)).Float64)
		if err != nil {
			rt.Fatal(err)
		}
		w := &world{t: rt, engine: e, now: epoch}
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0:
				w.arrive()
			case 1, 2, 3:
				w.happen()
			case 4:
				w.advance(time.Duration(rapid.IntRange(1, 20_000).Draw(rt, "ms")) * time.Millisecond)
			}
		}
		w.finish()
		if w.settled != w.begun {
			rt.Fatalf("%d of %d flights settled", w.settled, w.begun)
		}
		for _, d := range e.Status(w.now, nil) {
			if d.InFlight != 0 || d.OutstandingTokens != 0 {
				rt.Fatalf("%s: %d in flight, %v tokens reserved after everything has settled", d.Name, d.InFlight, d.OutstandingTokens)
			}
		}
		if e.Waiting() != 0 {
			rt.Fatalf("%d still wait", e.Waiting())
		}
		if most := w.affordable(cfg.Retry) + float64(w.refunded); w.spent > most {
			rt.Fatalf("retries cost %v of %v", w.spent, most)
		}
	})
}

// affordable is the most that retries may have cost: a share of the requests,
// and the reserve of every 10 s begun. What retries that were served have given back
// comes on top.
func (w *world) affordable(cfg retry.Config) float64 {
	ratio, reserve := cfg.Ratio, cfg.MinPerSecond
	if ratio == 0 {
		ratio = 0.2
	}
	if reserve == 0 {
		reserve = 10
	}
	windows := 1 + int(w.now.Sub(epoch)/(10*time.Second))
	return max(ratio, 0)*float64(w.deposits) + max(reserve, 0)*10*float64(windows)
}

// TestLongerDeadlineNeverLowersTheGrant sends one request to the same pool
// twice, the second time with more time. As long as the least output fits at the
// budget's quantile, more time grants no less. (Where nothing does, a response
// is sent to be cut at the deadline, whose limit is what the best could give.)
func TestLongerDeadlineNeverLowersTheGrant(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawConfig(rt)
		cfg.Pool.Tiers, cfg.Pool.MaxTiers = [][]string{{"d0"}}, 0
		cfg.Deployments[0].MaxInFlight = 0
		class := drawClass(rt)
		class.Objective = spillway.Objective{}
		req := spillway.Request{
			Caller: "a", Route: "openai/chat", API: spillway.APIChat, Class: class, CanStream: rapid.Bool().Draw(rt, "canStream"),
			Stream: rapid.Bool().Draw(rt, "stream"), Choices: 1, AskTokens: rapid.IntRange(0, 20_000).Draw(rt, "ask"), Tools: rapid.Bool().Draw(rt, "tools"),
		}
		class.Window, class.StreamWindow = time.Hour, time.Hour
		answers, pace := rapid.IntRange(0, 600).Draw(rt, "answers"), rapid.Float64Range(1e-3, 0.1).Draw(rt, "pace")
		short := time.Duration(rapid.IntRange(1, 120_000).Draw(rt, "short")) * time.Millisecond
		long := short + time.Duration(rapid.IntRange(0, 120_000).Draw(rt, "longer"))*time.Millisecond

		grants := [2]int{}
		for i, deadline := range []time.Duration{short, long} {
			e, now := taught(rt, cfg, answers, pace)
			req.Deadline = deadline
			f, step := e.Begin(now, &req)
			if len(step.Actions) == 0 || step.Actions[0].Kind != spillway.ActionSend || f.Record().BudgetTokens < minOutput {
				if i == 0 {
					return
				}
				rt.Fatalf("%v fit %d tokens; %v are refused: %+v", short, grants[0], long, step.Actions)
			}
			if grants[i] = f.Record().GrantTokens; grants[i] == 0 {
				grants[i] = 1 << 40 // no limit
			}
		}
		if grants[1] < grants[0] {
			rt.Fatalf("%v grant %d tokens, and %v only %d", short, grants[0], long, grants[1])
		}
	})
}

// taught is an engine whose first deployment has given that many responses at
// that pace, in seconds per token.
func taught(t *rapid.T, cfg Config, answers int, pace float64) (*Engine, time.Time) {
	rnd := rand.New(rand.NewPCG(1, 2))
	e, err := New(cfg, rnd.Float64)
	if err != nil {
		t.Fatal(err)
	}
	d, now := e.find("d0"), epoch
	for range answers {
		now = now.Add(10 * time.Millisecond)
		d.speed.ObserveTTFT(now, 0, time.Duration(rnd.ExpFloat64()*float64(time.Second)))
		d.speed.ObserveTBT(now, 0, time.Duration(lognormal(rnd, pace, 0.5)*float64(time.Second)), 100)
	}
	return e, now
}
