package gateway

import (
	"context"
	"errors"

	spillway "github.com/spillway-ai/spillway"
)

// errEnding is why the gateway ends requests itself.
var errEnding = errors.New("the gateway is being shut down")

// End ends the requests in flight that came through Server, and those that
// still come: with what has arrived of their answers where that can be ended
// validly, else with a 503. It does not wait for them; Drain does.
func (g *Gateway) End() { g.end(errEnding) }

// mustEnd reports whether the gateway ends the flight, as its client has not
// left before.
func (f *flight) mustEnd() bool { return errors.Is(context.Cause(f.ctx), errEnding) }

// leave ends a flight whose context has ended: nobody reads any more, or the
// gateway ends.
func (f *flight) leave() {
	if f.settled {
		return
	}
	if !f.mustEnd() {
		f.tell(spillway.Event{Kind: spillway.EventGone})
		return
	}
	for _, a := range f.attempts {
		if ev, any := a.progress(); any {
			f.tell(ev)
		}
	}
	kept := f.presentable()
	// To the core it is as if the client had left: the deployments are not to
	// blame. What the client and the record get is better than that.
	f.tell(spillway.Event{Kind: spillway.EventGone})
	f.running.Wait()
	rec := f.core.Record()
	switch {
	case kept != nil && kept.fault == nil:
		kept.short = true
		f.verdict.Attempt = kept.number
		rec.Outcome, rec.Truncated, rec.Finish = spillway.OutcomeTruncatedDeadline, spillway.TruncatedDeadline, spillway.FinishLength
		rec.Status = kept.resp.StatusCode
		f.facts.truncated = rec.Truncated.String()
	case f.forwarded != nil:
		rec.Outcome, rec.Status = spillway.OutcomePartial, f.out.status
	default:
		e := shuttingDown()
		rec.Outcome, rec.Refusal = spillway.OutcomeRefusedQueue, spillway.RefusalCode(e.Code)
		f.refuse(e)
	}
}

// presentable returns the attempt whose answer can be cut to a valid one, or
// nil. Only streams can, once they hold a token.
func (f *flight) presentable() *attempt {
	for _, a := range f.attempts {
		if !a.cancelled && a.tokens.Load() > 0 && (a.shape == shapeAssembled || a == f.forwarded && a.shape == shapeStream) {
			return a
		}
	}
	return nil
}
