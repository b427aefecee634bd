package whatif

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestAgenda holds the heap against a list that is sorted anew every time.
func TestAgenda(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	calls := make([]*call, 40)
	for i := range calls {
		calls[i] = &call{index: uint64(i + 1), agendaIndex: -1}
	}
	var g agenda
	var list []entry
	find := func(c *call) int { return slices.IndexFunc(list, func(e entry) bool { return e.call == c }) }
	for step := range 20_000 {
		c := calls[rng.IntN(len(calls))]
		i := find(c)
		if rng.IntN(3) == 0 {
			g.remove(c)
			if i >= 0 {
				list = slices.Delete(list, i, i+1)
			}
		} else {
			at := time.Duration(rng.IntN(30)) // so that instants coincide
			g.schedule(c, at)
			if i < 0 {
				i = len(list)
				list = append(list, entry{order: c.index, call: c})
			}
			list[i].at = at
		}
		slices.SortFunc(list, func(a, b entry) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order)) })
		at, first, ok := g.first()
		if ok != (len(list) > 0) || ok && (first != list[0].call || at != list[0].at) {
			t.Fatalf("step %d: first is %v at %v, %v; want %+v", step, first, at, ok, list)
		}
	}
}
