package admit

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// An order does what a plain slice does, wherever places come and go, and
// keeps no more room than twice what was ever needed, and some.
func TestOrderAgainstSlice(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		front := float64(seed%3) / 2 // share of what happens at the front
		var o order
		var want []int32
		most := 0
		for step := range int32(3000) {
			target := 100
			if step > 2000 {
				target = 0
			}
			i := len(want)
			if i > 0 && rnd.Float64() < front {
				i = rnd.IntN(1 + len(want)/4)
			}
			if len(want) == 0 || rnd.IntN(2*target+1) >= len(want) {
				o.insert(i, step)
				want = slices.Insert(want, i, step)
			} else {
				i = min(rnd.IntN(1+len(want)/2), len(want)-1)
				o.remove(i)
				want = slices.Delete(want, i, i+1)
			}
			most = max(most, len(want))
			if o.len() != len(want) || o.len() > 0 && o.last() != want[len(want)-1] || !slices.Equal(o.list[o.head:], want) {
				t.Fatalf("seed %d, step %d: got %v, want %v", seed, step, o.list[o.head:], want)
			}
		}
		if cap(o.list) > 4*most+64 {
			t.Errorf("seed %d: room for %d places, and never more than %d were taken", seed, cap(o.list), most)
		}
	}
}
