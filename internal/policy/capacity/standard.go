package capacity

import (
	"time"

	"github.com/spillway-ai/spillway"
)

// fastRPM is the request limit from which we assume that it is enforced per
// second; below, per 10 s. The service says "typically 1 or 10 seconds".
const fastRPM = 600

// quota is the meter of a standard deployment: tokens that count until the
// minute ends, and requests that count for one second or ten. A minute starts
// with the first request after the last one ended, or when a refusal said.
type quota struct {
	configured int64 // tokens per minute; 0 is unlimited
	limit      int64 // the effective limit: headers can lower it
	tokens     int64
	minute     int64 // number of the minute
	minuteEnd  time.Time

	perPeriod float64 // requests per period; 0 is unlimited
	period    time.Duration
	requests  float64
	periodEnd time.Time

	fullUntil    time.Time // a refusal holds the level at 1 or above until then
	calibratedAt time.Time
}

func newQuota(d spillway.Deployment) quota {
	q := quota{configured: int64(d.TPM), limit: int64(d.TPM), period: 10 * time.Second}
	if d.RPM >= fastRPM {
		q.period = time.Second
	}
	if d.RPM > 0 {
		q.perPeriod = max(float64(d.RPM)*q.period.Minutes(), 1)
	}
	return q
}

func (q *quota) level(now time.Time) float64 {
	q.advance(now)
	level := max(q.tokenShare(), q.requestShare())
	if now.Before(q.fullUntil) {
		level = max(level, 1)
	}
	return level
}

func (q *quota) tokenShare() float64 {
	if q.limit <= 0 {
		return 0
	}
	return float64(q.tokens) / float64(q.limit)
}

func (q *quota) requestShare() float64 {
	if q.perPeriod <= 0 {
		return 0
	}
	return q.requests / q.perPeriod
}

// reserve counts the whole prompt: the service estimates it from the text, so
// cached tokens count as well.
func (q *quota) reserve(now time.Time, c Cost) Reservation {
	q.advance(now)
	q.startMinute(now)
	q.startPeriod(now)
	tokens := quotaTokens(c)
	q.tokens += tokens
	q.requests++
	return Reservation{units: tokens, minute: q.minute}
}

func (q *quota) settle(now time.Time, r Reservation, actual Cost) {
	q.advance(now)
	if r.minute == q.minute {
		q.tokens += max(quotaTokens(actual)-r.units, 0)
	}
}

func (q *quota) release(now time.Time, r Reservation) {
	q.advance(now)
	if r.minute == q.minute {
		q.tokens = max(q.tokens-r.units, 0)
	}
}

func (q *quota) readyAt(now time.Time, limit float64) time.Time {
	if q.level(now) < limit {
		return now
	}
	ready := now
	if q.tokenShare() >= limit {
		ready = later(ready, q.minuteEnd)
	}
	if q.requestShare() >= limit {
		ready = later(ready, q.periodEnd)
	}
	if limit <= 1 {
		ready = later(ready, q.fullUntil)
	}
	return ready
}

// calibrate follows the service's own limit, which it may lower for a while
// without notice, and its remaining figures. Remaining requests correct only
// upwards: whether they count per minute or per period is not documented, and
// upwards both readings agree.
func (q *quota) calibrate(now time.Time, s spillway.Signals) {
	q.advance(now)
	if limit := int64(s.LimitTokens); limit > 0 {
		q.limit = limit
		if q.configured > 0 {
			q.limit = min(limit, q.configured)
		}
	}
	if s.RemainingTokens >= 0 && q.limit > 0 {
		used := max(q.limit-int64(s.RemainingTokens), 0)
		if gap := used - q.tokens; gap > 0 {
			q.startMinute(now)
			q.tokens = used
		} else {
			q.tokens += int64(float64(gap) * downwardGain(now, q.calibratedAt))
		}
		q.calibratedAt = now
	}
	if s.RemainingRequests >= 0 && q.perPeriod > 0 {
		if used := q.perPeriod - float64(s.RemainingRequests); used > q.requests {
			q.startPeriod(now)
			q.requests = used
		}
	}
}

// refused blocks until the service said. A wait beyond the request period can
// only be the minute's end, so that is moved there.
func (q *quota) refused(now time.Time, retryAfter time.Duration) {
	q.advance(now)
	q.fullUntil = later(q.fullUntil, now.Add(retryAfter))
	if retryAfter > q.period && q.limit > 0 {
		q.tokens = max(q.tokens, q.limit)
		q.minuteEnd = now.Add(retryAfter)
		return
	}
	if retryAfter > 0 {
		return
	}
	// Without a hint, hold back for one request period: the shortest wait
	// that can help.
	q.fullUntil = later(q.fullUntil, now.Add(q.period))
}

// advance ends the minute and the request period that have passed. The next
// ones start with the next request.
func (q *quota) advance(now time.Time) {
	if !now.Before(q.minuteEnd) {
		q.tokens = 0
	}
	if !now.Before(q.periodEnd) {
		q.requests = 0
	}
}

func (q *quota) startMinute(now time.Time) {
	if !now.Before(q.minuteEnd) {
		q.minuteEnd = now.Add(time.Minute)
		q.minute++
	}
}

func (q *quota) startPeriod(now time.Time) {
	if !now.Before(q.periodEnd) {
		q.periodEnd = now.Add(q.period)
	}
}

// quotaTokens returns what counts against tokens per minute.
func quotaTokens(c Cost) int64 { return int64(max(c.Prompt, 0) + max(c.Output, 0)) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
