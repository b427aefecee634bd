package interference

import (
	"math/rand/v2"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// peer is a scripted deployment. It serves everything at its own pace, which
// falls a little with every request in flight, within its tokens per minute.
type peer struct {
	name      string
	pace      float64 // service times are multiplied by it
	tpm       int     // 0 is unlimited
	saysLimit bool    // a refusal names the limit in its headers
	isSick    bool
	sick      reply // while isSick, every response
	// heals is when it says that it serves again, by a retry-after; 0 leaves that of sick.
	heals time.Duration

	// refuses is the share of attempts that get a 503, as draw decides.
	refuses float64
	draw    *rand.Rand

	inFlight  int
	tokens    int // of the minute
	minuteEnd time.Duration
	arrivals  []time.Duration // of attempts, in order
}

// loadPerRequest is how much slower a response becomes with each other one in
// flight.
const loadPerRequest = 0.005

// use is capacity that an attempt of the guilty caller used.
type use struct {
	peer     *peer
	from, to time.Duration
	tokens   int
}

// admit counts tokens of a request, or refuses it.
func (p *peer) admit(now time.Duration, tokens int) (refusal reply, ok bool) {
	if now >= p.minuteEnd {
		p.tokens, p.minuteEnd = 0, now+time.Minute
	}
	if p.tpm == 0 || p.tokens+tokens <= p.tpm {
		p.tokens += tokens
		return reply{}, true
	}
	refusal = refuses(429, p.minuteEnd-now)
	if tokens > p.tpm { // it never fits; Azure is known to ask for a day
		refusal.retryAfter = 24 * time.Hour
	}
	refusal.limitTokens = -1
	if p.saysLimit {
		refusal.limitTokens = p.tpm
	}
	return refusal, false
}

// reply is what a deployment does with one attempt.
type reply struct {
	// An error, or silence: after wait, the event of class and status.
	status      int
	class       spillway.FailureClass
	wait        time.Duration // forever for silence
	retryAfter  time.Duration // -1 for none
	hopeless    bool
	missing     bool
	unsupported bool
	limitTokens int // in the headers; -1 for none
	// busy says that the deployment works on it until its end. What is refused
	// uses no capacity.
	busy bool

	// A response, when status is 200: tokens, the first after ttft and the others
	// tbt apart. After breaksAt tokens it fails with class and, where that is
	// set, the status of an error event in the stream. After stallsAt tokens,
	// nothing more comes. usage, if known, is what the deployment reports.
	ttft, tbt   time.Duration
	tokens      int
	breaksAt    int
	breakStatus int
	stallsAt    int
	blocked     time.Duration // per token, in which the client does not read
	usage       spillway.Usage
}

// refuses is an error that comes soon, with a retry-after, or -1 without.
func refuses(status int, retryAfter time.Duration) reply {
	return reply{status: status, wait: 30 * time.Millisecond, retryAfter: retryAfter, limitTokens: -1}
}

// fails is an attempt that fails after wait without being answered.
func fails(class spillway.FailureClass, wait time.Duration) reply {
	return reply{class: class, wait: wait, retryAfter: -1, limitTokens: -1}
}

// silent never answers, and keeps the deployment busy.
func silent() reply {
	r := fails(spillway.FailureNone, forever)
	r.busy = true
	return r
}

// serves is the complete response to a call.
func (p *peer) serves(c *call) reply {
	pace := p.pace * (1 + loadPerRequest*float64(p.inFlight))
	return reply{
		status: 200, busy: true, retryAfter: -1, limitTokens: -1, tokens: c.tokens,
		ttft: time.Duration(float64(c.ttft) * pace),
		tbt:  time.Duration(float64(20*time.Millisecond) * pace),
	}
}

// attempt is one attempt of a call at a deployment.
type attempt struct {
	call     *call
	number   int
	peer     *peer
	reply    reply
	start    time.Duration
	streamed bool // the engine learns of its tokens as they come
	live     bool
	told     int // tokens that the engine knows of
	charge   int // tokens that the deployment has counted
	limited  bool
}

// send starts an attempt.
func (c *call) send(action spillway.Action) {
	w := c.world
	a := &attempt{
		call: c, number: action.Attempt, peer: w.peer(action.Deployment), start: w.now, live: true,
		streamed: c.req.Stream || action.Stream,
	}
	c.attempts = append(c.attempts, a)
	a.peer.arrivals = append(a.peer.arrivals, w.now)
	limit := c.req.AskTokens
	if action.Grant > 0 {
		limit = action.Grant
	}
	a.reply = a.decide(limit)
	if a.reply.status == 200 && limit > 0 && a.reply.tokens > limit {
		a.reply.tokens, a.limited = limit, true
	}
	if a.reply.busy {
		a.peer.inFlight++
	}
	a.schedule()
}

// decide asks the deployment. The guilty caller's requests do what their kind
// says, unless the deployment refuses them for their size.
func (a *attempt) decide(limit int) reply {
	c, p, w := a.call, a.peer, a.call.world
	charge := c.req.BodyBytes/4 + min(limit, 1<<14)*min(max(c.req.Choices, 1), 128)
	r := p.serves(c)
	if c.guilty && w.kind.answer != nil {
		w.kind.answer(&r, p, c)
	}
	if r.status == 200 {
		if refusal, ok := p.admit(w.now, charge); !ok {
			return refusal
		}
		a.charge = charge
	}
	switch {
	case p.isSick && p.heals > 0:
		return with(p.sick, func(r *reply) { r.retryAfter = p.heals - w.now })
	case p.isSick:
		return p.sick
	case p.refuses > 0 && p.draw.Float64() < p.refuses:
		return status(503, 30*time.Millisecond)
	}
	if c.noisy && a.number == 1 {
		return refuses(500, -1)
	}
	return r
}

// schedule schedules the attempt's events.
func (a *attempt) schedule() {
	r, w := &a.reply, a.call.world
	if r.status != 200 || r.class != spillway.FailureNone && r.breaksAt == 0 {
		if r.wait != forever {
			w.at(a.start+r.wait, a.fail)
		}
		return
	}
	if a.streamed && r.tokens > 0 {
		w.at(a.start+r.ttft, func() {
			if a.live {
				a.told = max(a.tokensAt(w.now), 1)
				ev := a.event(spillway.EventFirstToken)
				a.call.report(ev)
				w.wakeReady()
			}
		})
	}
	switch {
	case r.breaksAt > 0:
		w.at(a.start+a.offset(r.breaksAt), a.fail)
	case r.stallsAt == 0:
		w.at(a.start+a.offset(r.tokens), a.done)
	}
}

// offset is when token n (from 1) comes, after the start.
func (a *attempt) offset(n int) time.Duration {
	return a.reply.ttft + time.Duration(max(n-1, 0))*a.reply.tbt
}

// tokensAt is how many tokens have come.
func (a *attempt) tokensAt(now time.Duration) int {
	r := &a.reply
	since := now - a.start - r.ttft
	if r.status != 200 || since < 0 {
		return 0
	}
	n := r.tokens
	if r.tbt > 0 {
		n = min(n, 1+int(since/r.tbt))
	}
	for _, limit := range []int{r.breaksAt, r.stallsAt} {
		if limit > 0 {
			n = min(n, limit)
		}
	}
	return n
}

// event returns an event of the attempt with the tokens that the engine is told of.
func (a *attempt) event(kind spillway.EventKind) spillway.Event {
	r := &a.reply
	ev := spillway.Event{
		Kind: kind, Attempt: a.number, Status: r.status, RetryAfter: r.retryAfter, Signals: spillway.NoSignals(),
		Blocked: time.Duration(a.told) * r.blocked,
	}
	if a.streamed {
		ev.Tokens = a.told
	}
	if a.told > 0 {
		ev.At = start.Add(a.start + a.offset(a.told))
	}
	ev.Signals.LimitTokens = r.limitTokens
	return ev
}

// fail reports that the attempt has failed.
func (a *attempt) fail() {
	if !a.live {
		return
	}
	w, r := a.call.world, &a.reply
	a.told = a.tokensAt(w.now)
	ev := a.event(spillway.EventFailed)
	ev.Class, ev.Hopeless, ev.Missing, ev.Unsupported = r.class, r.hopeless, r.missing, r.unsupported
	if r.breakStatus != 0 {
		ev.Status = r.breakStatus
	}
	a.stop()
	a.call.report(ev)
	w.wakeReady()
}

// done reports that the response is complete.
func (a *attempt) done() {
	if !a.live {
		return
	}
	w, c := a.call.world, a.call
	a.told = a.reply.tokens
	ev := a.event(spillway.EventDone)
	ev.Finish = spillway.FinishStop
	if a.limited {
		ev.Finish = spillway.FinishLength
	}
	ev.Usage = spillway.Usage{Prompt: c.req.BodyBytes / 4, Completion: a.told, Known: true}
	if a.reply.usage.Known {
		ev.Usage = a.reply.usage
	}
	a.stop()
	c.report(ev)
	w.wakeReady()
}

// stop ends the attempt at its deployment. Stopping it twice has no effect.
func (a *attempt) stop() {
	if !a.live {
		return
	}
	a.live = false
	if !a.reply.busy {
		return
	}
	a.peer.inFlight--
	if w := a.call.world; a.call.guilty {
		w.uses = append(w.uses, use{a.peer, a.start, w.now, a.charge})
	}
}

// reportProgress reports the tokens of the attempts under way.
func (c *call) reportProgress() {
	for i := 0; i < len(c.attempts) && !c.settled; i++ {
		a := c.attempts[i]
		if !a.live || a.told == 0 {
			continue
		}
		if n := a.tokensAt(c.world.now); n > a.told {
			a.told = n
			c.report(a.event(spillway.EventProgress))
		}
	}
}
