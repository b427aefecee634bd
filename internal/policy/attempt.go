package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/capacity"
	"github.com/spillway-ai/spillway/internal/policy/retry"
)

// attempt is one try at one deployment. What it holds is given back when it
// ends, exactly once.
type attempt struct {
	deployment *deployment
	// What gave the reservation and the permit; a new policy can replace them.
	meter       *capacity.Meter
	breaker     *breaker.Breaker
	permit      breaker.Permit
	reservation capacity.Reservation

	start   time.Time
	firstAt time.Time // zero before the first output
	lastAt  time.Time // of the last known output
	load    float64   // utilization at the start
	tokens  int       // output so far
	grant   int       // limit that was sent; 0 for none
	budget  int       // what could be expected to fit; 0 for unbounded

	live      bool
	assembled bool // streamed upstream for a client that does not stream
	status    int
	failed    spillway.FailureClass
	unusable  bool      // the deployment serves nobody: it is missing, or our credential is wrong
	stallAt   time.Time // when silence counts as failure; zero is never
}

// blind says that nothing is heard of the answer until it is complete.
func (f *Flight) blind(a *attempt) bool { return !a.assembled && !f.req.Stream }

// send starts an attempt at d.
func (f *Flight) send(now time.Time, d *deployment, p plan) {
	f.leaveQueue(now)
	a := &f.attempts[f.n]
	f.n++
	generates := f.req.API.Generates()
	*a = attempt{
		deployment: d,
		meter:      d.meter,
		breaker:    d.breaker,
		permit:     d.breaker.Acquire(now),
		start:      now,
		load:       d.meter.Level(now),
		grant:      p.grant,
		budget:     p.budget,
		live:       true,
		assembled:  generates && !f.req.Stream && f.canAssemble(),
	}
	a.reservation = d.meter.Reserve(now, capacity.Cost{Prompt: f.prompt, Output: p.charge})
	d.inFlight++
	f.live++
	if !f.blind(a) {
		a.stallAt = now.Add(f.firstTokenPatience(now, d))
	}
	f.recordSend(now, a, p)
	f.emit(spillway.Action{
		Kind: spillway.ActionSend, Attempt: f.n, Deployment: d.Name, Grant: p.send, Stream: a.assembled,
	})
}

// canAssemble reports whether a synchronous answer is to be built from a
// stream.
func (f *Flight) canAssemble() bool {
	return f.req.CanStream && f.req.Class.Sync == spillway.SyncStream
}

// end gives back what a holds. used is what the attempt consumed; nil means
// that it never ran.
func (f *Flight) end(now time.Time, a *attempt, used *capacity.Cost) {
	a.live = false
	a.deployment.inFlight--
	f.live--
	if used == nil {
		a.meter.Release(now, a.reservation)
	} else {
		a.meter.Settle(now, a.reservation, *used)
	}
	f.recordEnd(now, a)
}

// soFar is what an unfinished attempt has consumed, as far as we know.
func (f *Flight) soFar(a *attempt) *capacity.Cost {
	return &capacity.Cost{Prompt: f.prompt, Output: a.tokens * max(f.req.Choices, 1)}
}

// cancel ends an attempt whose bytes never reach the client, and says what it
// taught: a failure class, or FailureNone for a loser or a client that left.
func (f *Flight) cancel(now time.Time, a *attempt, class spillway.FailureClass) {
	a.failed = class
	f.learnFailure(now, a)
	f.end(now, a, f.soFar(a))
	f.emit(spillway.Action{Kind: spillway.ActionCancel, Attempt: f.number(a)})
}

// learnFailure ends the permit of a failed or given-up attempt.
func (f *Flight) learnFailure(now time.Time, a *attempt) {
	d := a.deployment
	switch a.failed {
	case spillway.FailureBroken, spillway.FailureCut:
		a.breaker.Record(now, a.permit, false)
	case spillway.FailureSlow:
		// Slow with output is evidence of latency. Without any output it
		// cannot be told from a deployment that hangs.
		if a.firstAt.IsZero() {
			a.breaker.Record(now, a.permit, false)
			d.speed.ObserveTTFT(now, a.load, now.Sub(a.start))
			return
		}
		a.breaker.Drop(now, a.permit)
		f.learnPace(now, a, 0)
	case spillway.FailureOversized:
		a.breaker.Drop(now, a.permit)
		f.learnPace(now, a, 0)
	default:
		a.breaker.Drop(now, a.permit)
	}
}

// learnPace teaches the mean time between the tokens of one answer, without
// the time that reading waited for the client. Answers that were cut count:
// without the slow ones a deployment would look fast.
func (f *Flight) learnPace(now time.Time, a *attempt, blocked time.Duration) {
	if mean, ok := f.pace(a, blocked); ok {
		a.deployment.speed.ObserveTBT(now, a.load, mean, a.tokens)
	}
}

// pace is the mean time between tokens of an attempt. The TTFT of a blind one
// is unknown and taken for its deployment's median.
func (f *Flight) pace(a *attempt, blocked time.Duration) (time.Duration, bool) {
	if a.tokens < 2 {
		return 0, false
	}
	from := a.firstAt
	if from.IsZero() {
		ttft := a.deployment.speed.TTFT(a.lastAt, a.load, 0.5)
		from = a.start.Add(min(ttft, a.lastAt.Sub(a.start)/2))
	}
	span := a.lastAt.Sub(from) - blocked
	if span <= 0 {
		return 0, false
	}
	return span / time.Duration(a.tokens-1), true
}

// timeoutClass is what an attempt that ran out of time says: too much output
// at normal speed, or a slow deployment.
func (f *Flight) timeoutClass(now time.Time, a *attempt) spillway.FailureClass {
	mean, _ := f.pace(a, 0)
	granted := a.grant
	return retry.Timeout{
		Blind: f.blind(a), Tokens: a.tokens, TBT: mean,
		LimitTBT: 2 * a.deployment.speed.TBT(now, a.load, f.quantile()),
		Granted:  granted, Budget: a.budget,
	}.Class()
}

// number is the 1-based number of an attempt.
func (f *Flight) number(a *attempt) int {
	for i := range f.attempts[:f.n] {
		if &f.attempts[i] == a {
			return i + 1
		}
	}
	return 0
}

// Patience with silence: before the first token a multiple of the learned
// TTFT, after it a multiple of the learned TBT, within bounds.
const (
	ttftPatience    = 3
	minTTFTPatience = 5 * time.Second
	maxTTFTPatience = 30 * time.Second
	tbtPatience     = 50
	minTBTPatience  = 5 * time.Second
	maxTBTPatience  = 15 * time.Second
	// silencePatience is what a client that is already reading a stream is
	// made to wait: it cannot be sent elsewhere.
	silencePatience = 60 * time.Second
)

func (f *Flight) firstTokenPatience(now time.Time, d *deployment) time.Duration {
	q := d.speed.TTFT(now, d.meter.Level(now), 0.99)
	return min(max(ttftPatience*q, minTTFTPatience), maxTTFTPatience)
}

func (f *Flight) tokenPatience(now time.Time, a *attempt) time.Duration {
	if f.committed {
		return silencePatience
	}
	q := a.deployment.speed.TBT(now, a.load, 0.99)
	return min(max(tbtPatience*q, minTBTPatience), maxTBTPatience)
}
