package policy

import (
	"fmt"
	"strings"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/length"
)

// pace is an attempt whose tokens are made evenly and arrive in batches. Its
// progress is reported before every wake, as drivers do.
type pace struct {
	attempt int
	since   time.Time
	tbt     time.Duration
	first   int // tokens at since
	batch   int // tokens of each delta after it
}

// progress is the report of what has arrived by now.
func (p pace) progress(now time.Time) spillway.Event {
	every := time.Duration(p.batch) * p.tbt
	batches := int(now.Sub(p.since) / every)
	return spillway.Event{
		Kind: spillway.EventProgress, Attempt: p.attempt, Tokens: p.first + batches*p.batch, At: p.since.Add(time.Duration(batches) * every),
	}
}

// advance moves the clock to an instant and delivers every wake on the way.
func (s *stage) advance(to time.Time) {
	for range 10_000 {
		next, at := "", to
		for _, name := range s.names {
			if w := s.wakes[name]; !w.IsZero() && !w.After(at) && (next == "" || w.Before(at)) {
				next, at = name, w
			}
		}
		if next == "" {
			s.now = to
			return
		}
		s.now = at
		s.wake(next)
		s.deliver()
	}
	s.t.Fatalf("still waking at %v: the engine does not come to rest", s.now.Sub(s.start))
}

// wake delivers an EventWake and shows what comes of it, if anything does.
func (s *stage) wake(name string) {
	f := s.flights[name]
	before := s.wakes[name]
	if p, ok := s.paces[name]; ok {
		f.On(s.now, p.progress(s.now))
	}
	step := f.On(s.now, spillway.Event{Kind: spillway.EventWake})
	if len(step.Actions) == 0 {
		s.wakes[name] = step.WakeAt
		if step.WakeAt.Equal(before) && !before.After(s.now) {
			s.t.Fatalf("%s: wakes again and again at %v", name, s.now.Sub(s.start))
		}
		return
	}
	s.say("%v %s wakes", s.now.Sub(s.start), name)
	s.show(name, step)
}

// deliver wakes the flights that the engine names.
func (s *stage) deliver() {
	for f := s.engine.Ready(); f != nil; f = s.engine.Ready() {
		s.wake(f.Driver.(string))
	}
}

func (s *stage) say(format string, values ...any) {
	fmt.Fprintf(&s.out, "    "+format+"\n", values...)
}

// show writes a step down.
func (s *stage) show(name string, step spillway.Step) {
	for _, a := range step.Actions {
		id := fmt.Sprintf("%s#%d", name, a.Attempt)
		switch a.Kind {
		case spillway.ActionSend:
			var how []string
			if a.Grant > 0 {
				how = append(how, fmt.Sprintf("grant=%d", a.Grant))
			}
			if a.Stream {
				how = append(how, "as stream")
			}
			r := s.flights[name]
			if r != nil || s.engine != nil {
				how = append(how, s.spill(name, a.Attempt))
			}
			s.say("%s", strings.TrimSpace(strings.Join(append([]string{"send", id, "to", a.Deployment}, how...), " ")))
		case spillway.ActionSettle:
			s.say("settle %s%s", id, s.ending(name, a))
		default:
			s.say("%v %s", a.Kind, id)
		}
	}
	s.wakes[name] = step.WakeAt
	if len(step.Actions) == 0 && !step.WakeAt.IsZero() {
		s.say("%s: nothing until %v", name, step.WakeAt.Sub(s.start))
	}
}

func (s *stage) spill(name string, attempt int) string {
	f := s.flights[name]
	if f == nil || attempt > len(f.record.Attempts) {
		return ""
	}
	switch {
	case f.record.Attempts[attempt-1].Hedge:
		return "as hedge"
	case f.record.Spill != spillway.SpillNone:
		return "spill=" + f.record.Spill.String()
	}
	return ""
}

func (s *stage) ending(name string, a spillway.Action) string {
	text := ""
	if f := s.flights[name]; f != nil {
		text = fmt.Sprintf(" %v %d", f.record.Outcome, f.record.Status)
	}
	if r := a.Refusal; r.Code != "" {
		text += " " + string(r.Code)
		if r.RetryAfter > 0 {
			text += fmt.Sprintf(" retry_after=%v", r.RetryAfter)
		}
		if r.FitTokens > 0 {
			text += fmt.Sprintf(" fit=%d", r.FitTokens)
		}
	}
	return text
}

func (s *stage) status() {
	for _, d := range s.engine.Status(s.now, nil) {
		s.say("%s: %s, utilization %.0f%%, in flight %d", d.Name, d.State, 100*d.Utilization, d.InFlight)
	}
	if n := s.engine.Waiting(); n > 0 {
		s.say("waiting: %d", n)
	}
}

// responses plays requests that are answered one after the other: the first
// output after 200 ms, the rest at a pace, up to a length or to the limit that
// was sent, unless the engine cuts it before. It says how they ended.
func (s *stage) answers(a args) {
	ended := map[spillway.Outcome]int{}
	for range s.number(a["0"]) {
		f, step := s.begin(s.request(a))
		p := pace{attempt: 1, since: s.now.Add(200 * time.Millisecond), tbt: s.duration(a["tbt"]), first: 1, batch: 1}
		tokens, finish := s.number(a["tokens"]), spillway.FinishStop
		if limit := f.Record().GrantTokens; limit > 0 && limit <= tokens {
			tokens, finish = limit, spillway.FinishLength
		}
		end := p.since.Add(time.Duration(tokens-1) * p.tbt)
		s.now = p.since
		step = f.On(s.now, spillway.Event{Kind: spillway.EventFirstToken, Attempt: 1, Status: 200, Signals: spillway.NoSignals()})
		for !step.WakeAt.IsZero() && step.WakeAt.Before(end) {
			s.now = step.WakeAt
			f.On(s.now, p.progress(s.now))
			step = f.On(s.now, spillway.Event{Kind: spillway.EventWake})
		}
		if !f.settled {
			s.now = end
			f.On(s.now, spillway.Event{
				Kind: spillway.EventDone, Attempt: 1, Status: 200, Finish: finish, Tokens: tokens, Signals: spillway.NoSignals(),
			})
		}
		ended[f.Record().Outcome]++
		f.Release()
	}
	for _, outcome := range spillway.Outcomes() {
		if n := ended[outcome]; n > 0 {
			s.say("%d %v", n, outcome)
		}
	}
}

// lengths says what is known of the lengths of responses.
func (s *stage) lengths() {
	source := s.engine.lengths.Of(length.Key{Caller: "caller", Route: "openai/chat"})
	for _, q := range []float64{0.5, 0.99} {
		least, got := "", source.Quantile(q)
		if got.AtLeast {
			least = "at least "
		}
		s.say("p%.0f of %d answers: %s%d tokens", 100*q, got.Answers, least, got.Tokens)
	}
}

func (s *stage) record(name string) {
	r := s.flights[name].Record()
	s.say("outcome=%v status=%d mode=%v ask=%d budget=%d basis=%v granted=%d observed=%d truncated=%v spill=%v queue=%v ttft=%v tbt=%v e2e=%v",
		r.Outcome, r.Status, r.Mode, r.AskTokens, r.BudgetTokens, r.BudgetBasis, r.GrantTokens, r.ObservedGrant, r.Truncated, r.Spill, r.Queue, r.TTFT, r.TBTMean, r.E2E)
	for i, t := range r.Attempts {
		s.say("#%d %s %v..%v status=%d class=%v tokens=%d usd=%.6f", i+1, t.Deployment, t.Start, t.End, t.Status, t.Class, t.Tokens, t.CostUSD)
	}
}
