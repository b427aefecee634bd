package capacity

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway-ai/spillway"
)

// both are meters of either kind, with and without limits. A prompt token is one
// token for all of them.
func both(t *testing.T, test func(t *testing.T, m *Meter)) {
	for name, d := range map[string]spillway.Deployment{
		"provisioned": ptu(time.Minute), "standard": standard(100_000, 0), "unlimited": standard(0, 0),
	} {
		t.Run(name, func(t *testing.T) { test(t, NewMeter(d)) })
	}
}

// refused sends a request that is refused, like the engine does it.
func refused(m *Meter, now time.Time, r request, retryAfter time.Duration) Reservation {
	held := m.Reserve(now, Demand{Cost: Cost{Prompt: r.tokens}, Tier: r.tier})
	m.Refused(now, retryAfter, held)
	m.Release(now, held)
	return held
}

// request is a request for capacity.
type request struct {
	tokens int
	tier   string
}

// paused checks until when a request has to wait; a negative time means that it does
// not.
func paused(t *testing.T, m *Meter, now time.Time, r request, until time.Duration) {
	t.Helper()
	got := m.PausedUntil(now, Demand{Cost: Cost{Prompt: r.tokens}, Tier: r.tier})
	if until < 0 && !got.IsZero() || until >= 0 && !got.Equal(at(until)) {
		t.Errorf("at %v: %d tokens of tier %q are paused until %v, want %v", now.Sub(epoch), r.tokens, r.tier, got.Sub(epoch), until)
	}
}

// unchecked is a wait that no request of the refused size may check before it ends.
const unchecked = checkShare*firstCheck - 100*time.Millisecond

// A refusal pauses requests that cost as much, until the service's wait has passed.
// A smaller one may be sent after a second.
func TestRefusalIsAboutTheSize(t *testing.T) {
	both(t, func(t *testing.T, m *Meter) {
		paused(t, m, epoch, request{1000, ""}, -1)
		refused(m, epoch, request{1000, ""}, unchecked)
		for _, tc := range []struct {
			after         time.Duration
			tokens        int
			until         time.Duration
			smallerPassed bool
		}{
			{0, 1001, unchecked, false},
			{0, 1000, unchecked, false},
			{0, 750, unchecked, false},
			{0, 749, time.Second, false},
			{0, 0, time.Second, false},
			{time.Second - 1, 749, time.Second, false},
			{time.Second, 749, -1, true},
			{time.Second, 1000, unchecked, true},
			{unchecked - 1, 1000, unchecked, true},
			{unchecked - 1, 749, -1, true},
			{unchecked, 1000, -1, true},
		} {
			paused(t, m, at(tc.after), request{tc.tokens, ""}, tc.until)
			want := []Pause{{Until: at(unchecked), CheckAt: at(unchecked), Tokens: 750, Smaller: tc.smallerPassed}}
			if tc.after == unchecked {
				want = nil
			}
			if got := m.Pauses(at(tc.after), nil); fmt.Sprint(got) != fmt.Sprint(want) || m.Paused(at(tc.after)) != (want != nil) {
				t.Errorf("at %v: pauses %v, paused %v, want %v", tc.after, got, m.Paused(at(tc.after)), want)
			}
		}
	})
}

// The meter compares what a request costs there, output included.
func TestRefusalComparesTheWholeCost(t *testing.T) {
	for _, tc := range []struct {
		name            string
		d               spillway.Deployment
		refused, paused Cost
		want            bool
	}{
		{"standard: prompt and output", standard(100_000, 0), Cost{Prompt: 100, Output: 900}, Cost{Prompt: 900, Output: 100}, true},
		{"standard: cached tokens count", standard(100_000, 0), Cost{Prompt: 1000}, Cost{Prompt: 1000, Cached: 900}, true},
		{"standard: less", standard(100_000, 0), Cost{Prompt: 100, Output: 900}, Cost{Prompt: 649, Output: 100}, false},
		{"standard: few tokens less", standard(100_000, 0), Cost{Prompt: 70}, Cost{Prompt: 7}, true},
		{"standard: hardly less", standard(100_000, 0), Cost{Prompt: 100, Output: 900}, Cost{Prompt: 650, Output: 100}, true},
		{"provisioned: output weighs more", ptu(time.Minute), Cost{Prompt: 600, Output: 100}, Cost{Output: 250}, true},
		{"provisioned: less", ptu(time.Minute), Cost{Prompt: 600, Output: 100}, Cost{Prompt: 749}, false},
		{"provisioned: cached tokens are free", ptu(time.Minute), Cost{Prompt: 1000}, Cost{Prompt: 1000, Cached: 251}, false},
		{"provisioned: more than fits", ptu(time.Minute), Cost{Prompt: 200_000}, Cost{Prompt: 140_000}, false},
		{"standard: more than fits", standard(100_000, 0), Cost{Prompt: 200_000}, Cost{Prompt: 140_000}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := NewMeter(tc.d)
			r := m.Reserve(epoch, Demand{Cost: tc.refused, Tier: ""})
			m.Refused(epoch, unchecked, r)
			if got := m.PausedUntil(at(time.Second), Demand{Cost: tc.paused, Tier: ""}).Equal(at(unchecked)); got != tc.want {
				t.Errorf("paused %v, want %v", got, tc.want)
			}
		})
	}
}

