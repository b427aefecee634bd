package capacity

import "time"

// probeAfter is how long after a refusal a smaller request may try the
// deployment, if the service asks for a longer wait.
const probeAfter = time.Second

// maxTiers bounds the service tiers with a refusal that a meter remembers.
const maxTiers = 4

// refusal is what a 429 says: requests of that service tier that cost at least as
// much have to wait. Of smaller ones it says little, since the service compares
// what a request costs with what is left: they may probe, one at a time.
type refusal struct {
	tier    string
	size    int64     // smallest cost that was refused, in the meter's units
	until   time.Time // when the wait ends that the service asked for
	probeAt time.Time // when a smaller request may be sent
	probe   uint64    // number of the probe under way; 0 means none
	smaller bool      // smaller requests are served
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
	at := m.refusalFor(now, r.tier)
	if active := now.Before(at.until); !active || r.size < at.size {
		at.size = r.size
	}
	at.tier, at.smaller, at.probe = r.tier, false, 0
	at.until = later(at.until, now.Add(retryAfter))
	at.probeAt = now.Add(min(retryAfter, probeAfter))
	m.pausedUntil = later(m.pausedUntil, at.until)
}

// RefusedElsewhere says that another deployment refused the same request as the
// attempt of r: its size is the cause, so smaller requests need not wait here.
func (m *Meter) RefusedElsewhere(now time.Time, r Reservation) {
	if at := m.find(now, r.tier); at != nil && at.size <= r.size {
		at.smaller = true
	}
}

// PausedUntil returns until when a refusal keeps a request of that cost and
// service tier from being sent; zero when none does. While a probe is under way the
// end of the pause is not known: it is the end of the wait at the latest.
func (m *Meter) PausedUntil(now time.Time, c Cost, tier string) time.Time {
	at := m.find(now, tier)
	switch {
	case at == nil:
	case m.size(c) >= at.size, !at.smaller && at.probe != 0:
		return at.until
	case !at.smaller && now.Before(at.probeAt):
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
func (m *Meter) Paused(now time.Time) bool {
	return now.Before(m.pausedUntil)
}

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
	for i := range m.refusals {
		if at := &m.refusals[i]; now.Before(at.until) {
			dst = append(dst, Pause{
				Tier: at.tier, Until: at.until, Tokens: m.tokens(at.size),
				Smaller: at.smaller || at.probe == 0 && !now.Before(at.probeAt),
			})
		}
	}
	return dst
}

// startProbe marks an attempt that is sent in spite of a refusal.
func (m *Meter) startProbe(now time.Time, r *Reservation) {
	if at := m.find(now, r.tier); at != nil && !at.smaller && r.size < at.size {
		m.probes++
		at.probe, r.probe = m.probes, m.probes
	}
}

// endProbe frees the place of an attempt that ended without a verdict.
func (m *Meter) endProbe(now time.Time, r Reservation) {
	if at := m.find(now, r.tier); at != nil && r.probe != 0 && at.probe == r.probe {
		at.probe = 0
	}
}

// find returns the refusal in force for a service tier, or nil.
func (m *Meter) find(now time.Time, tier string) *refusal {
	if !m.Paused(now) {
		return nil
	}
	for i := range m.refusals {
		if at := &m.refusals[i]; at.tier == tier && now.Before(at.until) {
			return at
		}
	}
	return nil
}

// refusalFor returns where to keep a refusal of a service tier: its own place, or
// that of the refusal that ends first.
func (m *Meter) refusalFor(now time.Time, tier string) *refusal {
	if at := m.find(now, tier); at != nil {
		return at
	}
	oldest := &m.refusals[0]
	for i := range m.refusals {
		if at := &m.refusals[i]; at.until.Before(oldest.until) {
			oldest = at
		}
	}
	*oldest = refusal{}
	return oldest
}
