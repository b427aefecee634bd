package capacity

import "time"

// probeAfter is how long after a refusal a smaller request may try the deployment,
// if the service asks for a longer wait, and how long a probe that has neither been
// refused nor served keeps others from probing.
const probeAfter = time.Second

// maxTiers bounds the service tiers with refusals that a meter remembers. The first
// place is the default tier's.
const maxTiers = 4

// muchSmaller is the factor below the smallest refused size at which a refusal says
// something new about smaller requests.
const muchSmaller = 2

// refusals are the 429s in force for one service tier. Requests that cost at least as
// much have to wait. Of smaller ones a 429 says little, since the service compares what
// a request costs with what is left: they may probe, one at a time.
type refusals struct {
	tier string
	// small is the smallest refused size, and large the smallest of those that have
	// to wait longer.
	small, large pause

	probeAt      time.Time // when a smaller request may be sent
	probe        uint64    // number of the probe under way; 0 means none
	probeStarted time.Time
	smaller      bool // smaller requests are served
}

// pause is how long requests of a size or more wait. size is in the meter's units.
type pause struct {
	size  int64
	until time.Time
}

// Refused records a 429 that answered the attempt of r. Requests of its service
// tier that cost as much pause for retryAfter, which must be positive; smaller ones
// for one second at most, after which one of them may probe. Call it after
// Calibrate with the same response; the reservation is released separately.
func (m *Meter) Refused(now time.Time, retryAfter time.Duration, r Reservation) {
	m.nearUntil = now.Add(nearMemory)
	if m.provisionedKind() {
		m.provisioned.learnDepth(now, retryAfter)
	} else {
		m.standard.refused(now, retryAfter)
	}
	at := m.find(now, r.tier)
	if at == nil {
		at = m.place(r.tier)
		*at = refusals{tier: r.tier}
	}
	smallest := at.small.size
	at.add(pause{r.size, now.Add(retryAfter)})
	if smallest == 0 || r.size*muchSmaller < smallest {
		at.smaller = false
		at.probeAt = now.Add(min(retryAfter, probeAfter))
	}
	if r.probe != 0 && r.probe == at.probe {
		at.probe = 0
	}
	m.pausedUntil = later(m.pausedUntil, now.Add(retryAfter))
}

// add merges a pause: small keeps the smallest size and its end, large what waits
// longer.
func (at *refusals) add(p pause) {
	switch {
	case at.small.size == 0:
		at.small = p
		return
	case p.size < at.small.size:
		at.small, p = p, at.small
	case p.size == at.small.size:
		at.small.until = later(at.small.until, p.until)
		return
	}
	switch {
	case !p.until.After(at.small.until): // small covers it
	case at.large.size == 0:
		at.large = p
	default:
		at.large = pause{min(at.large.size, p.size), later(at.large.until, p.until)}
	}
}

// expire drops the pauses that have ended, and reports whether one is left.
func (at *refusals) expire(now time.Time) bool {
	if at.large.size != 0 && !now.Before(at.large.until) {
		at.large = pause{}
	}
	if at.small.size != 0 && !now.Before(at.small.until) {
		at.small, at.large = at.large, pause{}
	}
	return at.small.size != 0
}

// probing reports whether a probe under way keeps others from probing.
func (at *refusals) probing(now time.Time) bool {
	return at.probe != 0 && now.Sub(at.probeStarted) < probeAfter
}

// RefusedElsewhere says that another deployment refused the same request as the
// attempt of r: its size is the cause, so smaller requests need not wait here.
func (m *Meter) RefusedElsewhere(now time.Time, r Reservation) {
	if at := m.find(now, r.tier); at != nil && at.small.size <= r.size {
		at.smaller = true
	}
}

// PausedUntil returns until when refusals keep a request of that cost and service
// tier from being sent; zero when none does.
func (m *Meter) PausedUntil(now time.Time, c Cost, tier string) time.Time {
	at := m.find(now, tier)
	if at == nil {
		return time.Time{}
	}
	size := m.size(c)
	switch {
	case at.large.size != 0 && size >= at.large.size:
		return later(at.large.until, at.small.until)
	case size >= at.small.size:
		return at.small.until
	case at.smaller:
	case at.probing(now):
		return earlier(at.probeStarted.Add(probeAfter), at.small.until)
	case now.Before(at.probeAt):
		return at.probeAt
	}
	return time.Time{}
}

// Accepted says that the deployment serves the attempt of r. If it was a probe,
// requests that are smaller than the refused one are sent again.
func (m *Meter) Accepted(now time.Time, r Reservation) {
	if at := m.find(now, r.tier); at != nil && r.probe != 0 && at.probe == r.probe {
		at.probe, at.smaller = 0, true
	}
}

// Paused reports whether any refusal is in force.
func (m *Meter) Paused(now time.Time) bool { return now.Before(m.pausedUntil) }

// Pause is a refusal in force.
type Pause struct {
	Tier  string // service tier; "" is the default one
	Until time.Time
	// Tokens is the smallest cost that was refused, in input-token equivalents
	// where the deployment is provisioned.
	Tokens int
	// Smaller says that smaller requests are sent.
	Smaller bool
}

// Pauses appends the refusals in force to dst.
func (m *Meter) Pauses(now time.Time, dst []Pause) []Pause {
	for i := range m.refused {
		at := &m.refused[i]
		if !at.expire(now) {
			continue
		}
		smaller := at.smaller || !at.probing(now) && !now.Before(at.probeAt)
		dst = append(dst, Pause{Tier: at.tier, Until: at.small.until, Tokens: m.tokens(at.small.size), Smaller: smaller})
		if at.large.size != 0 {
			dst = append(dst, Pause{Tier: at.tier, Until: at.large.until, Tokens: m.tokens(at.large.size), Smaller: true})
		}
	}
	return dst
}

// startProbe marks an attempt that is sent in spite of a refusal.
func (m *Meter) startProbe(now time.Time, r *Reservation) {
	at := m.find(now, r.tier)
	if at == nil || at.smaller || r.size >= at.small.size || at.probing(now) {
		return
	}
	m.probes++
	at.probe, r.probe, at.probeStarted = m.probes, m.probes, now
}

// endProbe frees the place of an attempt that ended without a verdict.
func (m *Meter) endProbe(now time.Time, r Reservation) {
	if at := m.find(now, r.tier); at != nil && r.probe != 0 && at.probe == r.probe {
		at.probe = 0
	}
}

// find returns the refusals in force for a service tier, or nil.
func (m *Meter) find(now time.Time, tier string) *refusals {
	if !m.Paused(now) {
		return nil
	}
	for i := range m.refused {
		if at := &m.refused[i]; at.tier == tier && at.expire(now) {
			return at
		}
	}
	return nil
}

// place returns where to keep the refusals of a service tier for which there are none:
// the default tier has its own, the others take the one that ends first.
func (m *Meter) place(tier string) *refusals {
	if tier == "" {
		return &m.refused[0]
	}
	first := &m.refused[1]
	for i := 2; i < maxTiers; i++ {
		if at := &m.refused[i]; at.small.until.Before(first.small.until) {
			first = at
		}
	}
	return first
}
