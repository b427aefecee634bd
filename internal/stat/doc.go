// Package stat holds running statistics: sums over a sliding window and
// quantiles that decay, with which the policy core learns, and the log-linear
// histogram of every distribution. Mix hashes a number.
//
// Methods that need the time take it as a parameter; nothing reads a clock.
// Nothing allocates after construction. Nothing is safe for concurrent use: the
// caller holds the pool's lock. A time slightly before the last one, as happens
// between readings for several connections, is harmless.
package stat
