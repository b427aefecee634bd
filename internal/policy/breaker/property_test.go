package breaker_test

import (
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"pgregory.net/rapid"
)

// traffic is any sequence of requests at a breaker.
type traffic struct {
	b     *breaker.Breaker
	now   time.Time
	under []breaker.Permit // attempts under way
}

// draw is a suspect: of few callers and shapes, or of many.
func draw(t *rapid.T) breaker.Suspect {
	most := rapid.SampledFrom([]uint64{2, 40}).Draw(t, "kinds")
	return breaker.Suspect{Caller: rapid.Uint64Range(1, most).Draw(t, "caller"), Shape: rapid.Uint64Range(1, most).Draw(t, "shape")}
}

// step starts an attempt, or ends one in any way.
func (tr *traffic) step(t *rapid.T) {
	b := tr.b
	tr.now = tr.now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 100, 3000, 60_000}).Draw(t, "ms")) * time.Millisecond)
	if len(tr.under) == 0 || rapid.IntRange(0, 2).Draw(t, "start") == 0 {
		tr.under = append(tr.under, b.Acquire(tr.now, func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "random") },
			draw(t), rapid.Uint64Range(1, 3).Draw(t, "operation")))
		return
	}
	i := rapid.IntRange(0, len(tr.under)-1).Draw(t, "which")
	p := tr.under[i]
	if rapid.IntRange(0, 3).Draw(t, "speaks") == 0 {
		p = b.FirstOutput(tr.now, p)
		if rapid.Bool().Draw(t, "goes on") {
			tr.under[i] = p
			return
		}
	}
	tr.under = append(tr.under[:i], tr.under[i+1:]...)
	switch rapid.SampledFrom([]string{"succeed", "fail", "fail", "presume", "doubt", "refuse", "drop"}).Draw(t, "end") {
	case "succeed":
		b.Succeed(tr.now, p)
	case "fail":
		b.Fail(tr.now, p)
	case "presume":
		b.Presume(tr.now, p)
	case "doubt":
		b.Doubt(tr.now, p)
	case "refuse":
		b.Refuse(tr.now, p, rapid.Bool().Draw(t, "whole"))
	case "drop":
		b.Drop(tr.now, p)
	}
}

// anyTraffic is what is left of a breaker after any sequence of requests.
func anyTraffic(t *rapid.T, cfg breaker.Config, check func(*traffic)) *traffic {
	tr := &traffic{b: breaker.New(cfg), now: epoch}
	for range rapid.IntRange(1, 150).Draw(t, "steps") {
		tr.step(t)
		check(tr)
	}
	return tr
}

func probes(t *rapid.T) breaker.Config {
	return breaker.Config{Probes: rapid.IntRange(0, 3).Draw(t, "probes"), ConsecutiveFailures: rapid.SampledFrom([]int{0, 1, 2}).Draw(t, "consecutive")}
}

// Whatever happens, what a breaker says of itself agrees, a breaker that is asked
// again at ReadyAt is ready, and it closes when every probe succeeds.
func TestBreakerRecovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := anyTraffic(t, probes(t), func(tr *traffic) {
			b, now := tr.b, tr.now
			next := b.ReadyAt(now)
			if next.Before(now) || b.Ready(now) != next.Equal(now) || !b.Ready(next) || b.LastResortAt(now).Before(now) {
				t.Fatalf("ready %v, ready at %v and then %v, last resort at %v", b.Ready(now), next, b.Ready(next), b.LastResortAt(now))
			}
			if b.LastResortAt(now).After(now.Add(1500 * time.Millisecond)) {
				t.Fatalf("last resort in %v", b.LastResortAt(now).Sub(now))
			}
			if b.State(now) == breaker.Closed && !b.Ready(now) {
				t.Fatal("closed, and not ready")
			}
			if next.After(now.Add(time.Minute)) {
				t.Fatalf("ready only in %v", next.Sub(now))
			}
			e := b.Evidence(now)
			if e.Failures > e.Requests || e.Requests < 0 || e.Failures < 0 || e.Ejected && b.State(now) == breaker.Closed {
				t.Fatalf("%v with %+v", b.State(now), e)
			}
		})
		for range 3 {
			tr.now = tr.b.ReadyAt(tr.now)
			answer(tr.b, tr.now, true)
		}
		if got := tr.b.State(tr.now); got != breaker.Closed {
			t.Fatalf("%v after three good probes", got)
		}
	})
}

