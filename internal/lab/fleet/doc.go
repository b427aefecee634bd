// Package fleet models Azure OpenAI deployments: how long a response takes, how
// provisioned and standard capacity is metered, and which faults apply when.
//
// It is pure: the time is a parameter of every method, randomness comes from a
// seed, and equal seeds with equal calls give equal results. The emulator drives
// it with the wall clock, the simulator with a virtual clock. Nothing in it is
// safe for concurrent use.
//
// Known limitations: a response's speed is fixed by the load at its admission;
// all choices of one request have the same length; standard deployments have
// no load curve unless one is configured, because their load is not ours.
package fleet
