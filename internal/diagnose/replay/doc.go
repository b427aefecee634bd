// Package replay predicts what the remedies of a diagnosis would change.
//
// It infers a simulation from the observations: the calls with the lengths of
// their answers, those that nobody saw included; a model of each deployment
// from its profile; and the policy in force, where no configuration gives it.
// It then serves the calls once as they were served, in virtual time. Where
// that reproduces the observed rates of 408s and 429s, it serves them again
// under each remedy and puts the difference into the finding.
//
// The package is pure but for the iterator that yields the observations.
// Equal observations give equal predictions.
package replay