// However a half-open breaker came about, it admits as many probes as configured,
// and one more each time that those are silent for OpenFor.
func TestHalfOpenAdmitsProbes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := probes(t)
		tr := anyTraffic(t, cfg, func(*traffic) {})
		b, most := tr.b, max(cfg.Probes, 1)
		for i := 0; b.State(tr.now) == breaker.Closed; i++ { // two callers fail
			if i > 100 {
				t.Fatal("closed, although everything fails")
			}
			answerTo(b, tr.now, breaker.Suspect{Caller: uint64(100 + i%2), Shape: uint64(100 + i%2)}, false)
		}
		// Two minutes later nothing but silent probes is left, so a failed one opens it anew.
		tr.now = tr.now.Add(2 * time.Minute)
		answer(b, tr.now, false)
		if b.State(tr.now) != breaker.Open {
			t.Fatalf("%v after a failed probe", b.State(tr.now))
		}
		tr.now = b.ReadyAt(tr.now)
		for n := range most {
			if !b.Ready(tr.now) {
				t.Fatalf("not ready for probe %d of %d", n+1, most)
			}
			b.Acquire(tr.now, half, alice, chat)
		}
		for range 3 {
			if b.Ready(tr.now) || b.Ready(tr.now.Add(5*time.Second-1)) {
				t.Fatalf("more than %d probes", most)
			}
			tr.now = tr.now.Add(5 * time.Second)
			if !b.Ready(tr.now) {
				t.Fatal("stuck: silent probes hold their places for more than OpenFor")
			}
			b.Acquire(tr.now, half, alice, chat)
		}
	})
}

// TestOutage: when everything fails, for several callers and without any success,
// the breaker opens soon, whatever it has seen before, as long as that has ended.
func TestOutage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := breaker.Config{ConsecutiveFailures: rapid.IntRange(1, 8).Draw(t, "consecutive")}
		b, now := breaker.New(cfg), epoch
		for range rapid.IntRange(0, 200).Draw(t, "successes") {
			now = now.Add(time.Millisecond)
			answerTo(b, now, draw(t), true)
		}
		callers := rapid.Uint64Range(2, 40).Draw(t, "callers")
		shapes := rapid.Uint64Range(1, 3).Draw(t, "shapes")
		failures, doubts := 0, 0
		for i := uint64(0); b.State(now) == breaker.Closed; i++ {
			now = now.Add(time.Millisecond)
			who := breaker.Suspect{Caller: 1 + i%callers, Shape: 1 + i%shapes}
			if p := b.Acquire(now, half, who, chat); rapid.IntRange(0, 3).Draw(t, "elsewhere too") == 0 {
				doubts++
				b.Doubt(now, p)
			} else {
				failures++
				b.Fail(now, p)
			}
			// Doubts may all be of one caller, and then do not count so soon.
			// A recent success counts until three of the others have failed.
			if most := cfg.ConsecutiveFailures + 6; failures > most {
				t.Fatalf("closed after %d failures and %d doubts, want at most %d failures", failures, doubts, most)
			}
		}
	})
}

// TestNonInterference: one suspect whose requests always fail never takes the
// deployment away from others whose requests succeed, however they are mixed, once
// one of theirs has succeeded since the first failure.
func TestNonInterference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, now := breaker.New(breaker.Config{}), epoch
		guilty := breaker.Suspect{Caller: 1, Shape: 1}
		sharesShape := rapid.Bool().Draw(t, "others send the same shape") // else the same caller
		others := rapid.Uint64Range(1, 40).Draw(t, "others")
		fail := func() { now = now.Add(time.Millisecond); answerTo(b, now, guilty, false) }
		succeed := func() {
			now = now.Add(time.Millisecond)
			who := breaker.Suspect{Caller: 1 + rapid.Uint64Range(1, others).Draw(t, "other"), Shape: 1}
			if !sharesShape {
				who = breaker.Suspect{Caller: 1, Shape: who.Caller}
			}
			answerTo(b, now, who, true)
		}
		fail()
		succeed()
		for range rapid.IntRange(1, 60).Draw(t, "rounds") {
			for range rapid.IntRange(0, 20).Draw(t, "failures") {
				fail()
			}
			succeed()
			if got := b.State(now); got != breaker.Closed {
				t.Fatalf("%v: %+v", got, b.Evidence(now))
			}
		}
	})
}
