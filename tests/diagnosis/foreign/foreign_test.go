package foreign

import (
	"flag"
	"testing"
)

var (
	worlds = flag.Uint64("worlds", 2, "worlds of each kind")
	first  = flag.Uint64("first", 1001, "seed of the first world; the rules were tuned on seeds below 1,000")
)

// TestCauses holds the findings to the truth, at every level of knowledge.
func TestCauses(t *testing.T) {
	byLevel, byKind, total := map[string]*score{}, map[string]*score{}, &score{}
	for _, k := range kinds() {
		for seed := *first; seed < *first+*worlds; seed++ {
			w := k.make(seed)
			for _, l := range levels() {
				d := w.diagnosis(t, l, arrangement{})
				s := w.mark(l, &d, k.healthy)
				for _, m := range s.misses {
					t.Log(m)
				}
				for _, x := range []*score{entry(byLevel, l.name), entry(byKind, k.name), total} {
					x.add(&s)
				}
			}
		}
	}
	printTable(t, "by level", byLevel)
	printTable(t, "by kind", byKind)
	t.Log("total", total)
}

func entry(m map[string]*score, key string) *score {
	if m[key] == nil {
		m[key] = &score{}
	}
	return m[key]
}