func TestShortWaitsAreKept(t *testing.T) {
	both(t, func(t *testing.T, m *Meter) {
		refused(m, epoch, request{1000, ""}, 300*time.Millisecond)
		paused(t, m, epoch, request{1000, ""}, 300*time.Millisecond)
		paused(t, m, epoch, request{10, ""}, 300*time.Millisecond)
		paused(t, m, at(300*time.Millisecond), request{1000, ""}, -1)
	})
}

// One smaller request at a time finds out what the deployment serves.
func TestProbes(t *testing.T) {
	const end = unchecked
	const free = 2500 * time.Millisecond // a second after the probe started
	probe := func(m *Meter) Reservation {
		return m.Reserve(at(1500*time.Millisecond), Demand{Cost: Cost{Prompt: 400}, Tier: ""})
	}
	for _, tc := range []struct {
		name       string
		do         func(m *Meter, probe Reservation)
		same, tiny time.Duration // until when requests of 500 and of 10 tokens wait at 2 s; -1 means that they do not
	}{
		{"is under way", func(*Meter, Reservation) {}, free, free},
		{"is served", func(m *Meter, r Reservation) { m.Accepted(at(2*time.Second), r) }, -1, -1},
		{"is served: then any number may be sent", func(m *Meter, r Reservation) {
			m.Accepted(at(2*time.Second), r)
			m.Reserve(at(2*time.Second), Demand{Cost: Cost{Prompt: 400}, Tier: ""})
			m.Reserve(at(2*time.Second), Demand{Cost: Cost{Prompt: 400}, Tier: ""})
		}, -1, -1},
		{"is served, and ends", func(m *Meter, r Reservation) {
			m.Accepted(at(2*time.Second), r)
			m.Settle(at(2*time.Second), r, Cost{Prompt: 400})
		}, -1, -1},
		{"is canceled", func(m *Meter, r Reservation) { m.Release(at(2*time.Second), r) }, -1, -1},
		{"ends without a response", func(m *Meter, r Reservation) { m.Settle(at(2*time.Second), r, Cost{}) }, -1, -1},
		{"is refused too", func(m *Meter, r Reservation) {
			m.Refused(at(2*time.Second), 1500*time.Millisecond, r)
			m.Release(at(2*time.Second), r)
		}, 3500 * time.Millisecond, 3 * time.Second},
		{"is refused for longer", func(m *Meter, r Reservation) {
			m.Refused(at(2*time.Second), 3*time.Second, r)
			m.Release(at(2*time.Second), r)
		}, 5 * time.Second, 3 * time.Second},
		{"is served, and the next is refused", func(m *Meter, r Reservation) {
			m.Accepted(at(2*time.Second), r)
			refused(m, at(2*time.Second), request{100, ""}, 1500*time.Millisecond)
		}, 3500 * time.Millisecond, 3 * time.Second},
		{"another request is served that is no probe", func(m *Meter, _ Reservation) {
			m.Accepted(at(2*time.Second), Reservation{})
		}, free, free},
		{"a request of another tier ends", func(m *Meter, _ Reservation) {
			r := m.Reserve(at(2*time.Second), Demand{Cost: Cost{Prompt: 10}, Tier: "flex"})
			m.Accepted(at(2*time.Second), r)
			m.Settle(at(2*time.Second), r, Cost{})
		}, free, free},
	} {
		t.Run(tc.name, func(t *testing.T) {
			both(t, func(t *testing.T, m *Meter) {
				refused(m, epoch, request{1000, ""}, end)
				paused(t, m, at(time.Second), request{400, ""}, -1)
				r := probe(m)
				if got := m.Pauses(at(1500*time.Millisecond), nil); len(got) != 1 || got[0].Smaller {
					t.Errorf("pauses %v, want one of smaller requests too while a probe is under way", got)
				}
				tc.do(m, r)
				paused(t, m, at(2*time.Second), request{400, ""}, tc.same)
				paused(t, m, at(2*time.Second), request{10, ""}, tc.tiny)
				if got := m.PausedUntil(at(2*time.Second), Demand{Cost: Cost{Prompt: 1000}, Tier: ""}); got.Before(at(end)) {
					t.Errorf("1000 tokens are paused until %v", got.Sub(epoch))
				}
			})
		})
	}
}

