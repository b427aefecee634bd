// Package breaker tracks one deployment's health: closed while it serves requests,
// open after too many failures, half-open while probes check whether it works again.
//
// A failure may be the request's fault and not the deployment's. The caller of this
// package reports a failure once it knows whether the same request succeeded
// elsewhere. The breaker counts requests by caller and by shape, and does not open
// for failures of one group that the success of the others contradicts. Kinds of
// requests that only this deployment refuses are excluded by themselves. A
// deployment is ejected when it refuses different requests that others serve, such
// as with a wrong credential. An ejection ends with a probe.
package breaker

import (
	"time"

	"github.com/spillway-ai/spillway/internal/stat"
)

// windowParts is the precision of the error rate's window.
const windowParts = 10

// Config is when a breaker opens and closes. Zero fields mean those of Defaults.
type Config struct {
	Window      time.Duration // over which the error rate counts
	MinRequests int           // requests in the window from which the rate counts
	ErrorRate   float64       // failed share that opens it, 0–1
	// ConsecutiveFailures open it whatever the rate.
	ConsecutiveFailures int
	// OpenFor is how long it stays open, doubled up to MaxOpenFor each time
	// that it opens again within a Window of closing.
	OpenFor, MaxOpenFor time.Duration
	// Probes are sent at one time when half-open, and as many successes close
	// it. A probe that is silent for OpenFor no longer holds its place.
	Probes int
}

// Defaults returns the values that zero fields take.
func Defaults() Config {
	return Config{
		Window: 30 * time.Second, MinRequests: 10, ErrorRate: 0.5, ConsecutiveFailures: 5,
		OpenFor: 5 * time.Second, MaxOpenFor: 60 * time.Second, Probes: 1,
	}
}

func (c Config) window() time.Duration { return or(c.Window, Defaults().Window) }
func (c Config) minRequests() int      { return or(c.MinRequests, Defaults().MinRequests) }
func (c Config) errorRate() float64    { return or(c.ErrorRate, Defaults().ErrorRate) }
func (c Config) consecutiveFailures() int {
	return or(c.ConsecutiveFailures, Defaults().ConsecutiveFailures)
}
func (c Config) openFor() time.Duration    { return or(c.OpenFor, Defaults().OpenFor) }
func (c Config) maxOpenFor() time.Duration { return or(c.MaxOpenFor, Defaults().MaxOpenFor) }
func (c Config) probes() int               { return or(c.Probes, Defaults().Probes) }

// or is v, or the default where v is not positive.
func or[T int | float64 | time.Duration](v, byDefault T) T {
	if v <= 0 {
		return byDefault
	}
	return v
}

// State is the state of a breaker.
type State uint8

// The states.
const (
	Closed State = iota
	Open
	HalfOpen
)

// String returns the name used in metrics and pages.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half_open"
	}
	return "unknown"
}

// Permit is an attempt under way, ended exactly once by Succeed, Fail, Doubt, Refuse
// or Drop. It belongs to the state in which it was acquired: after the next change
// of state it is void, and ending it teaches nothing about health. The zero permit is
// void.
type Permit struct {
	generation uint64
	started    time.Time
	answered   bool // a probe that FirstOutput has counted as a success
	undecided  bool // it counts as such, in that run of failures
	run        uint64
}

// Breaker is the health of one deployment. It is not safe for concurrent use.
type Breaker struct {
	cfg   Config
	state State // Open also after openUntil, until the first Acquire
	// generation counts changes of state: permits of an older one are void.
	generation uint64

	// While closed: requests and failures of the last Window, failures since the
	// last success, and all of them by caller and by shape.
	requests, failures *stat.Window
	consecutive        int
	undecided          int // failures since then of which it is not known who is to blame
	callers, shapes    *groups

	openUntil time.Time
	closedAt  time.Time // zero before the first time that it opened
	streak    int       // times opened without a quiet Window in between
	ejected   bool      // opened by Refuse
	cause     Evidence  // the counts with which it opened

	probes    int // under way, while half-open
	successes int // of probes, while half-open
	probedAt  time.Time

	// failingSince is the start of the first attempt that failed in any way since the
	// last success; zero when there is none. A success of an attempt that started
	// before it says nothing about the failures.
	failingSince time.Time
	succeededAt  time.Time // when a request succeeded last
	nextProbeAt  time.Time // the next attempt when no deployment is closed

	run      uint64 // number of the run of failures
	doubt    doubt
	excluded exclusions
	refused  Suspect // the first of the requests that were refused since the last success
}

