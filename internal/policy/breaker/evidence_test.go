package breaker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/policy/breaker"
)

// kinds are the two ways in which a suspect is told from the others.
var kinds = map[string]func(n uint64) breaker.Suspect{
	"caller": func(n uint64) breaker.Suspect { return breaker.Suspect{Caller: n, Shape: 1000} },
	"shape":  func(n uint64) breaker.Suspect { return breaker.Suspect{Caller: 1000, Shape: n} },
}

// group is the suspect whose letter a pattern has.
func group(of func(uint64) breaker.Suspect, letter rune) breaker.Suspect {
	return of(uint64(strings.ToLower(string(letter))[0]))
}

// play sends attempts that end at once, 10 ms apart: a capital letter is a success of
// the group with that letter, a small one a failure, and a space a second without
// any. It returns how many had been sent when the breaker opened, or 0.
func play(b *breaker.Breaker, of func(uint64) breaker.Suspect, pattern string) (opened int) {
	sent, now := 0, epoch
	for _, letter := range pattern {
		now = now.Add(at(0.01).Sub(epoch))
		if letter == ' ' {
			now = now.Add(at(1).Sub(epoch))
			continue
		}
		sent++
		answerTo(b, now, group(of, letter), letter < 'a')
		if opened == 0 && b.State(now) != breaker.Closed {
			opened = sent
		}
	}
	return opened
}

// TestWhoIsToBlame: the failures of one caller, or of one shape, open the breaker
// unless the success of others contradicts them.
func TestWhoIsToBlame(t *testing.T) {
	r := strings.Repeat
	for _, tt := range []struct {
		name, pattern string
		opened        int // after so many attempts; 0 means that it stays closed
	}{
		{"one group alone", "aaaaa", 5},
		{"the only group, after successes", r("A", 20) + "aaaaa", 25},
		{"one group fails, another succeeds in turn", r("aB", 200), 0},
		{"one group fails nine times of ten", r("aaaaB", 100), 0},
		{"one group has always failed", r("aB", 5) + r("a", 30) + r("aB", 5), 0},
		{"one group fails, many succeed", r("aBCDEFGaaaHIJK", 50), 0},
		{"one group of two fails at half of its requests", r("aAB", 100), 0},
		{"two groups fail, as many succeed", r("abCD", 100), 0},
		{"two groups fail, others succeed more often", r("aCbCDbaC", 50), 0},
		{"all groups fail from the start", "abcde", 5},
		{"all fail after successes", r("ABCD", 50) + "abcda", 205},
		{"all fail after a group that has always failed", r("aB", 50) + "babababa", 105},
		{"most groups fail", "Z" + r("abcdefZ", 20), 6},
		{"two of three groups fail, the third no longer sends", "ABC" + "ababab", 8},
		{"the others' successes have been forgotten", r("B", 20) + "aB" + r(" ", 40) + "aaaaa", 27},
		{"one other request failed meanwhile", r("AB", 10) + "aB" + "aaba" + r("aB", 5), 0},
		{"both fail half of the time", r("aAbB", 10), 11},
	} {
		for kind, of := range kinds {
			t.Run(tt.name+", by "+kind, func(t *testing.T) {
				if got := play(breaker.New(breaker.Config{}), of, tt.pattern); got != tt.opened {
					t.Errorf("opened after %d attempts, want %d (0 means never)", got, tt.opened)
				}
			})
		}
	}
}

// Attempts that started before the outage and succeed during it say nothing about the
// requests that are sent now.
func TestOldSuccessesDoNotContradict(t *testing.T) {
	for kind, of := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := breaker.New(breaker.Config{})
			for i := range 40 {
				answerTo(b, at(float64(i)*0.1), of(uint64(1+i%4)), true)
			}
			early := b.Acquire(at(4), half, of(3), chat)
			for i := range 4 {
				answerTo(b, at(5+float64(i)*0.1), of(uint64(1+i%2)), false)
			}
			b.Succeed(at(6), early)
			for i := range 5 {
				answerTo(b, at(6+float64(i)*0.1), of(uint64(1+i%2)), false)
			}
			expect(t, b, at(7), breaker.Open, false)
		})
	}
}

