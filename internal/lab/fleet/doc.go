// Package fleet models Azure OpenAI deployments: how long an answer takes, how
// provisioned and standard capacity is metered, and which faults strike when.
//
// It is pure: every method is told the time, randomness comes from a seed, and
// equal seeds with equal calls give equal answers. The HTTP emulator drives it
// with the wall clock and the what-if simulator with a virtual one. Nothing in
// it is safe for concurrent use.
//
// Known limitations: an answer's speed is fixed by the load at its admission;
// all choices of one request have the same length; standard deployments have
// no load curve unless one is configured, because their load is not ours.
package fleet
