package breaker_test

import (
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/policy/breaker"
)

// refuse sends one request that the deployment refuses and another one serves.
func refuse(b *breaker.Breaker, now time.Time, who breaker.Suspect, operation uint64, whole bool) {
	b.Refuse(now, b.Acquire(now, half, who, operation), whole)
}

func TestRefuse(t *testing.T) {
	// who sends a request, and what becomes of it
	type request struct {
		who       breaker.Suspect
		operation uint64
		what      rune // w: refused as a whole, o: the operation refused, s: served
	}
	a, b, other := caller(1), caller(2), breaker.Suspect{Caller: 1, Shape: 2}
	tests := []struct {
		name     string
		requests []request
		excluded []request // what is excluded then; what does not count
		ejected  bool
	}{
		{"one refusal may be a coincidence", []request{{a, chat, 'w'}}, nil, false},
		{"one refusal of an operation", []request{{a, chat, 'o'}}, nil, false},
		{"two of one suspect", []request{{a, chat, 'w'}, {a, chat, 'w'}}, []request{{who: a, operation: chat}, {who: a, operation: stream}}, false},
		{"many of one suspect", []request{{a, chat, 'w'}, {a, stream, 'w'}, {a, chat, 'w'}, {a, chat, 'w'}, {a, chat, 'w'}}, []request{{who: a, operation: chat}}, false},
		{"two suspects", []request{{a, chat, 'w'}, {b, chat, 'w'}}, nil, true},
		{"two suspects, one of them twice", []request{{a, chat, 'w'}, {a, chat, 'w'}, {b, chat, 'w'}}, []request{{who: a, operation: chat}}, true},
		{"another suspect is served in between", []request{{a, chat, 'w'}, {b, chat, 's'}, {b, chat, 'w'}}, nil, false},
		{"success starts the count of suspects again", []request{{a, chat, 'w'}, {b, chat, 's'}, {b, chat, 'w'}, {a, chat, 'w'}}, []request{{who: a, operation: chat}}, true},
		{"served before", []request{{b, chat, 's'}, {a, chat, 'w'}, {b, chat, 'w'}}, nil, true},
		{"the same suspect is served in between", []request{{a, chat, 'w'}, {a, chat, 's'}, {a, chat, 'w'}}, nil, false},
		{"an excluded suspect is served", []request{{a, chat, 'w'}, {a, chat, 'w'}, {a, chat, 's'}}, nil, false},
		{"others do not end the exclusion of a suspect", []request{{a, chat, 'w'}, {a, chat, 'w'}, {b, chat, 's'}}, []request{{who: a, operation: chat}}, false},
		{"an operation, by two suspects", []request{{a, chat, 'o'}, {b, chat, 'o'}}, []request{{who: a, operation: chat}, {who: b, operation: chat}, {who: other, operation: chat}}, false},
		{"an operation never ejects", []request{{a, chat, 'o'}, {b, chat, 'o'}, {other, chat, 'o'}, {caller(3), chat, 'o'}}, []request{{who: b, operation: chat}}, false},
		{"an operation that works for others", []request{{a, chat, 'o'}, {b, chat, 's'}, {other, chat, 'o'}}, nil, false},
		{"another operation works", []request{{a, chat, 'o'}, {b, stream, 's'}, {other, chat, 'o'}}, []request{{who: b, operation: chat}}, false},
		{"two operations, once each", []request{{a, chat, 'o'}, {b, stream, 'o'}}, nil, false},
		{"an excluded operation works again", []request{{a, chat, 'o'}, {b, chat, 'o'}, {other, chat, 's'}}, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			br, now := breaker.New(breaker.Config{}), epoch
			for _, r := range tt.requests {
				now = now.Add(time.Second)
				if r.what == 's' {
					br.Succeed(now, br.Acquire(now, half, r.who, r.operation))
				} else {
					refuse(br, now, r.who, r.operation, r.what == 'w')
				}
			}
			if got := br.State(now) == breaker.Open; got != tt.ejected || br.Evidence(now).Ejected != got {
				t.Errorf("open %v, ejected %v, want both %v", got, br.Evidence(now).Ejected, tt.ejected)
			}
			for _, r := range tt.excluded {
				if got := br.Excludes(now, r.who, r.operation); !got.After(now) || got.After(now.Add(30*time.Second)) {
					t.Errorf("%+v for %d: excluded until %v, want within 30 s", r.who, r.operation, got)
				}
			}
			if tt.excluded == nil {
				for _, who := range []breaker.Suspect{a, b, other} {
					for _, operation := range []uint64{chat, stream} {
						if got := br.Excludes(now, who, operation); !got.IsZero() {
							t.Errorf("%+v for %d: excluded until %v", who, operation, got)
						}
					}
				}
			}
		})
	}
}

// The exclusion of a suspect leaves all others alone: those of the same caller, and
// those of the same shape.
func TestExclusionIsOfOneSuspect(t *testing.T) {
	b := breaker.New(breaker.Config{})
	guilty := breaker.Suspect{Caller: 1, Shape: 2}
	refuse(b, at(0), guilty, chat, true)
	refuse(b, at(0), guilty, chat, true)
	for _, who := range []breaker.Suspect{{Caller: 1, Shape: 3}, {Caller: 3, Shape: 2}, {Caller: 2, Shape: 1}, {}} {
		if got := b.Excludes(at(0), who, chat); !got.IsZero() {
			t.Errorf("%+v is excluded until %v", who, got.Sub(epoch))
		}
	}
	if got := b.Excludes(at(0), guilty, stream); !got.Equal(at(30)) {
		t.Errorf("the suspect is excluded until %v, want 30s whatever the operation", got.Sub(epoch))
	}
	expect(t, b, at(0), breaker.Closed, true)
}

