package policy

import (
	"cmp"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
)

// How long an attempt may be silent: before the first token a multiple of the
// learned TTFT, after it the time of a number of tokens at the learned TBT, within
// bounds. A response in batches is silent while the next batch fills, so it is also
// a multiple of the time of as many tokens as the first delta had.
const (
	ttftPatience    = 3
	minTTFTPatience = 5 * time.Second
	maxTTFTPatience = time.Minute
	tbtPatience     = 50
	minTBTPatience  = 15 * time.Second
	maxTBTPatience  = time.Minute
	batchPatience   = 3
	// reasoningPatience is the least for reasoning requests, for which minutes
	// without output are normal.
	reasoningPatience = 2 * time.Minute
	// silencePatience is for requests without a deadline, and the most for batches.
	silencePatience = time.Minute
	// usualMargin is the part of the time left, a hundredth, by which a silence is at most
	// longer than usual before another deployment gets the request as well: latencies
	// that hardly vary end at what is usual, or just after.
	usualMargin = 100
)

// DefaultSilenceTimeout is the longest silence within a committed response of a class
// that sets none.
const DefaultSilenceTimeout = time.Minute

func (f *Flight) firstTokenPatience(now time.Time, d *deployment) time.Duration {
	q := ttftPatience * d.speed.TTFT(now, d.meter.Level(now), 0.99)
	if f.reasons(d) {
		return max(q, reasoningPatience)
	}
	return min(max(q, minTTFTPatience), maxTTFTPatience)
}

// expectedTokens is a quantile of the length of responses to such requests, per choice.
func (f *Flight) expectedTokens(q float64) int {
	if !f.req.API.Generates() {
		return 0
	}
	n := defaultCharge
	if learned := f.lengths.Quantile(q); learned.Answers > 0 {
		n = learned.Tokens
	}
	if f.req.AskTokens > 0 {
		n = min(n, f.req.AskTokens)
	}
	return n
}

func (f *Flight) tokenPatience(now time.Time, a *attempt) time.Duration {
	if f.committed {
		return cmp.Or(f.req.Class.SilenceTimeout, DefaultSilenceTimeout)
	}
	q := a.deployment.speed.TBT(now, a.load, 0.99)
	patience := min(max(tbtPatience*q, minTBTPatience), maxTBTPatience)
	return max(patience, min(batchPatience*time.Duration(a.firstRead)*q, silencePatience))
}

// hung reports whether an attempt has been silent for far longer than its
// deployment usually is.
func (f *Flight) hung(now time.Time, a *attempt) bool {
	switch {
	case !f.monitored(a):
		return false
	case a.firstAt.IsZero():
		return now.Sub(a.start) >= f.hungAfter(now, a)
	}
	return now.Sub(a.lastAt)-a.held >= f.tokenPatience(now, a)
}

// hungAfter is the silence before the first output from which a deployment hangs. It
// can be shorter than the patience, which has a lower bound so that requests do not
// move without need.
func (f *Flight) hungAfter(now time.Time, a *attempt) time.Duration {
	if f.reasons(a.deployment) {
		return a.patience
	}
	return min(max(ttftPatience*a.deployment.speed.TTFT(now, a.load, 0.99), minSilence), a.patience)
}

// reliefAfter is the silence of an attempt that starts now after which another deployment
// gets the request as well. It is the patience, bounded by the time that another
// one needs to serve the request before the deadline, but not by less than what is
// usual here. A deployment that is known to be broken or silent gets less of it.
func (f *Flight) reliefAfter(now time.Time, a *attempt) time.Duration {
	if f.reasons(a.deployment) {
		return a.patience
	}
	patience, usual, d := a.patience, 0.99, a.deployment
	if d.breaker.State(now) != breaker.Closed || d.silence.lasts(now, d) {
		patience, usual = f.hungAfter(now, a), 0.5
	}
	left := f.cutAt.Sub(now)
	need, any := f.otherNeeds(now, d)
	if f.cutAt.IsZero() || !any || left <= 0 {
		return patience
	}
	least := d.speed.TTFT(now, a.load, usual)
	least += min(least/2, left/usualMargin)
	return min(patience, max(left-need, min(least, left/2)))
}

