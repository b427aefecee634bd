package breaker_test

import (
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/policy/breaker"
)

// Failures of requests that were tried nowhere else open the breaker once they last
// longer than a burst of requests that are sent together.
func TestPresume(t *testing.T) {
	for _, tt := range []struct {
		name   string
		at     []float64
		served float64 // when a request is served that starts then; 0 is never
		open   bool
	}{
		{"a burst", []float64{0, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 0.9, 0.9}, 0, false},
		{"one after the other", []float64{0, 1, 2, 3, 4}, 0, true},
		{"too few", []float64{0, 1, 2, 3}, 0, false},
		{"a burst, and another failure later", []float64{0, 0, 0, 0, 0, 0, 2}, 0, true},
		{"a burst, a success, and another failure", []float64{0, 0, 0, 0, 0, 0, 2}, 1, false},
		{"a burst, a success, and another burst", []float64{0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2}, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := breaker.New(breaker.Config{MinRequests: 100})
			for _, s := range tt.at {
				if tt.served > 0 && s > tt.served {
					b.FirstOutput(at(tt.served), b.Acquire(at(tt.served), half, alice, chat))
				}
				b.Presume(at(s), b.Acquire(at(s), half, alice, chat))
			}
			last := at(tt.at[len(tt.at)-1])
			if got := b.State(last) == breaker.Open; got != tt.open {
				t.Errorf("open %v, want %v", got, tt.open)
			}
		})
	}
}

// The burst of a lone caller does not open the breaker by its rate of failures either.
func TestBurstOfFewRequests(t *testing.T) {
	b := breaker.New(breaker.Config{})
	for range 30 {
		b.Presume(at(1), b.Acquire(at(0), half, alice, chat))
	}
	expect(t, b, at(1), breaker.Closed, true)
	b.Fail(at(1), b.Acquire(at(0), half, alice, chat)) // another deployment served that one
	expect(t, b, at(1), breaker.Open, false)
}

// A failure before the first output is contradicted by the first output of a request
// that was sent later, and one after it by a complete response to such a request.
func TestPhases(t *testing.T) {
	begin := func(b *breaker.Breaker, s float64) breaker.Permit {
		return b.FirstOutput(at(s), b.Acquire(at(s), half, alice, chat))
	}
	early := func(b *breaker.Breaker, s float64) { b.Fail(at(s), b.Acquire(at(s), half, alice, chat)) }
	late := func(b *breaker.Breaker, s float64) { b.Fail(at(s), begin(b, s)) }
	for _, tt := range []struct {
		name string
		fail func(b *breaker.Breaker, s float64)
		do   func(b *breaker.Breaker, old breaker.Permit) // after four failures
		open bool                                         // after a fifth
	}{
		{"nothing, before the output", early, func(*breaker.Breaker, breaker.Permit) {}, true},
		{"nothing, after it", late, func(*breaker.Breaker, breaker.Permit) {}, true},
		{"a first output, before", early, func(b *breaker.Breaker, _ breaker.Permit) { begin(b, 5) }, false},
		{"a first output, after", late, func(b *breaker.Breaker, _ breaker.Permit) { begin(b, 5) }, true},
		{"a complete response, before", early, func(b *breaker.Breaker, _ breaker.Permit) { b.Succeed(at(5.5), begin(b, 5)) }, false},
		{"a complete response, after", late, func(b *breaker.Breaker, _ breaker.Permit) { b.Succeed(at(5.5), begin(b, 5)) }, false},
		{"one that began before, before", early, func(b *breaker.Breaker, old breaker.Permit) { b.Succeed(at(5), old) }, true},
		{"one that began before, after", late, func(b *breaker.Breaker, old breaker.Permit) { b.Succeed(at(5), old) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := breaker.New(breaker.Config{MinRequests: 100})
			old := begin(b, 0)
			for i := range 4 {
				tt.fail(b, float64(1+i))
			}
			tt.do(b, old)
			tt.fail(b, 6)
			if got := b.State(at(6)) == breaker.Open; got != tt.open {
				t.Errorf("open %v, want %v", got, tt.open)
			}
		})
	}
}

// A failure that is reported late, since it took time to know who is to blame, is as
// old as its attempt: what was served meanwhile contradicts it.
func TestFailuresReportedLate(t *testing.T) {
	for name, started := range map[string]bool{"before the output": false, "after it": true} {
		for kind, end := range map[string]func(*breaker.Breaker, time.Time, breaker.Permit){
			"Fail":    (*breaker.Breaker).Fail,
			"Presume": (*breaker.Breaker).Presume,
			"Doubt":   (*breaker.Breaker).Doubt,
			"Refuse":  func(b *breaker.Breaker, now time.Time, p breaker.Permit) { b.Refuse(now, p, true) },
		} {
			if kind == "Refuse" && started {
				continue // a refusal has no output
			}
			t.Run(kind+" "+name, func(t *testing.T) {
				for _, served := range []bool{false, true} {
					b := breaker.New(breaker.Config{MinRequests: 100})
					var failed []breaker.Permit
					for i := range 6 {
						p := b.Acquire(at(0), half, breaker.Suspect{Caller: uint64(i % 2), Shape: 1}, chat)
						if started {
							p = b.FirstOutput(at(0), p)
						}
						failed = append(failed, p)
					}
					if served {
						answerTo(b, at(0.5), caller(9), true)
					}
					for i, p := range failed {
						end(b, at(2+float64(i)*0.3), p)
					}
					if got := b.State(at(4)) == breaker.Open; got == served {
						t.Errorf("open %v although a later request was served: %v", got, served)
					}
				}
			})
		}
	}
}

// Refusals of requests that were sent together are one: they may have one cause in
// common.
func TestRefusalsTogether(t *testing.T) {
	b := breaker.New(breaker.Config{})
	var sent []breaker.Permit
	for range 10 {
		sent = append(sent, b.Acquire(at(0), half, alice, chat))
	}
	for _, p := range sent {
		b.Refuse(at(1), p, false)
	}
	if got := b.Excludes(at(1), alice, chat); !got.IsZero() {
		t.Errorf("excluded until %v by requests that were sent together", got.Sub(epoch))
	}
	refuse(b, at(1), alice, chat, false)
	if got := b.Excludes(at(1), alice, chat); !got.Equal(at(31)) {
		t.Errorf("excluded until %v by a later one, want 31s", got.Sub(epoch))
	}
}

// Where responses break off, a probe succeeds only when its response is complete.
func TestProbeOfBrokenResponses(t *testing.T) {
	for _, broken := range []bool{false, true} {
		b := breaker.New(breaker.Config{ConsecutiveFailures: 1})
		p := b.Acquire(at(0), half, alice, chat)
		if broken {
			p = b.FirstOutput(at(0), p)
		}
		b.Fail(at(0), p)
		probe := b.FirstOutput(at(6), b.Acquire(at(5), half, alice, chat))
		if got := b.State(at(6)); (got == breaker.HalfOpen) != broken || (got == breaker.Closed) == broken {
			t.Errorf("responses break off %v: %v after a first output", broken, got)
		}
		b.Succeed(at(7), probe)
		expect(t, b, at(7), breaker.Closed, true)
	}
}
