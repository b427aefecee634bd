package breaker_test

import (
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// at is the instant so many seconds into a test.
func at(seconds float64) time.Time {
	return epoch.Add(time.Duration(seconds * float64(time.Second)))
}

// response sends one attempt that ends at once.
func answer(b *breaker.Breaker, now time.Time, ok bool) { b.Record(now, b.Acquire(now), ok) }

// expect checks everything that a breaker says of itself.
func expect(t *testing.T, b *breaker.Breaker, now time.Time, state breaker.State, reason spillway.SpillReason) {
	t.Helper()
	if got := b.State(now); got != state {
		t.Errorf("at %v: state %v, want %v", now.Sub(epoch), got, state)
	}
	if got := b.Reason(now); got != reason {
		t.Errorf("at %v: reason %v, want %v", now.Sub(epoch), got, reason)
	}
	if got, want := b.Ready(now), reason == spillway.SpillNone; got != want {
		t.Errorf("at %v: ready %v, want %v", now.Sub(epoch), got, want)
	}
}

func TestOpensAfterConsecutiveFailures(t *testing.T) {
	b := breaker.New(breaker.Config{})
	for i := range 4 {
		answer(b, at(float64(i)), false)
	}
	answer(b, at(4), true)
	for i := range 4 {
		answer(b, at(float64(5+i)), false)
	}
	expect(t, b, at(9), breaker.Closed, spillway.SpillNone)
	answer(b, at(9), false)
	expect(t, b, at(9), breaker.Open, spillway.SpillBroken)
	if got := b.ReadyAt(at(9)); !got.Equal(at(14)) {
		t.Errorf("ready at %v, want 14s", got.Sub(epoch))
	}
}

func TestOpensByErrorRate(t *testing.T) {
	tests := []struct {
		name    string
		spacing float64 // seconds between responses
		pattern string  // + ok, - failed
		open    bool
	}{
		{"half of ten", 1, "+-+-+-+-+-", true},
		{"half of nine", 1, "-+-+-+-+-", false},
		{"a third", 1, "++-++-++-++-++-", false},
		{"old answers are forgotten", 4, "-+-+-+-+-+-+-+-+", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := breaker.New(breaker.Config{})
			now := at(0)
			for i, c := range tt.pattern {
				now = at(float64(i) * tt.spacing)
				answer(b, now, c == '+')
			}
			if got := b.State(now) == breaker.Open; got != tt.open {
				t.Errorf("open %v, want %v", got, tt.open)
			}
		})
	}
}

func TestProbeDecides(t *testing.T) {
	b := breaker.New(breaker.Config{ConsecutiveFailures: 1})
	answer(b, at(0), false)
	expect(t, b, at(4.9), breaker.Open, spillway.SpillBroken)
	expect(t, b, at(5), breaker.HalfOpen, spillway.SpillNone)

	probe := b.Acquire(at(5))
	expect(t, b, at(5), breaker.HalfOpen, spillway.SpillBroken) // one at a time
	if got := b.ReadyAt(at(6)); !got.Equal(at(10)) {
		t.Errorf("next probe at %v, want 10s", got.Sub(epoch))
	}
	b.Record(at(6), probe, false)
	expect(t, b, at(15.9), breaker.Open, spillway.SpillBroken) // doubled: until 16
	probe = b.Acquire(at(16))
	b.Record(at(17), probe, true)
	expect(t, b, at(17), breaker.Closed, spillway.SpillNone)
}

func TestOpenTimeDoublesUntilQuiet(t *testing.T) {
	b := breaker.New(breaker.Config{ConsecutiveFailures: 1})
	now := at(0)
	for i, want := range []time.Duration{5, 10, 20, 40, 60, 60} {
		answer(b, now, false)
		if got := b.ReadyAt(now).Sub(now); got != want*time.Second {
			t.Fatalf("opening %d: %v, want %v", i+1, got, want*time.Second)
		}
		now = b.ReadyAt(now)
	}
	answer(b, now, true) // closed; breaks again within the window
	answer(b, now.Add(time.Second), false)
	now = now.Add(time.Second)
	if got := b.ReadyAt(now).Sub(now); got != time.Minute {
		t.Fatalf("soon again: %v, want 1m", got)
	}
	now = b.ReadyAt(now)
	answer(b, now, true)
	now = now.Add(31 * time.Second)
	answer(b, now, false)
	if got := b.ReadyAt(now).Sub(now); got != 5*time.Second {
		t.Fatalf("after a quiet window: %v, want 5s", got)
	}
}

func TestSeveralProbes(t *testing.T) {
	b := breaker.New(breaker.Config{ConsecutiveFailures: 1, Probes: 2})
	answer(b, at(0), false)
	first := b.Acquire(at(5))
	expect(t, b, at(5), breaker.HalfOpen, spillway.SpillNone)
	second := b.Acquire(at(5))
	expect(t, b, at(5), breaker.HalfOpen, spillway.SpillBroken)
	b.Record(at(6), first, true)
	expect(t, b, at(6), breaker.HalfOpen, spillway.SpillNone)
	b.Record(at(6), second, true)
	expect(t, b, at(6), breaker.Closed, spillway.SpillNone)
}

