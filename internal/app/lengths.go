package app

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// unseen guesses the lengths of answers that ran out of time before anything
// of them was seen. Those of complete ones of the same kind tell: of a length
// whose share p runs out of time, there are p/(1−p) for each complete one.
type unseen struct {
	whole map[kindOfCall][]int // lengths of complete answers
	late  map[lateKind][]int   // indices of calls
}

// kindOfCall is what is known of a call before its answer.
type kindOfCall struct {
	class string
	ask   int // tokens
}

// lateKind are the calls that ran out of time alike.
type lateKind struct {
	kindOfCall
	deployment string
	window     time.Duration // in whole seconds
}

func newUnseen() *unseen {
	return &unseen{whole: map[kindOfCall][]int{}, late: map[lateKind][]int{}}
}

// odds is how many answers of a length run out of a window for each that does
// not, at the pace that a deployment has shown.
func odds(tokens int, window time.Duration, d *diagnose.Served) float64 {
	const most = 50 // beyond it there is nothing to learn from
	left := float64(window - d.FirstMedian)
	if left <= 0 || tokens <= 0 || d.PaceMedian <= 0 {
		return 0
	}
	z := math.Log(left/float64(tokens)/float64(d.PaceMedian)) / math.Max(d.PaceSigma, 0.05)
	late := 0.5 * math.Erfc(z/math.Sqrt2)
	return math.Min(late/math.Max(1-late, 1e-9), most)
}

// resolve gives each late call its length. Where complete answers cannot
// explain that many, the others keep what they have.
func (u *unseen) resolve(calls []workload.Call, served func(string) *diagnose.Served) {
	kinds := make([]lateKind, 0, len(u.late))
	for k := range u.late {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b lateKind) int { return u.late[a][0] - u.late[b][0] })
	many := map[kindOfCall]int{}
	for k, indices := range u.late {
		many[k.kindOfCall] += len(indices)
	}
	rng := rand.New(rand.NewPCG(1, uint64(len(calls))))
	for _, k := range kinds {
		d := served(k.deployment)
		if d == nil {
			continue
		}
		lengths := u.whole[k.kindOfCall]
		upTo := make([]float64, len(lengths)) // sums of odds
		sum := 0.0
		for i, n := range lengths {
			sum += odds(n, k.window, d)
			upTo[i] = sum
		}
		for _, at := range u.late[k] {
			if sum > 0 && rng.Float64()*float64(many[k.kindOfCall]) < sum {
				calls[at].OutputTokens = lengths[min(sort.SearchFloat64s(upTo, rng.Float64()*sum), len(lengths)-1)]
			}
		}
	}
}