// otherNeeds is how long a response of another deployment takes, with what nineteen
// in twenty stay within.
func (f *Flight) otherNeeds(now time.Time, than *deployment) (need time.Duration, any bool) {
	const most = 0.95
	tokens := time.Duration(f.expectedTokens(most))
	for _, d := range f.engine.deployments {
		if tried, _ := f.tried(d); tried || d == than || f.excluded(d) || f.blocked(now, d) != spillway.SpillNone {
			continue
		}
		level := d.meter.Level(now)
		if n := d.speed.TTFT(now, level, most) + tokens*d.speed.TBT(now, level, most); !any || n < need {
			need, any = n, true
		}
	}
	return need, any
}

// onSilence handles attempts that have been silent for too long. A committed one is
// ended, since its request cannot move to another deployment. One that has sent nothing
// yet goes on beside another attempt, since it may still be the first to
// respond. One that has stopped within its response is ended when another attempt can
// replace it, or when no deadline would.
func (f *Flight) onSilence(now time.Time) {
	for i := range f.n {
		a := f.attempt(i)
		if !a.live || a.stallAt.IsZero() || now.Before(a.stallAt) {
			continue
		}
		a.overdue = true
		switch {
		case f.committed:
			f.recordPartial(a)
			f.cancel(now, a, spillway.FailureCut)
			f.settle(now, ending{attempt: i + 1, outcome: spillway.OutcomePartial, status: a.status})
			return
		case f.awaits(now, a):
			a.stallAt = now.Add(f.recheckAfter(now))
		case f.takeOver(now, a):
			return
		case f.last != nil && f.last.number > a.number && f.leaveHung(now):
			f.next(now, f.last, &spillway.Event{Hopeless: f.last.hopeless})
			return
		case f.cutAt.IsZero() && now.Sub(a.start) >= max(silencePatience, a.patience):
			f.cancel(now, a, spillway.FailureSlow)
			if f.live == 0 {
				f.refuse(now, spillway.OutcomeTimeout, spillway.Refusal{Code: spillway.RefusalDeadline})
				return
			}
		default:
			a.stallAt = now.Add(f.recheckAfter(now))
		}
	}
}

// awaits reports whether an attempt other than a is under way that has not been silent for
// too long.
func (f *Flight) awaits(now time.Time, a *attempt) bool {
	for i := range f.n {
		if b := f.attempt(i); b != a && b.live && !b.overdue && (b.stallAt.IsZero() || now.Before(b.stallAt)) {
			return true
		}
	}
	return false
}

// leaveHung cancels the attempts under way if all of them hang and others were sent
// in their place. It reports false when there is one that may still respond.
func (f *Flight) leaveHung(now time.Time) bool {
	for i := range f.n {
		if a := f.attempt(i); a.live && (!a.relieved || !f.hung(now, a)) {
			return false
		}
	}
	for i := range f.n {
		if a := f.attempt(i); a.live {
			f.cancel(now, a, spillway.FailureSlow)
		}
	}
	return true
}

// recheckAfter is when a silent attempt that nothing could replace is checked again.
func (f *Flight) recheckAfter(now time.Time) time.Duration {
	if f.cutAt.IsZero() {
		return minTTFTPatience
	}
	return min(max(f.cutAt.Sub(now)/4, minRecheck), minTTFTPatience)
}

const minRecheck = 250 * time.Millisecond