// A probe that outlives its refusal has no say in the next one.
func TestOldProbesAreVoid(t *testing.T) {
	both(t, func(t *testing.T, m *Meter) {
		refused(m, epoch, request{1000, ""}, 2*time.Second)
		old := m.Reserve(at(time.Second), Demand{Cost: Cost{Prompt: 500}, Tier: ""})
		refused(m, at(10*time.Second), request{1000, ""}, unchecked)
		m.Accepted(at(10*time.Second), old)
		paused(t, m, at(10*time.Second), request{500, ""}, 11*time.Second)
		m.Reserve(at(11500*time.Millisecond), Demand{Cost: Cost{Prompt: 500}, Tier: ""})
		m.Settle(at(12*time.Second), old, Cost{Prompt: 500})
		paused(t, m, at(12*time.Second), request{500, ""}, 12500*time.Millisecond)
	})
}

// Attempts that do not try out the refusal say nothing about it: those from before it,
// and those that are as large.
func TestOnlyProbesProbe(t *testing.T) {
	both(t, func(t *testing.T, m *Meter) {
		before := m.Reserve(epoch, Demand{Cost: Cost{Prompt: 500}, Tier: ""})
		refused(m, epoch, request{1000, ""}, unchecked)
		large := m.Reserve(epoch, Demand{Cost: Cost{Prompt: 2000}, Tier: ""})
		for _, r := range []Reservation{before, large} {
			m.Accepted(epoch, r)
			paused(t, m, epoch, request{500, ""}, time.Second)
			paused(t, m, epoch, request{1000, ""}, unchecked)
		}
		paused(t, m, at(time.Second), request{500, ""}, -1) // neither holds the probe's place
		m.Reserve(at(time.Second), Demand{Cost: Cost{Prompt: 500}, Tier: ""})
		m.Settle(at(time.Second), before, Cost{})
		m.Release(at(time.Second), large)
		paused(t, m, at(time.Second), request{500, ""}, 2*time.Second) // nor do they free it
	})
}

