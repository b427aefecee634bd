package workload

import "github.com/spillway-ai/spillway/internal/stat"

// numbers is the resolution of what is counted in tokens or calls: exact below
// 4,096, and to 0.05% up to 134 million.
var numbers = stat.Scale{Bits: 11, Low: 11, High: 27}

// distribution is of whole numbers that are not negative, with their sum.
type distribution struct {
	stat.Histogram
	sum float64
}

func newDistribution() distribution { return distribution{Histogram: stat.NewHistogram(numbers)} }

// add counts v n times.
func (d *distribution) add(v, n int) {
	d.AddN(float64(v), uint32(n))
	d.sum += float64(v) * float64(n)
}

func (d *distribution) mean() float64 {
	if d.Count() == 0 {
		return 0
	}
	return d.sum / float64(d.Count())
}

func (d *distribution) tokens() Tokens {
	return Tokens{
		Mean: d.mean(), P50: d.WholeQuantile(.5), P90: d.WholeQuantile(.9), P95: d.WholeQuantile(.95),
		P99: d.WholeQuantile(.99), Max: int(d.Max()),
	}
}
