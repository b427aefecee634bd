package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/capacity"
	"github.com/spillway-ai/spillway/internal/policy/retry"
)

// attempt is one try at one deployment. Its reservation and permit end with it,
// exactly once.
type attempt struct {
	number     int // 1-based
	live       bool
	deployment *deployment
	// The meter and breaker that the reservation and permit belong to. A new
	// policy can replace the deployment's.
	meter       *capacity.Meter
	breaker     *breaker.Breaker
	permit      breaker.Permit
	reservation capacity.Reservation
	plan        plan

	start   time.Time
	firstAt time.Time     // when the first output was read; zero before that
	lastAt  time.Time     // when the newest known output was read; not before firstAt
	blocked time.Duration // time between them in which reading waited for the client
	held    time.Duration // likewise since lastAt
	load    float64       // utilization at the start

	read      int // output tokens read, over all choices; only grows
	firstRead int // part of read that came with the first delta
	tokens    int // output: read, or what the deployment reported at the end
	hidden    int // part of tokens that was never sent: reasoning

	cacheWrite int // prompt tokens that the deployment wrote to its cache

	finish    spillway.Finish // known once every choice has ended
	assembled bool            // streamed upstream for a client that does not stream
	status    int
	servedBy  string // the deployment that Azure's own spillover moved it to, if it did
	failed    spillway.FailureClass
	refusal   refusal // of a failure of class invalid
	accused   bool    // the permit is kept until it is known who is to blame
	hopeless  bool    // upstream says that a retry cannot help
	hung      bool    // failed after a silence that is far beyond the learned latency
	complete  bool    // the whole response was read

	endedAt  time.Time     // of an attempt that failed
	checkAt  time.Time     // of an attempt that was refused: when the request may check whether it still is
	retryAt  time.Time     // likewise, when the wait ends that upstream asks for
	patience time.Duration // longest silence before the first output
	stallAt  time.Time     // when another deployment is tried because of silence; zero means never
	overdue  bool          // stallAt has passed
	relieved bool          // and another one is tried as well
	silence  uint64        // number of the deployment's silence that it is part of; 0 means none
}

// monitored reports whether silence of an attempt can be judged: its output is
// reported as it is read, or all of it comes at once and soon. Of other attempts
// nothing is known until they end.
func (f *Flight) monitored(a *attempt) bool {
	return f.req.API == spillway.APIEmbeddings || f.req.API.Generates() && (a.assembled || f.req.Stream)
}

// send starts an attempt at d.
func (f *Flight) send(now time.Time, d *deployment, p plan) {
	f.leaveQueue(now)
	f.backingOff = false
	if f.n > len(f.others) {
		f.others = append(f.others, new(attempt))
	}
	a := f.attempt(f.n)
	f.n++
	a.number = f.n
	a.deployment, a.meter, a.breaker, a.plan = d, d.meter, d.breaker, p
	a.permit = d.breaker.Acquire(now, f.engine.rnd, f.who, f.operation)
	a.start, a.load, a.live = now, d.meter.Level(now), true
	a.assembled = f.req.API.Generates() && !f.req.Stream && f.canAssemble(d)
	a.reservation = d.meter.Reserve(now, f.demandOf(p.charge))
	d.inFlight++
	f.live++
	if f.monitored(a) {
		a.patience = f.firstTokenPatience(now, d)
		a.stallAt = now.Add(f.reliefAfter(now, a))
		if !f.reasons(d) {
			a.silence = d.silence.sent(now, f.who.Caller)
		}
	}
	d.sentAt = now
	f.recordSend(now, a)
	f.emit(spillway.Action{
		Kind: spillway.ActionSend, Attempt: f.n, Deployment: d.Name, Grant: p.send, Stream: a.assembled,
	})
}

// canAssemble reports whether a synchronous response of d is to be built from a
// stream.
func (f *Flight) canAssemble(d *deployment) bool {
	return f.req.CanStream && f.req.Class.Sync == spillway.SyncStream && d.Sync == spillway.SyncStream
}

// onUnstreamed notes that an attempt is not streamed: its silence says nothing.
func (f *Flight) onUnstreamed(a *attempt) {
	if a.assembled && a.firstAt.IsZero() {
		a.assembled, a.stallAt, f.hedgeAt = false, time.Time{}, time.Time{}
	}
}

// end settles a's reservation and wakes the queue. used is what the attempt
// consumed; nil means that it never ran.
func (f *Flight) end(now time.Time, a *attempt, used *capacity.Cost) {
	a.live = false
	a.deployment.inFlight--
	a.deployment.silence.ended(a.silence)
	f.live--
	switch {
	case used == nil:
		a.meter.Release(now, a.reservation)
	case a.servedBy != "":
		a.meter.Settle(now, a.reservation, capacity.Cost{}) // the other deployment is charged
	default:
		a.meter.Settle(now, a.reservation, *used)
	}
	f.recordEnd(now, a)
	if used != nil {
		f.recordCost(a, used)
	}
	f.engine.wakeQueue()
}

