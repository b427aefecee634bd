// Package report turns tries into the figures that compare policies, and writes
// these as text, JSON and a page. It is pure: it writes only to the caller's
// writer.
//
// A call is one request as its client intends it; it ends with its last try. A
// call is complete when its final response is complete, truncated when the
// gateway ended that response early, and failed otherwise: each ended call is
// exactly one of the three. Goodput counts complete calls that met every
// objective; attainment is their share of the offered calls. Rates of 408 and
// 429 are shares of tries.
package report
