// Package whatif is the simulator: it drives the policy core in virtual time to
// predict what a policy would do with a workload on a fleet.
//
// It is the second driver beside the gateway. Calls come from a workload, the
// fleet model responds to attempts, and policy.Engine runs unchanged between them:
// it gets the events that the gateway gives it, at the instants at which the
// gateway would have read them on a network without delay. Equal seeds give
// equal records.
//
// Known limitations: the network, the gateway and the client take no time; a
// client reads a stream as fast as it arrives; the core knows prompts only by
// size, at four bytes per token, so its estimate of them is exact.
package whatif
