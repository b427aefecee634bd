// Package breaker keeps one deployment's health: closed while it answers, open
// after too many failures, half-open while probes find out whether it is back.
// Beside that it can be paused, because it asked for patience (429), or
// ejected, because it cannot serve at all for now (404 DeploymentNotFound,
// 401/403). A pause teaches nothing; an ejection ends with a probe.
package breaker

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/stat"
)

// windowParts is the precision of the error rate's window.
const windowParts = 10

// Config is when a breaker opens and closes. The zero value takes the defaults.
type Config struct {
	Window      time.Duration // over which the error rate counts; 0 takes 30 s
	MinRequests int           // answers in the window before the rate counts; 0 takes 10
	ErrorRate   float64       // failed share that opens it, 0–1; 0 takes 0.5
	// ConsecutiveFailures open it whatever the rate; 0 takes 5.
	ConsecutiveFailures int
	// OpenFor is how long it stays open, doubled up to MaxOpenFor each time
	// that it opens again within a Window of closing; 0 takes 5 s and 60 s.
	OpenFor, MaxOpenFor time.Duration
	// Probes are sent at one time when half-open, and as many successes close
	// it; 0 takes 1. A probe that is silent for OpenFor no longer holds its place.
	Probes int
}

func (c Config) window() time.Duration     { return or(c.Window, 30*time.Second) }
func (c Config) minRequests() int          { return or(c.MinRequests, 10) }
func (c Config) errorRate() float64        { return or(c.ErrorRate, 0.5) }
func (c Config) consecutiveFailures() int  { return or(c.ConsecutiveFailures, 5) }
func (c Config) openFor() time.Duration    { return or(c.OpenFor, 5*time.Second) }
func (c Config) maxOpenFor() time.Duration { return or(c.MaxOpenFor, 60*time.Second) }
func (c Config) probes() int               { return or(c.Probes, 1) }

// or is v, or the default where v is not positive.
func or[T int | float64 | time.Duration](v, byDefault T) T {
	if v <= 0 {
		return byDefault
	}
	return v
}

// State is where a breaker stands.
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

	// While closed: answers and failures of the last Window, failures since
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

// State is where the breaker stands now.
func (b *Breaker) State(now time.Time) State {
	if b.state == Open && !now.Before(b.openUntil) {
		return HalfOpen
	}
	return b.state
}

// Ready reports whether an attempt may be sent now. It changes nothing.
func (b *Breaker) Ready(now time.Time) bool { return !now.Before(b.ReadyAt(now)) }

// ReadyAt is when the next attempt may be sent: now when it may be at once.
// Sooner news can come from a probe that ends.
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

// healthyAt is when the breaker itself admits, pauses left aside.
func (b *Breaker) healthyAt() time.Time {
	switch {
	case b.state == Open:
		return b.openUntil
	case b.state == HalfOpen && b.probes >= b.cfg.probes():
		return b.probedAt.Add(b.cfg.openFor())
	}
	return time.Time{}
}

// Acquire says that an attempt is sent now; the first after an open time makes
// the breaker half-open. Attempts sent although the breaker is not ready are
// counted the same way.
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
// answer takes, and the next probe may be sent. It is one success: a complete
// answer adds none, but one that breaks off still reopens the breaker.
func (b *Breaker) FirstOutput(now time.Time, p Permit) Permit {
	if p.generation != b.generation || b.state != HalfOpen || p.answered {
		return p
	}
	b.succeed(now)
	// The success may have closed the breaker. The attempt then ends like any
	// other that the closed breaker admitted.
	return Permit{generation: b.generation, answered: b.state == HalfOpen}
}

// Record ends a permit with what it taught: ok or a failure that speaks
// against the deployment (broken, cut).
func (b *Breaker) Record(now time.Time, p Permit, ok bool) {
	if p.generation != b.generation {
		return
	}
	switch {
	case b.state == Closed:
		b.recordClosed(now, ok)
	case b.state == Open:
		// Sent in spite of the breaker: only probes close it.
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

// Drop ends a permit that taught nothing: refused, invalid, oversized, the
// client left, or a hedge that lost.
func (b *Breaker) Drop(_ time.Time, p Permit) {
	if p.generation == b.generation && b.state == HalfOpen && !p.answered {
		b.probes--
	}
}

// Pause holds attempts back for d, as a 429 asks. The longest pause wins.
func (b *Breaker) Pause(now time.Time, d time.Duration) {
	if until := now.Add(d); until.After(b.pausedUntil) {
		b.pausedUntil = until
	}
}

// Eject opens the breaker for d, for a fault that time alone may not mend.
// Permits under way become void, and a probe decides afterwards.
func (b *Breaker) Eject(now time.Time, d time.Duration) {
	until := now.Add(d)
	if b.state == Open && b.openUntil.After(until) {
		return
	}
	b.setState(Open)
	b.openUntil = until
}

// recordClosed counts an answer and opens the breaker when it is one failure
// too many.
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

// become changes the state and voids every permit and count of the old one.
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