// One request is one success, however often it is heard of, and an attempt from
// before the breaker opened is none.
func TestFirstOutput(t *testing.T) {
	type step struct {
		name     string
		do       func(b *breaker.Breaker, early breaker.Permit)
		state    breaker.State
		admitted bool // one more probe may be sent
	}
	var probe breaker.Permit
	acquire := func(b *breaker.Breaker, _ breaker.Permit) { probe = b.Acquire(at(5)) }
	speak := func(b *breaker.Breaker, _ breaker.Permit) { probe = b.FirstOutput(at(6), probe) }
	record := func(ok bool) func(*breaker.Breaker, breaker.Permit) {
		return func(b *breaker.Breaker, _ breaker.Permit) { b.Record(at(7), probe, ok) }
	}
	tests := []struct {
		name   string
		probes int
		steps  []step
	}{
		{"one probe is not two", 2, []step{
			{"a probe is sent", acquire, breaker.HalfOpen, true},
			{"it speaks", speak, breaker.HalfOpen, true},
			{"it speaks again", speak, breaker.HalfOpen, true},
			{"its answer is complete", record(true), breaker.HalfOpen, true},
			{"a second is sent", acquire, breaker.HalfOpen, true},
			{"and answers without a stream", record(true), breaker.Closed, true},
		}},
		{"both places are taken", 2, []step{
			{"a probe is sent", acquire, breaker.HalfOpen, true},
			{"and a second", func(b *breaker.Breaker, _ breaker.Permit) { b.Acquire(at(5)) }, breaker.HalfOpen, false},
			{"the first speaks and frees its place", speak, breaker.HalfOpen, true},
			{"ending frees no other place", func(b *breaker.Breaker, _ breaker.Permit) {
				b.Drop(at(7), probe)
				b.Acquire(at(7))
			}, breaker.HalfOpen, false},
		}},
		{"a probe that breaks off after it spoke", 2, []step{
			{"a probe is sent", acquire, breaker.HalfOpen, true},
			{"it speaks", speak, breaker.HalfOpen, true},
			{"it breaks off", record(false), breaker.Open, false},
		}},
		{"the only probe closes at its first output", 1, []step{
			{"a probe is sent", acquire, breaker.HalfOpen, false},
			{"it speaks", speak, breaker.Closed, true},
			{"it breaks off: a failure like any other", record(false), breaker.Open, false},
		}},
		{"an attempt from before", 1, []step{
			{"it speaks before any probe", func(b *breaker.Breaker, early breaker.Permit) {
				probe = b.FirstOutput(at(5), early)
			}, breaker.HalfOpen, true},
			{"it ends", record(true), breaker.HalfOpen, true},
			{"a probe is sent", acquire, breaker.HalfOpen, false},
			{"another speaks and breaks off", func(b *breaker.Breaker, early breaker.Permit) {
				b.Record(at(6), b.FirstOutput(at(6), early), false)
			}, breaker.HalfOpen, false},
			{"the probe speaks", speak, breaker.Closed, true},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := breaker.New(breaker.Config{ConsecutiveFailures: 1, Probes: tt.probes})
			early := b.Acquire(at(0))
			answer(b, at(0), false)
			for _, s := range tt.steps {
				s.do(b, early)
				if state, ready := b.State(at(7)), b.Ready(at(7)); state != s.state || ready != s.admitted {
					t.Fatalf("%s: %v, ready %v, want %v, %v", s.name, state, ready, s.state, s.admitted)
				}
			}
		})
	}
}

func TestDroppedProbeFreesItsPlace(t *testing.T) {
	b := breaker.New(breaker.Config{ConsecutiveFailures: 1})
	answer(b, at(0), false)
	b.Drop(at(5), b.Acquire(at(5)))
	expect(t, b, at(5), breaker.HalfOpen, spillway.SpillNone)
}

func TestSilentProbeLosesItsPlace(t *testing.T) {
	b := breaker.New(breaker.Config{ConsecutiveFailures: 1})
	answer(b, at(0), false)
	silent := b.Acquire(at(5))
	expect(t, b, at(9.9), breaker.HalfOpen, spillway.SpillBroken)
	expect(t, b, at(10), breaker.HalfOpen, spillway.SpillNone)
	b.Acquire(at(10))
	expect(t, b, at(10), breaker.HalfOpen, spillway.SpillBroken)
	b.Record(at(11), silent, true) // it was only slow: that is a response
	expect(t, b, at(11), breaker.Closed, spillway.SpillNone)
}

