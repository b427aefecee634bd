package rules

import (
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

func TestRegionalOutage(t *testing.T) {
	a, b := by("std-a"), by("std-b")
	check(t, []ruleCase{
		{"two deployments of a region", Config{}, func(f *feed) {
			f.minutes(0, 20, 20, a)
			f.minutes(0, 20, 20, b)
			f.minutes(20, 24, 20, a, broken())
			f.minutes(20, 24, 20, b, broken())
		}, "regional_outage eastus"},
		{"one of two deployments of a region", Config{}, func(f *feed) {
			f.minutes(0, 24, 20, a)
			f.minutes(0, 20, 20, b)
			f.minutes(20, 24, 20, b, broken())
		}, "regional_outage std-b"},
		{"one of two regions", Config{}, func(f *feed) {
			f.minutes(0, 24, 20, a, region("westus"))
			f.minutes(0, 20, 20, b)
			f.minutes(20, 24, 20, b, broken())
		}, "regional_outage eastus"},
		{"a region that nobody knows", Config{}, func(f *feed) {
			f.minutes(0, 20, 20, a, region(""))
			f.minutes(20, 24, 20, a, region(""), broken())
		}, "regional_outage std-a"},
		{"one minute", Config{}, func(f *feed) {
			f.minutes(0, 20, 20, a)
			f.minutes(20, 21, 20, a, broken())
		}, ""},
		{"two minutes with two between", Config{}, func(f *feed) {
			f.minutes(0, 23, 20, a)
			f.minutes(23, 24, 20, a, broken())
			f.minutes(24, 26, 20, a)
			f.minutes(26, 27, 20, a, broken())
		}, "regional_outage eastus"},
		{"two minutes far apart", Config{}, func(f *feed) {
			f.minutes(0, 5, 20, a)
			f.minutes(5, 6, 20, a, broken())
			f.minutes(6, 20, 20, a)
			f.minutes(20, 21, 20, a, broken())
		}, ""},
		{"two in five fail", Config{}, func(f *feed) {
			f.minutes(0, 20, 20, a)
			f.minutes(20, 24, 20, a, nth(5, broken()), func(i int, o *diagnose.Observation) {
				if i%5 == 2 {
					broken()(i, o)
				}
			})
		}, ""},
		{"two requests a minute fail", Config{}, func(f *feed) {
			f.minutes(0, 20, 20, a)
			f.minutes(20, 24, 2, a, broken())
		}, ""},
		{"cut streams", Config{}, func(f *feed) {
			f.minutes(0, 20, 20, a)
			f.minutes(20, 24, 20, a, set(func(o *diagnose.Observation) {
				o.Outcome, o.Attempts[0].Class = spillway.OutcomePartial, spillway.FailureCut
			}))
		}, "regional_outage eastus"},
		{"refusals meanwhile are a consequence", Config{}, func(f *feed) {
			f.minutes(0, 20, 60, a)
			f.minutes(20, 24, 60, a, nth(3, refused()), nth(2, broken()))
		}, "regional_outage eastus"},
	})
}

// What the breaker keeps from a deployment counts as failing there, as long as
// something still fails.
func TestOutageBehindABreaker(t *testing.T) {
	kept := set(func(o *diagnose.Observation) {
		o.Spill, o.Attempts[0].Deployment, o.Attempts[0].Region, o.Attempts[0].Tier = spillway.SpillBroken, "backup", "westus", 1
	})
	var f feed
	f.minutes(0, 20, 30)
	f.minutes(20, 24, 30, kept, nth(10, by("std"), set(func(o *diagnose.Observation) {
		o.Spill, o.Attempts[0].Tier, o.Attempts[0].Region = spillway.SpillNone, 0, "eastus"
	}), broken()))
	d := f.diagnose(Config{})
	if got := found(&d); got != "regional_outage eastus" {
		t.Fatalf("found %q", got)
	}
	x := d.Findings[0]
	if broke, kept := x.Evidence[0].Value, x.Evidence[1].Value; broke != 12 || kept != 108 {
		t.Errorf("%v broke and %v were kept from it, want 12 and 108", broke, kept)
	}
	if lost := x.Evidence[2].Value; lost != 12 {
		t.Errorf("%v lost, want the 12 that broke", lost)
	}
	if x.Remedy.Config != "breaker: {consecutive_failures: 3}" {
		t.Errorf("remedy %q, of a pool with a backup", x.Remedy.Config)
	}
}

// Where others take over, the title says so, and nobody is affected.
func TestOutageTakenOver(t *testing.T) {
	failover := set(func(o *diagnose.Observation) {
		first, second := o.Attempts[0], o.Attempts[0]
		first.Status, first.Class, first.Tokens = 503, spillway.FailureBroken, 0
		second.Deployment, second.Region, second.Tier = "backup", "westus", 1
		o.Attempts = []spillway.Attempt{first, second}
	})
	var f feed
	f.minutes(0, 20, 30)
	f.minutes(20, 24, 30, failover)
	d := f.diagnose(Config{})
	if got := found(&d); got != "regional_outage eastus" {
		t.Fatalf("found %q", got)
	}
	x := d.Findings[0]
	if !strings.HasSuffix(x.Title, "; other deployments took over") || x.Affected != 0 || x.Severity != diagnose.Notice {
		t.Errorf("%q affects %v, %s", x.Title, x.Affected, x.Severity)
	}
	begin, end := noon.Add(20*time.Minute), noon.Add(24*time.Minute)
	if !x.From.Equal(begin) || !x.To.Equal(end) {
		t.Errorf("from %v to %v, want %v to %v", x.From, x.To, begin, end)
	}
	if len(x.RuledOut) != 1 || !strings.Contains(x.RuledOut[0].Text, "0% of attempts fail at other deployments") {
		t.Errorf("ruled out %+v", x.RuledOut)
	}
}

func TestOutageCells(t *testing.T) {
	d := func(at ...int64) *deployment {
		d := &deployment{}
		for _, n := range at {
			d.cells = append(d.cells, &cell{at: n, tries: 4, broken: 4})
		}
		return d
	}
	for _, tc := range []struct {
		name string
		ds   []*deployment
		want []int64
	}{
		{"none", []*deployment{d()}, nil},
		{"alone", []*deployment{d(5)}, nil},
		{"neighbors", []*deployment{d(5, 6)}, []int64{5, 6}},
		{"as far as may be", []*deployment{d(5, 8)}, []int64{5, 8}},
		{"too far", []*deployment{d(5, 9)}, nil},
		{"a pair and a lone one", []*deployment{d(1, 2, 30)}, []int64{1, 2}},
		{"of two deployments", []*deployment{d(7), d(6)}, []int64{6, 7}},
		{"half of two", []*deployment{d(6, 7), {cells: []*cell{{at: 6, tries: 4}, {at: 7, tries: 4}}}}, []int64{6, 7}},
		{"less than half", []*deployment{d(6, 7), {cells: []*cell{{at: 6, tries: 5}, {at: 7, tries: 5}}}}, nil},
		{"only kept away, nothing broke", []*deployment{{cells: []*cell{{at: 6, skipped: 9}, {at: 7, skipped: 9}}}}, nil},
	} {
		var got []int64
		for _, c := range outageCells(tc.ds) {
			got = append(got, c.at)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
