package rules

import (
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// long runs out of a minute while it writes at the usual pace.
func long() option { return late(time.Minute, 5000) }

func TestOversized(t *testing.T) {
	check(t, []ruleCase{
		{"five in a thousand", Config{}, func(f *feed) { f.minutes(0, 20, 50, nth(200, long())) }, "oversized_requests std"},
		{"four", Config{}, func(f *feed) { f.minutes(0, 20, 50, nth(250, long())) }, ""},
		{"five in twelve thousand", Config{}, func(f *feed) { f.minutes(0, 240, 50, nth(2400, long())) }, ""},
		{"at a provisioned deployment with room", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, provisioned(), utilized(0.4), nth(100, long()))
		}, "oversized_requests std"},
		{"cut at the deadline", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, nth(100, long(), set(func(o *diagnose.Observation) {
				o.Outcome, o.Status = spillway.OutcomeTruncatedDeadline, 200
			})))
		}, "oversized_requests std"},
		{"at one of two deployments", Config{}, func(f *feed) {
			f.minutes(0, 20, 50)
			f.minutes(0, 20, 50, by("ptu"), provisioned(), nth(100, long()))
		}, "oversized_requests ptu"},
		{"out of a short window: the client's", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, nth(100, late(30*time.Second, 2500)))
		}, "client_timeout"},
		{"while an outage lasts", Config{}, func(f *feed) {
			f.minutes(0, 20, 50)
			f.minutes(20, 24, 50, nth(2, broken()), nth(10, long()))
		}, "regional_outage eastus"},
		{"at a pace that nothing is known of", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, set(func(o *diagnose.Observation) { o.TBT = 0 }), nth(100, long()))
		}, "oversized_requests std"},
		{"at a pace that nothing is known of, in a slow spell", Config{}, func(f *feed) {
			unpaced := set(func(o *diagnose.Observation) { o.TBT = 0 })
			f.minutes(0, 14, 50, unpaced)
			f.minutes(14, 20, 50, unpaced, took(3), nth(20, long()))
		}, ""},
		{"at a pace that nothing is known of, in few minutes", Config{}, func(f *feed) {
			unpaced := set(func(o *diagnose.Observation) { o.TBT = 0 })
			f.minutes(0, 57, 50, unpaced)
			f.minutes(57, 60, 50, unpaced, nth(10, long()))
		}, ""},
		{"seen in a log that has first tokens, and none of what failed", Config{Direct: true}, func(f *feed) {
			f.minutes(0, 20, 50, nth(100, late(time.Minute, 0)))
		}, "oversized_requests std"},
		{"clients that leave after a minute", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, nth(100, gone(60200*time.Millisecond)))
		}, "oversized_requests std"},
		{"clients that set a timeout of a minute", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, nth(100, long(), set(func(o *diagnose.Observation) { o.Window, o.ClientTimeout = time.Minute, time.Minute })))
		}, "oversized_requests std"},
		{"after a long wait", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, nth(100, long(), set(func(o *diagnose.Observation) { o.Queue = 20 * time.Second })))
		}, ""},
		{"at the second attempt, late", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, nth(100, long(), set(func(o *diagnose.Observation) { o.Attempts[0].Start = 40 * time.Second })))
		}, ""},
	})
}

// The finding names what fits the window at the deployment's own pace, and the
// class whose requests ran out of time.
func TestOversizedRemedy(t *testing.T) {
	var f feed
	f.minutes(0, 20, 50, pace(20), nth(50, long(), set(func(o *diagnose.Observation) { o.Class = "reports" })))
	d := f.diagnose(Config{})
	if got := found(&d); got != "oversized_requests std" {
		t.Fatalf("found %q", got)
	}
	r := d.Findings[0].Remedy
	const fits = (60_000 - 400 - 250) / 20
	if r.WindowS != 60 || r.CapTokens < fits*98/100 || r.CapTokens > fits*102/100 {
		t.Errorf("cap %d in %d s, want about %d in 60 s", r.CapTokens, r.WindowS, fits)
	}
	if !strings.Contains(r.Config, "{name: reports, window: 60s") {
		t.Errorf("config %q is not of the class that is late", r.Config)
	}
	if !r.Simulable() {
		t.Error("a replay cannot predict the cap")
	}
}

// Without the pace the finding says what it does not know.
func TestOversizedUnseen(t *testing.T) {
	var f feed
	f.minutes(0, 20, 50, set(func(o *diagnose.Observation) { o.TBT = 0 }), nth(100, long()))
	d := f.diagnose(Config{})
	if found(&d) != "oversized_requests std" {
		t.Fatalf("found %q", found(&d))
	}
	if x := d.Findings[0]; x.Confidence > 0.7 || x.Remedy.CapTokens > 0 || !strings.Contains(x.Title, "probably") || !strings.Contains(x.Remedy.Text, "export") {
		t.Errorf("confidence %v, %q, %+v", x.Confidence, x.Title, x.Remedy)
	}
}

// A pace that varies is no reason to call it steady.
func TestOversizedUnsteady(t *testing.T) {
	var f feed
	f.minutes(0, 10, 50, pace(10), nth(100, long()))
	f.minutes(10, 20, 50, pace(16), nth(100, long()))
	d := f.diagnose(Config{})
	if found(&d) != "oversized_requests std" {
		t.Fatalf("found %q", found(&d))
	}
	for _, r := range d.Findings[0].RuledOut {
		if r.Code == diagnose.SlowDecode {
			t.Errorf("ruled out: %q", r.Text)
		}
	}
}

// Where utilization is known and low, capacity is ruled out with it.
func TestOversizedRulesOutCapacity(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options []option
		code    diagnose.Code
		want    string // in the first cause that is ruled out
	}{
		{"low utilization", []option{provisioned(), utilized(0.31)}, diagnose.PTUSaturation, "utilization p95 31%"},
		{"standard, no refusals", nil, diagnose.QuotaExhausted, "0% of attempts refused"},
		{"full", []option{provisioned(), utilized(0.97)}, diagnose.SlowDecode, "ms between tokens"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f feed
			f.minutes(0, 20, 50, append(tc.options, nth(50, long()))...)
			d := f.diagnose(Config{})
			if found(&d) != "oversized_requests std" || len(d.Findings[0].RuledOut) == 0 {
				t.Fatalf("found %q", found(&d))
			}
			if r := d.Findings[0].RuledOut[0]; r.Code != tc.code || !strings.Contains(r.Text, tc.want) {
				t.Errorf("ruled out %+v, want %s: %q", r, tc.code, tc.want)
			}
		})
	}
}
