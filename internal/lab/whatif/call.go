package whatif

import (
	"strconv"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
)

// never is later than any instant of a simulation.
const never time.Duration = 1<<63 - 1

// call is one call of the workload with its client, from its arrival to the
// end of its last try.
type call struct {
	s           *sim
	index       uint64 // 1-based place in the workload
	agendaIndex int    // in the agenda; -1 outside
	call        workload.Call

	tries   int           // made, the one under way included
	tryAt   time.Duration // when it began
	retryAt time.Duration // when the next begins, while the client waits

	req       spillway.Request
	pool      *pool
	flight    *policy.Flight // nil while the client waits, and in direct calls
	wakeAt    time.Duration
	goneAt    time.Duration // when the client times out
	attempts  []attempt
	forwarded bool // the client receives the response as it arrives
	settled   bool
	verdict   spillway.Action // the settle
}

// start starts the call's first or next try.
func (c *call) start() {
	s := c.s
	c.tries++
	s.result.Tries++
	c.tryAt, c.retryAt, c.wakeAt, c.goneAt = s.clock, never, never, never
	if t := s.cfg.Client.Timeout; t > 0 {
		c.goneAt = s.clock + t
	}
	c.attempts, c.forwarded, c.settled = c.attempts[:0], false, false
	c.prepareCall()
	if direct := s.cfg.Policy.Direct; direct != "" {
		c.send(spillway.Action{Kind: spillway.ActionSend, Attempt: 1, Deployment: direct})
		c.schedule()
		return
	}
	c.pool = s.pools[0]
	if p := s.byModel[c.call.Model]; p != nil {
		c.pool = p
	}
	flight, step := c.pool.engine.Begin(s.now(), &c.req)
	flight.Driver = c
	c.flight = flight
	p := c.pool // c may serve another call once this one is over
	c.perform(step)
	c.finishStep()
	s.wakeReady(p)
}

// prepareCall sets the request that the core sees for this try.
func (c *call) prepareCall() {
	p, from := &c.s.cfg.Policy, &c.call
	stream := from.Stream || from.CanStream && p.StreamLong > 0 && (from.MaxTokens == 0 || from.MaxTokens > p.StreamLong)
	c.req = spillway.Request{
		Caller: from.Client, Route: "azure/chat", Model: from.Model, API: spillway.APIChat, Class: p.classOf(from),
		Stream: stream, CanStream: true, Choices: 1, AskTokens: from.MaxTokens, BodyBytes: c.s.cfg.promptBytes(from),
		ClientRetry: c.tries - 1,
	}
	if len(from.Prefix) > 0 {
		c.req.Affinity = from.Prefix[0]
	}
	if t := c.s.cfg.Client.Timeout; t > 0 && !stream {
		c.req.Deadline = t
	}
	if c.s.cfg.OnRecord != nil {
		c.req.ID = strconv.FormatUint(c.index, 10) + "." + strconv.Itoa(c.tries)
	}
}

// run processes what is due at the current instant: events of attempts, the
// core's wake-up, the client's timeout, and the start of the next try.
func (c *call) run() {
	now := c.s.clock
	if c.retryAt <= now {
		c.start()
		return
	}
	for i := 0; i < len(c.attempts) && !c.settled; i++ {
		if a := &c.attempts[i]; a.running && a.nextAt <= now {
			c.onAttempt(i)
		}
	}
	if c.wakeAt <= now && !c.settled {
		c.onWake()
	}
	if c.goneAt <= now && !c.settled {
		c.onClientGone()
	}
	s, p := c.s, c.pool // c may serve another call once this one is over
	c.finishStep()
	if p != nil {
		s.wakeReady(p)
	}
}

// handle reports an event to the core and performs the actions it returns.
func (c *call) handle(ev spillway.Event) {
	if c.flight == nil || c.settled {
		return
	}
	c.perform(c.flight.On(c.s.now(), ev))
}

// onWake reports the progress of running attempts, and then the wake-up.
func (c *call) onWake() {
	c.reportProgress()
	c.handle(spillway.Event{Kind: spillway.EventWake})
}

// onClientGone handles the client's timeout.
func (c *call) onClientGone() {
	if c.flight == nil {
		for i := range c.attempts {
			c.stopAttempt(&c.attempts[i])
		}
		c.settle(spillway.Action{Kind: spillway.ActionSettle})
		return
	}
	c.reportProgress()
	c.handle(spillway.Event{Kind: spillway.EventGone})
}

// perform performs the actions that the core returned.
func (c *call) perform(step spillway.Step) {
	c.wakeAt = never
	if !step.WakeAt.IsZero() {
		c.wakeAt = max(step.WakeAt.Sub(c.s.start), c.s.clock)
	}
	for _, action := range step.Actions {
		switch action.Kind {
		case spillway.ActionSend:
			c.send(action)
		case spillway.ActionForward:
			c.forwarded = true
		case spillway.ActionCut, spillway.ActionCancel:
			c.stopAttempt(&c.attempts[action.Attempt-1])
		case spillway.ActionSettle:
			c.settle(action)
		}
	}
}

func (c *call) settle(verdict spillway.Action) { c.settled, c.verdict = true, verdict }

