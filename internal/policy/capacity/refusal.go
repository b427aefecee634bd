package capacity

import (
	"math"
	"time"
)

// probeAfter is how long after a refusal a smaller request may try the deployment,
// if the service asks for a longer wait, and how long a probe that has neither been
// refused nor served keeps others from probing.
const probeAfter = time.Second

// A wait is checked before it ends, since services tend to ask for more than it takes: one
// request of the same size may try after firstCheck. Each refusal of such a check
// doubles the time until the next one, up to maxCheck. Checks that would come when more than
// one part in checkShare of the wait is over are left out.
const (
	firstCheck = time.Second
	maxCheck   = 5 * time.Second
	checkShare = 4
)

// maxTiers bounds the service tiers with refusals that a meter remembers. The first
// place is the default tier's.
const maxTiers = 4

// A request counts as smaller than a refused one when it costs less than this share of
// it, and so many tokens less. Costs are estimates that drift: the same request must not
// become a smaller one.
const (
	smallerShare  = 0.75
	smallerTokens = 64
)

// muchSmaller is the factor below the smallest refused size at which a refusal says
// something new about smaller requests.
const muchSmaller = 2

// refusals are the 429s in force for one service tier. Requests that cost at least as
// much have to wait. Of smaller ones a 429 says little, since the service compares what
// a request costs with what is left: they may probe, one at a time. So may those of
// other callers while those of one or two callers have been refused.
type refusals struct {
	tier string
	// small is the smallest refused size, and large the smallest of those that have
	// to wait longer.
	small, large pause

	probeAt      time.Time // when a smaller request may be sent
	probe        uint64    // number of the probe under way; 0 means none
	probeStarted time.Time
	smaller      bool // smaller requests are served
	checks       int  // of requests of the same size that were refused in a row

	by, by2 uint64 // who was refused; the same where it was one caller
	mixed   bool   // a third caller was, too
	doubt   doubt
}

// doubt is a refusal of a request that other deployments refused as well: it may
// concern that request alone, so it pauses nothing. A later refusal of the same caller
// pauses that caller's requests, at least as large as both. One of another caller
// confirms the doubt: both callers pause, and a third finds out about everybody else. A
// request that is served ends the doubt, but not what is known of the caller: its next
// refusal is one more doubt.
type doubt struct {
	pause             // of the smallest request that was refused; size 0 when one was served since
	twice   int64     // the size from which requests were refused twice; 0 means none
	by      uint64    // the caller
	at      time.Time // of the first refusal
	probeAt time.Time // when the caller may try again
}

// inForce reports whether the doubt lasts.
func (d *doubt) inForce(now time.Time) bool { return now.Before(d.until) }

// pause is how long requests of a size or more wait. size is in the meter's units.
type pause struct {
	size  int64
	until time.Time
	// checkAt is when one of them may probe; until, unless the wait is long.
	checkAt time.Time
}

// Refused records a 429 that answered the attempt of r. Requests of its service
// tier that cost as much pause for retryAfter, which must be positive; smaller ones
// for one second at most, after which one of them may probe, and those of other callers
// not at all, while one or two have been refused: one of them may probe at once. It
// returns when a request of the same size may check whether the pause has ended. Call it
// after Calibrate with the same response; the reservation is released separately.
func (m *Meter) Refused(now time.Time, retryAfter time.Duration, r Reservation) (checkAt time.Time) {
	m.nearUntil = now.Add(nearMemory)
	if m.provisionedKind() {
		m.provisioned.learnDepth(now, retryAfter)
	} else {
		m.standard.refused(now, retryAfter, r.size)
	}
	at := m.find(now, r.tier)
	if at == nil {
		at = m.place(r.tier)
		*at = refusals{tier: r.tier}
	}
	if r.probe != 0 && r.probe == at.probe {
		at.probe = 0
		if at.small.size != 0 && r.size >= at.small.size {
			at.checks++
		}
	}
	p := newPause(now, retryAfter, r.size, at.checks)
	m.pausedUntil = later(m.pausedUntil, p.until)
	if d := &at.doubt; d.inForce(now) {
		if d.by == r.by {
			d.again(now, retryAfter, r)
			return p.checkAt
		}
		if d.size != 0 { // confirmed
			at.by, at.by2, at.smaller = d.by, d.by, true
			at.add(d.pause)
		}
		*d = doubt{}
	}
	if smallest := at.small.size; smallest == 0 || r.size*muchSmaller < smallest {
		at.smaller = false
		at.probeAt = now.Add(min(retryAfter, probeAfter))
	}
	switch {
	case at.small.size == 0:
		at.by, at.by2, at.mixed = r.by, r.by, false
	case r.by == at.by, r.by == at.by2:
	case at.by == at.by2:
		at.by2 = r.by
	default:
		at.mixed = true
	}
	at.add(p)
	return p.checkAt
}

