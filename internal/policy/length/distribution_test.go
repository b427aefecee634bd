package length

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// responses is n responses of one length.
type answers struct {
	n, tokens int
	cut       bool
}

func (a answers) observe(s *Source) {
	for range a.n {
		if a.cut {
			s.ObserveAtLeast(epoch, a.tokens)
		} else {
			s.Observe(epoch, a.tokens)
		}
	}
}

// TestCutAnswers are cases that can be checked by hand. Lengths of 8 to 15 have
// a bucket of their own; 100 lies in 96–103, 3,000 in 2,816–3,071.
func TestCutAnswers(t *testing.T) {
	for _, tc := range []struct {
		name    string
		seen    []answers
		q       float64
		tokens  int
		atLeast bool
	}{
		{"half complete at 100, half cut after 3,000", []answers{{200, 100, false}, {200, 3000, true}}, 0.99, 3071, true},
		{"its median is that of the complete ones", []answers{{200, 100, false}, {200, 3000, true}}, 0.5, 103, false},
		{"all cut", []answers{{40, 12, true}}, 0.1, 12, true},
		{"cut below every other changes nothing", []answers{{50, 2, true}, {50, 8, false}, {50, 10, false}}, 0.5, 8, false},
		{"nor does it above the half", []answers{{50, 2, true}, {50, 8, false}, {50, 10, false}}, 0.51, 10, false},
		{"cut between: those that are left weigh double", []answers{{40, 8, false}, {20, 9, true}, {10, 10, false}, {10, 11, false}}, 0.75, 10, false},
		{"and the last is known", []answers{{40, 8, false}, {20, 9, true}, {10, 10, false}, {10, 11, false}}, 1, 11, false},
		{"in one bucket the complete ones are shorter", []answers{{50, 8, true}, {50, 8, false}}, 0.5, 8, false},
		{"so that the rest is longer", []answers{{50, 8, true}, {50, 8, false}}, 0.51, 8, true},
		{"a cut beyond the quantile", []answers{{99, 8, false}, {1, 12, true}}, 0.98, 8, false},
		{"a cut at the quantile", []answers{{99, 8, false}, {1, 12, true}}, 0.995, 12, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := New(Config{})
			want := Estimate{Tokens: tc.tokens, AtLeast: tc.atLeast}
			for _, a := range tc.seen {
				a.observe(of(m, chat))
				want.Answers += a.n
				if !a.cut {
					want.Complete += a.n
				}
			}
			if got := of(m, chat).Quantile(tc.q); got != want {
				t.Errorf("Quantile(%v) = %+v, want %+v", tc.q, got, want)
			}
		})
	}
}

// seen is one response.
type seen struct {
	tokens   int
	complete bool
}

func drawSeen(t *rapid.T, longest int) []seen {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) seen {
		return seen{rapid.IntRange(0, longest).Draw(t, "tokens"), rapid.Bool().Draw(t, "complete")}
	}), minSamples, 300).Draw(t, "answers")
}

// kaplanMeier returns the product-limit estimate of the q-quantile as textbooks
// have it: the shortest length at which the share of survivors is at most 1-q.
// ok is false where it never is.
func kaplanMeier(all []seen, q float64) (tokens int, ok bool) {
	lengths := make([]int, 0, len(all))
	for _, a := range all {
		lengths = append(lengths, a.tokens)
	}
	slices.Sort(lengths)
	survivors := 1.0
	for _, length := range slices.Compact(lengths) {
		ended, atRisk := 0, 0
		for _, a := range all {
			if a.tokens >= length {
				atRisk++
			}
			if a.tokens == length && a.complete {
				ended++
			}
		}
		survivors *= 1 - float64(ended)/float64(atRisk)
		if ended > 0 && survivors <= 1-q+1e-9 {
			return length, true
		}
	}
	return 0, false
}

// Where each length has a bucket of its own, the quantiles are exactly those of
// Kaplan and Meier; elsewhere they are in the same bucket, once the lengths
// themselves are rounded to theirs.
func TestQuantileIsKaplanMeier(t *testing.T) {
	for name, longest := range map[string]int{"exact": 1<<(lengths.Bits+1) - 1, "buckets": 200_000} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				all := drawSeen(t, longest)
				// Between two steps of the estimate, where rounding decides nothing.
				q := (float64(rapid.IntRange(0, 999).Draw(t, "q")) + 0.5 + 1/math.Pi/10) / 1000
				m := New(Config{})
				for i, a := range all {
					answers{1, a.tokens, !a.complete}.observe(of(m, chat))
					all[i].tokens = edge(binOf(a.tokens))
				}
				want, known := kaplanMeier(all, q)
				got := of(m, chat).Quantile(q)
				if got.AtLeast == known || known && edge(binOf(got.Tokens)) != want {
					t.Fatalf("Quantile(%v) = %+v, want %d, known %v", q, got, want, known)
				}
			})
		})
	}
}

// What was cut counts: a quantile above the share of the responses that are known
// to be shorter than a length is never below that length.
func TestQuantileIsNotBelowWhatWasCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawSeen(t, 20_000)
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		length := rapid.IntRange(0, 20_000).Draw(t, "length")
		m := New(Config{})
		shorter := 0
		for _, a := range all {
			answers{1, a.tokens, !a.complete}.observe(of(m, chat))
			if a.tokens < length {
				shorter++
			}
		}
		if got := of(m, chat).Quantile(q); q > float64(shorter)/float64(len(all)) && got.Tokens < edge(binOf(length)) {
			t.Fatalf("%d of %d are shorter than %d; Quantile(%v) = %+v", shorter, len(all), length, q, got)
		}
	})
}