// A request that is refused elsewhere too may be refused for itself: it pauses only its
// own kind, until a refusal of another one confirms that the deployment is full.
func TestRefusedElsewhere(t *testing.T) {
	const guilty, other = 1, 2
	both(t, func(t *testing.T, m *Meter) {
		demand := func(by uint64, tokens int) Demand { return Demand{Cost: Cost{Prompt: tokens}, By: by} }
		refuse := func(s float64, by uint64, tokens int, elsewhere bool) {
			now := at(time.Duration(s * float64(time.Second)))
			r := m.Reserve(now, demand(by, tokens))
			m.Refused(now, unchecked, r)
			m.Release(now, r)
			if elsewhere {
				m.RefusedElsewhere(now, r)
			}
		}
		want := func(s float64, by uint64, tokens int, until float64) {
			t.Helper()
			now := at(time.Duration(s * float64(time.Second)))
			got := m.PausedUntil(now, demand(by, tokens))
			if until < 0 && !got.IsZero() || until >= 0 && !got.Equal(at(time.Duration(until*float64(time.Second)))) {
				t.Errorf("at %vs: %d tokens of %d are paused until %v, want %vs", s, tokens, by, got.Sub(epoch), until)
			}
		}
		serve := func(s float64, by uint64, tokens int) {
			now := at(time.Duration(s * float64(time.Second)))
			r := m.Reserve(now, demand(by, tokens))
			m.Accepted(now, r)
			m.Settle(now, r, Cost{Prompt: tokens})
		}
		together := m.Reserve(epoch, demand(guilty, 800))
		refuse(0, guilty, 1000, true)
		want(0, guilty, 1000, -1)
		m.Refused(epoch, unchecked, together) // sent with the first: one cause in common
		m.Release(epoch, together)
		want(0, guilty, 1000, -1)
		refuse(1, guilty, 1500, true) // a later one
		want(1, guilty, 1124, -1)
		want(1, guilty, 1500, 2) // may try again after a second
		want(1, other, 5000, -1)
		refuse(1, guilty, 1200, true)
		want(1, guilty, 899, -1)
		want(1, guilty, 1200, 2) // two were refused that are not larger

		serve(2, other, 700)      // smaller: says nothing
		want(2, guilty, 1200, -1) // the probe
		probe := m.Reserve(at(2*time.Second), demand(guilty, 1200))
		want(2, guilty, 1200, 3)
		m.Release(at(2*time.Second), probe)

		serve(3, other, 1000) // served at that size: it is the request
		refuse(3.5, guilty, 1000, true)
		want(3.5, guilty, 1000, -1) // again, one may be refused for itself
		want(3.5, other, 1000, -1)
		refuse(4, guilty, 1000, true)
		want(4, guilty, 1000, 5)

		refuse(30, guilty, 1000, true)
		refuse(31, other, 1200, true) // a different one: the deployment is full
		want(31, guilty, 1000, 34.9)  // not clearly smaller than 1200
		want(31, other, 1200, 34.9)
		want(31, 3, 1200, -1) // a third caller finds out
		refuse(31, 3, 1000, true)
		want(31, 4, 1000, 34.9)
		want(31, 4, 1200, 34.9)
		want(31, 4, 749, -1) // all were refused elsewhere: their size is the cause
		if got := m.Pauses(at(31*time.Second), nil); len(got) != 2 || !got[0].Smaller {
			t.Errorf("pauses %v, want two that let smaller requests pass", got)
		}
	})
}

// While the requests of one or two callers are refused, those of others find out, one at a time,
// whether the deployment is full.
func TestOthersProbe(t *testing.T) {
	demand := func(by uint64, tokens int) Demand { return Demand{Cost: Cost{Prompt: tokens}, By: by} }
	for _, tc := range []struct {
		name                     string
		do                       func(m *Meter, probe Reservation)
		guilty, other, twoOthers time.Duration // until when they wait; -1 means that they do not
	}{
		{"is under way", func(*Meter, Reservation) {}, unchecked, time.Second, time.Second},
		{"is served", func(m *Meter, r Reservation) { m.Accepted(epoch, r) }, -1, -1, -1},
		{"is refused", func(m *Meter, r Reservation) { m.Refused(epoch, 2*time.Second, r) }, unchecked, unchecked, -1},
		{"is canceled", func(m *Meter, r Reservation) { m.Release(epoch, r) }, unchecked, -1, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			both(t, func(t *testing.T, m *Meter) {
				r := m.Reserve(epoch, demand(1, 1000))
				m.Refused(epoch, unchecked, r)
				m.Release(epoch, r)
				tc.do(m, m.Reserve(epoch, demand(2, 1000)))
				for by, want := range map[uint64]time.Duration{1: tc.guilty, 2: tc.other, 3: tc.twoOthers} {
					got := m.PausedUntil(epoch, demand(by, 1000))
					if want < 0 && !got.IsZero() || want >= 0 && !got.Equal(at(want)) {
						t.Errorf("requests of %d are paused until %v, want %v", by, got.Sub(epoch), want)
					}
				}
			})
		})
	}
}

// The service's tiers have capacity of their own.
func TestTiersPauseByThemselves(t *testing.T) {
	both(t, func(t *testing.T, m *Meter) {
		refused(m, epoch, request{1000, "flex"}, unchecked)
		paused(t, m, epoch, request{1000, ""}, -1)
		paused(t, m, epoch, request{1000, "priority"}, -1)
		paused(t, m, epoch, request{1000, "flex"}, unchecked)
		refused(m, epoch, request{10, ""}, 3*time.Second)
		paused(t, m, epoch, request{1000, ""}, 3*time.Second)
		paused(t, m, epoch, request{10, "flex"}, time.Second)
		paused(t, m, at(3*time.Second), request{1000, ""}, -1)
		paused(t, m, at(3*time.Second), request{1000, "flex"}, unchecked)
	})
}

