// Package breaker tracks one deployment's health: closed while it answers, open
// after too many failures, half-open while probes check whether it works again.
// A deployment can also be paused, because it asked for a delay (429), or
// ejected, because it cannot serve any request for now (404 DeploymentNotFound,
// 401, 403). A pause says nothing about health; an ejection ends with a probe.
package breaker

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/stat"
)

// windowParts is the precision of the error rate's window.
const windowParts = 10

// Config is when a breaker opens and closes. Zero fields mean those of Defaults.
type Config struct {
	Window      time.Duration // over which the error rate counts
	MinRequests int           // responses in the window from which the rate counts
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

// Permit is an attempt under way, ended exactly once by Record or Drop. It
// belongs to the state in which it was acquired: after the next change of
// state it is void, and ending it teaches nothing. The zero permit is void.
type Permit struct {
	generation uint64
	answered   bool // a probe that FirstOutput has counted as a success
}

// Breaker is the health of one deployment. It is not safe for concurrent use.
type Breaker struct {
	cfg   Config
	state State // Open also after openUntil, until the first Acquire
	// generation counts changes of state: permits of an older one are void.
	generation uint64

	// While closed: responses and failures of the last Window, failures since
	// the last success.
	answers, failures *stat.Window
	consecutive       int

	openUntil   time.Time
	pausedUntil time.Time
	closedAt    time.Time // zero before the first time that it opened
	streak      int       // times opened without a quiet Window in between

	probes    int // under way, while half-open
	successes int // of probes, while half-open
	probedAt  time.Time
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
func (b *Breaker) Ready(now time.Time) bool { return !now.Before(b.ReadyAt(now)) }

// ReadyAt is when the next attempt may be sent: now when it may be at once.
// A probe that ends can make it ready sooner.
func (b *Breaker) ReadyAt(now time.Time) time.Time {
	at := now
	if b.pausedUntil.After(at) {
		at = b.pausedUntil
	}
	if health := b.healthyAt(); health.After(at) {
		at = health
	}
	return at
}

// Reason is why no attempt may be sent now: broken, paused (broken when both),
// or none.
func (b *Breaker) Reason(now time.Time) spillway.SpillReason {
	switch {
	case b.healthyAt().After(now):
		return spillway.SpillBroken
	case b.pausedUntil.After(now):
		return spillway.SpillPaused
	}
	return spillway.SpillNone
}

// healthyAt is when the breaker admits an attempt, apart from pauses.
func (b *Breaker) healthyAt() time.Time {
	switch {
	case b.state == Open:
		return b.openUntil
	case b.state == HalfOpen && b.probes >= b.cfg.probes():
		return b.probedAt.Add(b.cfg.openFor())
	}
	return time.Time{}
}

// Acquire counts an attempt that is sent now. The first after the open time makes
// the breaker half-open. Attempts that are sent although the breaker is not
// ready count the same way.
func (b *Breaker) Acquire(now time.Time) Permit {
	if b.state == Open && !now.Before(b.openUntil) {
		b.setState(HalfOpen)
	}
	if b.state == HalfOpen {
		b.probes++
		b.probedAt = now
	}
	return Permit{generation: b.generation}
}

// FirstOutput says that an attempt has begun to answer, and returns the permit
// that replaces p. A probe counts as a success from then on, however long its
// response takes, and the next probe may be sent. It is one success: a complete
// response adds none, but one that breaks off still reopens the breaker.
func (b *Breaker) FirstOutput(now time.Time, p Permit) Permit {
	if p.generation != b.generation || b.state != HalfOpen || p.answered {
		return p
	}
	b.succeed(now)
	// The success may have closed the breaker. The attempt then ends like any
	// other that the closed breaker admitted.
	return Permit{generation: b.generation, answered: b.state == HalfOpen}
}

// Record ends a permit with a result: ok, or a failure of the deployment
// (broken, cut).
func (b *Breaker) Record(now time.Time, p Permit, ok bool) {
	if p.generation != b.generation {
		return
	}
	switch {
	case b.state == Closed:
		b.recordClosed(now, ok)
	case b.state == Open:
		// Sent although the breaker was open: only probes close it.
	case !ok:
		b.open(now)
	case !p.answered:
		b.succeed(now)
	}
}

// succeed counts a probe's success, which frees its place, and closes the
// breaker when there are enough of them.
func (b *Breaker) succeed(now time.Time) {
	b.probes--
	b.successes++
	if b.successes >= b.cfg.probes() {
		b.setState(Closed)
		b.closedAt = now
	}
}

// Drop ends a permit without a result: refused, invalid, oversized, the
// client left, or a hedge that lost.
func (b *Breaker) Drop(_ time.Time, p Permit) {
	if p.generation == b.generation && b.state == HalfOpen && !p.answered {
		b.probes--
	}
}

// Pause admits no attempt for d, as a 429 asks. The longest pause counts.
func (b *Breaker) Pause(now time.Time, d time.Duration) {
	if until := now.Add(d); until.After(b.pausedUntil) {
		b.pausedUntil = until
	}
}

// Eject opens the breaker for d, for a fault that time alone may not fix.
// Permits under way become void. After d, a probe decides.
func (b *Breaker) Eject(now time.Time, d time.Duration) {
	until := now.Add(d)
	if b.state == Open && b.openUntil.After(until) {
		return
	}
	b.setState(Open)
	b.openUntil = until
}

// recordClosed counts a response, and opens the breaker when there are too many
// failures.
func (b *Breaker) recordClosed(now time.Time, ok bool) {
	b.answers.Add(now, 1)
	if ok {
		b.consecutive = 0
		return
	}
	b.failures.Add(now, 1)
	b.consecutive++
	total, failed := b.answers.Sum(now), b.failures.Sum(now)
	tooMany := total >= float64(b.cfg.minRequests()) && failed >= b.cfg.errorRate()*total
	if tooMany || b.consecutive >= b.cfg.consecutiveFailures() {
		b.open(now)
	}
}

// open opens the breaker for OpenFor × 2^(streak−1), at most MaxOpenFor.
func (b *Breaker) open(now time.Time) {
	if b.state == Closed && now.Sub(b.closedAt) > b.cfg.window() {
		b.streak = 0
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
		b.answers = stat.NewWindow(b.cfg.window(), windowParts)
		b.failures = stat.NewWindow(b.cfg.window(), windowParts)
	}
	b.consecutive, b.probes, b.successes = 0, 0, 0
}
