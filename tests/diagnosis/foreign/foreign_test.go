package foreign

import (
	"flag"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// usualWorlds is how many worlds of each kind are made by default.
const usualWorlds = 1

var (
	worlds  = flag.Uint64("worlds", usualWorlds, "worlds of each kind; of more than one, all levels are measured and all kinds take part in the metamorphic tests")
	first   = flag.Uint64("first", 1001, "seed of the first world; the rules were tuned on seeds below 1,000")
	only    = flag.String("kind", "", "only kinds whose names contain this")
	verbose = flag.Bool("findings", false, "print all findings")
	logs    = flag.String("level", "", "only this level")
)

// A result is what a world's diagnosis at a level is worth.
type result struct {
	kind, level string
	code        diagnose.Code // the world's first cause; "" where healthy
	score       score
}

// measure diagnoses worlds of all kinds, two at a time. Their results are in
// order.
func measure(t *testing.T, all []level) []result {
	var sick []kind
	for _, k := range kinds() {
		if strings.Contains(k.name, *only) {
			sick = append(sick, k)
		}
	}
	results := make([][]result, len(sick))
	var workers sync.WaitGroup
	next := make(chan int)
	for range 2 {
		workers.Go(func() {
			for i := range next {
				results[i] = sick[i].measure(t, all)
			}
		})
	}
	for i := range sick {
		next <- i
	}
	close(next)
	workers.Wait()
	return slices.Concat(results...)
}

func (k kind) measure(t *testing.T, all []level) (results []result) {
	for seed := *first; seed < *first+*worlds; seed++ {
		w := k.make(seed)
		for _, l := range all {
			d := w.diagnosis(t, l, arrangement{})
			if *verbose {
				for i := range d.Findings {
					f := &d.Findings[i]
					t.Logf("%s %d %s: %s %.2f %s", k.name, seed, l.name, f.Code, f.Confidence, f.Title)
				}
			}
			x := result{kind: k.name, level: l.name, score: w.mark(l, &d, k.healthy)}
			if len(w.truth) > 0 {
				x.code = w.truth[0].code
			}
			results = append(results, x)
		}
	}
	return results
}

// TestCauses holds the findings to the truth, at every level of knowledge.
func TestCauses(t *testing.T) {
	all := slices.DeleteFunc(levels(), func(l level) bool {
		if *logs == "" {
			return l.more && *worlds <= usualWorlds
		}
		return !slices.Contains(strings.Split(*logs, "|"), l.name)
	})
	byLevel, byKind, total := map[string]*score{}, map[string]*score{}, &score{}
	for _, x := range measure(t, all) {
		for _, m := range x.score.misses {
			t.Log(m)
		}
		for _, s := range []*score{entry(byLevel, x.level), entry(byKind, x.kind), total} {
			s.add(&x.score)
		}
	}
	printTable(t, "by level", byLevel)
	printTable(t, "by kind", byKind)
	t.Log("total", total)
	for _, l := range all {
		s := byLevel[l.name]
		atLeast(t, l.name+": precision of the top finding", share(s.topTrue, s.top), l.least[0])
		atLeast(t, l.name+": recall by the top finding", share(s.topFound, s.topMust), l.least[1])
		atLeast(t, l.name+": precision of all findings", share(s.true, s.all), l.least[2])
		atLeast(t, l.name+": recall of all causes", share(s.found, s.must), l.least[3])
	}
	atLeast(t, "findings of a confidence of 0.9 and more that are true", share(total.sureTrue, total.sure), 0.9)
	if total.alarms > 0 {
		t.Errorf("%d false alarms", total.alarms)
	}
}

func atLeast(t *testing.T, what string, got, want float64) {
	if got < want && *only == "" {
		t.Errorf("%s: %.3f, want at least %.2f", what, got, want)
	}
}

func entry(m map[string]*score, key string) *score {
	if m[key] == nil {
		m[key] = &score{}
	}
	return m[key]
}
