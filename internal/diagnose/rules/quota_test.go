package rules

import (
	"math"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// tenths adds, to each minute, that many requests in each of its six parts of
// ten seconds, of which the deployment lets limit in.
func (f *feed) tenths(from, to, limit int, each [parts]int, options ...option) {
	for m := from; m < to; m++ {
		for p, n := range each {
			for k := range n {
				when := noon.Add(time.Duration(m)*time.Minute + time.Duration(p)*10*time.Second + time.Duration(k)*10*time.Second/time.Duration(n))
				if k < limit {
					f.at(when, k, options...)
				} else {
					f.at(when, k, append(options[:len(options):len(options)], refused())...)
				}
			}
		}
	}
}

// quota is a configured standard deployment.
func quota(tpm, rpm int) Config {
	return Config{Deployments: []spillway.Deployment{{Name: "std", Model: "gpt-4o-mini", Region: "eastus", TPM: tpm, RPM: rpm}}}
}

func TestStandardQuota(t *testing.T) {
	burst, full := [parts]int{40, 2, 2, 2, 2, 2}, [parts]int{40, 40, 40, 40, 40, 40}
	check(t, []ruleCase{
		{"bursts", Config{}, func(f *feed) { f.tenths(0, 10, 20, burst) }, "rpm_bursts std"},
		{"bursts, as configured", quota(0, 120), func(f *feed) { f.tenths(0, 10, 20, burst) }, "rpm_bursts std"},
		{"the minute is full", Config{}, func(f *feed) { f.tenths(0, 10, 20, full) }, "quota_exhausted std"},
		{"the minute is full, as configured", quota(0, 120), func(f *feed) { f.tenths(0, 10, 20, full) }, "quota_exhausted std"},
		{"bursts of retries", Config{}, func(f *feed) {
			f.tenths(0, 10, 20, burst, func(i int, o *diagnose.Observation) {
				if i >= 18 {
					retried(1)(i, o)
				}
			})
		}, "quota_exhausted std"},
		{"bursts, in logs that do not count retries", Config{}, func(f *feed) {
			f.tenths(0, 10, 20, [parts]int{50, 40, 2, 2, 2, 2}, retried(-1))
		}, "rpm_bursts std"},
		{"the minute is full, in logs that do not count retries", Config{}, func(f *feed) { f.tenths(0, 10, 20, full, retried(-1)) }, "quota_exhausted std"},
		{"most of the minute is full, in logs that do not count retries", Config{}, func(f *feed) {
			f.tenths(0, 10, 20, [parts]int{40, 40, 40, 40, 2, 2}, retried(-1))
		}, "quota_exhausted std"},
		{"tokens, as configured", quota(20_000, 0), func(f *feed) { f.minutes(0, 20, 50, nth(4, refused())) }, "quota_exhausted std"},
		{"reserved tokens, as configured", quota(100_000, 0), func(f *feed) {
			f.minutes(0, 20, 50, answer(300, 100, 4096), nth(4, refused()))
		}, "over_reservation std"},
		{"a burst that is let in", Config{}, func(f *feed) { f.tenths(0, 10, 40, burst) }, ""},
		{"three refusals", Config{}, func(f *feed) { f.minutes(0, 20, 50, nth(334, refused())) }, ""},
		{"unknown deployment", Config{}, func(f *feed) { f.minutes(0, 20, 50, by(""), nth(4, refused())) }, ""},
		{"a provisioned one", Config{}, func(f *feed) { f.tenths(0, 10, 20, full, provisioned()) }, "ptu_saturation std"},
	})
}

// The finding of bursts says what is let in and what a minute would need.
func TestBurstsEvidence(t *testing.T) {
	var f feed
	f.tenths(0, 10, 20, [parts]int{40, 2, 2, 2, 2, 2})
	d := f.diagnose(Config{})
	if found(&d) != "rpm_bursts std" {
		t.Fatalf("found %q", found(&d))
	}
	var got [4]float64
	for i, e := range d.Findings[0].Evidence {
		got[i] = e.Value
	}
	if want := [4]float64{20, 40, 50, 120}; got != want {
		t.Errorf("evidence %v, want %v", got, want)
	}
	if !d.Findings[0].Remedy.Queue {
		t.Error("the remedy does not let requests wait")
	}
}

func TestPartLimit(t *testing.T) {
	minute := func(ok ...float64) *cell {
		c := &cell{}
		for i, n := range ok {
			c.parts[i] = part{tries: n + 5, ok: n, refused: 5}
		}
		return c
	}
	for _, tc := range []struct {
		name  string
		d     *deployment
		cells []*cell
		limit float64
		even  bool
	}{
		{"even", &deployment{}, []*cell{minute(20, 20, 20, 20)}, 20, true},
		{"nearly even", &deployment{}, []*cell{minute(18, 20, 22, 20)}, 20, true},
		{"uneven", &deployment{}, []*cell{minute(5, 60, 10, 45)}, 30, false},
		{"too few parts", &deployment{}, []*cell{minute(20, 20, 20)}, 20, false},
		{"too few requests", &deployment{}, []*cell{minute(4, 4, 4, 4)}, 4, false},
		{"configured and reached", &deployment{configured: true, known: spillway.Deployment{RPM: 120}}, []*cell{minute(19, 18)}, 20, true},
		{"configured and far off", &deployment{configured: true, known: spillway.Deployment{RPM: 600}}, []*cell{minute(19, 18)}, 100, false},
		{"configured without a limit", &deployment{configured: true}, []*cell{minute(20, 20, 20, 20)}, 0, false},
	} {
		if limit, even := partLimit(tc.d, tc.cells); limit != tc.limit || even != tc.even {
			t.Errorf("%s: %v, %t, want %v, %t", tc.name, limit, even, tc.limit, tc.even)
		}
	}
}

func TestQuotaFragmentation(t *testing.T) {
	short := func(f *feed, options ...option) {
		f.minutes(1, 20, 50, append([]option{by("std-a"), pool("a"), nth(4, refused())}, options...)...)
	}
	idle := func(f *feed, options ...option) {
		all := append([]option{by("std-b"), pool("b"), region("westus")}, options...)
		f.minutes(0, 1, 100, all...) // its best minute
		f.minutes(1, 20, 10, all...)
	}
	check(t, []ruleCase{
		{"one pool is short, the other's room is not known", Config{}, func(f *feed) { short(f); idle(f) }, "quota_exhausted std-a"},
		{"of other models", Config{}, func(f *feed) { short(f); idle(f, model("gpt-4o")) }, "quota_exhausted std-a"},
		{"of other kinds", Config{}, func(f *feed) { short(f); idle(f, provisioned()) }, "quota_exhausted std-a"},
		{"of one pool and tier", Config{}, func(f *feed) { short(f, pool("a")); idle(f, pool("a")) }, "quota_exhausted std-a"},
		{"both are short", Config{}, func(f *feed) { short(f); idle(f, nth(4, refused())) }, "quota_exhausted std-a, quota_exhausted std-b"},
		{"the other is idle and not asked meanwhile", Config{}, func(f *feed) {
			short(f)
			f.minutes(30, 40, 50, by("std-b"), pool("b"))
		}, "quota_exhausted std-a"},
	})
	// The capacity that is configured decides, where it is.
	for _, tc := range []struct {
		name string
		b    spillway.Deployment
		want string
	}{
		{"enough tokens", spillway.Deployment{TPM: 100_000}, "quota_fragmentation std-a"},
		{"too few tokens", spillway.Deployment{TPM: 8200}, "quota_exhausted std-a"},
		{"enough requests", spillway.Deployment{RPM: 60}, "quota_fragmentation std-a"},
		{"too few requests", spillway.Deployment{RPM: 10}, "quota_exhausted std-a"},
		{"next to none left", spillway.Deployment{TPM: 8700}, "quota_exhausted std-a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f feed
			short(&f)
			idle(&f)
			tc.b.Name, tc.b.Model, tc.b.Region = "std-b", "gpt-4o-mini", "westus"
			d := f.diagnose(Config{Deployments: []spillway.Deployment{tc.b}})
			if got := found(&d); got != tc.want {
				t.Errorf("found %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSaturatedSpillover(t *testing.T) {
	at := []option{by("ptu"), provisioned()}
	with := func(more ...option) []option { return append(at[:2:2], more...) }
	check(t, []ruleCase{
		{"half of what spills is refused", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, with(nth(5, spilledTo("std", 200)), nth(10, spilledTo("std", 429)))...)
		}, "saturated_spillover std"},
		{"all is served there", Config{}, func(f *feed) { f.minutes(0, 20, 50, with(nth(5, spilledTo("std", 200)))...) }, "ptu_saturation ptu"},
		{"one in ten is refused there", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, with(nth(5, spilledTo("std", 200)), nth(50, spilledTo("std", 429)))...)
		}, "ptu_saturation ptu"},
		{"too few spill", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, with(nth(5, refused()))...)
			f.minutes(5, 6, 18, with(spilledTo("std", 429))...)
		}, "ptu_saturation ptu"},
		{"the second tier serves others too", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, with(nth(5, spilledTo("std", 200)), nth(10, spilledTo("std", 429)))...)
			f.minutes(0, 20, 10, by("std"), region("westus"), pool("other"))
		}, "saturated_spillover std"},
	})
}

