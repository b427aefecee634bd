// Package gateway is the wall-clock driver: it serves clients over HTTP, asks
// the policy core what to do with each request, and does it against real
// deployments.
//
// # One request
//
// A handler authenticates the caller, reads the body once, and begins a flight
// in the pool that the model name selects. From then on it performs the core's
// actions and reports what happened, until the core settles the flight. The
// record of the flight goes to the Recorder, and the response, if it has not
// been streamed already, to the client.
//
// # Goroutines and ownership
//
// The handler's goroutine owns the flight. It alone writes to the client and
// performs actions. It waits on one channel for notices, which name the event
// to report, and for wake-ups and the client's departure.
//
// An attempt has a goroutine of its own from Send until it knows its response:
// the headers of an error, the first token of a stream, the whole body of an
// response that is buffered, or the whole stream of a response that is assembled.
// It owns the fields of its attempt until it has sent its last notice; then
// the handler does. Channel operations order the hand-over.
//
// After Forward the handler's goroutine reads the upstream body itself and
// writes what it read: no chunk passes a channel or takes a lock. If the response
// is a stream to a client of HTTP/1.1, the flight is first detached from the
// server (package clientconn): a new goroutine owns it, and the handler
// returns. Meanwhile the flight's watch, one timer, keeps the core's wake-ups:
// it reports progress and, when the core ends the flight, leaves the verdict
// and cancels the attempt, which ends the owner's read.
//
// A flight ends after its attempts and its watch have ended.
//
// # Locks
//
// Each pool has a mutex around its engine and the table that says where the
// engine's deployments are. It is held for one call of the engine and the
// copying of its result, with the clock read inside, and never across I/O.
// Configuration is an immutable snapshot behind an atomic pointer: a request
// keeps the one that it began with. A reload replaces the engine's
// configuration and the table under one lock, so that every deployment which
// the engine names is in the table.
//
// # Connections
//
// Deployments that agree on how to connect share a transport. Before it stands
// a gate for each deployment, so that a burst of requests does not open a
// connection each where they can share a few.
//
// # Buffers
//
// A request body lies in one reference-counted buffer, held by the flight
// until nothing can be sent again and by every upstream request until its
// transport has closed it. Small bodies are left to the garbage collector
// instead: the transport sends the readers that it knows together with the
// headers, which saves more than the memory is worth.
package gateway
