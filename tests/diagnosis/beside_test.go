package diagnosis

import (
	"flag"
	"slices"
	"testing"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/diagnose/rules"
)

// beside is what is said of two worlds that one gateway serves at one time,
// each with pools, deployments and callers of its own.
func beside(tb testing.TB, worlds [2]*world) diagnose.Diagnosis {
	tb.Helper()
	var cfg rules.Config
	for i, w := range worlds {
		for _, d := range w.knowledge().Deployments {
			d.Name, d.Model = sides[i]+d.Name, sides[i]+d.Model
			cfg.Deployments = append(cfg.Deployments, d)
		}
	}
	c := rules.NewCollector(cfg)
	for i, w := range worlds {
		w.observations(tb, func(o *diagnose.Observation) {
			o.Pool, o.Model, o.Caller, o.Class = sides[i]+o.Pool, sides[i]+o.Model, sides[i]+o.Caller, sides[i]+o.Class
			o.Attempts = slices.Clone(o.Attempts)
			for n := range o.Attempts {
				o.Attempts[n].Deployment = sides[i] + o.Attempts[n].Deployment
			}
			c.Add(o)
		})
	}
	return c.Diagnose()
}

// sides begin the names of what belongs to one of two worlds.
var sides = [2]string{"chat-", "batch-"}

// sideBySide is the share of pairs that TestPairsSideBySide makes: one in so
// many.
var sideBySide = flag.Int("side-by-side", 4, "one in so many pairs of causes is made side by side; 1 is all")

// Any two causes at the same time, in pools that have nothing in common. No
// rule was tuned on these worlds' seeds.
func TestPairsSideBySide(t *testing.T) {
	eachRelease(t, pairsSideBySide)
}

func pairsSideBySide(t *testing.T, chunkTokens int) {
	all := causes()
	var sum score
	n := 0
	for i, a := range all {
		for _, b := range all[i+1:] {
			if n++; n%*sideBySide != 0 {
				continue
			}
			seed := uint64(2000 + n)
			worlds := [2]*world{newWorld(seed), newWorld(seed + 500)}
			worlds[0].chunkTokens, worlds[1].chunkTokens = chunkTokens, chunkTokens
			a.make(worlds[0])
			b.make(worlds[1])
			s, wrong, missed := judge(beside(t, worlds).Findings, []diagnose.Code{a.code, b.code}, slices.Concat(a.also, b.also))
			if len(wrong)+len(missed) > 0 {
				t.Logf("%s beside %s, seed %d: wrong %v, missed %v", a.code, b.code, seed, wrong, missed)
			}
			sum.add(s)
		}
	}
	t.Logf("precision %.3f recall %.3f", sum.precision(), sum.recall())
	if sum.precision() < 0.85 || sum.recall() < 0.85 {
		t.Errorf("precision %.3f and recall %.3f, want 0.85", sum.precision(), sum.recall())
	}
}
