package policy

import (
	"cmp"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// read is output that a driver reports: so many tokens by so long after the
// attempt's start, of which the newest was read at an instant; 0 is the report's.
type read struct {
	tokens     int
	at, report time.Duration
}

// TestPace is the mean time per token of responses whose deltas differ. Each ends
// as ok, at its only deployment, and its record says the pace.
func TestPace(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		name    string
		choices int
		reads   []read // the first is the first token's, the last the end's
		usage   spillway.Usage
		blocked time.Duration
		want    time.Duration
	}{
		{"one token at a time", 1, []read{{1, 0, 100 * ms}, {101, 0, 1100 * ms}}, spillway.Usage{}, 0, 10 * ms},
		{"batches of fifty", 1, []read{{50, 0, 500 * ms}, {500, 0, 5000 * ms}}, spillway.Usage{}, 0, 10 * ms},
		{"one large delta, then single tokens", 1, []read{{250, 0, 500 * ms}, {350, 0, 1500 * ms}}, spillway.Usage{}, 0, 10 * ms},
		{"all in one delta", 1, []read{{250, 500 * ms, 500 * ms}, {250, 500 * ms, 2000 * ms}}, spillway.Usage{}, 0, 0},
		{"reported later than read", 1, []read{{1, 100 * ms, 700 * ms}, {101, 1100 * ms, 1900 * ms}}, spillway.Usage{}, 0, 10 * ms},
		{"usage where the driver counts nothing", 1, []read{{0, 0, 100 * ms}, {0, 0, 1100 * ms}}, spillway.Usage{Completion: 101, Known: true}, 0, 10 * ms},
		{"usage of half our count", 1, []read{{100, 0, 500 * ms}, {300, 0, 1500 * ms}}, spillway.Usage{Completion: 150, Known: true}, 0, 10 * ms},
		{"usage of twice our count", 1, []read{{50, 0, 500 * ms}, {100, 0, 1500 * ms}}, spillway.Usage{Completion: 200, Known: true}, 0, 10 * ms},
		{"reasoning came before the first output", 1, []read{{1, 0, 900 * ms}, {101, 0, 1900 * ms}}, spillway.Usage{Completion: 501, Reasoning: 400, Known: true}, 0, 10 * ms},
		{"two choices side by side", 2, []read{{1, 0, 100 * ms}, {202, 0, 1100 * ms}}, spillway.Usage{}, 0, 10 * ms},
		{"reading waited for the client", 1, []read{{1, 0, 100 * ms}, {101, 0, 2100 * ms}}, spillway.Usage{}, time.Second, 10 * ms},
		{"counts that fall say nothing", 1, []read{{1, 0, 100 * ms}, {51, 0, 600 * ms}, {20, 0, 800 * ms}, {101, 0, 1100 * ms}}, spillway.Usage{}, 0, 10 * ms},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, err := New(Config{
				Pool:        spillway.Pool{Name: "chat", Tiers: [][]string{{"east"}}},
				Deployments: []spillway.Deployment{{Name: "east", Model: "gpt-4o-mini"}},
			}, middling)
			if err != nil {
				t.Fatal(err)
			}
			req := asking("caller", 4000, 0.99)
			req.Choices = tc.choices
			f, _ := e.Begin(epoch, req)
			for i, r := range tc.reads {
				ev := spillway.Event{Kind: spillway.EventProgress, Attempt: 1, Tokens: r.tokens, Signals: spillway.NoSignals()}
				if r.at > 0 {
					ev.At = epoch.Add(r.at)
				}
				switch i {
				case 0:
					ev.Kind, ev.Status = spillway.EventFirstToken, 200
				case len(tc.reads) - 1:
					ev.Kind, ev.Status, ev.Usage, ev.Blocked, ev.Finish = spillway.EventDone, 200, tc.usage, tc.blocked, spillway.FinishStop
				}
				f.On(epoch.Add(r.report), ev)
			}
			rec := f.Record()
			if rec.Outcome != spillway.OutcomeOK || rec.TBTMean != tc.want || len(rec.Attempts) != 1 {
				t.Errorf("%v after %d attempts at %v per token, want ok at %v", rec.Outcome, len(rec.Attempts), rec.TBTMean, tc.want)
			}
			if want := cmp.Or(tc.reads[0].at, tc.reads[0].report); rec.TTFT != want {
				t.Errorf("TTFT %v, want %v, when the first output was read", rec.TTFT, want)
			}
		})
	}
}

// TestTimeoutClass is what answers that the deadline cuts say of their
// deployment: batches at a normal pace are never slow.
func TestTimeoutClass(t *testing.T) {
	for _, tc := range []struct {
		name  string
		reads []read
		want  spillway.FailureClass
	}{
		{"single tokens at a normal pace", []read{{1, 0, time.Second}, {2000, 0, 59 * time.Second}}, spillway.FailureOversized},
		{"batches at a normal pace", []read{{50, 0, time.Second}, {2000, 0, 59 * time.Second}}, spillway.FailureOversized},
		{"batches that take seconds to fill", []read{{250, 0, 7 * time.Second}, {2000, 0, 54 * time.Second}}, spillway.FailureOversized},
		{"one delta of all that fits", []read{{1900, 0, 59 * time.Second}}, spillway.FailureOversized},
		{"a large first delta, and one token at the end", []read{{1900, 0, 50 * time.Second}, {1901, 0, 59 * time.Second}}, spillway.FailureOversized},
		{"single tokens, seconds apart", []read{{1, 0, time.Second}, {20, 0, 59 * time.Second}}, spillway.FailureSlow},
		{"small batches, seconds apart", []read{{10, 0, 4 * time.Second}, {140, 0, 59 * time.Second}}, spillway.FailureSlow},
		{"silence after the first delta", []read{{10, 0, time.Second}}, spillway.FailureSlow},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, err := New(Config{
				Pool:        spillway.Pool{Name: "chat", Tiers: [][]string{{"east"}}},
				Deployments: []spillway.Deployment{{Name: "east", Model: "gpt-4o-mini"}},
			}, middling)
			if err != nil {
				t.Fatal(err)
			}
			req := asking("caller", 8000, 0.99)
			req.Class.Window, req.Class.Budget.Mode = time.Minute, spillway.BudgetWindow
			f, _ := e.Begin(epoch, req)
			for i, r := range tc.reads {
				kind := spillway.EventProgress
				if i == 0 {
					kind = spillway.EventFirstToken
				}
				f.On(epoch.Add(r.report), spillway.Event{Kind: kind, Attempt: 1, Status: 200, Tokens: r.tokens, Signals: spillway.NoSignals()})
			}
			f.On(f.cutAt, spillway.Event{Kind: spillway.EventWake})
			rec := f.Record()
			if rec.Outcome != spillway.OutcomeTruncatedDeadline || rec.Attempts[0].Class != tc.want {
				t.Errorf("%v, class %v, want truncated_deadline, %v", rec.Outcome, rec.Attempts[0].Class, tc.want)
			}
		})
	}
}
