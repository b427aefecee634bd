package plan

import "slices"

// fewest finds the fewest PTUs with which a candidate keeps a service level
// with every seed, and so does the next larger size: near the limit one can
// hold by luck. It is exact for up to 200 steps, and to a hundredth above. It returns 0 when not even more than enough does. about
// is a size that is thought to be near; 0 is not known.
func (p *planner) fewest(s setup, slo SLO, about int) (int, error) {
	place, err := p.first(s, slo, about)
	if err != nil || place < 0 {
		return 0, err
	}
	below, stride := place-grain(place), grain(place) // below is known not to do
	for {
		steady, err := p.steady(s, slo, place)
		if err != nil {
			return 0, err
		}
		if steady {
			break
		}
		if place >= p.largest() {
			return 0, nil
		}
		below, place = place, min(place+stride, p.largest())
		stride *= 2
	}
	for place-below > grain(place) {
		middle := (place + below) / 2
		steady, err := p.steady(s, slo, middle)
		if err != nil {
			return 0, err
		}
		if steady {
			place = middle
		} else {
			below = middle
		}
	}
	return p.sizes.at(place), nil
}

// grain is how near two places count as the same: seeds differ by more than a
// hundredth.
func grain(place int) int { return max(1, place/100) }

// steady reports whether a candidate keeps a service level with every seed, at
// a size and at the next larger one.
func (p *planner) steady(s setup, slo SLO, place int) (bool, error) {
	for _, i := range [...]int{place, place + grain(place)} {
		s.ptu = p.sizes.at(min(i, p.sizes.last()))
		if err := p.all(s); err != nil {
			return false, err
		}
		if p.seedsThatHold(s, slo) < len(p.in.Seeds) {
			return false, nil
		}
	}
	return true, nil
}

// seedsThatHold counts the seeds with which a candidate keeps a service level.
func (p *planner) seedsThatHold(s setup, slo SLO) int {
	n := 0
	for _, m := range p.measures(s) {
		if s.holds(m, slo) {
			n++
		}
	}
	return n
}

// roomy is how many times the fluid estimate counts as more than enough: at
// so little load a response is as fast as it gets.
const roomy = 32

// largest is the place of the largest size that is tried.
func (p *planner) largest() int {
	return min(p.sizes.last(), p.sizes.from(roomy*p.fluid(&p.samples[0].part))+8)
}

// holdAt reports at which places a candidate keeps a service level with the
// first seed.
func (p *planner) holdAt(s setup, slo SLO, places ...int) ([]bool, error) {
	var trials []trial
	for _, i := range places {
		s.ptu = p.sizes.at(i)
		trials = append(trials, trial{s, 0})
	}
	err := p.run(trials...)
	out := make([]bool, len(trials))
	for i, t := range trials {
		out[i] = err == nil && t.holds(p.done[t], slo)
	}
	return out, err
}

// enough is the place of a size that keeps a service level with the first
// seed; -1 for none. More is not always better: a response that is not slowed
// down by load is granted more tokens.
func (p *planner) enough(s setup, slo SLO) (int, error) {
	fluid := p.fluid(&p.samples[0].part)
	for _, places := range [][]int{{p.largest()}, {p.sizes.from(4 * fluid), p.sizes.from(1.5 * fluid)}} {
		met, err := p.holdAt(s, slo, places...)
		if err != nil {
			return -1, err
		}
		if i := slices.Index(met, true); i >= 0 {
			return places[i], nil
		}
	}
	return -1, nil
}

// first is the place of the smallest size that keeps a service level with the
// first seed, as far as what holds at one size holds at larger ones; -1 for
// none. Two sizes are tried at a time: around the estimate at first, then
// further away, then between the bounds. Without an estimate it is the fluid
// one, and whether any size is enough is seen before.
func (p *planner) first(s setup, slo SLO, about int) (int, error) {
	low, high := -1, p.largest() // low does not hold, high does
	a := p.sizes.from(float64(about))
	b := a + 1
	if a = max(0, a-1); about == 0 {
		var err error
		if high, err = p.enough(s, slo); err != nil || high < 0 {
			return -1, err
		}
		a = p.sizes.from(p.fluid(&p.samples[0].part))
		b = a + a/4 + 1
	}
	for high-low > grain(high) {
		a = min(a, high)
		b = min(max(a, b), high)
		met, err := p.holdAt(s, slo, a, b)
		if err != nil {
			return -1, err
		}
		switch {
		case met[0]:
			high = a
		case met[1]:
			low, high = a, b
		default:
			low = b
		}
		if low >= 0 && high > 4*(low+1) {
			a, b = 2*low+1, 4*low+3
			continue
		}
		third := max(1, (high-low)/3)
		a, b = low+third, high-third
	}
	return high, nil
}