// A failure counts from when its attempt started: what others got meanwhile
// contradicts it, however long it took.
func TestSlowFailuresAreContradicted(t *testing.T) {
	for kind, of := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := breaker.New(breaker.Config{})
			var slow []breaker.Permit
			for range 9 {
				slow = append(slow, b.Acquire(at(0), half, of(1), chat))
			}
			for i := range 8 {
				answerTo(b, at(1+float64(i)*0.1), of(uint64(2+i%2)), true)
			}
			for _, p := range slow {
				b.Fail(at(5), p)
			}
			expect(t, b, at(5), breaker.Closed, true)
		})
	}
}

// The breaker tells a bounded number of callers and shapes apart. That there are more
// of them hides neither a lone culprit nor an outage.
func TestMoreGroupsThanAreToldApart(t *testing.T) {
	for kind, of := range kinds {
		for _, others := range []int{15, 16, 17, 100, 1000} {
			t.Run(fmt.Sprintf("%s, %d others", kind, others), func(t *testing.T) {
				b, now, sent := breaker.New(breaker.Config{}), epoch, 0
				other := func(ok bool) {
					answerTo(b, now, of(uint64(2+sent%others)), ok)
					sent++
				}
				for range 1000 {
					now = now.Add(at(0.01).Sub(epoch))
					answerTo(b, now, of(1), false)
					other(true)
				}
				if got := b.State(now); got != breaker.Closed {
					t.Fatalf("%d others succeed: %v", others, got)
				}
				for range 20 { // among many that succeed, a culprit is not forgotten
					for range 40 {
						other(true)
					}
					for range 10 {
						answerTo(b, now, of(1), false)
					}
				}
				if got := b.State(now); got != breaker.Closed {
					t.Fatalf("%d others succeed between failures: %v", others, got)
				}
				for n := 1; b.State(now) == breaker.Closed; n++ {
					if n > 10 {
						t.Fatalf("%d others fail: closed after %d failures of theirs", others, n-1)
					}
					now = now.Add(at(0.01).Sub(epoch))
					other(false)
				}
			})
		}
	}
}

// A caller that chooses a new shape for each request is still one caller, and a
// failing shape that every caller sends is still one shape.
func TestCulpritsOfManyGuises(t *testing.T) {
	for name, guise := range map[string]func(i uint64) breaker.Suspect{
		"one caller, many shapes": func(i uint64) breaker.Suspect { return breaker.Suspect{Caller: 1, Shape: i} },
		"one shape, many callers": func(i uint64) breaker.Suspect { return breaker.Suspect{Caller: i, Shape: 1} },
	} {
		t.Run(name, func(t *testing.T) {
			b, now := breaker.New(breaker.Config{}), epoch
			for i := range uint64(2000) {
				now = now.Add(at(0.01).Sub(epoch))
				answerTo(b, now, guise(10+i%50), false)
				answerTo(b, now, breaker.Suspect{Caller: 2, Shape: 2}, true)
				if got := b.State(now); got != breaker.Closed {
					t.Fatalf("%v after %d failures", got, i+1)
				}
			}
		})
	}
}

func TestDoubt(t *testing.T) {
	type step struct {
		at     float64
		who    uint64 // caller
		times  int
		served bool // else it failed here and elsewhere
		open   bool // afterwards
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"one caller, many in a short time", []step{{0, 1, 500, false, false}, {9.9, 1, 500, false, false}}},
		{"one caller, many over a long time", []step{{0, 1, 19, false, false}, {10, 1, 1, false, true}}},
		{"one caller, few over a long time", []step{{0, 1, 10, false, false}, {100, 1, 9, false, false}}},
		{"one caller, enough over a long time", []step{{0, 1, 10, false, false}, {100, 1, 9, false, false}, {101, 1, 1, false, true}}},
		{"two callers", []step{{0, 1, 4, false, false}, {0, 2, 1, false, true}}},
		{"two callers in turn", []step{{0, 1, 1, false, false}, {0, 2, 1, false, false}, {0, 1, 2, false, false}, {0, 2, 1, false, true}}},
		{"two callers, too few", []step{{0, 1, 2, false, false}, {0, 2, 2, false, false}}},
		{"the second one after many", []step{{0, 1, 100, false, false}, {1, 2, 1, false, true}}},
		{"a success in between", []step{{0, 1, 4, false, false}, {1, 3, 1, true, false}, {2, 2, 4, false, false}, {3, 1, 1, false, true}}},
		{"a success starts the time again", []step{{0, 1, 19, false, false}, {5, 1, 1, true, false}, {11, 1, 30, false, false}, {21, 1, 1, false, true}}},
		{"a success of the same caller", []step{{0, 1, 4, false, false}, {1, 1, 1, true, false}, {2, 2, 4, false, false}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := breaker.New(breaker.Config{})
			for i, s := range tt.steps {
				for range s.times {
					if p := b.Acquire(at(s.at), half, caller(s.who), chat); s.served {
						b.Succeed(at(s.at), p)
					} else {
						b.Doubt(at(s.at), p)
					}
				}
				if got := b.State(at(s.at)) == breaker.Open; got != s.open {
					t.Fatalf("step %d: open %v, want %v", i+1, got, s.open)
				}
			}
		})
	}
}