// consumed estimates what an attempt has consumed that reports no usage: the output
// read, or, where none was counted and the attempt is not monitored, the output at the
// deployment's median speed.
func (f *Flight) consumed(now time.Time, a *attempt) *capacity.Cost {
	used := &capacity.Cost{Prompt: f.prompt, Output: a.tokens}
	if f.monitored(a) || !f.req.API.Generates() || a.tokens > 0 {
		return used
	}
	s := a.deployment.speed
	if ran, tbt := now.Sub(a.start)-s.TTFT(now, a.load, 0.5), s.TBT(now, a.load, 0.5); ran > 0 && tbt > 0 {
		used.Output = min(int(ran/tbt)*max(f.req.Choices, 1), a.plan.charge)
	}
	return used
}

// cancel ends an attempt whose response is not used. class is why; FailureNone means
// that another attempt was faster.
func (f *Flight) cancel(now time.Time, a *attempt, class spillway.FailureClass) {
	a.failed = class
	f.learnFailure(now, a)
	f.end(now, a, f.consumed(now, a))
	f.emit(spillway.Action{Kind: spillway.ActionCancel, Attempt: a.number})
}

// readAt is when the newest output of an event was read. Whatever the event
// says, that lies within the attempt so far, and not before earlier output.
func (a *attempt) readAt(now time.Time, ev *spillway.Event) time.Time {
	at := ev.At
	if at.IsZero() || at.After(now) {
		at = now
	}
	if at.Before(a.start) {
		at = a.start
	}
	if at.Before(a.lastAt) {
		at = a.lastAt
	}
	return at
}

// learnFailure notes the failure of an attempt, or that it was canceled, and learns
// from what was read of its response.
func (f *Flight) learnFailure(now time.Time, a *attempt) {
	f.learnCutLength(now, a)
	if a.failed != spillway.FailureNone && a.failed != spillway.FailureGone {
		a.deployment.lastFailed, a.deployment.lastStatus, a.deployment.failedAt = a.failed, a.status, now
	}
	a.hung = f.hung(now, a)
	f.accuse(now, a)
	switch {
	case a.failed == spillway.FailureGone, ambiguous(a.failed) && a.failed != spillway.FailureSlow, !f.monitored(a):
	case !a.firstAt.IsZero():
		f.learnPace(now, a)
	case a.failed == spillway.FailureNone && !a.hung:
		// The time to its first token is at least this. Without the slower
		// attempts of hedges, the deployment would look fast. A deployment that
		// hangs has no such time.
		a.deployment.speed.ObserveTTFT(now, a.load, now.Sub(a.start))
	}
}

// learnPace learns the mean time between the tokens of one response. Responses that
// were cut count too: without the slow ones, the deployment would look fast.
func (f *Flight) learnPace(now time.Time, a *attempt) {
	if mean, tokens := f.pace(a); tokens > 0 && a.servedBy == "" {
		a.deployment.speed.ObserveTBT(now, a.load, mean, tokens)
	}
}

// learnCutLength learns the length so far of a response that was cut, as a lower
// bound. Without these responses, which are the long ones, all would look short. An
// attempt without output says nothing about length.
func (f *Flight) learnCutLength(now time.Time, a *attempt) {
	if f.req.API.Generates() && f.monitored(a) && !a.firstAt.IsZero() {
		f.lengths.ObserveAtLeast(now, a.tokens/max(f.req.Choices, 1))
	}
}

// pace returns the mean time per token of one choice of an attempt, and over how
// many tokens it is the mean. 0 tokens mean that it is not known.
//
// The time starts at the first delta, so the tokens of that delta do not count:
// content filters release text in batches. Nor does the time during which reading
// waited for the client, nor do hidden tokens, which were generated before the
// first output. When the response was not read as it came, the start is estimated.
func (f *Flight) pace(a *attempt) (mean time.Duration, tokens int) {
	from, total, first := a.firstAt, a.tokens-a.hidden, a.firstRead
	switch {
	case from.IsZero() || !f.monitored(a):
		ttft := a.deployment.speed.TTFT(a.lastAt, a.load, 0.5)
		from, total, first = a.start.Add(min(ttft, a.lastAt.Sub(a.start)/2)), a.tokens, 1
	case a.read > first:
		// The total may be the deployment's count. Scale our count of the first
		// delta to it.
		first = (first*total + a.read/2) / a.read
	}
	// The first delta belongs to one choice. The first deltas of the others are
	// assumed to be as large.
	tokens = total/max(f.req.Choices, 1) - first
	span := a.lastAt.Sub(from) - a.blocked
	if tokens < 1 || span <= 0 {
		return 0, 0
	}
	return span / time.Duration(tokens), tokens
}

// timeoutClass returns why an attempt ran out of time: too much output at normal
// speed, or a slow deployment.
func (f *Flight) timeoutClass(now time.Time, a *attempt) spillway.FailureClass {
	if f.hung(now, a) {
		return spillway.FailureSlow
	}
	mean, _ := f.pace(a)
	if all := a.tokens / max(f.req.Choices, 1); all > 0 {
		// After a large first delta, a few more tokens are too few for a mean.
		// Never call a response slower than it was as a whole.
		mean = min(mean, a.lastAt.Sub(a.start)/time.Duration(all))
	}
	return retry.Timeout{
		Unstreamed: !f.monitored(a), Tokens: a.tokens, TBT: mean,
		LimitTBT: 2 * a.deployment.speed.TBT(now, a.load, f.quantile()),
		Granted:  a.plan.grant, Budget: a.plan.budget,
	}.Class()
}

// attempt returns the i-th attempt, from 0.
func (f *Flight) attempt(i int) *attempt {
	if i == 0 {
		return &f.first
	}
	return f.others[i-1]
}
