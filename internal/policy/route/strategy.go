package route

import (
	"cmp"
	"math"

	"github.com/spillway-ai/spillway/internal/stat"
)

// choose returns the position of the strategy's choice; at least one candidate
// is usable.
func (f *filter) choose(cands []Candidate, s Strategy, affinity uint64, rnd float64) int {
	switch {
	case s == Weighted:
		return f.weighted(cands, rnd)
	case s == Affinity && affinity != 0:
		return f.affine(cands, affinity)
	}
	return f.leastOutstanding(cands, rnd)
}

// weighted picks at random, by weight.
func (f *filter) weighted(cands []Candidate, rnd float64) int {
	sum := 0
	for i := range cands {
		if f.usable(&cands[i]) {
			sum += cands[i].weight()
		}
	}
	chosen, left := -1, rnd*float64(sum)
	for i := range cands {
		if !f.usable(&cands[i]) {
			continue
		}
		chosen = i
		left -= float64(cands[i].weight())
		if left < 0 {
			break
		}
	}
	return chosen
}

// leastOutstanding picks the fewest tokens per weight, and among equals at
// random, by weight.
func (f *filter) leastOutstanding(cands []Candidate, rnd float64) int {
	var least *Candidate
	for i := range cands {
		if c := &cands[i]; f.usable(c) && (least == nil || compareLoad(c, least) < 0) {
			least = c
		}
	}
	f.least = least
	return f.weighted(cands, rnd)
}

// affine picks the highest rendezvous score.
func (f *filter) affine(cands []Candidate, affinity uint64) int {
	chosen, best := -1, 0.0
	for i := range cands {
		c := &cands[i]
		if !f.usable(c) {
			continue
		}
		key := c.Key
		if key == 0 {
			key = uint64(c.Index) + 1
		}
		// The upper 53 bits as a number strictly between 0 and 1.
		u := (float64(stat.Mix(affinity^stat.Mix(key))>>11) + 0.5) / (1 << 53)
		if score := -float64(c.weight()) / math.Log(u); chosen < 0 || score > best {
			chosen, best = i, score
		}
	}
	return chosen
}

func (c *Candidate) weight() int { return max(c.Weight, 1) }

// compareLoad compares outstanding tokens per weight.
func compareLoad(a, b *Candidate) int {
	return cmp.Compare(a.Outstanding*b.weight(), b.Outstanding*a.weight())
}