// Different shapes of one caller's requests are still the word of one caller.
func TestDoubtTellsCallersApart(t *testing.T) {
	b := breaker.New(breaker.Config{})
	for i := range uint64(100) {
		b.Doubt(at(1), b.Acquire(at(1), half, breaker.Suspect{Caller: 1, Shape: i}, chat))
	}
	expect(t, b, at(1), breaker.Closed, true)
}

// A breaker that closes again begins to count anew.
func TestDoubtsEndWithTheState(t *testing.T) {
	b := breaker.New(breaker.Config{})
	for range 4 {
		b.Doubt(at(0), b.Acquire(at(0), half, caller(1), chat))
	}
	for range 5 {
		answerTo(b, at(0), caller(1), false)
	}
	b.FirstOutput(at(5), b.Acquire(at(5), half, alice, chat))
	b.Doubt(at(6), b.Acquire(at(6), half, caller(2), chat))
	expect(t, b, at(6), breaker.Closed, true)
	if got := b.Evidence(at(6)).Doubtful; got != 1 {
		t.Errorf("%d doubtful failures, want 1", got)
	}
}

// Failures for which the request may be to blame are not failures of the deployment.
func TestDoubtIsNoFailure(t *testing.T) {
	b := breaker.New(breaker.Config{})
	for i := range 100 {
		now := at(float64(i) * 0.05)
		b.Doubt(now, b.Acquire(now, half, alice, chat))
		if i%20 == 0 {
			answerTo(b, now, caller(2), true)
		}
	}
	for i := range 4 {
		answerTo(b, at(5+float64(i)*0.1), caller(uint64(3+i)), false)
	}
	expect(t, b, at(6), breaker.Closed, true)
	if got := b.Evidence(at(6)); got.Requests != 9 || got.Failures != 4 || got.Doubtful != 19 {
		t.Errorf("%+v, want 9 requests, 4 failures, 19 doubtful", got)
	}
}

