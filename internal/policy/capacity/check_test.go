package capacity

import (
	"testing"
	"time"
)

// A long wait is checked: requests of the same size may try after one, two and four
// seconds, and then every five, until most of the wait is over.
func TestLongWaitsAreChecked(t *testing.T) {
	seconds := func(s ...int) []int { return s }
	for _, tc := range []struct {
		name   string
		wait   time.Duration
		exact  bool  // each refusal asks for what is left of wait; else for as long again
		checks []int // when they may be sent, in seconds
	}{
		{"short", unchecked, true, nil},
		{"4 s", 4 * time.Second, true, seconds(1)},
		{"10 s", 10 * time.Second, true, seconds(1, 3)},
		{"25 s", 25 * time.Second, true, seconds(1, 3, 7)},
		{"minute", time.Minute, true, seconds(1, 3, 7, 12, 17, 22, 27, 32, 37, 42)},
		{"for ever", time.Minute, false, seconds(1, 3, 7, 12, 17, 22, 27, 32, 37, 42, 47, 52, 57, 62)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			both(t, func(t *testing.T, m *Meter) {
				refused(m, epoch, request{1000, ""}, tc.wait)
				last := epoch
				for _, s := range tc.checks {
					now := at(time.Duration(s) * time.Second)
					paused(t, m, last, request{1000, ""}, time.Duration(s)*time.Second)
					paused(t, m, now, request{1000, ""}, -1)
					wait := tc.wait
					if tc.exact {
						wait -= now.Sub(epoch)
					}
					r := m.Reserve(now, Demand{Cost: Cost{Prompt: 1000}})
					again := m.Refused(now, wait, r)
					m.Release(now, r)
					if got := m.PausedUntil(now, Demand{Cost: Cost{Prompt: 1000}}); !again.Equal(got) {
						t.Errorf("a check at %d s may try again at %v, others at %v", s, again.Sub(epoch), got.Sub(epoch))
					}
					last = now
				}
				if tc.exact {
					paused(t, m, last, request{1000, ""}, tc.wait)
				}
			})
		})
	}
}

// One request checks at a time. Its success ends the wait, also for those that were
// refused before.
func TestChecks(t *testing.T) {
	both(t, func(t *testing.T, m *Meter) {
		first := refused(m, epoch, request{1000, ""}, time.Minute)
		check := m.Reserve(at(time.Second), Demand{Cost: Cost{Prompt: 1000}})
		paused(t, m, at(time.Second), request{1000, ""}, 2*time.Second)
		if m.ServedSince(at(time.Second), first) {
			t.Error("served before the check was")
		}
		m.Accepted(at(1500*time.Millisecond), check)
		paused(t, m, at(1500*time.Millisecond), request{1000, ""}, -1)
		if !m.ServedSince(at(1500*time.Millisecond), first) {
			t.Error("not served although the check was")
		}
		m.Refused(at(2*time.Second), time.Minute, m.Reserve(at(2*time.Second), Demand{Cost: Cost{Prompt: 1000}}))
		if m.ServedSince(at(2*time.Second), first) {
			t.Error("served although a later request was refused")
		}
	})
}

// Costs are estimates that drift. A request that is hardly smaller than a refused check
// is one of the same size, also when a smaller one was refused first.
func TestChecksOfDriftingSize(t *testing.T) {
	both(t, func(t *testing.T, m *Meter) {
		refused(m, epoch, request{100, ""}, time.Minute)
		for i, s := range []int{1, 3, 7, 12} {
			now := at(time.Duration(s) * time.Second)
			paused(t, m, now, request{1000 - 10*i, ""}, -1)
			r := m.Reserve(now, Demand{Cost: Cost{Prompt: 1000 - 10*i}})
			next := m.Refused(now, time.Minute, r)
			m.Release(now, r)
			paused(t, m, now.Add(time.Millisecond), request{990 - 10*i, ""}, next.Sub(epoch))
		}
	})
}

func TestResume(t *testing.T) {
	both(t, func(t *testing.T, m *Meter) {
		r := refused(m, epoch, request{1000, ""}, time.Minute)
		flex := m.Reserve(epoch, Demand{Cost: Cost{Prompt: 1000}, Tier: "flex"})
		m.Refused(epoch, time.Minute, flex)
		m.Resume()
		if m.Paused(epoch) || len(m.Pauses(epoch, nil)) > 0 || !m.ServedSince(epoch, r) {
			t.Error("still paused")
		}
		paused(t, m, epoch, request{1000, ""}, -1)
		paused(t, m, epoch, request{1000, "flex"}, -1)
		m.Release(epoch, flex)
		again := refused(m, at(time.Second), request{1000, ""}, 2*time.Second)
		paused(t, m, at(time.Second), request{1000, ""}, 3*time.Second)
		if m.ServedSince(at(time.Second), again) {
			t.Error("served, although it was refused last")
		}
	})
}
