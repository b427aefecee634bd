// Package rules finds the causes of 408s and 429s in observations.
//
// A Collector aggregates observations, one per try of a client, in bounded
// memory: by interval and deployment ([cell]), by caller, and in total. When
// there are too many cells, the intervals double. Diagnose then runs the rules
// on the aggregates. Each rule has its own file, with its thresholds:
//
//	oversized       responses too long for their window
//	capacity        provisioned deployments saturated by work or reservations
//	quota           standard deployments that refuse for tokens, requests or bursts
//	fragmentation   unused quota beside exhausted quota
//	spillover       spillover to a deployment that is saturated too
//	prefill, decode slow first tokens, slow generation
//	outage          failing regions or deployments
//	retry           clients whose retries multiply the load
//	client          client timeouts shorter than responses take
//	cache           prompts that are no longer cached
//	tenant          one caller that uses up the shared capacity
//
// Rules run in a fixed order: outages and slowness first, because they mark the
// intervals that they explain. A finding can cover others, which are its
// consequences and are dropped. Profiles returns the deployments for a replay,
// and Span the period that a replay should simulate.
//
// The package is pure, and nothing in it is safe for concurrent use. Known
// limitations: the capacity of a deployment is inferred unless the configuration
// states it; a gateway that refuses requests itself hides the refusals of
// deployments that it avoids.
package rules
