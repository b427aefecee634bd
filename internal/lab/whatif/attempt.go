package whatif

import (
	"math"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// attempt is one try at one deployment.
type attempt struct {
	server  *server
	sentAt  time.Duration // when it was sent
	nextAt  time.Duration // when its next event is due
	running bool
	// streamed says that the deployment streams the response, so that the core
	// learns its first token and its progress.
	streamed      bool
	firstReported bool // the core knows of its first token
	reported      int  // tokens that the core knows of
	broken        bool // a fault ended it
	unreadable    bool // with a response that cannot be parsed

	status     int
	retryAfter time.Duration // of a refusal; -1 for none
	signals    spillway.Signals
	plan       fleet.Plan // when it was accepted
	produced   int        // output tokens, once it has ended
}

// send starts an attempt: it offers the request to a deployment.
func (c *call) send(action spillway.Action) {
	s := c.s
	s.result.Attempts++
	sv := s.servers[action.Deployment]
	limit := c.req.AskTokens
	if action.Grant > 0 {
		limit = action.Grant
	}
	audible := c.req.Stream || action.Stream
	v := sv.Offer(s.now(), fleet.Ask{
		PromptTokens: c.call.PromptTokens, Prefix: c.call.Prefix, MaxTokens: limit, OutputTokens: c.call.OutputTokens,
		Stream: audible, Seed: callSeed{c.index, c.tries}.attempt(action.Attempt),
	})
	c.attempts = append(c.attempts, attempt{
		server: sv, sentAt: s.clock, running: true, streamed: audible,
		status: v.Status, retryAfter: -1, signals: spillway.NoSignals(), plan: v.Plan,
	})
	a := &c.attempts[len(c.attempts)-1]
	if v.Status == 200 || v.Status == 429 { // other errors carry no capacity headers
		a.signals = signals(&v.Limits)
	}
	if v.Status != 200 {
		a.nextAt = s.clock + v.Delay
		if v.RetryAfter > 0 {
			a.retryAfter = wholeMillis(v.RetryAfter)
		}
		return
	}
	sv.cached += v.Plan.CachedTokens
	a.nextAt = a.endAt()
	if audible {
		a.nextAt = min(a.nextAt, a.firstAt())
	}
}

// firstAt is the instant of the first chunk, or of the end where no text comes.
func (a *attempt) firstAt() time.Duration { return a.sentAt + a.plan.FirstChunk() }

// hasText reports whether the response has tokens that are not hidden.
func (a *attempt) hasText() bool { return a.plan.OutputTokens > a.plan.ReasoningTokens }

// callSeed is the randomness of a call's try: that of the same attempt of the
// same try is the same under every policy.
type callSeed struct {
	index uint64 // of the call
	tries int    // so far
}

// attempt is the seed of an attempt (1-based).
func (c callSeed) attempt(number int) uint64 {
	return c.index<<8 | uint64(c.tries-1)<<4&0xf0 | uint64(number)&0xf
}

// wholeMillis is d in the precision of retry-after-ms, which rounds up.
func wholeMillis(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}

// breakAt is when a fault breaks the response off, and whether one does. One that
// strikes behind the last token still takes a stream's end away, and nothing of
// a response that comes as a whole.
func (a *attempt) breakAt() (time.Duration, bool) {
	at, fails := a.plan.BreakAt()
	return at, fails && (at < a.plan.End || at == a.plan.End && a.streamed)
}

// endAt is when the response is over, whatever ends it.
func (a *attempt) endAt() time.Duration {
	if at, fails := a.breakAt(); fails {
		return a.sentAt + at
	}
	return a.sentAt + a.plan.End
}

// signals is what the headers say of a deployment's capacity, at their
// precision.
func signals(l *fleet.Limits) spillway.Signals {
	out := spillway.NoSignals()
	if l.Utilization >= 0 {
		out.Utilization = math.Round(l.Utilization*1000) / 10 / 100 // a percentage with one decimal
	}
	if l.RPM > 0 {
		out.RemainingRequests, out.ResetRequests = l.RemainingRequests, ceilSeconds(l.ResetRequests)
	}
	if l.TPM > 0 {
		out.LimitTokens, out.RemainingTokens = l.TPM, l.RemainingTokens
		out.ResetTokens = ceilSeconds(l.ResetTokens)
	}
	return out
}

// ceilSeconds is d in whole seconds, rounded up.
func ceilSeconds(d time.Duration) time.Duration { return (d + time.Second - 1).Truncate(time.Second) }

// onAttempt reports the due events of attempt i.
func (c *call) onAttempt(i int) {
	a := &c.attempts[i]
	ev := spillway.Event{Attempt: i + 1, Status: a.status, RetryAfter: a.retryAfter, Signals: a.signals}
	if a.plan.ID == 0 { // never accepted
		a.running = false
		ev.Kind = spillway.EventFailed
		c.reportEnd(ev)
		return
	}
	ends := a.endAt()
	if a.streamed && !a.firstReported && a.hasText() && c.s.clock >= a.firstAt() {
		a.firstReported, a.nextAt = true, ends
		c.forwarded = c.forwarded || c.flight == nil && c.req.Stream
		ev.Kind = spillway.EventFirstToken
		c.addCounts(a, a.plan.NextRelease(0), &ev)
		c.handle(ev)
	}
	if c.s.clock < ends || c.settled {
		return
	}
	c.stopAttempt(a)
	if a.streamed {
		c.addCounts(a, a.produced/a.plan.Choices, &ev)
	}
	switch _, fails := a.breakAt(); {
	case fails:
		c.setFailure(a, &ev)
	case !a.streamed && a.plan.Status != 200: // a 408, which has no capacity headers
		a.status = a.plan.Status
		ev.Kind, ev.Status, ev.Signals = spillway.EventFailed, a.plan.Status, spillway.NoSignals()
	default:
		ev.Kind, ev.Finish = spillway.EventDone, a.plan.Finish
		ev.Usage = spillway.Usage{
			Prompt: c.call.PromptTokens, Cached: a.plan.CachedTokens, Completion: a.produced,
			Reasoning: a.plan.ReasoningTokens * a.plan.Choices, Known: true,
		}
		if a.plan.NoUsage {
			ev.Usage = spillway.Usage{}
		}
		if !a.streamed { // the text of a response that comes as a whole is counted at its end
			ev.Tokens = max(0, a.produced-a.plan.ReasoningTokens*a.plan.Choices)
		}
	}
	c.reportEnd(ev)
}

// setFailure completes the event of a response that a fault interrupted.
func (c *call) setFailure(a *attempt, ev *spillway.Event) {
	a.broken = true
	ev.Kind, ev.Class = spillway.EventFailed, spillway.FailureCut
	switch brk := a.plan.Break; {
	case brk.Kind == fleet.BreakMalformed && a.firstReported && c.req.Stream:
		// The client is already reading: the malformed event is forwarded, and only
		// the missing end counts as a fault.
	case brk.Kind == fleet.BreakMalformed:
		ev.Class, a.unreadable = spillway.FailureUnreadable, true
	case brk.Kind == fleet.BreakReset && (brk.AtToken == 0 || !a.streamed):
		a.status, ev.Status = 0, 0
		ev.Class, ev.Signals = spillway.FailureBroken, spillway.NoSignals()
	}
}

// addCounts sets an event's token count to what the driver has read of a stream once n
// tokens of each choice have been generated: the text of complete chunks, the
// newest of them at the instant at which it became complete.
func (c *call) addCounts(a *attempt, n int, ev *spillway.Event) {
	released := a.plan.Released(n)
	ev.Tokens = max(0, released-a.plan.ReasoningTokens) * a.plan.Choices
	if a.reported = ev.Tokens; ev.Tokens > 0 {
		ev.At = c.s.start.Add(a.sentAt + a.plan.At(released))
	}
}

// deliveredTokens returns how many of the produced tokens the client has received.
// Tokens of a chunk that was incomplete when the stream was cut are lost.
func (a *attempt) deliveredTokens() int {
	if !a.streamed || a.plan.ID == 0 {
		return a.produced
	}
	return a.plan.Released(a.produced/a.plan.Choices) * a.plan.Choices
}

// reportEnd reports how an attempt ended. Without a gateway it settles the try.
func (c *call) reportEnd(ev spillway.Event) {
	if c.flight != nil {
		c.handle(ev)
		return
	}
	c.settle(spillway.Action{Kind: spillway.ActionSettle, Attempt: 1})
}

// stopAttempt ends an attempt at its deployment, with the tokens produced so
// far. Stopping an attempt twice has no effect.
func (c *call) stopAttempt(a *attempt) {
	if !a.running {
		return
	}
	a.running = false
	if a.plan.ID == 0 {
		return
	}
	a.produced = a.plan.OutputTokens
	if ran := c.s.clock - a.sentAt; ran < a.plan.End || a.plan.Status != 200 || a.plan.Break.Kind != fleet.BreakNone {
		a.produced = a.plan.TokensAt(ran)
		if brk := a.plan.Break; brk.Kind != fleet.BreakNone {
			a.produced = min(a.produced, brk.AtToken)
		}
	}
	a.produced *= a.plan.Choices
	a.server.Complete(c.s.now(), a.plan.ID, a.produced)
}

// reportProgress reports how many tokens the running attempts have produced.
func (c *call) reportProgress() {
	for i := 0; i < len(c.attempts) && !c.settled; i++ {
		a := &c.attempts[i]
		if !a.running || !a.firstReported {
			continue
		}
		told := a.reported
		ev := spillway.Event{Kind: spillway.EventProgress, Attempt: i + 1}
		if c.addCounts(a, a.plan.TokensAt(c.s.clock-a.sentAt), &ev); a.reported > told {
			c.handle(ev)
		}
	}
}
