package rules

import (
	"math"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

func (f *feed) collect(cfg Config) *Collector {
	c := NewCollector(cfg)
	for _, o := range *f {
		c.Add(o)
	}
	return c
}

// A profile has the speed that complete responses showed.
func TestProfileSpeed(t *testing.T) {
	var f feed
	f.minutes(0, 20, 30, func(i int, o *diagnose.Observation) {
		firstToken([]float64{200, 400, 800}[i%3])(i, o)
		pace([]float64{5, 10, 20}[i%3])(i, o)
	}, nth(20, late(time.Minute, 100)))
	all := f.collect(Config{}).Profiles()
	if len(all) != 1 {
		t.Fatalf("%d profiles", len(all))
	}
	p := all[0]
	near := func(what string, got, want, within float64) {
		if math.Abs(got-want) > within*want {
			t.Errorf("%s is %v, want about %v", what, got, want)
		}
	}
	near("median time to the first token", p.FirstMedian.Seconds(), 0.4, 0.02)
	near("median pace", p.PaceMedian.Seconds(), 0.01, 0.02)
	near("its sigma", p.PaceSigma, math.Ln2, 0.05)
	if p.Name != "std" || p.Pool != "chat" || p.Model != "gpt-4o-mini" || p.Region != "eastus" || p.Kind != spillway.Standard {
		t.Errorf("profile %+v", p)
	}
}

// Profiles are sorted by pool, tier and name. What no attempt names has none.
func TestProfileOrder(t *testing.T) {
	var f feed
	tier := func(n int) option { return set(func(o *diagnose.Observation) { o.Attempts[0].Tier = n }) }
	f.minutes(0, 2, 10, by("b"), pool("p"))
	f.minutes(0, 2, 10, by("a"), pool("p"), tier(1))
	f.minutes(0, 2, 10, by("c"), pool("p"))
	f.minutes(0, 2, 10, by("z"), pool("o"))
	f.minutes(0, 2, 10, by(""), pool("p"))
	var got strings.Builder
	for _, p := range f.collect(Config{Deployments: []spillway.Deployment{{Name: "c", PTU: 50, Kind: spillway.Provisioned}}}).Profiles() {
		got.WriteString(p.Pool + "/" + p.Name + " ")
		if (p.Known.PTU == 50) != (p.Name == "c") {
			t.Errorf("%s is configured as %+v", p.Name, p.Known)
		}
	}
	if want := "o/z p/b p/c p/a "; got.String() != want {
		t.Errorf("profiles %q, want %q", got.String(), want)
	}
}

// The capacity is what was done while requests were refused, or else half as
// much again as the busiest interval.
func TestProfileCapacity(t *testing.T) {
	for _, tc := range []struct {
		name         string
		make         func(f *feed)
		work, tokens float64 // per second, per minute
	}{
		{"never refused", func(f *feed) {
			f.minutes(0, 1, 60)
			f.minutes(1, 5, 30)
		}, 1.5 * 400, 0},
		{"refused in one minute", func(f *feed) {
			f.minutes(0, 4, 30)
			f.minutes(4, 5, 120, nth(2, refused()))
		}, 400, 60 * 800},
		{"two refusals are none", func(f *feed) {
			f.minutes(0, 1, 60)
			f.minutes(1, 2, 32, nth(16, refused()))
		}, 1.5 * 400, 0},
		{"the mean of the minutes that refuse", func(f *feed) {
			f.minutes(0, 1, 120, nth(2, refused()))
			f.minutes(1, 2, 60, nth(2, refused()))
		}, 300, 60 * 600},
	} {
		var f feed
		tc.make(&f)
		p := f.collect(Config{}).Profiles()[0]
		if math.Abs(p.WorkPerSecond-tc.work) > 0.001*tc.work || math.Abs(p.TokensPerMinute-tc.tokens) > 0.001*tc.tokens {
			t.Errorf("%s: %v work per second, %v tokens per minute, want %v, %v", tc.name, p.WorkPerSecond, p.TokensPerMinute, tc.work, tc.tokens)
		}
	}
}

func TestSpan(t *testing.T) {
	minute := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	for _, tc := range []struct {
		name     string
		make     func(f *feed)
		max      int
		from, to int // minutes
	}{
		{"all of it", func(f *feed) { f.minutes(0, 10, 30, nth(10, refused())) }, 1000, 0, 10},
		{"the failures' end", func(f *feed) {
			f.minutes(0, 5, 30)
			f.minutes(5, 6, 30, refused())
			f.minutes(6, 20, 30)
		}, 90, 3, 6},
		{"the worse of two", func(f *feed) {
			f.minutes(0, 2, 30, nth(3, refused()))
			f.minutes(2, 10, 30)
			f.minutes(10, 12, 30, nth(2, refused()))
			f.minutes(12, 20, 30)
		}, 60, 10, 12},
		{"a minute that is too much by itself", func(f *feed) {
			f.minutes(0, 5, 30)
			f.minutes(5, 6, 500, nth(2, refused()))
		}, 100, 5, 6},
		{"without failures, from the beginning", func(f *feed) { f.minutes(0, 10, 30) }, 60, 0, 1},
	} {
		var f feed
		tc.make(&f)
		from, to := f.collect(Config{}).Span(tc.max)
		if !from.Equal(minute(tc.from)) || !to.Equal(minute(tc.to)) {
			t.Errorf("%s: minutes %v to %v, want %d to %d", tc.name, from.Sub(noon).Minutes(), to.Sub(noon).Minutes(), tc.from, tc.to)
		}
	}
	if from, to := NewCollector(Config{}).Span(10); !from.IsZero() || !to.IsZero() {
		t.Errorf("of nothing: %v to %v", from, to)
	}
}