// newPause is the pause that a refusal causes, after so many checks.
func newPause(now time.Time, wait time.Duration, size int64, checks int) pause {
	p := pause{size: size, until: now.Add(wait), checkAt: now.Add(wait)}
	if next := min(firstCheck<<min(checks, 8), maxCheck); wait >= checkShare*next {
		p.checkAt = now.Add(next)
	}
	return p
}

// again counts another refusal of the same caller. Requests that were sent together
// may have one cause in common, so one that was under way at the first refusal says
// nothing more.
func (d *doubt) again(now time.Time, retryAfter time.Duration, r Reservation) {
	until := later(d.until, now.Add(retryAfter))
	switch {
	case d.size == 0:
		d.pause, d.at = pause{r.size, until, until}, now
	case r.started.After(d.at):
		if larger := max(d.size, r.size); d.twice == 0 || larger < d.twice {
			d.twice = larger
		}
		d.pause, d.probeAt = pause{min(d.size, r.size), until, until}, now.Add(min(retryAfter, probeAfter))
	}
}

// pauses reports whether the doubt concerns a request of that size and caller.
func (d *doubt) pauses(now time.Time, size int64, by uint64) bool {
	return d.inForce(now) && d.by == by && d.twice != 0 && size >= d.twice
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
		at.small.until, at.small.checkAt = later(at.small.until, p.until), later(at.small.checkAt, p.checkAt)
		return
	}
	switch {
	case !p.until.After(at.small.until): // small covers it
		at.small.checkAt = later(at.small.checkAt, p.checkAt)
	case at.large.size == 0:
		at.large = p
	default:
		at.large = pause{min(at.large.size, p.size), later(at.large.until, p.until), later(at.large.checkAt, p.checkAt)}
	}
}

// expire drops what has ended, and reports whether anything is left.
func (at *refusals) expire(now time.Time) bool {
	if at.large.size != 0 && !now.Before(at.large.until) {
		at.large = pause{}
	}
	if at.small.size != 0 && !now.Before(at.small.until) {
		at.small, at.large = at.large, pause{}
	}
	return at.small.size != 0 || at.doubt.inForce(now)
}

// probing reports whether a probe under way keeps others from probing.
func (at *refusals) probing(now time.Time) bool {
	return at.probe != 0 && now.Sub(at.probeStarted) < probeAfter
}

// RefusedElsewhere says that another deployment refused the same request as the
// attempt of r. Its size may be the cause, so smaller requests need not wait here; or
// the request itself, so others need not wait until one of them is refused.
func (m *Meter) RefusedElsewhere(now time.Time, r Reservation) {
	at := m.find(now, r.tier)
	if at == nil || at.small.size == 0 || at.small.size > r.size {
		return
	}
	at.smaller = true
	if at.by == r.by && at.by2 == r.by && !at.mixed {
		at.suspect(now, at.small.size)
	}
}

// PausedUntil returns until when refusals keep a request from being sent; zero when
// none does.
func (m *Meter) PausedUntil(now time.Time, d Demand) time.Time {
	at := m.find(now, d.Tier)
	if at == nil {
		return time.Time{}
	}
	size := m.rounded(at, m.size(d.Cost))
	return later(at.pausedUntil(now, size, d.By), at.doubtedUntil(now, size, d.By))
}

// rounded raises a size that is not clearly smaller than a refused one to that. A
// doubt is weak evidence and concerns no smaller size.
func (m *Meter) rounded(at *refusals, size int64) int64 {
	for _, refused := range [...]int64{at.large.size, at.small.size} {
		if size < refused && !m.clearlySmaller(size, refused) {
			return refused
		}
	}
	return size
}

func (m *Meter) clearlySmaller(size, refused int64) bool {
	return float64(size) < smallerShare*float64(refused) && m.tokens(refused-size) >= smallerTokens
}

// pausedUntil returns until when the pauses keep a request of that size and caller from
// being sent.
func (at *refusals) pausedUntil(now time.Time, size int64, by uint64) time.Time {
	switch {
	case at.small.size == 0, size < at.small.size && at.smaller:
		return time.Time{}
	case !at.mixed && by != at.by && by != at.by2:
		return at.turn(now, now)
	case size < at.small.size:
		return at.turn(now, earlier(at.probeAt, at.small.checkAt))
	case at.large.size != 0 && size >= at.large.size:
		return at.turn(now, later(at.large.checkAt, at.small.checkAt))
	}
	return at.turn(now, at.small.checkAt)
}

// doubtedUntil returns until when the doubt keeps a request from being sent.
func (at *refusals) doubtedUntil(now time.Time, size int64, by uint64) time.Time {
	if !at.doubt.pauses(now, size, by) {
		return time.Time{}
	}
	return at.turn(now, at.doubt.probeAt)
}