// New returns a closed breaker.
func New(cfg Config) *Breaker {
	b := &Breaker{cfg: cfg}
	b.setState(Closed)
	return b
}

// State returns the breaker's state now.
func (b *Breaker) State(now time.Time) State {
	if b.state == Open && !now.Before(b.openUntil) {
		return HalfOpen
	}
	return b.state
}

// Ready reports whether an attempt may be sent now. It changes nothing. While as many
// failures are undecided as would open the breaker, none may: they are decided soon.
func (b *Breaker) Ready(now time.Time) bool { return !b.healthyAt().After(now) && !b.suspected() }

func (b *Breaker) suspected() bool {
	return b.state == Closed && b.undecided >= b.cfg.consecutiveFailures()
}

// Suspect keeps the permit of an attempt that failed while it is not known who is to
// blame. Ending the permit decides.
func (b *Breaker) Suspect(p Permit) Permit {
	if p.generation == b.generation && b.state == Closed && !p.undecided {
		p.undecided = true
		b.undecided++
		b.note(p)
		p.run = b.run
	}
	return p
}

// decide ends the suspicion of a permit.
func (b *Breaker) decide(p Permit) {
	if p.undecided && p.generation == b.generation && p.run == b.run {
		b.undecided--
	}
}

// ReadyAt is when the next attempt may be sent: now when it may be at once.
// A probe that ends can make it ready sooner.
func (b *Breaker) ReadyAt(now time.Time) time.Time {
	if b.suspected() {
		return now.Add(decideWithin)
	}
	if at := b.healthyAt(); at.After(now) {
		return at
	}
	return now
}

// decideWithin is how long a suspicion is assumed to last.
const decideWithin = time.Second

// healthyAt is when the breaker admits an attempt.
func (b *Breaker) healthyAt() time.Time {
	switch {
	case b.state == Open:
		return b.openUntil
	case b.state == HalfOpen && b.probes >= b.cfg.probes():
		return b.probedAt.Add(b.cfg.openFor())
	}
	return time.Time{}
}

const (
	// unstableMemory is how long one success shows that an open deployment serves
	// some requests.
	unstableMemory = 5 * time.Second
	// probeEvery is the mean time between probes of a deployment that serves none.
	probeEvery = time.Second
)

// LastResortAt is when an attempt may be sent although the breaker is not ready,
// if no other deployment is: at once when a request has succeeded within the last
// five seconds, else about once per second.
func (b *Breaker) LastResortAt(now time.Time) time.Time {
	if now.Sub(b.succeededAt) < unstableMemory || b.nextProbeAt.Before(now) {
		return now
	}
	return b.nextProbeAt
}

// Excludes returns until when requests of a suspect or an operation are not sent,
// because others serve them and this deployment does not; zero when they are.
func (b *Breaker) Excludes(now time.Time, who Suspect, operation uint64) time.Time {
	if b.excluded.n == 0 {
		return time.Time{}
	}
	until := b.excluded.until(now, who.Key())
	if at := b.excluded.until(now, operation); at.After(until) {
		return at
	}
	return until
}

// Key identifies a suspect by one number.
func (s Suspect) Key() uint64 { return s.Caller*0x9e3779b97f4a7c15 ^ s.Shape }

// Acquire counts an attempt that is sent now for a request of who for an operation. The first after the open time makes
// the breaker half-open. Attempts that are sent although the breaker is not
// ready count the same way. rnd draws from [0, 1); it is used only then.
func (b *Breaker) Acquire(now time.Time, rnd func() float64, who Suspect, operation uint64) Permit {
	if b.excluded.n > 0 {
		b.excluded.acquire(now, who.Key())
		b.excluded.acquire(now, operation)
	}
	if b.state == Open && !now.Before(b.openUntil) {
		b.setState(HalfOpen)
	}
	if b.state == HalfOpen {
		b.probes++
		b.probedAt = now
	}
	if b.state != Closed {
		b.nextProbeAt = now.Add(probeEvery/2 + time.Duration(rnd()*float64(probeEvery)))
	}
	return Permit{generation: b.generation, started: now}
}