// takeOver sends the request of a silent attempt to another deployment, if one can generate
// more than the silent one already has, within the retry budget.
func (f *Flight) takeOver(now time.Time, a *attempt) bool {
	other, ok := f.otherChoice(now)
	if !ok || other.plan.grant > 0 && other.plan.grant*max(f.req.Choices, 1) <= a.tokens {
		return false
	}
	// Leaving a deployment that is known to be broken costs nothing: no further
	// request goes there.
	if a.breaker.Ready(now) && !f.afford(now, spillway.FailureSlow) {
		return false
	}
	if a.firstAt.IsZero() {
		a.relieved, a.stallAt, f.hedgeAt = true, now.Add(f.recheckAfter(now)), time.Time{}
	} else {
		f.cancel(now, a, spillway.FailureSlow)
	}
	if other.plan.spill == spillway.SpillNone && other.deployment.tier > 0 {
		other.plan.spill = spillway.SpillSlow
	}
	f.send(now, other.deployment, other.plan)
	return true
}

// silence is the silence of a deployment: since when none of the requests that it got has
// been answered.
type silence struct {
	since time.Time // start of the first of them; zero when there is none
	n     int       // of them, those under way
	count uint64    // of silences, to tell their requests apart
	by    uint64    // caller of the first one
	other time.Time // start of the first one of another caller; zero when there is none
}

const (
	// silentRequests are enough to call a deployment silent when one of them has waited
	// for longer than is usual.
	silentRequests = 3
	// unheardRequests are under way at most at a deployment that has never answered, while
	// others have.
	unheardRequests = 8
	// silentEvery is how long after the last request a silent deployment gets another one.
	silentEvery = time.Second
)

// sent counts a request that is sent for a caller, and returns the number of the silence
// that it belongs to.
func (s *silence) sent(now time.Time, by uint64) uint64 {
	if s.since.IsZero() {
		s.since, s.by, s.other = now, by, time.Time{}
		s.count++
	}
	if by != s.by && s.other.IsZero() {
		s.other = now
	}
	s.n++
	return s.count
}

// ended counts a request of a silence that has ended without an answer.
func (s *silence) ended(number uint64) {
	if number != s.count || s.since.IsZero() {
		return
	}
	if s.n--; s.n == 0 {
		s.since = time.Time{}
	}
}

// broken ends the silence: the deployment has answered.
func (s *silence) broken() { s.since, s.n = time.Time{}, 0 }

// lasts reports whether the silence is longer than is usual for the deployment.
func (s *silence) lasts(now time.Time, d *deployment) bool {
	return s.n >= silentRequests && now.Sub(s.since) >= d.usualSilence(now)
}

// usualSilence is how long hardly any request waits for its answer.
func (d *deployment) usualSilence(now time.Time) time.Duration {
	return max(minSilence, d.speed.TTFT(now, d.meter.Level(now), 0.99))
}

// ofOneCaller reports whether only requests of one caller have waited for too long. They
// may be the cause.
func (s *silence) ofOneCaller(now time.Time, d *deployment) bool {
	return s.other.IsZero() || now.Sub(s.other) < d.usualSilence(now)
}

// status is what is reported of a silence.
func (s *silence) status(now time.Time, d *deployment) Silence {
	if !s.lasts(now, d) {
		return Silence{}
	}
	return Silence{s.since, s.n, s.ofOneCaller(now, d)}
}

// avoided reports whether requests go to another deployment, if there is one: d has been
// silent for longer than usual, or has never answered and has several requests under
// way, while another one has answered. Once in a while it gets one all the same, to find
// out. While all that wait are of one caller, those of others are sent.
func (f *Flight) avoided(now time.Time, d *deployment) bool {
	s := &d.silence
	switch {
	case s.since.IsZero(), now.Sub(d.sentAt) >= silentEvery:
		return false
	case s.lasts(now, d) && (s.by == f.who.Caller || !s.ofOneCaller(now, d)):
		return true
	}
	return s.n >= unheardRequests && (s.by == f.who.Caller || !s.other.IsZero()) && !d.speed.Known(now) && f.engine.knowsSpeed(now)
}

// knowsSpeed reports whether a deployment has answered.
func (e *Engine) knowsSpeed(now time.Time) bool {
	for _, d := range e.deployments {
		if d.speed.Known(now) {
			return true
		}
	}
	return false
}
