package rules

import (
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

func TestClientTimeout(t *testing.T) {
	check(t, []ruleCase{
		{"clients leave after the same time", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, nth(50, gone(20*time.Second)))
		}, "client_timeout"},
		{"four leave", Config{}, func(f *feed) { f.minutes(0, 20, 50, nth(250, gone(20*time.Second))) }, ""},
		{"one in two thousand leaves", Config{}, func(f *feed) {
			f.minutes(0, 240, 50, nth(2000, gone(20*time.Second)))
		}, ""},
		{"clients leave whenever they like", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, nth(25, func(i int, o *diagnose.Observation) {
				gone(time.Duration(1+i%37)*1500*time.Millisecond)(i, o)
			}))
		}, ""},
		{"clients leave after an hour", Config{}, func(f *feed) { f.minutes(0, 20, 50, nth(50, gone(time.Hour))) }, ""},
		{"a short window runs out", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, nth(100, late(10*time.Second, 900)))
		}, "client_timeout"},
		{"the client's own timeout runs out", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, nth(100, late(40*time.Second, 3600), set(func(o *diagnose.Observation) {
				o.Window, o.ClientTimeout = time.Minute, 40*time.Second
			})))
		}, "client_timeout"},
		{"a short window runs out in an outage", Config{}, func(f *feed) {
			f.minutes(0, 20, 50)
			f.minutes(20, 24, 50, nth(2, broken()), nth(11, late(10*time.Second, 900)))
		}, "regional_outage eastus"},
	})
}

// The patience is that of the clients that are most of the trouble.
func TestClientPatience(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options []option
		want    float64 // seconds
	}{
		{"those that left", []option{nth(40, gone(20*time.Second)), nth(400, late(10*time.Second, 900))}, 20},
		{"those that ran out", []option{nth(400, gone(20*time.Second)), nth(41, late(10*time.Second, 900))}, 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f feed
			f.minutes(0, 40, 50, tc.options...)
			d := f.diagnose(Config{})
			if found(&d) != "client_timeout" {
				t.Fatalf("found %q", found(&d))
			}
			e := d.Findings[0].Evidence[0]
			if e.Unit != "s" || e.Value < 0.98*tc.want || e.Value > 1.02*tc.want {
				t.Errorf("clients wait %v %s, want about %v s", e.Value, e.Unit, tc.want)
			}
		})
	}
}
