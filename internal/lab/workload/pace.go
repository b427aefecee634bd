package workload

import (
	"math"
	"math/rand/v2"
)

// pace is the bursts of one run. Its instants must not go back.
type pace struct {
	keepBurst, keepElse float64 // share of the calls that stay
	length, pause       float64 // s
	starts, ends        float64 // of the burst that is under way or to come, s
	rng                 *rand.Rand
}

// newPace returns the bursts of b, and how many arrivals its process needs for
// each call that stays on average.
func newPace(b Bursts, rng *rand.Rand) (p pace, needed float64) {
	if b.Factor == 0 {
		return pace{keepBurst: 1, keepElse: 1, starts: math.Inf(1)}, 1
	}
	most := max(b.Factor, b.otherwise())
	p = pace{
		keepBurst: b.Factor / most, keepElse: b.otherwise() / most,
		length: b.Length.Seconds(), pause: (b.Period - b.Length).Seconds(), rng: rng,
	}
	// The run begins anywhere in a period.
	p.starts = rng.Float64()*(p.length+p.pause) - p.length
	p.ends = p.starts + p.length
	return p, most / b.mean()
}

// keep returns the share of the calls at t, in seconds, that stay.
func (p *pace) keep(t float64) float64 {
	for t >= p.ends && p.length > 0 {
		p.starts = p.ends + p.pause*(0.5+p.rng.Float64())
		p.ends = p.starts + p.length
	}
	if t >= p.starts {
		return p.keepBurst
	}
	return p.keepElse
}

// curve maps the time in which a process runs evenly to that in which its rate
// follows the factors. Its instants must not go back.
type curve struct {
	factors []float64 // of mean 1; none is a flat curve
	step    float64   // s
	at      int       // factor of the current step
	even    float64   // even time at which the step starts
	real    float64   // real time at which it starts
}

func newCurve(c Curve) curve {
	out := curve{step: c.step().Seconds(), factors: make([]float64, len(c.Factors))}
	sum := 0.0
	for _, f := range c.Factors {
		sum += f
	}
	for i, f := range c.Factors {
		out.factors[i] = f * float64(len(c.Factors)) / sum
	}
	return out
}

// when returns the real time of an even time, both in seconds.
func (c *curve) when(even float64) float64 {
	if len(c.factors) == 0 {
		return even
	}
	for even >= c.even+c.step*c.factors[c.at] {
		c.even += c.step * c.factors[c.at]
		c.real += c.step
		c.at = (c.at + 1) % len(c.factors)
	}
	return c.real + (even-c.even)/c.factors[c.at]
}
