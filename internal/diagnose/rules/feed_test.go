package rules

import (
	"math"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// feed is traffic for a rule: observations in the order in which they are
// added, from noon on.
type feed []*diagnose.Observation

// option changes an observation; i is its number within the call of minutes.
type option func(i int, o *diagnose.Observation)

// minutes adds requests to the minutes from ≤ minute < to, evenly spread. Without
// options they are answered in 1.4 s, 400 ms of which are the time to the first
// token, by the standard deployment "std".
func (f *feed) minutes(from, to, perMinute int, options ...option) {
	i := 0
	for m := from; m < to; m++ {
		for k := range perMinute {
			f.at(noon.Add(time.Duration(m)*time.Minute+time.Duration(k)*time.Minute/time.Duration(perMinute)), i, options...)
			i++
		}
	}
}

// at adds one request.
func (f *feed) at(when time.Time, i int, options ...option) {
	o := seen(when, "std", 200)
	for _, change := range options {
		change(i, o)
	}
	*f = append(*f, o)
}

// nth applies options to each k-th request, beginning with the first.
func nth(k int, options ...option) option {
	return func(i int, o *diagnose.Observation) {
		if i%k == 0 {
			for _, change := range options {
				change(i, o)
			}
		}
	}
}

// set makes an option of a plain function.
func set(change func(o *diagnose.Observation)) option {
	return func(_ int, o *diagnose.Observation) { change(o) }
}

// by names the deployment.
func by(deployment string) option {
	return set(func(o *diagnose.Observation) { o.Attempts[0].Deployment = deployment })
}

// provisioned makes the deployment a provisioned one.
func provisioned() option {
	return set(func(o *diagnose.Observation) { o.Attempts[0].Kind = spillway.Provisioned })
}

// region places the deployment.
func region(name string) option {
	return set(func(o *diagnose.Observation) { o.Attempts[0].Region = name })
}

// pool names the pool, model the model.
func pool(name string) option { return set(func(o *diagnose.Observation) { o.Pool = name }) }

func model(name string) option {
	return set(func(o *diagnose.Observation) { o.Model = name })
}

// caller names the caller.
func callerNamed(name string) option { return set(func(o *diagnose.Observation) { o.Caller = name }) }

// refused is a 429 of the deployment.
func refused() option {
	return set(func(o *diagnose.Observation) {
		a := &o.Attempts[0]
		o.Outcome, o.Status, o.CompletionTokens, o.E2E, o.TTFT, o.TBT = spillway.OutcomeThrottled, 429, 0, 20*time.Millisecond, 0, 0
		a.Status, a.Class, a.Tokens, a.TTFT, a.End = 429, spillway.FailureRefused, 0, 0, 20*time.Millisecond
	})
}

// broken is a 503 of the deployment.
func broken() option {
	return set(func(o *diagnose.Observation) {
		a := &o.Attempts[0]
		o.Outcome, o.Status, o.CompletionTokens, o.TTFT, o.TBT = spillway.OutcomeUpstreamError, 503, 0, 0, 0
		a.Status, a.Class, a.Tokens, a.TTFT = 503, spillway.FailureBroken, 0, 0
	})
}

// late ran out of the window after that many tokens.
func late(window time.Duration, tokens int) option {
	return set(func(o *diagnose.Observation) {
		a := &o.Attempts[0]
		o.Outcome, o.Status, o.CompletionTokens, o.Window, o.E2E, o.TTFT, o.TBT = spillway.OutcomeTimeout, 408, tokens, window, window, 0, 0
		a.Status, a.Tokens, a.TTFT, a.End = 408, tokens, 0, window
	})
}

// gone is a client that left after that time.
func gone(after time.Duration) option {
	return set(func(o *diagnose.Observation) {
		o.Outcome, o.Status, o.CompletionTokens, o.E2E = spillway.OutcomeClientGone, 499, 0, after
		o.Attempts[0].Class, o.Attempts[0].End, o.Attempts[0].Tokens = spillway.FailureGone, after, 0
	})
}

// response is the prompt, the response and the limit, in tokens.
func answer(prompt, output, limit int) option {
	return set(func(o *diagnose.Observation) {
		o.PromptTokens, o.CompletionTokens, o.AskTokens = prompt, output, limit
		o.Attempts[0].Tokens, o.Attempts[0].GrantTokens = output, limit
	})
}

// cached is how many tokens of the prompt were cached.
func cached(tokens int) option {
	return set(func(o *diagnose.Observation) { o.CachedTokens = tokens })
}

// pace is the time between tokens; the response takes as long as that says.
func pace(ms float64) option {
	return set(func(o *diagnose.Observation) {
		o.TBT = time.Duration(ms * float64(time.Millisecond))
		o.E2E = o.TTFT + time.Duration(o.CompletionTokens)*o.TBT
		o.Attempts[0].End = o.E2E
	})
}

// took makes the response take so many times as long.
func took(factor float64) option {
	return set(func(o *diagnose.Observation) {
		o.E2E = time.Duration(factor * float64(o.E2E))
		o.Attempts[0].End = o.E2E
	})
}

// firstToken is the time to the first token.
func firstToken(ms float64) option {
	return set(func(o *diagnose.Observation) {
		o.TTFT = time.Duration(ms * float64(time.Millisecond))
		o.Attempts[0].TTFT = o.TTFT
	})
}

// retried is the client's n-th retry.
func retried(n int) option { return set(func(o *diagnose.Observation) { o.Retry = n }) }

// queued waited before it was sent.
func queued(wait time.Duration) option {
	return set(func(o *diagnose.Observation) {
		o.Queue, o.E2E = wait, o.E2E+wait
		o.Attempts[0].Start, o.Attempts[0].End = wait, o.Attempts[0].End+wait
	})
}

// utilized reports the utilization of the provisioned deployment.
func utilized(ratio float64) option {
	return set(func(o *diagnose.Observation) { o.Attempts[0].Utilization = ratio })
}

// unsent never got to a deployment.
func unsent(outcome spillway.Outcome) option {
	return set(func(o *diagnose.Observation) {
		o.Outcome, o.Status, o.CompletionTokens, o.TTFT, o.TBT, o.Attempts = outcome, 429, 0, 0, 0, nil
	})
}

// spilledTo was refused and sent on to a deployment of the second tier, which
// answered with the status.
func spilledTo(deployment string, status int) option {
	return set(func(o *diagnose.Observation) {
		first, second := o.Attempts[0], o.Attempts[0]
		first.Status, first.Class, first.Tokens, first.End = 429, spillway.FailureRefused, 0, 20*time.Millisecond
		second.Deployment, second.Tier, second.Status, second.Kind = deployment, 1, status, spillway.Standard
		second.Region = "westus"
		o.Spill = spillway.SpillRefused
		if status == 429 {
			second.Class, second.Tokens = spillway.FailureRefused, 0
			o.Outcome, o.Status, o.CompletionTokens = spillway.OutcomeThrottled, 429, 0
		}
		o.Attempts = []spillway.Attempt{first, second}
	})
}

// diagnose collects the traffic and runs the rules.
func (f *feed) diagnose(cfg Config) diagnose.Diagnosis {
	c := NewCollector(cfg)
	for _, o := range *f {
		c.Add(o)
	}
	return c.Diagnose()
}

// found lists the findings as "code subject", the most severe first.
func found(d *diagnose.Diagnosis) string {
	var all []string
	for _, f := range d.Findings {
		all = append(all, strings.TrimSpace(string(f.Code)+" "+f.Subject))
	}
	return strings.Join(all, ", ")
}

// ruleCase is traffic and the findings that it must lead to.
type ruleCase struct {
	name string
	cfg  Config
	make func(f *feed)
	want string // as found lists them
}

func check(t *testing.T, cases []ruleCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var f feed
			tc.make(&f)
			d := f.diagnose(tc.cfg)
			if got := found(&d); got != tc.want {
				t.Errorf("found %q, want %q", got, tc.want)
			}
			for i := range d.Findings {
				wellFormed(t, &d, &d.Findings[i])
			}
		})
	}
}