// FirstOutput says that an attempt has begun to answer, and returns the permit
// that replaces p. A probe counts as a success from then on, however long its
// response takes, and the next probe may be sent. It is one success: a complete
// response adds none, but one that breaks off still reopens the breaker.
func (b *Breaker) FirstOutput(now time.Time, p Permit) Permit {
	if p.generation != b.generation || b.state == Closed || p.answered {
		return p
	}
	b.succeed(now)
	// The success may have closed the breaker. The attempt then ends like any
	// other that the closed breaker admitted.
	p.generation, p.answered = b.generation, b.state == HalfOpen
	return p
}

// Succeed ends a permit with a complete response to a request of who for an
// operation.
func (b *Breaker) Succeed(now time.Time, p Permit, who Suspect, operation uint64) {
	if p.generation != b.generation || p.started.Before(b.failingSince) {
		return
	}
	b.succeededAt, b.failingSince, b.refused, b.doubt = now, time.Time{}, Suspect{}, doubt{}
	if b.excluded.n > 0 {
		b.excluded.clear(who.Key(), p.started)
		b.excluded.clear(operation, p.started)
	}
	switch {
	case b.state == Closed:
		b.requests.Add(now, 1)
		b.consecutive, b.undecided = 0, 0
		b.run++
		b.callers.record(now, p.started, who.Caller, b.cfg.window(), true)
		b.shapes.record(now, p.started, who.Shape, b.cfg.window(), true)
	case !p.answered:
		b.succeed(now)
	}
}

// note notes the start of an attempt that failed.
func (b *Breaker) note(p Permit) {
	if b.failingSince.IsZero() {
		b.failingSince = p.started
	}
}

// Fail ends a permit with a failure whose cause is not known to be the request.
func (b *Breaker) Fail(now time.Time, p Permit, who Suspect) {
	b.decide(p)
	if b.fail(now, p, who) && (b.tooMany(now) || b.consecutive >= b.cfg.consecutiveFailures()) && !b.contradicted(now) {
		b.open(now)
	}
}

// Doubt ends a permit with a failure of a request that failed elsewhere too. Such
// failures open the breaker when none succeeds in between and they are of different
// callers, or very many.
func (b *Breaker) Doubt(now time.Time, p Permit, who Suspect) {
	b.decide(p)
	if p.generation != b.generation || b.state != Closed {
		b.Drop(now, p)
		return
	}
	d := &b.doubt
	if d.failures == 0 {
		*d = doubt{since: now, caller: who.Caller}
	}
	b.note(p)
	b.callers.remember(p.started, who.Caller)
	b.shapes.remember(p.started, who.Shape)
	d.failures++
	d.callers = d.callers || d.caller != who.Caller
	many := d.failures >= manyDoubts && now.Sub(d.since) >= doubtPeriod
	if d.failures >= b.cfg.consecutiveFailures() && (d.callers || many) {
		b.open(now)
	}
}

// Failures of one caller's requests that failed elsewhere too are this many, over
// this time, before they open the breaker.
const (
	manyDoubts  = 20
	doubtPeriod = 10 * time.Second
)

// doubt counts the failures since the last success for which the requests may be to
// blame.
type doubt struct {
	failures int
	since    time.Time
	caller   uint64 // of the first one
	callers  bool   // there are others
}

// fail counts a failure, and reports whether the breaker is closed and may have to
// open. A failed probe opens it again.
func (b *Breaker) fail(now time.Time, p Permit, who Suspect) (closed bool) {
	if p.generation != b.generation {
		return false
	}
	switch b.state {
	case Open:
		// Sent although the breaker was open: only a success changes it.
		return false
	case HalfOpen:
		b.open(now)
		return false
	}
	b.requests.Add(now, 1)
	b.failures.Add(now, 1)
	b.note(p)
	b.consecutive++
	b.callers.record(now, p.started, who.Caller, b.cfg.window(), false)
	b.shapes.record(now, p.started, who.Shape, b.cfg.window(), false)
	return true
}

// tooMany reports whether the rate of failures is too high.
func (b *Breaker) tooMany(now time.Time) bool {
	total := b.requests.Sum(now)
	return total >= float64(b.cfg.minRequests()) && b.failures.Sum(now) >= b.cfg.errorRate()*total
}

// contradicted reports whether the failures belong to one caller or one shape.
func (b *Breaker) contradicted(now time.Time) bool {
	return b.callers.contradicts(now, b.cfg.errorRate(), recentSuccess) || b.shapes.contradicts(now, b.cfg.errorRate(), 0)
}