// An exclusion ends by itself. The next refusal doubles it, to ten minutes.
func TestExclusionDoubles(t *testing.T) {
	b, now := breaker.New(breaker.Config{}), epoch
	refuse(b, now, alice, chat, true)
	for i, want := range []time.Duration{30, 60, 120, 240, 480, 600, 600, 600} {
		refuse(b, now, alice, chat, true)
		until := b.Excludes(now, alice, chat)
		if got := until.Sub(now); got != want*time.Second {
			t.Fatalf("exclusion %d lasts %v, want %v", i+1, got, want*time.Second)
		}
		// Requests that were under way do not extend it.
		for range 3 {
			refuse(b, now.Add(time.Second), alice, chat, true)
		}
		if got := b.Excludes(until.Add(-1), alice, chat); !got.Equal(until) {
			t.Fatalf("exclusion %d: shortly before its end, until %v, want %v", i+1, got.Sub(epoch), until.Sub(epoch))
		}
		if got := b.Excludes(until, alice, chat); !got.IsZero() {
			t.Fatalf("exclusion %d: at its end, until %v", i+1, got.Sub(epoch))
		}
		now = until
	}
	b.Succeed(now, b.Acquire(now, half, alice, chat))
	refuse(b, now, alice, chat, true)
	if got := b.Excludes(now, alice, chat); !got.IsZero() {
		t.Errorf("one refusal after a success: excluded until %v", got.Sub(epoch))
	}
	refuse(b, now, alice, chat, true)
	if got := b.Excludes(now, alice, chat).Sub(now); got != 30*time.Second {
		t.Errorf("after a success the exclusion lasts %v, want 30s", got)
	}
}

// A refusal is forgotten after ten minutes.
func TestRefusalsAreForgotten(t *testing.T) {
	b := breaker.New(breaker.Config{})
	refuse(b, at(0), alice, chat, true)
	refuse(b, at(601), alice, chat, true)
	if got := b.Excludes(at(601), alice, chat); !got.IsZero() {
		t.Errorf("excluded until %v by refusals ten minutes apart", got.Sub(epoch))
	}
	refuse(b, at(1200), alice, chat, true)
	if got := b.Excludes(at(1200), alice, chat); !got.Equal(at(1230)) {
		t.Errorf("excluded until %v, want 1230s", got.Sub(epoch))
	}
}

// A breaker remembers a bounded number of kinds of requests: the newest ones.
func TestManyExclusions(t *testing.T) {
	b := breaker.New(breaker.Config{})
	for i := range uint64(100) {
		for _, caller := range []uint64{2, 1, 1} {
			refuse(b, at(float64(i)*0.1), breaker.Suspect{Caller: caller, Shape: i}, i, false)
		}
	}
	now := at(10)
	if got := b.Evidence(now).Excluded; got < 8 || got > 100 {
		t.Errorf("%d kinds excluded, want some of the newest", got)
	}
	if b.Excludes(now, breaker.Suspect{Caller: 1, Shape: 99}, 0).IsZero() || b.Excludes(now, caller(9), 99).IsZero() {
		t.Error("the newest kinds are not excluded")
	}
	for i := range uint64(100) { // successes of all of them
		b.Succeed(now, b.Acquire(now, half, breaker.Suspect{Caller: 1, Shape: i}, i))
	}
	if got := b.Evidence(now).Excluded; got != 0 {
		t.Errorf("%d kinds excluded after all have succeeded", got)
	}
}

// An ejection lasts 30 s and ends with a probe.
func TestEjection(t *testing.T) {
	eject := func() *breaker.Breaker {
		b := breaker.New(breaker.Config{})
		refuse(b, at(0), caller(1), chat, true)
		refuse(b, at(0), caller(2), chat, true)
		return b
	}
	b := eject()
	expect(t, b, at(29.9), breaker.Open, false)
	expect(t, b, at(30), breaker.HalfOpen, true)
	if got := b.Evidence(at(1)); !got.Ejected || !got.Until.Equal(at(30)) {
		t.Errorf("ejected: %+v", got)
	}

	t.Run("the probe is served", func(t *testing.T) {
		b := eject()
		answerTo(b, at(30), caller(3), true)
		expect(t, b, at(30), breaker.Closed, true)
		if b.Evidence(at(30)).Ejected {
			t.Error("still ejected")
		}
		refuse(b, at(31), caller(4), chat, true) // one alone does not eject again
		expect(t, b, at(31), breaker.Closed, true)
	})
	t.Run("probes are refused", func(t *testing.T) {
		b := eject()
		for n := 1; b.State(at(30)) != breaker.Open; n++ {
			if n > 2 {
				t.Fatal("not ejected again by the probes of two suspects")
			}
			refuse(b, at(30), caller(uint64(n)), chat, true)
		}
		expect(t, b, at(59.9), breaker.Open, false)
		expect(t, b, at(60), breaker.HalfOpen, true)
	})
	t.Run("the probe fails", func(t *testing.T) {
		b := eject()
		answerTo(b, at(30), caller(3), false)
		expect(t, b, at(30), breaker.Open, false)
		if b.Evidence(at(30)).Ejected {
			t.Error("still ejected: the deployment fails, and refuses nothing")
		}
	})
	t.Run("a request is served meanwhile", func(t *testing.T) {
		b := eject()
		answerTo(b, at(10), caller(3), true)
		expect(t, b, at(10), breaker.Closed, true)
	})
}
