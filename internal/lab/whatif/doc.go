// Package whatif drives the policy core in virtual time: what would a policy
// have made of this workload on this fleet?
//
// It is the gateway's other driver. Calls come from a workload, attempts are
// answered by the fleet model, and in between stands policy.Engine, unchanged:
// it is given the events that the gateway gives it, at the instants at which
// the gateway would have read them on a network without delay. Equal seeds
// give equal records.
//
// Known limitations: the network, the gateway and the client take no time; a
// client reads a stream as fast as it comes; prompts are known to the core by
// size alone, at four bytes per token, so that its estimate of them is exact.
package whatif