// Refuse ends a permit with a refusal of a request that another deployment served.
// After two of them the breaker excludes requests of the same caller and shape. A
// refusal that names the operation excludes the operation for all callers; one that
// concerns the whole deployment ejects it when different callers get it, or different
// shapes of an only caller, and none succeeds in between; or when a probe gets it.
func (b *Breaker) Refuse(now time.Time, p Permit, who Suspect, operation uint64, whole bool) {
	if p.generation != b.generation {
		return
	}
	probe := b.state != Closed
	b.Drop(now, p)
	b.note(p)
	b.excluded.strike(now, strike{key: who.Key(), started: p.started})
	switch {
	case !whole:
		b.excluded.strike(now, strike{key: operation, by: who.Key(), started: p.started})
	case probe:
		b.eject(now)
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
		b.cause = b.counts(now)
	}
	until := now.Add(ejectFor)
	if b.state == Open {
		until = later(until, b.openUntil)
	}
	b.setState(Open)
	b.ejected, b.openUntil, b.refused = true, until, Suspect{}
}

// succeed counts the success of a probe, or of an attempt that was sent although
// the breaker was open. It frees the probe's place, and closes the breaker when
// there are enough successes.
func (b *Breaker) succeed(now time.Time) {
	b.succeededAt = now
	if b.state == Open {
		b.setState(HalfOpen)
	} else {
		b.probes--
	}
	b.successes++
	if b.successes >= b.cfg.probes() {
		b.setState(Closed)
		b.closedAt = now
	}
}

// Drop ends a permit without a result: the attempt was refused, invalid or
// oversized, its client left, or it was a hedge that lost.
func (b *Breaker) Drop(_ time.Time, p Permit) {
	b.decide(p)
	if p.generation == b.generation && b.state == HalfOpen && !p.answered {
		b.probes--
	}
}

// Evidence is what a breaker's state rests on. Of a breaker that is not closed, the
// counts are those with which it opened.
type Evidence struct {
	Requests, Failures int // of the last window
	Consecutive        int // failures since the last success
	Undecided          int // failures since then for which it is not known yet who is to blame
	Doubtful           int // failures since then of requests that failed elsewhere too
	Callers, Shapes    int // that fail, and have not succeeded since
	Excluded           int // kinds of requests that are sent elsewhere
	Ejected            bool
	Until              time.Time // when the next probe may be sent; zero while closed
	SucceededAt        time.Time // zero before the first success
}

// Evidence returns what the state rests on.
func (b *Breaker) Evidence(now time.Time) Evidence {
	e := b.cause
	if b.state == Closed {
		e = b.counts(now)
	}
	e.Excluded, e.Ejected, e.Until, e.SucceededAt = b.excluded.count(now), b.ejected, b.healthyAt(), b.succeededAt
	return e
}

// counts returns the counts of a closed breaker.
func (b *Breaker) counts(now time.Time) Evidence {
	return Evidence{
		Requests: int(b.requests.Sum(now)), Failures: int(b.failures.Sum(now)), Consecutive: b.consecutive, Undecided: b.undecided, Doubtful: b.doubt.failures,
		Callers: b.callers.failing(now), Shapes: b.shapes.failing(now),
	}
}

// open opens the breaker for OpenFor × 2^(streak−1), at most MaxOpenFor.
func (b *Breaker) open(now time.Time) {
	if b.state == Closed && now.Sub(b.closedAt) > b.cfg.window() {
		b.streak = 0
	}
	if b.state == Closed {
		b.cause = b.counts(now)
	}
	b.streak++
	ceiling := b.cfg.maxOpenFor()
	d := min(b.cfg.openFor(), ceiling)
	for i := 1; i < b.streak && d < ceiling; i++ {
		d = min(2*d, ceiling)
	}
	b.setState(Open)
	b.openUntil = now.Add(d)
}

// setState changes the state, and voids every permit and count of the old one.
// The generation starts at 1, so that the zero permit is void.
func (b *Breaker) setState(s State) {
	b.state = s
	b.generation++
	if s == Closed {
		b.requests = stat.NewWindow(b.cfg.window(), windowParts)
		b.failures = stat.NewWindow(b.cfg.window(), windowParts)
		b.callers, b.shapes = new(groups), new(groups)
	}
	b.consecutive, b.undecided, b.probes, b.successes, b.ejected, b.doubt = 0, 0, 0, 0, false, doubt{}
}
