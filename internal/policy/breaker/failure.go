package breaker

import "time"

// phase is the part of an attempt in which it fails or succeeds. Attempts are compared
// by when they started: one that started before the failed ones says nothing about
// those.
type phase uint8

const (
	// early is the time before the first output, which is the success in it.
	early phase = iota
	// late is the time after it. A complete response is the success.
	late
	phases
)

// phase returns the phase in which an attempt that ends now has been.
func (p *Permit) phase() phase {
	if p.output {
		return late
	}
	return early
}

// run counts the failures in one phase since the last success there.
type run struct {
	failures int
	since    time.Time // start of the first one, of any kind; zero when there is none
	countAt  time.Time // when the first of failures was counted
	served   time.Time // start of the newest attempt that succeeded

	// Failures for which the requests may be to blame.
	doubts   int
	doubtAt  time.Time // of the first one
	doubtOf  uint64    // caller of the first one
	doubters bool      // there are others
}

// fail notes a failure. It reports false when a request that was sent later has
// succeeded: then the deployment has no run of failures.
func (r *run) fail(at time.Time) bool {
	if at.Before(r.served) {
		return false
	}
	if r.since.IsZero() {
		r.since = at
	}
	return true
}

// succeed notes a success, and reports whether it ends the run.
func (r *run) succeed(at time.Time) bool {
	if at.After(r.served) {
		r.served = at
	}
	if at.Before(r.since) {
		return false
	}
	*r = run{served: r.served}
	return true
}

// Fail ends a permit with a failure of the deployment: another one served the
// request, or it could not be sent.
func (b *Breaker) Fail(now time.Time, p Permit) { b.count(now, p, 0) }

// Presume ends a permit with a failure of a request that was tried nowhere else. It
// counts like a failure of the deployment, but a burst of them does not open the
// breaker: requests that fail together may have one cause in common.
func (b *Breaker) Presume(now time.Time, p Permit) { b.count(now, p, burst) }

// burst is the longest time between failures that are sent together.
const burst = time.Second

// count counts a failure, and opens the breaker when there are too many, over at
// least a time. A failed probe opens it again.
func (b *Breaker) count(now time.Time, p Permit, least time.Duration) {
	if p.generation != b.generation {
		return
	}
	in, at := p.phase(), p.started
	switch b.state {
	case Open:
		// Sent although the breaker was open: only a success changes it.
		return
	case HalfOpen:
		b.open(now, in)
		return
	}
	if in == early {
		b.requests.Add(now, 1) // else it has been counted
	}
	b.failures.Add(now, 1)
	b.callers.failed(now, in, at, b.callers.find(now, p.who.Caller, b.cfg.window()))
	b.shapes.failed(now, in, at, b.shapes.find(now, p.who.Shape, b.cfg.window()))
	r := &b.runs[in]
	if r.fail(at) {
		if r.failures == 0 {
			r.countAt = now
		}
		r.failures++
	}
	if now.Sub(r.countAt) < least {
		return
	}
	if (b.tooMany(now) || r.failures >= b.cfg.consecutiveFailures()) && !b.contradicted(now, in) {
		b.open(now, in)
	}
}

// tooMany reports whether the rate of failures is too high.
func (b *Breaker) tooMany(now time.Time) bool {
	total := b.requests.Sum(now)
	return total >= float64(b.cfg.minRequests()) && b.failures.Sum(now) >= b.cfg.errorRate()*total
}

// contradicted reports whether the failures belong to one caller or one shape.
func (b *Breaker) contradicted(now time.Time, in phase) bool {
	rate := b.cfg.errorRate()
	return b.callers.contradicts(now, in, rate, recentSuccess) || b.shapes.contradicts(now, in, rate, 0)
}

// Doubt ends a permit with a failure for which the request may be to blame, as when it
// failed elsewhere too. Such failures open the breaker when none succeeds in between
// and they are of different callers, or very many.
func (b *Breaker) Doubt(now time.Time, p Permit) {
	if p.generation != b.generation || b.state != Closed {
		b.Drop(now, p)
		return
	}
	in, at := p.phase(), p.started
	b.callers.remember(in, at, p.who.Caller)
	b.shapes.remember(in, at, p.who.Shape)
	r := &b.runs[in]
	if !r.fail(at) {
		return
	}
	if r.doubts == 0 {
		r.doubtAt, r.doubtOf = now, p.who.Caller
	}
	r.doubts++
	r.doubters = r.doubters || r.doubtOf != p.who.Caller
	many := r.doubts >= ManyDoubts && now.Sub(r.doubtAt) >= DoubtPeriod
	if r.doubts >= b.cfg.consecutiveFailures() && (r.doubters || many) {
		b.open(now, in)
	}
}

// Failures of one caller's requests that failed elsewhere too are this many, over
// this time, before they open the breaker.
const (
	ManyDoubts  = 20
	DoubtPeriod = 10 * time.Second
)

// Refuse ends a permit with a refusal of a request that another deployment served.
// After two of them the breaker excludes requests of the same caller and shape. A
// refusal that names the operation excludes the operation for all callers; one that
// concerns the whole deployment ejects it when different callers get it, or different
// shapes of an only caller, and none succeeds in between; or when a probe gets it.
func (b *Breaker) Refuse(now time.Time, p Permit, whole bool) {
	if p.generation != b.generation {
		return
	}
	probe, who := b.state != Closed, p.who
	b.Drop(now, p)
	b.excluded.strike(now, strike{key: who.Key(), started: p.started})
	if !whole {
		b.excluded.strike(now, strike{key: p.operation, by: who.Key(), started: p.started})
	}
	switch unserved := b.runs[early].fail(p.started); {
	case !whole:
	case probe:
		b.eject(now)
	case !unserved:
	case b.refused == (Suspect{}):
		b.refused = who
	case b.refused.Caller != who.Caller, b.callers.n < 2 && b.refused != who:
		b.eject(now)
	}
}

// ejectFor is how long no attempt is sent to a deployment that refuses different
// requests; then it is probed.
const ejectFor = 30 * time.Second

func (b *Breaker) eject(now time.Time) {
	if b.state == Closed {
		b.cause, b.openedAt = b.counts(now), now
	}
	until := now.Add(ejectFor)
	if b.state == Open {
		until = later(until, b.openUntil)
	}
	b.setState(Open)
	b.ejected, b.openedBy, b.openUntil = true, early, until
}
