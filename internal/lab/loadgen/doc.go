// Package loadgen is an open-loop client: it starts every call of a workload
// when its schedule says so, whatever has become of the calls before, and
// measures from that instant, so that a target that stalls cannot hide the
// calls that it kept waiting.
//
// A Runner is one run. One goroutine keeps the schedule; each call under way
// has a goroutine of its own, and Run returns only when all of them have ended.
package loadgen
