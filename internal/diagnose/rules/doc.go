// Package rules finds the causes of 408s and 429s in observations.
//
// A Collector adds observations up in bounded memory, one for every try of a
// client: by interval and deployment ([cell]), by caller, and over all. Where
// the sums grow too many, the intervals double. Diagnose then runs the rules
// over the sums. Each rule stands in a file of its own, with its thresholds:
//
//	oversized       answers too long for their window
//	capacity        provisioned deployments that are full of work, or of reservations
//	quota           standard deployments that refuse for tokens, requests or bursts
//	fragmentation   quota that is unused beside quota that is exhausted
//	spillover       overflow to a deployment that is full too
//	prefill, decode slow first tokens, slow tokens
//	outage          regions or deployments that fail
//	retry           clients whose retries multiply the load
//	client          clients that wait for less time than answers take
//	cache           prompts that are no longer cached
//	tenant          one caller that takes the capacity of all
//
// Rules run in a fixed order: outages and slowness first, since they mark the
// intervals that they explain. A finding may cover others, which are then its
// consequences and are dropped. Profiles describes the deployments for a
// replay, and Span the part of the time that is worth one.
//
// The package is pure, and nothing in it is safe for concurrent use. The
// capacity of a deployment is inferred unless the configuration says it; a
// gateway that refuses requests by itself hides the upstream refusals that it
// avoids.
package rules
