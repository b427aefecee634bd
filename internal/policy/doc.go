// Package policy makes the decisions. An Engine is the shared state of one pool;
// a Flight is the life of one request in it. Each call passes the time and what
// happened, and returns the actions to perform and when to call again:
//
//	flight, step := engine.Begin(now, request)
//	step = flight.On(now, event)
//
// They read no clock, start no goroutine, log nothing and do no I/O, so the
// gateway and the simulator run the same decisions.
//
// Independent parts are packages below this one: budget (tokens that fit the
// time left), speed (learned latency), length (learned answer lengths),
// capacity (the meters), admit (the queue), route (the pick), retry (what may be
// tried again) and breaker (health). They do not import each other; this package
// composes them.
//
// Nothing here is safe for concurrent use: the driver holds one lock per
// engine for one call, and never while it does I/O.
package policy
