package breaker

import "time"

// Evidence is what a breaker's state rests on. Of a breaker that is not closed, the
// counts are those with which it opened.
type Evidence struct {
	Requests, Failures int // of the last window
	Consecutive        int // failures since the last success
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
		Requests: int(max(b.requests.Sum(now), b.failures.Sum(now))), Failures: int(b.failures.Sum(now)),
		Consecutive: max(b.runs[early].failures, b.runs[late].failures),
		Doubtful:    b.runs[early].doubts + b.runs[late].doubts,
		Callers:     b.callers.failing(now), Shapes: b.shapes.failing(now),
	}
}
