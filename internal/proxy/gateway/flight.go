package gateway

import (
	"context"
	"net/http"
	"sync"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/clientconn"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// maxNotices is how many notices a flight's attempts can send in all, so that
// sending one never blocks.
const maxNotices = spillway.MaxAttempts * noticesPerAttempt

// flight is one request under way. Its handler's goroutine owns it, except
// where a field says otherwise.
type flight struct {
	out   clientconn.Conn
	parts streaming // of the first attempt
	first attempt
	g     *Gateway
	snap  *snapshot
	r     *http.Request   // nil once the server has done its part and no attempt can want it
	ctx   context.Context // ends when the client leaves, or the gateway ends

	id       string
	accepted time.Time
	path     wire.Path
	ask      *wire.Ask // read by attempts, changed by nobody once begun; nil as r
	req      spillway.Request
	body     *buffer.Buffer // nil without a body, and once nothing can be sent again

	pool *pool
	core *policy.Flight // guarded by pool.mu

	// What the core answered last. take fills them under pool.mu.
	todo     []task
	todoRoom [1]task
	wakeAt   time.Time
	facts    facts

	attempts []*attempt // attempts[i] is attempt i+1
	notices  chan notice
	poke     chan struct{} // holds a token when the engine wants the flight woken
	running  sync.WaitGroup
	watch    watch

	forwarded *attempt // the committed attempt
	settled   bool
	abort     bool // the answer cannot be ended validly
	// includesUsage and choices are what the ask says of the answer.
	includesUsage bool
	choices       int
	// idempotent is a request that may be sent twice, whatever it asks for.
	idempotent bool
	verdict    spillway.Action // the settle
}

// facts are what the headers of an answer say of the core's decisions.
type facts struct {
	spill     spillway.SpillReason
	truncated spillway.Truncation
	granted   int // output tokens; 0 when no limit was sent
	queue     time.Duration
	ttft      time.Duration
}

// task is an action, and the upstream of a send.
type task struct {
	spillway.Action
	up *upstream
}

// notice tells the handler that an attempt has an event to report. A panic of
// the attempt's goroutine travels the same way.
type notice struct {
	event *spillway.Event
	crash *crash
}

// crash is a recovered panic and where it was.
type crash struct {
	cause any
	stack []byte
}

// fly runs the flight from Begin to Settle. The answer of a flight that was
// not committed is still to be written. It reports whether the flight was
// detached: then it is not settled, and serveDetached is the rest of it.
func (f *flight) fly() (detached bool) {
	f.notices = make(chan notice, maxNotices)
	f.poke = make(chan struct{}, 1)
	f.pool.begin(f)
	f.perform()
	for !f.settled {
		a := f.forwarded
		if a == nil || a.pumped {
			f.wait()
			continue
		}
		err := f.open(a)
		if err == nil && f.detach(a) {
			return true
		}
		f.pump(a, err)
	}
	return false
}

// take copies the core's answer. pool.mu is held.
func (f *flight) take(step spillway.Step) {
	f.todo = f.todoRoom[:0]
	for _, action := range step.Actions {
		t := task{Action: action}
		switch action.Kind {
		case spillway.ActionSend:
			t.up = f.pool.upstreams[action.Deployment]
		case spillway.ActionForward, spillway.ActionSettle:
			rec := f.core.Record()
			f.facts = facts{rec.Spill, rec.Truncated, rec.GrantTokens, rec.Queue, rec.TTFT}
		}
		f.todo = append(f.todo, t)
	}
	f.wakeAt = step.WakeAt
}

// tell reports an event and does what the core answers.
func (f *flight) tell(ev spillway.Event) {
	if f.settled {
		return
	}
	f.pool.on(f, ev)
	f.perform()
}

// perform does what the core answered last. What takes long is only begun.
func (f *flight) perform() {
	for i := range f.todo {
		t := &f.todo[i]
		switch t.Kind {
		case spillway.ActionSend:
			f.send(t)
		case spillway.ActionForward:
			f.forwarded = f.attempt(t.Attempt)
			f.dropBody()
		case spillway.ActionCancel:
			f.attempt(t.Attempt).cancel()
		case spillway.ActionCut:
			f.attempt(t.Attempt).cut()
		case spillway.ActionSettle:
			f.settled, f.verdict = true, t.Action
		}
	}
	f.todo = f.todoRoom[:0]
}

func (f *flight) attempt(number int) *attempt { return f.attempts[number-1] }

// send starts an attempt.
func (f *flight) send(t *task) {
	a := &f.first
	if len(f.attempts) > 0 {
		a = new(attempt)
	}
	f.attempts = append(f.attempts, a)
	a.begin(f, t)
	f.running.Add(1)
	go a.run()
}

// wait waits until there is something to tell the core, and tells it.
func (f *flight) wait() {
	var alarm <-chan time.Time
	if !f.wakeAt.IsZero() {
		timer := time.NewTimer(f.wakeAt.Sub(f.g.deps.Now()))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case n := <-f.notices:
		f.hear(n)
	case <-f.poke:
		f.wake()
	case <-alarm:
		f.wake()
	case <-f.ctx.Done():
		f.leave()
	}
}

// hear reports an attempt's event, unless something else has overtaken it: the
// client's departure makes attempts fail, and so does our own cancelling.
func (f *flight) hear(n notice) {
	switch {
	case n.crash != nil:
		panic(n.crash)
	case f.ctx.Err() != nil:
		f.leave()
	case !f.attempt(n.event.Attempt).cancelled:
		f.tell(*n.event)
	}
}

// wake reports the progress of what is under way, and then the wake-up.
func (f *flight) wake() {
	f.report()
	f.tell(spillway.Event{Kind: spillway.EventWake})
}

// report tells the core how far the attempts are.
func (f *flight) report() {
	for _, a := range f.attempts {
		if ev, any := a.progress(); any {
			f.tell(ev)
		}
	}
}

// wakeNow asks for a wake-up as soon as possible. pool.mu is held.
func (f *flight) wakeNow() {
	if f.watch.on {
		f.watch.hurry()
		return
	}
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// dropBody lets go of the request's body: nothing will be sent again.
func (f *flight) dropBody() {
	f.body.Release()
	f.body = nil
}

// land ends whatever the flight has started and waits for it.
func (f *flight) land() {
	for _, a := range f.attempts {
		a.cancel()
	}
	f.running.Wait()
	for _, a := range f.attempts {
		a.close()
	}
	f.dropBody()
}
