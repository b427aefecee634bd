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

	limitAt      time.Time // when a header reported the limit last
	limitReports int       // in a row, of the same limit
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
	return max(q.tokenShare(), q.requestShare())
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

func (q *quota) reserve(now time.Time, size int64) Reservation {
	q.advance(now)
	q.startMinute(now)
	q.startPeriod(now)
	tokens := q.atMost(size)
	q.tokens += tokens
	q.requests++
	return Reservation{units: tokens, minute: q.minute}
}

func (q *quota) settle(now time.Time, r Reservation, actual Cost) {
	q.advance(now)
	if r.minute == q.minute {
		q.tokens += max(q.atMost(quotaTokens(actual))-r.units, 0)
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
	return ready
}

// largest returns the most that one request can cost; 0 means any amount. A limit
// that a header has lowered for a while does not count.
func (q *quota) largest() int64 {
	switch {
	case q.configured > 0:
		return q.configured
	case q.limitReports >= sureReports:
		return q.limit
	}
	return 0
}

const (
	// minLimit is the least limit that is believed: quota is assigned in thousands of
	// tokens per minute.
	minLimit = 1000
	// limitLasts is how long a limit that a header reported counts without another
	// report. Without requests there are none, and one may have been wrong.
	limitLasts = 2 * time.Minute
	// sureReports is how many reports of one limit it takes for requests that exceed it
	// to be refused as too large.
	sureReports = 3
)

// atMost bounds what one request counts by the limit.
func (q *quota) atMost(tokens int64) int64 {
	if q.limit <= 0 {
		return tokens
	}
	return min(tokens, q.limit)
}

// calibrate follows the service's own limit, which it may lower for a while
// without notice, and its remaining figures. Remaining requests correct only
// upwards: whether they count per minute or per period is not documented, and
// upwards both readings agree.
func (q *quota) calibrate(now time.Time, s spillway.Signals) {
	q.advance(now)
	if limit := int64(bounded(s.LimitTokens)); limit >= minLimit {
		if q.configured > 0 {
			limit = min(limit, q.configured)
		}
		if limit != q.limit {
			q.limitReports = 0
		}
		q.limit, q.limitAt = limit, now
		q.limitReports++
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

// refused learns when the minute ends: a wait beyond the request period can only be
// for that. The refusal of a request that exceeds a reported limit confirms the limit.
func (q *quota) refused(now time.Time, retryAfter time.Duration, size int64) {
	q.advance(now)
	if q.limitReports > 0 && size > q.limit {
		q.limitReports = max(q.limitReports, sureReports)
	}
	if retryAfter > q.period && q.limit > 0 {
		q.startMinute(now)
		q.minuteEnd = now.Add(retryAfter)
	}
}

// advance ends the minute and the request period that have passed. The next
// ones start with the next request.
func (q *quota) advance(now time.Time) {
	if q.limit != q.configured {
		if q.limitAt.IsZero() { // restored
			q.limitAt = now
		}
		if now.Sub(q.limitAt) > limitLasts {
			q.limit, q.limitReports = q.configured, 0
		}
	}
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

// quotaTokens returns what counts against tokens per minute: the whole prompt, since
// the service estimates it from the text, so that cached tokens count as well.
func quotaTokens(c Cost) int64 { return int64(bounded(c.Prompt) + bounded(c.Output)) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
