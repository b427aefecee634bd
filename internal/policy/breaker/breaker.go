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

// resolved is c with the defaults for what is not set.
func (c Config) resolved() Config {
	return Config{
		Window: c.window(), MinRequests: c.minRequests(), ErrorRate: c.errorRate(), ConsecutiveFailures: c.consecutiveFailures(),
		OpenFor: c.openFor(), MaxOpenFor: c.maxOpenFor(), Probes: c.probes(),
	}
}

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

// Permit is an attempt under way, ended exactly once by Succeed, Fail, Presume, Doubt,
// Refuse or Drop. It belongs to the state in which it was acquired: after the next
// change of state it is void, and ending it teaches nothing about health. The zero
// permit is void.
type Permit struct {
	generation uint64
	who        Suspect
	operation  uint64
	started    time.Time
	output     bool // it has begun to answer
	answered   bool // a probe that FirstOutput has counted as a success
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
	runs               [phases]run
	callers, shapes    *groups
	refused            Suspect // the first of the requests that were refused since the last success

	openedAt  time.Time // when it left the closed state
	openUntil time.Time
	closedAt  time.Time // zero before the first time that it opened
	streak    int       // times opened without a quiet Window in between
	ejected   bool      // opened by Refuse
	openedBy  phase     // in which the failures were that opened it
	cause     Evidence  // the counts with which it opened

	probes    int // under way, while half-open
	successes int // of probes, while half-open
	probedAt  time.Time

	succeededAt time.Time // when a request succeeded last
	nextProbeAt time.Time // the next attempt when no deployment is closed

	excluded exclusions
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

// Ready reports whether an attempt may be sent now. It changes nothing.
func (b *Breaker) Ready(now time.Time) bool { return !b.healthyAt().After(now) }

// ReadyAt is when the next attempt may be sent: now when it may be at once.
// A probe that ends can make it ready sooner.
func (b *Breaker) ReadyAt(now time.Time) time.Time {
	if at := b.healthyAt(); at.After(now) {
		return at
	}
	return now
}

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

// Unstable reports whether a request has succeeded within the last five seconds.
func (b *Breaker) Unstable(now time.Time) bool { return now.Sub(b.succeededAt) < unstableMemory }

// LastResortAt is when an attempt may be sent although the breaker is not ready,
// if no other deployment is: at once when a request has succeeded within the last
// five seconds, else about once per second.
func (b *Breaker) LastResortAt(now time.Time) time.Time {
	if b.Unstable(now) || b.nextProbeAt.Before(now) {
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

// Acquire counts an attempt that is sent now for a request of who for an operation.
// The first after the open time makes the breaker half-open. Attempts that are sent
// although the breaker is not ready count the same way. rnd draws from [0, 1); it is
// used only then.
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
	return Permit{generation: b.generation, who: who, operation: operation, started: now}
}

// FirstOutput says that an attempt has begun to answer, and returns the permit
// that replaces p. A probe counts as a success from then on, however long its
// response takes, and the next probe may be sent. It is one success: a complete
// response adds none, but one that breaks off still reopens the breaker. Where
// responses that broke off have opened the breaker, only a complete one is a success.
func (b *Breaker) FirstOutput(now time.Time, p Permit) Permit {
	if p.generation != b.generation || p.output {
		return p
	}
	b.begun(now, &p)
	if b.state == Closed || b.openedBy == late {
		return p
	}
	b.succeed(now)
	// The success may have closed the breaker. The attempt then ends like any
	// other that the closed breaker admitted.
	p.generation, p.answered = b.generation, b.state == HalfOpen
	return p
}

// begun notes that the deployment has begun to answer a request. It counts as a
// success, unless its response breaks off.
func (b *Breaker) begun(now time.Time, p *Permit) {
	p.output = true
	if b.runs[early].succeed(p.started) {
		b.refused = Suspect{}
	}
	if b.excluded.n > 0 {
		b.excluded.clear(p.who.Key(), p.started)
		b.excluded.clear(p.operation, p.started)
	}
	if b.state == Closed {
		b.requests.Add(now, 1)
		b.callers.served(now, p.started, p.who.Caller, b.cfg.window())
		b.shapes.served(now, p.started, p.who.Shape, b.cfg.window())
	}
}

// Succeed ends a permit with a complete response.
func (b *Breaker) Succeed(now time.Time, p Permit) {
	if p.generation != b.generation {
		return
	}
	if !p.output {
		b.begun(now, &p)
	}
	b.succeededAt = now
	switch {
	case b.state == Closed:
		b.runs[late].succeed(p.started)
		b.callers.succeed(late, p.started, p.who.Caller)
		b.shapes.succeed(late, p.started, p.who.Shape)
	case !p.answered:
		b.succeed(now)
	}
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
	if p.generation == b.generation && b.state == HalfOpen && !p.answered {
		b.probes--
	}
}

// open opens the breaker for OpenFor × 2^(streak−1), at most MaxOpenFor, because of
// failures in a phase.
func (b *Breaker) open(now time.Time, in phase) {
	if b.state == Closed && now.Sub(b.closedAt) > b.cfg.window() {
		b.streak = 0
	}
	if b.state == Closed {
		b.cause, b.openedAt = b.counts(now), now
	}
	b.streak++
	ceiling := b.cfg.maxOpenFor()
	d := min(b.cfg.openFor(), ceiling)
	for i := 1; i < b.streak && d < ceiling; i++ {
		d = min(2*d, ceiling)
	}
	b.setState(Open)
	b.openedBy, b.openUntil = in, now.Add(d)
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
	b.runs, b.refused, b.probes, b.successes, b.ejected = [phases]run{}, Suspect{}, 0, 0, false
}
