// Package policy is the policy core. An Engine is the shared state of one pool;
// a Flight is one request in it. Each call takes the time and an event, and
// returns the actions to perform and the time of the next wake-up:
//
//	flight, step := engine.Begin(now, request)
//	step = flight.On(now, event)
//
// It reads no clock, starts no goroutine, logs nothing and does no I/O, so the
// gateway and the simulator make the same decisions.
//
// The independent parts are packages below this one: budget (tokens that fit the
// time left), speed (learned latency), length (learned response lengths),
// capacity (the meters), admit (the queue), route (the selection of a
// deployment), retry (backoff and retry budget) and breaker (health). They do
// not import each other; this package composes them.
//
// Nothing here is safe for concurrent use: the driver holds one lock per engine
// during each call, and never during I/O.
package policy