// With more tiers than a meter remembers, the pause that would end first is forgotten.
func TestMoreTiersThanAreRemembered(t *testing.T) {
	const others = maxTiers - 1 // than the default tier
	both(t, func(t *testing.T, m *Meter) {
		for i := range 2 * others {
			tier, wait := fmt.Sprint("tier ", i), 3*time.Second+time.Duration(i)*100*time.Millisecond
			refused(m, epoch, request{1000, tier}, wait)
			paused(t, m, epoch, request{1000, tier}, wait)
		}
		if got := m.Pauses(epoch, nil); len(got) != others {
			t.Errorf("%d pauses, want %d: %v", len(got), others, got)
		}
		for i := range 2 * others {
			until := time.Duration(-1)
			if i >= others {
				until = 3*time.Second + time.Duration(i)*100*time.Millisecond
			}
			paused(t, m, epoch, request{1000, fmt.Sprint("tier ", i)}, until)
		}
		refused(m, epoch, request{1000, "short"}, 2*time.Second) // shorter than the one whose place it gets
		paused(t, m, epoch, request{1000, "short"}, 2*time.Second)
		if end := at(3*time.Second + time.Duration(2*others-1)*100*time.Millisecond); !m.Paused(end.Add(-1)) || m.Paused(end) {
			t.Error("paused until another time than the last one")
		}
		refused(m, at(time.Minute), request{1000, "another"}, time.Second)
		if got := m.Pauses(at(time.Minute), nil); len(got) != 1 {
			t.Errorf("pauses that have ended are reported: %v", got)
		}
	})
}

// Whatever is refused, served and canceled: nothing waits longer than the service
// asked for, and what is smaller never waits longer than what is larger.
func TestPausesEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMeter(rapid.SampledFrom([]spillway.Deployment{ptu(0), standard(10_000, 60), standard(0, 0)}).Draw(t, "deployment"))
		tiers := rapid.SampledFrom([]string{"", "flex", "priority", "a", "b", "c"})
		now, latest := epoch, epoch
		var open []Reservation
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 10, 1000, 20_000}).Draw(t, "ms")) * time.Millisecond)
			if len(open) == 0 || rapid.IntRange(0, 2).Draw(t, "start") == 0 {
				open = append(open, m.Reserve(now, Demand{Cost: Cost{Prompt: rapid.IntRange(0, 2000).Draw(t, "prompt")}, Tier: tiers.Draw(t, "tier"), By: rapid.Uint64Range(0, 2).Draw(t, "by")}))
				continue
			}
			i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
			r := open[i]
			open = append(open[:i], open[i+1:]...)
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				wait := time.Duration(rapid.IntRange(1, 60_000).Draw(t, "wait")) * time.Millisecond
				m.Refused(now, wait, r)
				m.Release(now, r)
				latest = later(latest, now.Add(wait))
				until := m.PausedUntil(now, Demand{Cost: Cost{Prompt: m.tokens(r.size) + 1}, Tier: r.tier, By: r.by})
				if !m.find(now, r.tier).doubt.inForce(now) && until.Before(now.Add(min(wait, probeAfter))) {
					t.Fatalf("refused for %v, paused for %v", wait, until.Sub(now))
				}
				if rapid.Bool().Draw(t, "elsewhere too") {
					m.RefusedElsewhere(now, r)
				}
			case 2:
				m.Accepted(now, r)
				m.Settle(now, r, Cost{})
			case 3:
				m.Settle(now, r, Cost{Prompt: 3000})
			case 4:
				m.Release(now, r)
			}
			tier, last := tiers.Draw(t, "asked tier"), time.Time{}
			for _, tokens := range []int{0, 1, 100, 500, 1000, 1999, 2000, 1 << 40} {
				until := m.PausedUntil(now, Demand{Cost: Cost{Prompt: tokens}, Tier: tier})
				if until.After(latest) || until.Before(last) || !until.IsZero() && !until.After(now) {
					t.Fatalf("%d tokens are paused until %v; less until %v, the last wait ends at %v", tokens, until, last, latest)
				}
				last = until
			}
			if m.Paused(now) != now.Before(latest) || len(m.Pauses(now, nil)) > 2*maxTiers || len(m.Pauses(now, nil)) > 0 && !m.Paused(now) {
				t.Fatalf("paused %v with %d pauses; the last wait ends in %v", m.Paused(now), len(m.Pauses(now, nil)), latest.Sub(now))
			}
		}
	})
}
