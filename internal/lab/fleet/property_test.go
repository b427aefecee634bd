package fleet

import (
	"math"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"pgregory.net/rapid"
)

// ledger keeps a server's books by itself.
type ledger struct {
	s      *Server
	now    time.Time
	drain  float64 // per second
	full   float64
	ratio  float64
	level  float64 // what the provisioned meter must show
	in     float64 // all that was charged, corrections included
	live   []entry
	ended  []uint64
	counts Counts
}

type entry struct {
	id      uint64
	charged float64 // for output
}

func drawServer(t *rapid.T) Deployment {
	d := Deployment{Deployment: spillway.Deployment{Name: "d", Model: "gpt-4o-mini"}}
	if rapid.Bool().Draw(t, "provisioned") {
		d.Kind, d.PTU = spillway.Provisioned, rapid.IntRange(1, 100).Draw(t, "ptu")
		d.InputTPMPerPTU, d.OutputRatio = rapid.IntRange(600, 60_000).Draw(t, "itpm"), float64(rapid.IntRange(1, 8).Draw(t, "ratio"))
		d.MeterDepth = time.Duration(rapid.IntRange(1, 120).Draw(t, "depth")) * time.Second
	} else {
		d.TPM = rapid.SampledFrom([]int{0, 1000, 100_000}).Draw(t, "tpm")
		d.RPM = rapid.SampledFrom([]int{0, 6, 600}).Draw(t, "rpm")
	}
	d.Reasoning = rapid.Bool().Draw(t, "reasoning")
	return d
}

func drawAsk(t *rapid.T) Ask {
	return Ask{
		PromptTokens: rapid.IntRange(0, 4000).Draw(t, "prompt"), MaxTokens: rapid.IntRange(0, 4000).Draw(t, "max"),
		OutputTokens: rapid.IntRange(-1, 3000).Draw(t, "output"), ReasoningTokens: rapid.IntRange(-1, 100).Draw(t, "hidden"),
		Choices: rapid.IntRange(0, 3).Draw(t, "n"), Stream: rapid.Bool().Draw(t, "stream"),
		Prefill: rapid.IntRange(0, 9).Draw(t, "prefill") == 0, Seed: rapid.Uint64Range(0, 3).Draw(t, "seed"),
		Prefix: PrefixChain(rapid.Uint64Range(0, 1).Draw(t, "prefix"), 2000),
	}
}

func (l *ledger) pass(d time.Duration) {
	l.now = l.now.Add(d)
	l.level = max(0, l.level-l.drain*d.Seconds())
}

// charge changes the level, which has no less than nothing to give back.
func (l *ledger) charge(units float64) {
	l.in += units
	l.level = max(0, l.level+units)
}

func (l *ledger) offer(t *rapid.T) {
	ask, before := drawAsk(t), l.level
	v := l.s.Offer(l.now, ask)
	l.counts.Offered++
	if v.Status != 200 {
		l.counts.Refused++
		if v.Reason == Accepted || v.Plan.ID != 0 || v.RetryAfter <= 0 {
			t.Fatalf("refused with %+v", v)
		}
		if l.full > 0 && before <= l.full {
			t.Fatalf("refused at %v of %v", before, l.full)
		}
		return
	}
	if l.full > 0 && before > l.full+1e-6 {
		t.Fatalf("accepted at %v of %v", before, l.full)
	}
	for _, e := range l.live {
		if e.id == v.Plan.ID {
			t.Fatalf("id %d is taken", e.id)
		}
	}
	l.counts.Accepted++
	l.counts.PromptTokens += ask.PromptTokens
	reserved := ask.MaxTokens
	if reserved == 0 {
		reserved = l.s.Deployment().DefaultOutput
	}
	if ask.Prefill {
		reserved = 0
	}
	e := entry{v.Plan.ID, l.ratio * float64(reserved*max(ask.Choices, 1))}
	l.charge(float64(ask.PromptTokens-v.Plan.CachedTokens) + e.charged)
	l.live = append(l.live, e)
}

// complete ends one request, again those that have ended, and some that never
// were.
func (l *ledger) complete(t *rapid.T) {
	l.s.Complete(l.now, 0, 9999)
	l.s.Complete(l.now, 1<<40, 9999)
	for _, id := range l.ended {
		l.s.Complete(l.now, id, 9999)
		l.s.Complete(l.now, id+1, 9999)
	}
	if len(l.live) == 0 {
		return
	}
	i := rapid.IntRange(0, len(l.live)-1).Draw(t, "which")
	e, produced := l.live[i], rapid.IntRange(0, 5000).Draw(t, "produced")
	l.live = append(l.live[:i], l.live[i+1:]...)
	l.ended = append(l.ended, e.id)
	l.s.Complete(l.now, e.id, produced)
	l.charge(l.ratio*float64(produced) - e.charged)
	l.counts.Completed++
	l.counts.OutputTokens += produced
}

func (l *ledger) check(t *rapid.T) {
	st := l.s.State(l.now)
	if st.Counts != l.counts || st.InFlight != len(l.live) {
		t.Fatalf("%+v with %d in flight, want %+v with %d", st.Counts, st.InFlight, l.counts, len(l.live))
	}
	if st.Load < 0 || st.Utilization < 0 {
		t.Fatalf("below nothing: %+v", st)
	}
	if l.full == 0 {
		return
	}
	if got := st.Utilization * l.full; math.Abs(got-l.level) > 1e-6*max(l.full, l.level) {
		t.Fatalf("level %v, want %v", got, l.level)
	}
	if least := l.in - l.drain*l.now.Sub(start).Seconds(); l.level < least-1e-6*math.Abs(least) {
		t.Fatalf("level %v, and %v came in that has not drained", l.level, least)
	}
}

// TestBooksBalance offers random requests to a random deployment and completes
// them in random order. The provisioned meter shows what was charged, less
// corrections and what drained, and is never below empty; requests are refused
// exactly above 100%; counts are those of the calls; and a deployment that all
// have left comes to rest at nothing.
func TestBooksBalance(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := NewServer(drawServer(rt), rapid.Uint64().Draw(rt, "seed"), start)
		l := &ledger{s: s, now: start}
		if d := s.Deployment(); d.Kind == spillway.Provisioned {
			l.drain, l.ratio = d.drain(), d.OutputRatio
			l.full = l.drain * d.MeterDepth.Seconds()
		}
		for range rapid.IntRange(1, 100).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				l.offer(rt)
			case 2:
				l.complete(rt)
			case 3:
				l.pass(time.Duration(rapid.IntRange(0, 20_000).Draw(rt, "ms")) * time.Millisecond)
			}
			l.check(rt)
		}
		for len(l.live) > 0 {
			l.complete(rt)
		}
		l.pass(1000 * time.Hour)
		l.check(rt)
		st := s.State(l.now)
		if l.full > 0 && st.Utilization != 0 || st.Load > 1e-9 && st.Load != s.d.Service.Load.Reference {
			rt.Fatalf("an idle deployment is at %+v", st)
		}
		if st.Counts.Offered != st.Counts.Accepted+st.Counts.Refused || st.Counts.Accepted != st.Counts.Completed {
			rt.Fatalf("the books do not balance: %+v", st.Counts)
		}
	})
}
