// Package gateway is the wall-clock driver: it serves clients over HTTP, asks
// the policy core what to do with each request, and does it against real
// deployments.
//
// # One request
//
// A handler authenticates the caller, reads the body once, and begins a flight
// in the pool that the model name selects (handler.go). Then it performs the
// core's actions and reports events to the core until the core settles the
// flight (flight.go). Finally it writes the response, unless it was streamed
// already (response.go, forward.go), and passes the record to the Recorder.
//
// # Goroutines and ownership
//
// The handler's goroutine owns the flight. It alone writes to the client and
// performs actions. It waits for the reports of its attempts, for wake-ups and
// for the client's departure.
//
// An attempt has a goroutine of its own from Send until it knows its response:
// the headers of an error, the first token of a stream, the whole body of a
// response that is buffered, or the whole stream of a response that is assembled.
// It owns the fields of its attempt until it has sent its last report; then
// the handler does. Channel operations order the hand-over.
//
// After Forward the handler's goroutine reads the upstream body itself and
// writes what it read: no chunk passes a channel or takes a lock. If the response
// is a stream to a client of HTTP/1.1, the flight is first detached from the
// server (package clientconn): a new goroutine owns it, and the handler
// returns. Meanwhile the flight's wake timer reports progress and wake-ups to the
// core. When the core ends the flight, the timer stores the actions and cancels
// the attempt, which ends the owner's read.
//
// A flight ends after its attempts and its wake timer have ended.
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
// Deployments with the same connection settings share a transport. A limit per
// endpoint keeps a burst of requests from opening a connection each where they
// can share a few (package upstream).
//
// # Buffers
//
// A request body is in one reference-counted buffer. The flight holds a
// reference until no further attempt is possible, and each upstream request
// until its transport has closed the body. Small bodies are not pooled: the
// transport sends body types that it knows together with the headers, in one
// write.
package gateway
