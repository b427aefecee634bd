// Package report turns tries into the figures that policies are compared by,
// and those into text, JSON and a page. It is pure: what it writes, it writes
// to the caller's writer.
//
// The words. A call is what a client wants answered; it ends with its last
// try. A call is complete when its final answer is whole, truncated when the
// gateway ended that answer early, and failed otherwise: each ended call is
// exactly one of the three. Goodput counts complete calls that met every limb
// of their objective; attainment is their share of the calls that were
// offered. Rates of 408 and 429 are shares of tries.
package report
