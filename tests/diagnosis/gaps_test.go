package diagnosis

import (
	"slices"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/diagnose/rules"
)

// gaps are what logs of others lack, one or all of it.
func gaps() map[string]func(o *diagnose.Observation) {
	all := map[string]func(o *diagnose.Observation){
		"ttft":         func(o *diagnose.Observation) { o.TTFT = 0 },
		"attempt ttft": func(o *diagnose.Observation) { each(o, func(a *spillway.Attempt) { a.TTFT = 0 }) },
		"tbt":          func(o *diagnose.Observation) { o.TBT = 0 },
		"prompt":       func(o *diagnose.Observation) { o.PromptTokens = 0 },
		"cached":       func(o *diagnose.Observation) { o.CachedTokens = -1 },
		"asked":        func(o *diagnose.Observation) { o.AskTokens = -1 },
		"granted":      func(o *diagnose.Observation) { each(o, func(a *spillway.Attempt) { a.GrantTokens = 0 }) },
		"caller":       func(o *diagnose.Observation) { o.Caller, o.Tenant = "", "" },
		"window":       func(o *diagnose.Observation) { o.Window = 0 },
		"retry":        func(o *diagnose.Observation) { o.Retry = 0 },
		"queue":        func(o *diagnose.Observation) { o.Queue = 0 },
		"utilization":  func(o *diagnose.Observation) { each(o, func(a *spillway.Attempt) { a.Utilization = -1 }) },
		"attempts":     func(o *diagnose.Observation) { o.Attempts = nil },
		"deployment":   func(o *diagnose.Observation) { each(o, func(a *spillway.Attempt) { a.Deployment, a.Region = "", "" }) },
		"tokens": func(o *diagnose.Observation) {
			o.PromptTokens, o.CompletionTokens = 0, 0
			each(o, func(a *spillway.Attempt) { a.Tokens = 0 })
		},
		"e2e": func(o *diagnose.Observation) { o.E2E = 0 },
	}
	some := []string{"ttft", "attempt ttft", "tbt", "cached", "asked", "granted", "caller", "window", "retry", "queue", "utilization"}
	all["what a gateway's log lacks"] = func(o *diagnose.Observation) {
		for _, name := range some {
			all[name](o)
		}
	}
	return all
}

func each(o *diagnose.Observation, change func(*spillway.Attempt)) {
	for i := range o.Attempts {
		change(&o.Attempts[i])
	}
}

// withGaps is what is said of a world through each gap.
func (w *world) withGaps(tb testing.TB) map[string]diagnose.Diagnosis {
	collectors := map[string]*rules.Collector{}
	w.observations(tb, func(o *diagnose.Observation) {
		for name, change := range gaps() {
			c := collectors[name]
			if c == nil {
				c = rules.NewCollector(w.knowledge())
				collectors[name] = c
			}
			less := *o
			less.Attempts = slices.Clone(o.Attempts)
			change(&less)
			c.Add(&less)
		}
	})
	out := map[string]diagnose.Diagnosis{}
	for name, c := range collectors {
		out[name] = c.Diagnose()
	}
	return out
}

// What is not known makes nobody see what is not there.
func TestGapsInventNothing(t *testing.T) {
	for name, change := range healthy() {
		w := newWorld(4)
		w.length = 15 * time.Minute
		change(w)
		for gap, d := range w.withGaps(t) {
			for _, f := range d.Findings {
				t.Errorf("%s without %s: %s: %s", name, gap, f.Code, f.Title)
			}
		}
	}
}

// With gaps, less is found, and nearly nothing that is wrong.
func TestGapsOfTroubles(t *testing.T) {
	var all score
	by := map[string]*score{}
	for _, c := range causes() {
		w := newWorld(5)
		c.make(w)
		for gap, d := range w.withGaps(t) {
			s, wrong, missed := judge(d.Findings, []diagnose.Code{c.code}, c.also)
			if len(wrong)+len(missed) > 0 {
				t.Logf("%s without %s: wrong %v, missed %v", c.code, gap, wrong, missed)
			}
			if by[gap] == nil {
				by[gap] = &score{}
			}
			by[gap].add(s)
			all.add(s)
		}
	}
	for gap, s := range by {
		t.Logf("%-28s precision %.2f recall %.2f", gap, s.precision(), s.recall())
	}
	t.Logf("all: precision %.3f recall %.3f", all.precision(), all.recall())
	if all.precision() < 0.9 {
		t.Errorf("precision %.3f, want 0.9", all.precision())
	}
}