// turn returns when the next probe may be sent, if probes may be sent from an instant
// on; zero when that is now.
func (at *refusals) turn(now, from time.Time) time.Time {
	if at.probing(now) {
		from = later(from, earlier(at.probeStarted.Add(probeAfter), later(at.small.until, at.doubt.until)))
	}
	if now.Before(from) {
		return from
	}
	return time.Time{}
}

// Accepted says that the deployment serves the attempt of r. That ends a doubt about
// requests of its size. If it was a probe, requests that are smaller than the refused
// one are sent again.
func (m *Meter) Accepted(now time.Time, r Reservation) {
	at := m.find(now, r.tier)
	if at == nil {
		return
	}
	if d := &at.doubt; d.inForce(now) && !m.clearlySmaller(r.size, d.size) && r.started.After(d.at) {
		d.size, d.twice = 0, 0
	}
	if r.probe == 0 || at.probe != r.probe {
		return
	}
	at.probe, at.smaller = 0, true
	if at.small.size != 0 && !m.clearlySmaller(r.size, at.small.size) {
		at.suspect(now, 0)
	}
}

// ServedSince reports whether the deployment has served a request of that size since it
// refused the attempt of r, or its pauses were ended.
func (m *Meter) ServedSince(now time.Time, r Reservation) bool {
	if r.resumed != m.resumed {
		return true
	}
	at := m.find(now, r.tier)
	return at != nil && at.small.size == 0 && at.doubt.size == 0 && at.doubt.at.After(r.started)
}

// suspect turns the pauses into a doubt about the caller that was refused. size is the
// smallest that was, or 0 when one was served since.
func (at *refusals) suspect(now time.Time, size int64) {
	until := later(at.small.until, at.large.until)
	at.doubt = doubt{pause: pause{size, until, until}, by: at.by, at: now}
	at.small, at.large = pause{}, pause{}
}

// Resume ends every pause. Probes under way end without a verdict.
func (m *Meter) Resume() {
	m.refused, m.pausedUntil = [maxTiers]refusals{}, time.Time{}
	m.resumed++
}

// Paused reports whether any refusal is in force.
func (m *Meter) Paused(now time.Time) bool { return now.Before(m.pausedUntil) }

// Pause is a refusal in force.
type Pause struct {
	Tier    string // service tier; "" is the default one
	Until   time.Time
	CheckAt time.Time // when one of them may find out whether it has ended before
	// Tokens is the cost from which requests wait, in input-token equivalents where
	// the deployment is provisioned; 0 means all of them.
	Tokens int
	// Smaller says that smaller requests are sent.
	Smaller bool
	// OneCaller says that only requests of one caller wait.
	OneCaller bool
}

// Pauses appends the refusals in force to dst.
func (m *Meter) Pauses(now time.Time, dst []Pause) []Pause {
	for i := range m.refused {
		at := &m.refused[i]
		if !at.expire(now) {
			continue
		}
		if d := &at.doubt; d.inForce(now) && d.twice != 0 {
			dst = append(dst, Pause{Tier: at.tier, Until: d.until, CheckAt: d.probeAt, Tokens: m.tokens(d.twice), Smaller: true, OneCaller: true})
		}
		if at.small.size == 0 {
			continue
		}
		smaller := at.smaller || !at.probing(now) && !now.Before(at.probeAt)
		dst = append(dst, Pause{Tier: at.tier, Until: at.small.until, CheckAt: at.small.checkAt, Tokens: m.waiting(at.small.size), Smaller: smaller})
		if at.large.size != 0 {
			dst = append(dst, Pause{Tier: at.tier, Until: at.large.until, CheckAt: at.large.checkAt, Tokens: m.tokens(at.large.size), Smaller: true})
		}
	}
	return dst
}

// waiting returns the smallest cost, in tokens, that is not clearly smaller than a
// refused one.
func (m *Meter) waiting(refused int64) int {
	tokens := m.tokens(refused)
	return max(min(int(math.Ceil(smallerShare*float64(tokens))), tokens-smallerTokens+1), 0)
}

// Probes reports whether the attempt is sent in spite of a refusal.
func (r *Reservation) Probes() bool { return r.probe != 0 }

// startProbe marks an attempt that is sent in spite of a refusal.
func (m *Meter) startProbe(now time.Time, r *Reservation) {
	at := m.find(now, r.tier)
	if at == nil || at.probing(now) {
		return
	}
	size := m.rounded(at, r.size)
	switch {
	case at.doubt.pauses(now, size, r.by):
	case at.small.size == 0:
		return
	case size >= at.small.size:
		if (at.mixed || r.by == at.by || r.by == at.by2) && now.Before(at.small.checkAt) {
			return
		}
	case at.smaller:
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
		if at := &m.refused[i]; later(at.small.until, at.doubt.until).Before(later(first.small.until, first.doubt.until)) {
			first = at
		}
	}
	return first
}