func TestEvidence(t *testing.T) {
	b := breaker.New(breaker.Config{})
	limits := breaker.Defaults()
	if got := b.Evidence(at(0)); got != (breaker.Evidence{Limits: limits}) {
		t.Errorf("before the first request: %+v", got)
	}
	suspect := func(c, s uint64) breaker.Suspect { return breaker.Suspect{Caller: c, Shape: s} }
	answerTo(b, at(0), suspect(1, 1), true)
	answerTo(b, at(1), suspect(1, 2), false)
	answerTo(b, at(2), suspect(2, 2), false)
	answerTo(b, at(3), suspect(3, 2), false)
	answerTo(b, at(4), suspect(3, 1), true)
	answerTo(b, at(5), suspect(2, 3), false)
	b.Doubt(at(6), b.Acquire(at(6), half, suspect(4, 4), chat))
	b.Drop(at(6), b.Acquire(at(6), half, alice, chat))
	for _, caller := range []uint64{5, 5, 6} {
		b.Refuse(at(7), b.Acquire(at(7), half, suspect(caller, 5), stream), false)
	}
	want := breaker.Evidence{
		Requests: 6, Failures: 4, Consecutive: 1, Doubtful: 1,
		FailedCallers: 3, AllCallers: 3,
		Callers: 2, Shapes: 2, // 1 and 2, of which 3 has succeeded since; 2 and 3
		Excluded:    2, // one of the suspects, and the operation
		SucceededAt: at(4), Limits: limits,
	}
	if got := b.Evidence(at(8)); got != want {
		t.Errorf("closed: %+v\nwant %+v", got, want)
	}
	for i := range 4 {
		answerTo(b, at(8+float64(i)*0.1), suspect(2, 3), false)
	}
	want.Requests, want.Failures, want.Consecutive = 10, 8, 5
	want.Until, want.OpenedAt = at(8.3).Add(5*at(1).Sub(epoch)), at(8.3)
	if got := b.Evidence(at(9)); got != want {
		t.Errorf("open: %+v\nwant %+v", got, want)
	}
	probe := b.Acquire(at(14), half, suspect(2, 3), chat)
	want.Until = at(19) // when the silent probe no longer holds its place
	if got := b.Evidence(at(14)); got != want {
		t.Errorf("half-open: %+v\nwant %+v", got, want)
	}
	b.Succeed(at(15), probe)
	if got, want := b.Evidence(at(15)), (breaker.Evidence{Excluded: 2, SucceededAt: at(15), Limits: limits}); got != want {
		t.Errorf("closed again: %+v\nwant %+v", got, want)
	}
	if got := b.Evidence(at(40)); got.Excluded != 0 {
		t.Errorf("the exclusions have ended: %+v", got)
	}
}

// What has left the window is no evidence.
func TestEvidenceIsForgotten(t *testing.T) {
	b := breaker.New(breaker.Config{})
	for i := range 4 {
		answerTo(b, at(float64(i)), caller(uint64(i)), false)
	}
	if got := b.Evidence(at(4)); got.Failures != 4 || got.Callers != 4 || got.Shapes != 1 {
		t.Errorf("within the window: %+v", got)
	}
	if got := b.Evidence(at(34)); got.Requests != 0 || got.Failures != 0 || got.Callers != 0 || got.Shapes != 0 {
		t.Errorf("after the window: %+v", got)
	}
}

// A closed breaker says why many failures have not opened it.
func TestSpared(t *testing.T) {
	type request struct {
		at            float64
		caller, shape uint64
		ok            bool
	}
	for _, tc := range []struct {
		name     string
		requests []request
		presume  bool
		want     breaker.Spared
	}{
		{"few failures", []request{{0, 1, 1, false}, {0, 1, 1, true}}, false, breaker.SparedNot},
		{"of one caller", []request{
			{0, 1, 1, false},
			{0, 2, 1, true},
			{1, 1, 1, false},
			{1, 2, 1, true},
			{2, 1, 1, false},
			{2, 2, 1, true},
			{2, 1, 1, false},
			{2, 1, 1, false},
			{2, 1, 1, false},
			{2, 1, 1, false},
		}, false, breaker.SparedByCaller},
		{"of one shape", []request{
			{0, 1, 1, false},
			{0, 1, 2, true},
			{1, 1, 1, false},
			{1, 1, 2, true},
			{2, 1, 1, false},
			{2, 1, 2, true},
			{2, 1, 1, false},
			{2, 1, 1, false},
			{2, 1, 1, false},
			{2, 1, 1, false},
		}, false, breaker.SparedByShape},
		{"at once", []request{{0, 1, 1, false}, {0, 2, 2, false}, {0, 3, 3, false}, {0, 4, 4, false}, {0, 5, 5, false}}, true, breaker.SparedByBurst},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := breaker.New(breaker.Config{})
			for _, r := range tc.requests {
				p := b.Acquire(at(r.at), half, breaker.Suspect{Caller: r.caller, Shape: r.shape}, chat)
				switch {
				case r.ok:
					b.Succeed(at(r.at), p)
				case tc.presume:
					b.Presume(at(r.at), p)
				default:
					b.Fail(at(r.at), p)
				}
			}
			last := tc.requests[len(tc.requests)-1].at
			if got := b.Evidence(at(last)); b.State(at(last)) != breaker.Closed || got.Spared != tc.want {
				t.Errorf("%v, spared %v, want closed, %v: %+v", b.State(at(last)), got.Spared, tc.want, got)
			}
		})
	}
}
