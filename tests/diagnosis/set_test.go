package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// score counts what was found against what was there.
type score struct{ right, wrong, missed int }

func (s score) precision() float64 { return ratio(s.right, s.right+s.wrong) }
func (s score) recall() float64    { return ratio(s.right, s.right+s.missed) }

func ratio(a, b int) float64 {
	if b == 0 {
		return 1
	}
	return float64(a) / float64(b)
}

// judge compares one diagnosis with its labels.
func judge(found []diagnose.Finding, there, also []diagnose.Code) (s score, wrong, missed []diagnose.Code) {
	var codes []diagnose.Code
	for _, f := range found {
		if slices.Contains(codes, f.Code) {
			continue
		}
		codes = append(codes, f.Code)
		switch {
		case slices.Contains(there, f.Code):
			s.right++
		case !slices.Contains(also, f.Code):
			s.wrong++
			wrong = append(wrong, f.Code)
		}
	}
	for _, c := range there {
		if !slices.Contains(codes, c) {
			s.missed++
			missed = append(missed, c)
		}
	}
	return s, wrong, missed
}

func (s *score) add(o score) {
	s.right, s.wrong, s.missed = s.right+o.right, s.wrong+o.wrong, s.missed+o.missed
}

// seeds are those that rules were tuned on, and those that they were not.
func seeds(n int) (tuned, held []uint64) {
	for i := range n {
		tuned = append(tuned, uint64(1+i))
		held = append(held, uint64(1001+i))
	}
	return tuned, held
}

func TestSingleCauses(t *testing.T) {
	tuned, held := seeds(6)
	for _, set := range []struct {
		name  string
		seeds []uint64
	}{{"tuned", tuned}, {"held out", held}} {
		var all score
		var lines []string
		for _, c := range causes() {
			var one score
			for _, seed := range set.seeds {
				w := newWorld(seed)
				c.make(w)
				s, wrong, missed := judge(w.diagnosis(t).Findings, []diagnose.Code{c.code}, c.also)
				if len(wrong)+len(missed) > 0 {
					t.Logf("%s, seed %d: wrong %v, missed %v", c.code, seed, wrong, missed)
				}
				one.add(s)
			}
			lines = append(lines, fmt.Sprintf("%-20s precision %.2f recall %.2f", c.code, one.precision(), one.recall()))
			all.add(one)
		}
		t.Logf("%s\n%s\nall: precision %.3f recall %.3f", set.name, strings.Join(lines, "\n"), all.precision(), all.recall())
		if all.precision() < 0.95 || all.recall() < 0.95 {
			t.Errorf("%s: precision %.3f and recall %.3f, want 0.95", set.name, all.precision(), all.recall())
		}
	}
}
