package policy

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"pgregory.net/rapid"
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

// world drives an engine with random events and keeps the books.
type world struct {
	t       *rapid.T
	engine  *Engine
	now     time.Time
	flights []*traveller
	begun   int
	settled int
}

type traveller struct {
	flight    *Flight
	req       *spillway.Request
	live      map[int]bool
	sent      int
	committed bool
	settled   bool
	wake      time.Time
}

// apply checks what every step has to keep, and carries the step out.
func (w *world) apply(tr *traveller, step spillway.Step) {
	for _, a := range step.Actions {
		switch a.Kind {
		case spillway.ActionSend:
			if tr.committed || tr.settled {
				w.t.Fatalf("a send after the commit or the settle")
			}
			tr.sent++
			if a.Attempt != tr.sent || tr.sent > spillway.MaxAttempts {
				w.t.Fatalf("attempt %d is sent as number %d", tr.sent, a.Attempt)
			}
			if tr.req.AskTokens > 0 && a.Grant > tr.req.AskTokens {
				w.t.Fatalf("granted %d of %d asked for", a.Grant, tr.req.AskTokens)
			}
			tr.live[a.Attempt] = true
		case spillway.ActionForward:
			tr.committed = true
			if len(tr.live) != 1 {
				w.t.Fatalf("%d attempts live after the commit", len(tr.live))
			}
		case spillway.ActionCancel, spillway.ActionCut:
			if !tr.live[a.Attempt] {
				w.t.Fatalf("%v of attempt %d, which is not live", a.Kind, a.Attempt)
			}
			delete(tr.live, a.Attempt)
		case spillway.ActionSettle:
			if tr.settled {
				w.t.Fatalf("settled twice")
			}
			tr.settled = true
			w.settled++
		}
	}
	tr.wake = step.WakeAt
	if !tr.settled && len(tr.live) == 0 && tr.wake.IsZero() {
		w.t.Fatalf("nothing under way and nothing to wait for")
	}
	for f := w.engine.Ready(); f != nil; f = w.engine.Ready() {
		other := f.Driver.(*traveller)
		w.apply(other, f.On(w.now, spillway.Event{Kind: spillway.EventWake}))
	}
}

func (w *world) on(tr *traveller, ev spillway.Event) {
	switch ev.Kind {
	case spillway.EventDone, spillway.EventFailed:
		delete(tr.live, ev.Attempt)
	}
	w.apply(tr, tr.flight.On(w.now, ev))
}

func (w *world) arrive(classes []*spillway.Class) {
	req := &spillway.Request{
		ID: fmt.Sprint(w.begun), Caller: "c", Route: "openai/chat", API: spillway.APIChat,
		Class: rapid.SampledFrom(classes).Draw(w.t, "class"), CanStream: true, Choices: rapid.IntRange(1, 3).Draw(w.t, "n"),
		Stream: rapid.Bool().Draw(w.t, "stream"), AskTokens: rapid.IntRange(0, 20_000).Draw(w.t, "ask"),
		BodyBytes: rapid.IntRange(0, 100_000).Draw(w.t, "body"), Tools: rapid.Bool().Draw(w.t, "tools"),
		Deadline: time.Duration(rapid.IntRange(0, 90).Draw(w.t, "deadline")) * time.Second,
	}
	w.begun++
	f, step := w.engine.Begin(w.now, req)
	tr := &traveller{flight: f, req: req, live: map[int]bool{}}
	f.Driver = tr
	w.flights = append(w.flights, tr)
	w.apply(tr, step)
}

// advance passes time and delivers the wakes on the way, in order.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	for range 10_000 {
		var next *traveller
		for _, tr := range w.flights {
			if !tr.wake.IsZero() && !tr.wake.After(end) && (next == nil || tr.wake.Before(next.wake)) {
				next = tr
			}
		}
		if next == nil {
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

// happen gives one live attempt a random fate.
func (w *world) happen() {
	for _, tr := range w.flights {
		for n := range tr.live {
			if rapid.IntRange(0, 2).Draw(w.t, "pass") == 0 {
				continue
			}
			ev := spillway.Event{Attempt: n, RetryAfter: -1, Signals: spillway.NoSignals()}
			switch rapid.IntRange(0, 6).Draw(w.t, "fate") {
			case 0, 1:
				ev.Kind, ev.Status = spillway.EventFirstToken, 200
			case 2:
				ev.Kind, ev.Tokens = spillway.EventProgress, rapid.IntRange(0, 5000).Draw(w.t, "tokens")
			case 3:
				ev.Kind, ev.Status, ev.Tokens, ev.Finish = spillway.EventDone, 200, rapid.IntRange(0, 5000).Draw(w.t, "tokens"), spillway.FinishStop
			case 4:
				ev.Kind, ev.Status, ev.RetryAfter = spillway.EventFailed, 429, time.Duration(rapid.IntRange(-1, 90).Draw(w.t, "after"))*time.Second
			case 5:
				ev.Kind, ev.Class, ev.Status = spillway.EventFailed, spillway.FailureBroken, 503
			case 6:
				ev.Kind = spillway.EventGone
			}
			w.on(tr, ev)
			return
		}
	}
}

// TestEngineKeepsItsBooks drives random traffic: every flight settles exactly
// once, nothing is sent after the commit, no grant exceeds the ask, and in the
// end nothing is reserved, in flight or waiting.
func TestEngineKeepsItsBooks(t *testing.T) {
	classes := []*spillway.Class{
		{Name: "sync", Window: time.Minute},
		{Name: "clamp", Window: time.Minute, Budget: spillway.BudgetRule{Mode: spillway.BudgetClamp}, Hedge: true},
		{Name: "pass", Window: 30 * time.Second, Sync: spillway.SyncPass, Priority: spillway.PriorityLow},
		{Name: "reject", Window: time.Minute, StreamWindow: 2 * time.Minute, Priority: spillway.PriorityHigh, Budget: spillway.BudgetRule{Mode: spillway.BudgetReject}},
	}
	rapid.Check(t, func(rt *rapid.T) {
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		cfg := testConfig()
		cfg.Queue.MaxLength = rapid.IntRange(1, 8).Draw(rt, "queue")
		e, err := New(cfg, rnd.Float64)
		if err != nil {
			rt.Fatal(err)
		}
		w := &world{t: rt, engine: e, now: epoch}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0:
				w.arrive(classes)
			case 1, 2:
				w.happen()
			case 3:
				w.advance(time.Duration(rapid.IntRange(1, 20_000).Draw(rt, "ms")) * time.Millisecond)
			}
		}
		for _, tr := range w.flights {
			if !tr.settled {
				w.on(tr, spillway.Event{Kind: spillway.EventGone})
			}
		}
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
		for _, tr := range w.flights {
			tr.flight.Release()
		}
	})
}

// TestBudgetFollowsMeasuredSpeed feeds answers at the reference incident's
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
