package workload

import (
	"math"
	"math/rand/v2"
)

// renewal draws the gaps of a renewal process whose mean gap is 1. It does not
// change.
type renewal struct {
	weibull bool
	shape   float64
	scale   float64
}

// newRenewal returns the process of an arrivals' specification that Check
// accepts.
func newRenewal(a Arrivals) renewal {
	cv := a.CV
	if cv == 0 {
		cv = 1
	}
	if a.Process == "weibull" {
		shape := weibullShape(cv)
		return renewal{weibull: true, shape: shape, scale: 1 / math.Gamma(1+1/shape)}
	}
	shape := 1 / (cv * cv)
	return renewal{shape: shape, scale: 1 / shape}
}

// gap draws the time from one arrival to the next.
func (r *renewal) gap(rng *rand.Rand) float64 {
	if r.weibull {
		return r.scale * math.Pow(rng.ExpFloat64(), 1/r.shape)
	}
	if r.shape == 1 {
		return rng.ExpFloat64()
	}
	return r.scale * gamma(rng, r.shape)
}

// first draws the time from an arbitrary instant to the next arrival, so that
// the process is in its steady state from the beginning: the gap that covers
// an instant is drawn in proportion to its length, and the instant lies
// anywhere in it.
func (r *renewal) first(rng *rand.Rand) float64 {
	if r.weibull {
		return rng.Float64() * r.scale * math.Pow(gamma(rng, 1+1/r.shape), 1/r.shape)
	}
	return rng.Float64() * r.scale * gamma(rng, r.shape+1)
}

// gamma draws from the gamma distribution of scale 1: Marsaglia and Tsang, A
// simple method for generating gamma variables (2000).
func gamma(rng *rand.Rand, shape float64) float64 {
	if shape < 1 {
		// With U uniform, U^(1/shape) is exp(-E/shape) with E exponential.
		return gamma(rng, shape+1) * math.Exp(-rng.ExpFloat64()/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		u := rng.Float64()
		if u < 1-0.0331*x*x*x*x || math.Log(u) < x*x/2+d*(1-v+math.Log(v)) {
			return d * v
		}
	}
}

// weibullShape returns the shape whose coefficient of variation is cv.
func weibullShape(cv float64) float64 {
	if cv == 1 {
		return 1
	}
	low, high := 0.1, 100.0 // cv falls as the shape rises
	for range 100 {
		middle := math.Sqrt(low * high)
		one, _ := math.Lgamma(1 + 1/middle)
		two, _ := math.Lgamma(1 + 2/middle)
		if math.Expm1(two-2*one) > cv*cv {
			low = middle
		} else {
			high = middle
		}
	}
	return math.Sqrt(low * high)
}