func TestPermitsOfAnOlderStateAreVoid(t *testing.T) {
	b := breaker.New(breaker.Config{ConsecutiveFailures: 1})
	early, late := b.Acquire(at(0)), b.Acquire(at(0))
	answer(b, at(1), false)
	b.Record(at(2), early, true)
	expect(t, b, at(2), breaker.Open, spillway.SpillBroken)
	probe := b.Acquire(at(6))
	b.Drop(at(6), late) // does not free the probe's place
	expect(t, b, at(6), breaker.HalfOpen, spillway.SpillBroken)
	b.Record(at(7), probe, true)
	b.Record(at(8), late, false)
	b.Record(at(8), breaker.Permit{}, false)
	expect(t, b, at(8), breaker.Closed, spillway.SpillNone)
}

func TestSentInSpiteOfOpen(t *testing.T) {
	b := breaker.New(breaker.Config{ConsecutiveFailures: 1})
	answer(b, at(0), false)
	answer(b, at(1), true)
	answer(b, at(1), false)
	expect(t, b, at(1), breaker.Open, spillway.SpillBroken)
	expect(t, b, at(5), breaker.HalfOpen, spillway.SpillNone)
}

func TestPause(t *testing.T) {
	b := breaker.New(breaker.Config{})
	b.Pause(at(0), 2*time.Second)
	b.Pause(at(0), time.Second)
	expect(t, b, at(1.5), breaker.Closed, spillway.SpillPaused)
	if got := b.ReadyAt(at(1)); !got.Equal(at(2)) {
		t.Errorf("ready at %v, want 2s", got.Sub(epoch))
	}
	expect(t, b, at(2), breaker.Closed, spillway.SpillNone)
	if got := b.ReadyAt(at(3)); !got.Equal(at(3)) {
		t.Errorf("ready at %v, want now", got.Sub(epoch))
	}
}

func TestEject(t *testing.T) {
	b := breaker.New(breaker.Config{})
	under := b.Acquire(at(0))
	b.Eject(at(0), 30*time.Second)
	b.Eject(at(0), time.Second) // does not shorten
	b.Record(at(1), under, true)
	expect(t, b, at(29), breaker.Open, spillway.SpillBroken)
	expect(t, b, at(30), breaker.HalfOpen, spillway.SpillNone)
	probe := b.Acquire(at(30))
	b.Drop(at(31), probe)
	b.Eject(at(31), 30*time.Second)
	b.Pause(at(31), time.Minute)
	expect(t, b, at(60), breaker.Open, spillway.SpillBroken)
	expect(t, b, at(61), breaker.HalfOpen, spillway.SpillPaused)
	answer(b, at(91), true)
	expect(t, b, at(91), breaker.Closed, spillway.SpillNone)
}

// Whatever happens, a breaker that is asked again at ReadyAt is ready, and it
// closes when every probe succeeds.
func TestBreakerRecovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := breaker.Config{Probes: rapid.IntRange(0, 3).Draw(t, "probes")}
		b := breaker.New(cfg)
		now := epoch
		var open []breaker.Permit
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "wait")) * time.Millisecond)
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				b.Pause(now, time.Duration(rapid.IntRange(0, 5).Draw(t, "pause"))*time.Second)
			case 1:
				b.Eject(now, time.Duration(rapid.IntRange(0, 5).Draw(t, "eject"))*time.Second)
			case 2, 3, 4, 5:
				open = append(open, b.Acquire(now))
			default:
				if len(open) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				if rapid.Bool().Draw(t, "speaks") {
					open[i] = b.FirstOutput(now, open[i])
				}
				if rapid.IntRange(0, 3).Draw(t, "drop") == 0 {
					b.Drop(now, open[i])
				} else {
					b.Record(now, open[i], rapid.Bool().Draw(t, "ok"))
				}
				open = append(open[:i], open[i+1:]...)
			}
			if (b.Reason(now) == spillway.SpillNone) != b.Ready(now) || b.ReadyAt(now).Before(now) {
				t.Fatalf("ready %v, reason %v, ready at %v", b.Ready(now), b.Reason(now), b.ReadyAt(now))
			}
			if next := b.ReadyAt(now); !b.Ready(next) {
				t.Fatalf("not ready at %v, as announced", next)
			}
		}
		for range 3 {
			now = b.ReadyAt(now)
			answer(b, now, true)
		}
		if got := b.State(now); got != breaker.Closed {
			t.Fatalf("%v after three good probes", got)
		}
	})
}

func TestStateNames(t *testing.T) {
	for state, want := range map[breaker.State]string{breaker.Closed: "closed", breaker.Open: "open", breaker.HalfOpen: "half_open", 9: "unknown"} {
		if got := state.String(); got != want {
			t.Errorf("state %d: %q, want %q", state, got, want)
		}
	}
}

func BenchmarkBreaker(b *testing.B) {
	health := breaker.New(breaker.Config{})
	now := epoch
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		if health.Ready(now) {
			health.Record(now, health.Acquire(now), true)
		}
	}
}
