package breaker_test

import (
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/policy/breaker"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// at is the instant so many seconds into a test.
func at(seconds float64) time.Time {
	return epoch.Add(time.Duration(seconds * float64(time.Second)))
}

// half is a random source without randomness.
func half() float64 { return 0.5 }

// caller is a suspect whose requests all have one shape.
func caller(n uint64) breaker.Suspect { return breaker.Suspect{Caller: n, Shape: 1000} }

const (
	chat   = uint64(100) // operations
	stream = uint64(101)
)

// alice sends the requests of tests that need one caller only.
var alice = caller(1)

// answer sends one attempt of alice that ends at once.
func answer(b *breaker.Breaker, now time.Time, ok bool) { answerTo(b, now, alice, ok) }

// answerTo sends one attempt that ends at once.
func answerTo(b *breaker.Breaker, now time.Time, who breaker.Suspect, ok bool) {
	end(b, now, b.Acquire(now, half, who, chat), ok)
}

// end ends an attempt.
func end(b *breaker.Breaker, now time.Time, p breaker.Permit, ok bool) {
	if ok {
		b.Succeed(now, p)
	} else {
		b.Fail(now, p)
	}
}

// expect checks everything that a breaker says of its state.
func expect(t *testing.T, b *breaker.Breaker, now time.Time, state breaker.State, ready bool) {
	t.Helper()
	if got := b.State(now); got != state {
		t.Errorf("at %v: state %v, want %v", now.Sub(epoch), got, state)
	}
	if got := b.Ready(now); got != ready {
		t.Errorf("at %v: ready %v, want %v", now.Sub(epoch), got, ready)
	}
	if got := b.ReadyAt(now); got.After(now) == ready || got.Before(now) {
		t.Errorf("at %v: ready %v, but ready at %v", now.Sub(epoch), ready, got.Sub(epoch))
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
	expect(t, b, at(9), breaker.Closed, true)
	answer(b, at(9), false)
	expect(t, b, at(9), breaker.Open, false)
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
		{"half of ten", 1, "-+-+-+-+--", true},
		{"half of nine", 1, "-+-+-+-+-", false},
		{"half of ten, of which the last succeeds", 1, "-+-+-+-+-+", false},
		{"a third", 1, "++-++-++-++-++-", false},
		{"old responses are forgotten", 4, "-+-+-+-+-+-+-+-+", false},
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
	expect(t, b, at(4.9), breaker.Open, false)
	expect(t, b, at(5), breaker.HalfOpen, true)

	probe := b.Acquire(at(5), half, alice, chat)
	expect(t, b, at(5), breaker.HalfOpen, false) // one at a time
	if got := b.ReadyAt(at(6)); !got.Equal(at(10)) {
		t.Errorf("next probe at %v, want 10s", got.Sub(epoch))
	}
	b.Fail(at(6), probe)
	expect(t, b, at(15.9), breaker.Open, false) // doubled: until 16
	probe = b.Acquire(at(16), half, alice, chat)
	b.Succeed(at(17), probe)
	expect(t, b, at(17), breaker.Closed, true)
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
	first := b.Acquire(at(5), half, alice, chat)
	expect(t, b, at(5), breaker.HalfOpen, true)
	second := b.Acquire(at(5), half, alice, chat)
	expect(t, b, at(5), breaker.HalfOpen, false)
	b.Succeed(at(6), first)
	expect(t, b, at(6), breaker.HalfOpen, true)
	b.Succeed(at(6), second)
	expect(t, b, at(6), breaker.Closed, true)
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
	acquire := func(b *breaker.Breaker, _ breaker.Permit) { probe = b.Acquire(at(5), half, alice, chat) }
	speak := func(b *breaker.Breaker, _ breaker.Permit) { probe = b.FirstOutput(at(6), probe) }
	record := func(ok bool) func(*breaker.Breaker, breaker.Permit) {
		return func(b *breaker.Breaker, _ breaker.Permit) { end(b, at(7), probe, ok) }
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
			{"its response is complete", record(true), breaker.HalfOpen, true},
			{"a second is sent", acquire, breaker.HalfOpen, true},
			{"and answers without a stream", record(true), breaker.Closed, true},
		}},
		{"both places are taken", 2, []step{
			{"a probe is sent", acquire, breaker.HalfOpen, true},
			{"and a second", func(b *breaker.Breaker, _ breaker.Permit) { b.Acquire(at(5), half, alice, chat) }, breaker.HalfOpen, false},
			{"the first speaks and frees its place", speak, breaker.HalfOpen, true},
			{"ending frees no other place", func(b *breaker.Breaker, _ breaker.Permit) {
				b.Drop(at(7), probe)
				b.Acquire(at(7), half, alice, chat)
			}, breaker.HalfOpen, false},
		}},
		{"a doubtful end frees no other place", 2, []step{
			{"a probe is sent", acquire, breaker.HalfOpen, true},
			{"and a second", func(b *breaker.Breaker, _ breaker.Permit) { b.Acquire(at(5), half, alice, chat) }, breaker.HalfOpen, false},
			{"the first speaks and frees its place", speak, breaker.HalfOpen, true},
			{"it fails here and elsewhere", func(b *breaker.Breaker, _ breaker.Permit) {
				b.Doubt(at(7), probe)
				b.Acquire(at(7), half, alice, chat)
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
				b.Fail(at(6), b.FirstOutput(at(6), early))
			}, breaker.HalfOpen, false},
			{"the probe speaks", speak, breaker.Closed, true},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := breaker.New(breaker.Config{ConsecutiveFailures: 1, Probes: tt.probes})
			early := b.Acquire(at(0), half, alice, chat)
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

// A probe that says nothing about health leaves its place to another one.
func TestProbeWithoutResultFreesItsPlace(t *testing.T) {
	for name, without := range map[string]func(*breaker.Breaker, breaker.Permit){
		"dropped":             func(b *breaker.Breaker, p breaker.Permit) { b.Drop(at(5), p) },
		"failed elsewhere":    func(b *breaker.Breaker, p breaker.Permit) { b.Doubt(at(5), p) },
		"operation not there": func(b *breaker.Breaker, p breaker.Permit) { b.Refuse(at(5), p, false) },
	} {
		t.Run(name, func(t *testing.T) {
			b := breaker.New(breaker.Config{ConsecutiveFailures: 1})
			answer(b, at(0), false)
			without(b, b.Acquire(at(5), half, alice, chat))
			expect(t, b, at(5), breaker.HalfOpen, true)
		})
	}
}

func TestSilentProbeLosesItsPlace(t *testing.T) {
	b := breaker.New(breaker.Config{ConsecutiveFailures: 1})
	answer(b, at(0), false)
	silent := b.Acquire(at(5), half, alice, chat)
	expect(t, b, at(9.9), breaker.HalfOpen, false)
	expect(t, b, at(10), breaker.HalfOpen, true)
	b.Acquire(at(10), half, alice, chat)
	expect(t, b, at(10), breaker.HalfOpen, false)
	b.Succeed(at(11), silent) // it was only slow: that is a response
	expect(t, b, at(11), breaker.Closed, true)
}

func TestPermitsOfAnOlderStateAreVoid(t *testing.T) {
	ways := map[string]func(b *breaker.Breaker, now time.Time, p breaker.Permit){
		"Succeed":         func(b *breaker.Breaker, now time.Time, p breaker.Permit) { b.Succeed(now, p) },
		"Fail":            func(b *breaker.Breaker, now time.Time, p breaker.Permit) { b.Fail(now, p) },
		"Doubt":           func(b *breaker.Breaker, now time.Time, p breaker.Permit) { b.Doubt(now, p) },
		"Drop":            func(b *breaker.Breaker, now time.Time, p breaker.Permit) { b.Drop(now, p) },
		"FirstOutput":     func(b *breaker.Breaker, now time.Time, p breaker.Permit) { b.FirstOutput(now, p) },
		"Refuse, request": func(b *breaker.Breaker, now time.Time, p breaker.Permit) { b.Refuse(now, p, false) },
		"Refuse, whole":   func(b *breaker.Breaker, now time.Time, p breaker.Permit) { b.Refuse(now, p, true) },
	}
	for name, void := range ways {
		t.Run(name, func(t *testing.T) {
			b := breaker.New(breaker.Config{ConsecutiveFailures: 1, Probes: 2})
			closed := b.Acquire(at(0), half, alice, chat)
			answer(b, at(1), false)
			open := b.Acquire(at(2), half, alice, chat) // sent although the breaker is open
			for _, p := range []breaker.Permit{closed, {}} {
				void(b, at(2), p)
				expect(t, b, at(2), breaker.Open, false)
			}
			first, second := b.Acquire(at(6), half, alice, chat), b.Acquire(at(6), half, alice, chat)
			for _, p := range []breaker.Permit{closed, open, {}} {
				void(b, at(6), p)
				expect(t, b, at(6), breaker.HalfOpen, false) // neither place is free
			}
			b.Succeed(at(7), first)
			expect(t, b, at(7), breaker.HalfOpen, true) // no success but that one
			b.Succeed(at(7), second)
			for _, p := range []breaker.Permit{closed, open, first, {}} {
				before := b.Evidence(at(8))
				void(b, at(8), p)
				after := b.Evidence(at(8))
				if before.Requests != after.Requests || before.Failures != after.Failures || after.Doubtful != 0 || after.Consecutive != 0 {
					t.Errorf("counted: %+v, before %+v", after, before)
				}
				expect(t, b, at(8), breaker.Closed, true)
			}
		})
	}
}

// Attempts that are sent although the breaker is open close it when they succeed.
// Their failures change nothing.
func TestSentInSpiteOfOpen(t *testing.T) {
	succeed := func(b *breaker.Breaker, p breaker.Permit) { b.Succeed(at(2), p) }
	speak := func(b *breaker.Breaker, p breaker.Permit) { b.Succeed(at(2), b.FirstOutput(at(2), p)) }
	tests := []struct {
		name   string
		probes int
		do     []func(*breaker.Breaker, breaker.Permit)
		state  breaker.State
		ready  bool
	}{
		{"fails", 1, []func(*breaker.Breaker, breaker.Permit){func(b *breaker.Breaker, p breaker.Permit) { b.Fail(at(2), p) }}, breaker.Open, false},
		{"is dropped", 1, []func(*breaker.Breaker, breaker.Permit){func(b *breaker.Breaker, p breaker.Permit) { b.Drop(at(2), p) }}, breaker.Open, false},
		{"fails elsewhere too", 1, []func(*breaker.Breaker, breaker.Permit){func(b *breaker.Breaker, p breaker.Permit) { b.Doubt(at(2), p) }}, breaker.Open, false},
		{"succeeds", 1, []func(*breaker.Breaker, breaker.Permit){succeed}, breaker.Closed, true},
		{"speaks, and succeeds", 1, []func(*breaker.Breaker, breaker.Permit){speak}, breaker.Closed, true},
		{"one success of two", 2, []func(*breaker.Breaker, breaker.Permit){succeed}, breaker.HalfOpen, true},
		{"one response is one success", 2, []func(*breaker.Breaker, breaker.Permit){speak}, breaker.HalfOpen, true},
		{"two successes of two", 2, []func(*breaker.Breaker, breaker.Permit){succeed, succeed}, breaker.Closed, true},
		{"two responses", 2, []func(*breaker.Breaker, breaker.Permit){speak, speak}, breaker.Closed, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := breaker.New(breaker.Config{ConsecutiveFailures: 1, Probes: tt.probes})
			answer(b, at(0), false)
			for _, do := range tt.do {
				do(b, b.Acquire(at(1), half, alice, chat))
			}
			expect(t, b, at(2), tt.state, tt.ready)
			if tt.state == breaker.Open && !b.ReadyAt(at(2)).Equal(at(5)) {
				t.Errorf("ready at %v, want 5s as before", b.ReadyAt(at(2)).Sub(epoch))
			}
			if tt.state == breaker.HalfOpen {
				b.Acquire(at(2), half, alice, chat)
				b.Acquire(at(2), half, alice, chat)
				expect(t, b, at(2), breaker.HalfOpen, false) // two probes at a time, no more
			}
		})
	}
}

// When no deployment is closed, one that serves some requests gets all of them, and
// one that serves none gets about one per second.
func TestLastResort(t *testing.T) {
	b := breaker.New(breaker.Config{ConsecutiveFailures: 1})
	answer(b, at(0), false)
	if got := b.LastResortAt(at(1)); !got.Equal(at(1)) {
		t.Errorf("the first: at %v, want at once", got.Sub(epoch))
	}
	for _, tt := range []struct{ random, wait float64 }{{0, 0.5}, {0.25, 0.75}, {0.5, 1}, {0.75, 1.25}, {1 - 1e-9, 1.499999999}} {
		b := breaker.New(breaker.Config{ConsecutiveFailures: 1})
		answer(b, at(0), false)
		b.Acquire(at(1), func() float64 { return tt.random }, alice, chat)
		next := b.LastResortAt(at(1))
		if got := next.Sub(at(1)).Seconds(); got < tt.wait-1e-6 || got > tt.wait+1e-6 {
			t.Errorf("random %v: after %v s, want %v", tt.random, got, tt.wait)
		}
		if got := b.LastResortAt(next.Add(-1)); !got.Equal(next) {
			t.Errorf("random %v: a moment before, at %v, want %v", tt.random, got.Sub(epoch), next.Sub(epoch))
		}
		if got := b.LastResortAt(next.Add(1)); !got.Equal(next.Add(1)) {
			t.Errorf("random %v: afterwards, at %v, want at once", tt.random, got.Sub(epoch))
		}
	}

	b = breaker.New(breaker.Config{ConsecutiveFailures: 1})
	answer(b, at(0), true)
	answer(b, at(1), false)
	b.Acquire(at(4.9), half, alice, chat)
	if got := b.LastResortAt(at(4.9)); !got.Equal(at(4.9)) {
		t.Errorf("within 5 s of a success: at %v, want at once", got.Sub(epoch))
	}
	if got := b.LastResortAt(at(5)); !got.Equal(at(5.9)) {
		t.Errorf("5 s after a success: at %v, want 1 s after the last attempt, at 5.9s", got.Sub(epoch))
	}
}

// Random numbers are only drawn for attempts that count as probes, so that they do
// not depend on how many requests a healthy deployment serves.
func TestClosedBreakerDrawsNothing(t *testing.T) {
	b := breaker.New(breaker.Config{})
	drawn := 0
	count := func() float64 { drawn++; return 0.5 }
	for i := range 5 {
		b.Fail(at(float64(i)), b.Acquire(at(float64(i)), count, alice, chat))
	}
	if drawn != 0 {
		t.Errorf("drew %d numbers while closed", drawn)
	}
	b.Acquire(at(5), count, alice, chat)  // although open
	b.Acquire(at(10), count, alice, chat) // a probe
	if drawn != 2 {
		t.Errorf("drew %d numbers for two probes", drawn)
	}
}

func TestStateNames(t *testing.T) {
	for state, want := range map[breaker.State]string{breaker.Closed: "closed", breaker.Open: "open", breaker.HalfOpen: "half_open", 9: "unknown"} {
		if got := state.String(); got != want {
			t.Errorf("state %d: %q, want %q", state, got, want)
		}
	}
}

func BenchmarkBreaker(b *testing.B) {
	for _, bm := range []struct {
		name    string
		callers int
	}{{"one caller", 1}, {"1000 callers", 1000}} {
		b.Run(bm.name, func(b *testing.B) {
			health := breaker.New(breaker.Config{})
			now, i := epoch, 0
			b.ReportAllocs()
			for b.Loop() {
				now, i = now.Add(time.Millisecond), i+1
				if health.Ready(now) {
					health.Succeed(now, health.Acquire(now, half, caller(uint64(i%bm.callers)), chat))
				}
			}
		})
	}
}