// freeShare takes what is measured, or configured, and nothing else.
func TestFreeShare(t *testing.T) {
	f := &facts{Collector: NewCollector(Config{})}
	spent := cell{work: 60 * 500, reserved: 40_000, tokens: 30_000, tries: 30}
	full := spent
	full.util, full.utilN = 1.96, 2
	for _, tc := range []struct {
		name  string
		known spillway.Deployment
		spent cell
		want  float64
		shown bool
	}{
		{"metric", spillway.Deployment{Kind: spillway.Provisioned, PTU: 1000, InputTPMPerPTU: 60}, full, 0.02, true},
		{"PTU", spillway.Deployment{Kind: spillway.Provisioned, PTU: 1000, InputTPMPerPTU: 60, TPM: 1}, spent, 0.5, true},
		{"TPM", spillway.Deployment{TPM: 100_000, RPM: 1}, spent, 0.6, true},
		{"RPM", spillway.Deployment{RPM: 40}, spent, 0.25, true},
		{"a better minute", spillway.Deployment{}, spent, 0, false},
	} {
		d := &deployment{kind: tc.known.Kind, known: tc.known, cells: []*cell{{tokens: 50_000}, {tokens: 30_000}}}
		if free, _, shown := freeShare(f, d, &tc.spent, 1); math.Abs(free-tc.want) > 1e-9 || shown != tc.shown {
			t.Errorf("%s: %v, %t, want %v, %t", tc.name, free, shown, tc.want, tc.shown)
		}
	}
}
