// Package loadgen is an open-loop client: it starts every call of a workload
// when its schedule says so, regardless of earlier calls, and measures latency
// from that instant, so that a target that stalls cannot hide the calls that it
// delayed.
//
// A Runner is one run. One goroutine keeps the schedule; each call in flight
// has its own goroutine, and Run returns only when all of them have ended.
package loadgen
