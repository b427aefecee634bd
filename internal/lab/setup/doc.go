// Package setup makes the inputs of simulations from configuration files: the
// policy that a gateway configuration describes, the fleet that a fleet file or
// gateway configurations describe, and both for the reference incident of
// examples/incident. It is the only owner of that translation: simulate, plan
// and the replay of a diagnosis use it.
package setup
