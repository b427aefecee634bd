// Package policy decides. An Engine is the shared state of one pool, a Flight
// the life of one request in it. Both are told the time and what happened, and
// answer with actions and the instant at which they next care:
//
//	flight, step := engine.Begin(now, request)
//	step = flight.On(now, event)
//
// They read no clock, start no goroutine, log nothing and do no I/O, so the
// gateway and a simulator drive the very same decisions.
//
// The parts that can be thought of alone are packages beside this one: budget
// (tokens that fit the time left), speed (learned latency), length (learned
// answer sizes), capacity (the meters), admit (the queue), route (the pick),
// retry (what may be tried again) and breaker (health). They do not know each
// other; this package composes them.
//
// Nothing here is safe for concurrent use: the driver holds one lock per
// engine for one call, and never while it does I/O.
package policy