// wellFormed holds a finding to what all findings promise.
func wellFormed(t *testing.T, d *diagnose.Diagnosis, f *diagnose.Finding) {
	t.Helper()
	if f.Title == "" || f.Remedy.Text == "" || len(f.Evidence) == 0 {
		t.Errorf("%s has no title, remedy or evidence: %+v", f.Code, f)
	}
	if f.Confidence < 0.5 || f.Confidence > 0.99 || f.Affected < 0 || f.Affected > 1 {
		t.Errorf("%s: confidence %v, affected %v", f.Code, f.Confidence, f.Affected)
	}
	if !f.From.Before(f.To) || f.To.Before(d.From) || f.From.After(d.To) {
		t.Errorf("%s is from %v to %v, of %v to %v", f.Code, f.From, f.To, d.From, d.To)
	}
	if f.RuledOut == nil {
		t.Errorf("%s: ruled out is null in JSON", f.Code)
	}
	units := " share tokens ms s ratio count per_minute r "
	for _, e := range f.Evidence {
		if e.Name == "" || e.Source == "" || !strings.Contains(units, " "+e.Unit+" ") {
			t.Errorf("%s: evidence %+v", f.Code, e)
		}
		if math.IsNaN(e.Value) || e.Value < 0 && e.Unit != "r" {
			t.Errorf("%s: %s is %v", f.Code, e.Name, e.Value)
		}
	}
	for _, r := range f.RuledOut {
		if !strings.HasPrefix(r.Text, "not ") || r.Code == f.Code {
			t.Errorf("%s rules out %+v", f.Code, r)
		}
	}
}

// Healthy traffic leads to no finding, whatever is known of the deployment.
func TestHealthy(t *testing.T) {
	known := Config{Deployments: []spillway.Deployment{{Name: "std", Model: "gpt-4o-mini", TPM: 1_000_000, RPM: 6000}}}
	check(t, []ruleCase{
		{"one deployment", Config{}, func(f *feed) { f.minutes(0, 20, 30) }, ""},
		{"configured", known, func(f *feed) { f.minutes(0, 20, 30) }, ""},
		{"provisioned", Config{}, func(f *feed) { f.minutes(0, 20, 30, provisioned(), utilized(0.6)) }, ""},
		{"two callers", Config{}, func(f *feed) { f.minutes(0, 20, 30, nth(2, callerNamed("batch"))) }, ""},
		{"too few requests to say anything", Config{}, func(f *feed) { f.minutes(0, 4, 12, refused()) }, ""},
		{"invalid requests", Config{}, func(f *feed) {
			f.minutes(0, 20, 30, nth(3, unsent(spillway.OutcomeRefusedInvalid)))
		}, ""},
	})
	var f feed
	f.minutes(0, 20, 30)
	if d := f.diagnose(Config{}); !d.Healthy || d.Tries != 600 || d.Failed != 0 {
		t.Errorf("healthy %t, %d tries, failed %v", d.Healthy, d.Tries, d.Failed)
	}
}
