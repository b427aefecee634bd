package gateway

import (
	"context"
	"errors"

	spillway "github.com/spillway-ai/spillway"
)

// errShutdown is why the gateway ends requests itself.
var errShutdown = errors.New("the gateway is shutting down")

// EndRequests ends the requests in flight that came through Server, and those that
// still come: with what has arrived of their responses where that can be ended
// validly, else with a 503. It does not wait for them; Drain does.
func (g *Gateway) EndRequests() { g.end(errShutdown) }

// endedByGateway reports whether the gateway ends the flight, as its client has not
// left before.
func (f *flight) endedByGateway() bool { return errors.Is(context.Cause(f.call.Context), errShutdown) }

// onContextDone ends a flight whose context has ended: the client has
// disconnected, or the gateway is shutting down.
func (f *flight) onContextDone() {
	f.reportProgress()
	if f.endedByGateway() {
		f.handle(spillway.Event{Kind: spillway.EventEnd})
		return
	}
	f.handle(spillway.Event{Kind: spillway.EventGone})
}

// onClientGone ends a flight whose client does not read.
func (f *flight) onClientGone() {
	f.reportProgress()
	f.handle(spillway.Event{Kind: spillway.EventGone})
}
