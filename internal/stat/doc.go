// Package stat holds running statistics: sums over a sliding span and
// quantiles that forget, which the policy core learns with, and the log-linear
// histogram that every distribution is kept in. Mix hashes a number.
//
// Every method that needs the time gets it as now; nothing reads a clock.
// Nothing allocates after construction, and nothing is safe for concurrent
// use: the holder of the pool's lock may use them. A now that goes slightly
// backwards, as happens between readings of several connections, is harmless.
package stat