// finishStep finishes the try if it has settled, and otherwise schedules the
// call's next instant.
func (c *call) finishStep() {
	if c.settled {
		c.finish()
		return
	}
	if c.retryAt == never {
		c.schedule()
	}
}

// schedule enters the call's next instant into the agenda.
func (c *call) schedule() {
	at := min(c.wakeAt, c.goneAt)
	for i := range c.attempts {
		if a := &c.attempts[i]; a.running {
			at = min(at, a.nextAt)
		}
	}
	c.s.agenda.schedule(c, at)
}

// finish reports the try and schedules a retry if the client makes one.
func (c *call) finish() {
	s := c.s
	for i := range c.attempts { // attempts that the core did not cancel
		c.stopAttempt(&c.attempts[i])
	}
	switch k := c.verdict.Attempt; {
	case c.flight == nil:
	case c.forwarded:
		c.flight.Record().Status = 200 // it has gone out
	case k > 0 && c.attempts[k-1].unreadable:
		c.flight.Record().Status = 502 // a stream that cannot be read is not passed on
	}
	try := c.tryOf()
	wait, again := c.retry(&try)
	c.settled = false
	if c.flight != nil {
		if s.cfg.OnRecord != nil {
			s.cfg.OnRecord(c.flight.Record())
		}
		c.flight.Driver = nil
		c.flight.Release()
		c.flight = nil
	}
	if again {
		c.retryAt = s.clock + wait
		s.agenda.schedule(c, c.retryAt)
	}
	try.Last = !again
	if s.cfg.OnTry != nil {
		s.cfg.OnTry(&try)
	}
	if !again {
		s.agenda.remove(c)
		*c = call{s: s, agendaIndex: -1, attempts: c.attempts[:0]}
		s.freeCalls = append(s.freeCalls, c)
	}
}

// retry returns whether the client tries again, and after how long. A client
// that has begun to read a response does not retry.
func (c *call) retry(try *report.Try) (wait time.Duration, again bool) {
	refusal := &c.verdict.Refusal
	hopeless := (c.verdict.NoRetry || refusal.Code.NoRetry()) && !c.s.cfg.Client.IgnoresHints
	if c.forwarded || hopeless {
		return 0, false // x-should-retry: false
	}
	status := try.Status
	if try.Outcome == spillway.OutcomeClientGone {
		status = 0 // SDKs see no status after their own timeout
	}
	retryAfter := wholeMillis(refusal.RetryAfter) // as the gateway's retry-after-ms has it
	if k := c.verdict.Attempt; k > 0 && c.attempts[k-1].status != 200 {
		retryAfter = c.attempts[k-1].retryAfter
	}
	return c.s.cfg.Client.Retry(c.tries, status, retryAfter, c.s.rng)
}

// tryOf returns the try as its client saw it.
func (c *call) tryOf() report.Try {
	t := report.Try{
		At: c.tryAt, Retry: c.tries - 1, Stream: c.req.Stream,
		E2E: c.s.clock - c.tryAt, CallE2E: c.s.clock - c.call.At,
		PromptTokens: c.call.PromptTokens,
	}
	for i := range c.attempts {
		t.CompletionTokens += c.attempts[i].produced
	}
	var truncated spillway.Truncation
	if c.flight != nil {
		rec := c.flight.Record()
		t.Status, t.Outcome, truncated = rec.Status, rec.Outcome, rec.Truncated
	} else {
		t.Status, t.Outcome = c.directOutcome()
	}
	if k := c.verdict.Attempt; k > 0 && c.attempts[k-1].status == 200 {
		a := &c.attempts[k-1]
		t.TTFT, t.UsefulTokens = a.firstAt()-c.tryAt, a.deliveredTokens()
		if a.produced > 1 {
			t.TBT = a.plan.TBT
		}
		t.CachedTokens = a.plan.CachedTokens
		t.Spilled = c.flight != nil && c.flight.Record().Attempts[k-1].Tier > 0
	}
	t.Met = truncated == spillway.TruncatedNot && c.s.cfg.Objective.met(&t)
	return t
}

// met reports whether a complete response satisfied every condition.
func (o *Objective) met(t *report.Try) bool {
	return (o.Window <= 0 || t.Stream || t.E2E <= o.Window) &&
		(o.TTFT <= 0 || t.TTFT <= o.TTFT) && (o.TBT <= 0 || t.TBT <= o.TBT)
}

// directOutcome returns the status and outcome of a call without a gateway.
func (c *call) directOutcome() (int, spillway.Outcome) {
	switch {
	case c.verdict.Attempt > 0:
	case c.forwarded:
		return 200, spillway.OutcomeClientGone
	default:
		return 0, spillway.OutcomeClientGone
	}
	a := &c.attempts[0]
	switch {
	case a.broken && a.streamed && a.firstReported:
		return a.status, spillway.OutcomePartial
	case a.broken:
		return a.status, spillway.OutcomeUpstreamError
	case a.status == 429:
		return 429, spillway.OutcomeThrottled
	case a.status == 408:
		return 408, spillway.OutcomeTimeout
	case a.status != 200:
		return a.status, spillway.OutcomeUpstreamError
	case a.plan.Finish == spillway.FinishLength:
		return 200, spillway.OutcomeOKClientCap
	}
	return 200, spillway.OutcomeOK
}
