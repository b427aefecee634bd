// Package stat holds the running statistics that the policy core learns with:
// a time-weighted mean, sums over a sliding span, and quantiles over a sliding
// window.
//
// Every method that needs the time gets it as now; nothing reads a clock.
// Nothing allocates after construction, and nothing is safe for concurrent
// use: the holder of the pool's lock may use them. A now that goes slightly
// backwards, as happens between readings of several connections, is harmless.
package stat
