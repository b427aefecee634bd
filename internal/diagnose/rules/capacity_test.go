package rules

import (
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// ptu is a configured provisioned deployment that drains so many input-token
// equivalents per second. A request of the tests is worth 700 of them: at 50 a
// minute, about 580 per second.
func ptu(perSecond int) Config {
	return Config{Deployments: []spillway.Deployment{{
		Name: "ptu", Kind: spillway.Provisioned, Model: "gpt-4o-mini", Region: "eastus", PTU: perSecond, InputTPMPerPTU: 60, OutputRatio: 4,
	}}}
}

func TestProvisionedCapacity(t *testing.T) {
	at := []option{by("ptu"), provisioned()}
	with := func(more ...option) []option { return append(at[:2:2], more...) }
	check(t, []ruleCase{
		{"refuses one in five", Config{}, func(f *feed) { f.minutes(0, 20, 50, with(nth(5, refused()))...) }, "ptu_saturation ptu"},
		{"at work, as configured", ptu(500), func(f *feed) { f.minutes(0, 20, 50, with(nth(5, refused()))...) }, "ptu_saturation ptu"},
		{"utilization is full", Config{}, func(f *feed) { f.minutes(0, 20, 50, with(utilized(1.02), nth(5, refused()))...) }, "ptu_saturation ptu"},
		{"refused by the gateway, without an attempt", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, with(nth(5, unsent(spillway.OutcomeRefusedCapacity)))...)
		}, "ptu_saturation ptu"},
		{"waits for capacity", Config{}, func(f *feed) { f.minutes(0, 20, 50, with(nth(5, queued(3*time.Second)))...) }, "ptu_saturation ptu"},
		{"waits less than two seconds", Config{}, func(f *feed) { f.minutes(0, 20, 50, with(nth(5, queued(1900*time.Millisecond)))...) }, ""},
		{"nineteen refusals", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, at...)
			f.minutes(20, 21, 50, with(func(i int, o *diagnose.Observation) {
				if i < 19 {
					refused()(i, o)
				}
			})...)
		}, ""},
		{"one in fifty of every minute", Config{}, func(f *feed) { f.minutes(0, 20, 50, with(nth(50, refused()))...) }, ""},
		{"one in five of one minute of a day", Config{}, func(f *feed) {
			f.minutes(0, 1000, 10, at...)
			f.minutes(1000, 1002, 100, with(nth(5, refused()))...)
		}, ""},
		{"far from full: it did not refuse for capacity", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, with(utilized(0.1), nth(5, refused()))...)
		}, ""},
		{"little work, as configured", ptu(2000), func(f *feed) { f.minutes(0, 20, 50, with(nth(5, refused()))...) }, ""},
		{"an outage", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, at...)
			f.minutes(20, 24, 50, with(nth(5, refused()), nth(2, broken()))...)
		}, "regional_outage eastus"},
	})
}

func TestOverReservation(t *testing.T) {
	at := []option{by("ptu"), provisioned(), answer(300, 100, 16384)}
	with := func(more ...option) []option { return append(at[:3:3], more...) }
	check(t, []ruleCase{
		{"inferred", Config{}, func(f *feed) { f.minutes(0, 20, 50, with(nth(5, refused()))...) }, "over_reservation ptu"},
		{"little work, as configured", ptu(2000), func(f *feed) { f.minutes(0, 20, 50, with(nth(5, refused()))...) }, "over_reservation ptu"},
		{"much work, as configured", ptu(500), func(f *feed) { f.minutes(0, 20, 50, with(nth(5, refused()))...) }, "ptu_saturation ptu"},
		{"no refusals", Config{}, func(f *feed) { f.minutes(0, 20, 50, at...) }, ""},
		{"small limits", Config{}, func(f *feed) { f.minutes(0, 20, 50, with(answer(300, 100, 120), nth(5, refused()))...) }, "ptu_saturation ptu"},
		{"no limits: the default reserve", Config{}, func(f *feed) { f.minutes(0, 20, 50, with(answer(300, 20, 0), nth(5, refused()))...) }, "over_reservation ptu"},
		{"limits that nobody logs", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, with(answer(300, 100, -1), set(func(o *diagnose.Observation) { o.Attempts[0].GrantTokens = 0 }), nth(5, refused()))...)
		}, "ptu_saturation ptu"},
	})
}

// What was reserved and used is in the evidence, and what was worked rules
// saturation out.
func TestOverReservationEvidence(t *testing.T) {
	var f feed
	f.minutes(0, 20, 50, by("ptu"), provisioned(), answer(300, 100, 16384), nth(5, refused()))
	d := f.diagnose(ptu(2000))
	if found(&d) != "over_reservation ptu" {
		t.Fatalf("found %q", found(&d))
	}
	x := d.Findings[0]
	want := map[string]float64{"requests refused or queued": 200, "reserved, p50": 16384, "used, p50": 100, "work, share of the capacity": 0.8 * 50 * 700 / 60 / 2000}
	for _, e := range x.Evidence {
		if v, ok := want[e.Name]; ok {
			if e.Value < 0.98*v || e.Value > 1.02*v {
				t.Errorf("%s is %v, want about %v", e.Name, e.Value, v)
			}
			delete(want, e.Name)
		}
	}
	if len(want) > 0 {
		t.Errorf("no evidence of %v", want)
	}
	if len(x.RuledOut) != 1 || x.RuledOut[0].Code != diagnose.PTUSaturation {
		t.Errorf("ruled out %+v, want saturation", x.RuledOut)
	}
	if !x.Remedy.RightSize || !strings.Contains(x.Remedy.Config, "right_size: true") {
		t.Errorf("remedy %+v", x.Remedy)
	}
}

// A finding affects the clients that were refused, not those that another tier
// served.
func TestSaturationAffects(t *testing.T) {
	at := []option{by("ptu"), provisioned()}
	with := func(more ...option) []option { return append(at[:2:2], more...) }
	for _, tc := range []struct {
		name     string
		options  []option
		affected float64
		severity diagnose.Severity
	}{
		{"refused", with(nth(5, refused())), 0.2, diagnose.Critical},
		{"spilled", with(nth(5, spilledTo("std", 200))), 0, diagnose.Notice},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f feed
			f.minutes(0, 20, 50, tc.options...)
			d := f.diagnose(Config{})
			if found(&d) != "ptu_saturation ptu" {
				t.Fatalf("found %q", found(&d))
			}
			if x := d.Findings[0]; x.Affected != tc.affected || x.Severity != tc.severity {
				t.Errorf("affected %v, %s, want %v, %s", x.Affected, x.Severity, tc.affected, tc.severity)
			}
		})
	}
}
