package foreign

import (
	"math"
	"math/rand/v2"
)

// A draw is a distribution of a positive number.
type draw func(r *rand.Rand) float64

func uniform(a, b float64) draw {
	return func(r *rand.Rand) float64 { return a + (b-a)*r.Float64() }
}

// logLogistic has a heavy tail of the given shape.
func logLogistic(median, shape float64) draw {
	return func(r *rand.Rand) float64 {
		u := math.Min(r.Float64(), 0.9999)
		return median * math.Pow(u/(1-u), 1/shape)
	}
}

func weibull(scale, shape float64) draw {
	return func(r *rand.Rand) float64 { return scale * math.Pow(-math.Log(1-r.Float64()), 1/shape) }
}

// table draws uniformly between neighbors of an empirical distribution's
// quantiles.
func table(q ...float64) draw {
	return func(r *rand.Rand) float64 {
		x := r.Float64() * float64(len(q)-1)
		i := int(x)
		return q[i] + (x-float64(i))*(q[i+1]-q[i])
	}
}

// some is b in a share of cases, and else a.
func some(share float64, b, a draw) draw {
	return func(r *rand.Rand) float64 {
		if r.Float64() < share {
			return b(r)
		}
		return a(r)
	}
}

func clipped(d draw, lo, hi float64) draw {
	return func(r *rand.Rand) float64 { return math.Min(hi, math.Max(lo, d(r))) }
}

// mean is estimated from a sample.
func mean(d draw) float64 {
	r := rand.New(rand.NewPCG(7, 7))
	sum := 0.0
	for range 4000 {
		sum += d(r)
	}
	return sum / 4000
}

// gamma has mean 1 and the given coefficient of variation (Marsaglia and Tsang).
func gamma(r *rand.Rand, cv float64) float64 {
	k := 1 / (cv * cv)
	d := k - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := math.Pow(1+c*x, 3)
		if v > 0 && math.Log(r.Float64()) < 0.5*x*x+d-d*v+d*math.Log(v) {
			return d * v / k
		}
	}
}

// An arrival process returns the times of arrivals until a time, in seconds.
type arrivals func(r *rand.Rand, until float64) []float64

// thinned is a Poisson process of a varying rate.
func thinned(most float64, rate func(t float64) float64) arrivals {
	return func(r *rand.Rand, until float64) (ts []float64) {
		for t := r.ExpFloat64() / most; t < until; t += r.ExpFloat64() / most {
			if r.Float64() < rate(t)/most {
				ts = append(ts, t)
			}
		}
		return ts
	}
}

func poisson(rate float64) arrivals {
	return thinned(rate, func(float64) float64 { return rate })
}

// diurnal swells and falls once in a period.
func diurnal(rate, swing, period, phase float64) arrivals {
	return thinned(rate*(1+swing), func(t float64) float64 { return rate * (1 + swing*math.Sin(2*math.Pi*(t/period+phase))) })
}

// modulated is a Poisson process whose rate jumps between two values (MMPP).
func modulated(low, high, stay float64) arrivals {
	return func(r *rand.Rand, until float64) (ts []float64) {
		rate, other := low, high
		next := r.ExpFloat64() * stay
		for t := 0.0; t < until; {
			d := r.ExpFloat64() / rate
			if t+d >= next {
				t = next
				next += r.ExpFloat64() * stay
				rate, other = other, rate
				continue
			}
			if t += d; t < until {
				ts = append(ts, t)
			}
		}
		return ts
	}
}

// gated lets another process through in the first on seconds of each period.
func gated(a arrivals, on, period float64) arrivals {
	return func(r *rand.Rand, until float64) (ts []float64) {
		for _, t := range a(r, until) {
			if math.Mod(t, period) < on {
				ts = append(ts, t)
			}
		}
		return ts
	}
}

// between lets another process through from a time to a time.
func between(a arrivals, from, to float64) arrivals {
	return func(r *rand.Rand, until float64) (ts []float64) {
		for _, t := range a(r, until) {
			if t >= from && t < to {
				ts = append(ts, t)
			}
		}
		return ts
	}
}

// jobs is a batch job: n requests at once, spread over some seconds, each period.
func jobs(n int, spread, period, offset float64) arrivals {
	return func(r *rand.Rand, until float64) (ts []float64) {
		for t := offset; t < until; t += period {
			for i := range n {
				if at := t + (float64(i)+r.Float64())*spread/float64(n); at < until {
					ts = append(ts, at)
				}
			}
		}
		return ts
	}
}
