package breaker

import "time"

// Evidence is what a breaker's state rests on. Of a breaker that is not closed, the
// counts are those with which it opened.
type Evidence struct {
	Requests, Failures int // of the last Limits.Window
	Consecutive        int // failures since the last success
	Doubtful           int // failures since then of requests that failed elsewhere too
	// FailedCallers are the callers of the failures, and AllCallers those of the
	// requests. MaxCallers are told apart.
	FailedCallers, AllCallers int
	Callers, Shapes           int // that fail, and have not succeeded since
	Spared                    Spared
	Limits                    Config    // with the defaults
	OpenedAt                  time.Time // zero while closed
	Excluded                  int       // kinds of requests that are sent elsewhere
	Ejected                   bool
	Until                     time.Time // when the next probe may be sent; zero while closed
	SucceededAt               time.Time // zero before the first success
}

// MaxCallers is how many callers a breaker tells apart.
const MaxCallers = maxGroups

// Spared says why a breaker is closed although there are enough failures to open it.
type Spared uint8

// The reasons.
const (
	SparedNot      Spared = iota // there are not enough
	SparedByCaller               // they belong to one caller, and the others' requests succeed
	SparedByShape                // they belong to one shape, and others succeed
	SparedByBurst                // they came together; the next one opens it
)

// Evidence returns what the state rests on.
func (b *Breaker) Evidence(now time.Time) Evidence {
	e := b.cause
	if b.state == Closed {
		e = b.counts(now)
		e.Spared = b.spared(now)
	} else {
		e.OpenedAt = b.openedAt
	}
	e.Excluded, e.Ejected, e.Until, e.SucceededAt = b.excluded.count(now), b.ejected, b.healthyAt(), b.succeededAt
	e.Limits = b.cfg.resolved()
	return e
}

// counts returns the counts of a closed breaker.
func (b *Breaker) counts(now time.Time) Evidence {
	e := Evidence{
		Requests: int(max(b.requests.Sum(now), b.failures.Sum(now))), Failures: int(b.failures.Sum(now)),
		Consecutive: max(b.runs[early].failures, b.runs[late].failures),
		Doubtful:    b.runs[early].doubts + b.runs[late].doubts,
		Callers:     b.callers.failing(now), Shapes: b.shapes.failing(now),
	}
	e.FailedCallers, e.AllCallers = b.callers.count(now)
	return e
}

// spared returns why a closed breaker has not opened.
func (b *Breaker) spared(now time.Time) Spared {
	in := early
	if b.runs[late].failures > b.runs[early].failures {
		in = late
	}
	switch rate := b.cfg.errorRate(); {
	case !b.tooMany(now) && b.runs[in].failures < b.cfg.consecutiveFailures():
		return SparedNot
	case b.callers.contradicts(now, in, rate, recentSuccess):
		return SparedByCaller
	case b.shapes.contradicts(now, in, rate, 0):
		return SparedByShape
	}
	return SparedByBurst
}
