package rules

import (
	"testing"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// In logs of other gateways, what is not logged accuses nobody.
func TestOthersLogs(t *testing.T) {
	direct := Config{Direct: true}
	at := []option{by("ptu"), provisioned(), pool("chat"), answer(300, 100, 120)}
	with := func(more ...option) []option { return append(at[:4:4], more...) }
	std := []option{by("std"), pool("chat"), answer(300, 100, 120)}
	check(t, []ruleCase{
		{"limits without tokens", direct, func(f *feed) {
			f.minutes(0, 20, 50, by("std"), answer(0, 0, 4096), nth(5, refused()))
		}, "quota_exhausted std"},
		{"no limits, and no metric", direct, func(f *feed) {
			f.minutes(0, 20, 50, by("ptu"), provisioned(), answer(300, 20, 0), nth(5, refused()))
		}, "ptu_saturation ptu"},
		{"the second deployment of a pool refuses", direct, func(f *feed) {
			f.minutes(0, 20, 50, with(utilized(1.01))...)
			f.minutes(0, 20, 20, append(std, nth(3, refused()))...)
		}, "saturated_spillover std"},
		{"the first has room", direct, func(f *feed) {
			f.minutes(0, 20, 50, with(utilized(0.4))...)
			f.minutes(0, 20, 20, append(std, nth(3, refused()))...)
		}, "quota_exhausted std"},
		{"bursts across the clock's intervals", direct, func(f *feed) {
			f.tenths(0, 10, 20, [parts]int{4, 31, 32, 3, 3, 3}, retried(-1))
		}, "rpm_bursts std"},
	})
}

// A guess says so by its confidence.
func TestDoubt(t *testing.T) {
	unlogged := set(func(o *diagnose.Observation) { o.Attempts[0].GrantTokens = 0 })
	for _, tc := range []struct {
		name    string
		cfg     Config
		options []option
		most    float64
	}{
		{"kind unknown", Config{Direct: true}, []option{by("std"), answer(300, 100, 120)}, 0.6},
		{"reservations unknown", Config{Direct: true}, []option{by("ptu"), provisioned(), answer(300, 100, -1), unlogged}, 0.65},
		{"a gateway of ours", Config{}, []option{by("std"), answer(300, 100, 120)}, 0.8},
	} {
		var f feed
		f.minutes(0, 20, 50, append(tc.options, nth(5, refused()))...)
		if d := f.diagnose(tc.cfg); len(d.Findings) != 1 || d.Findings[0].Confidence > tc.most {
			t.Errorf("%s: %+v, want one of at most %v", tc.name, d.Findings, tc.most)
		}
	}
}
