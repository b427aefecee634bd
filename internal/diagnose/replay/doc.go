// Package replay predicts what the remedies of a diagnosis would change.
//
// It infers a simulation from the observations: the calls with the lengths of
// their responses, estimated where a response was cut off (traffic.go,
// censored.go); a model of each deployment from its profile, and the policy,
// unless a configuration gives it (infer.go). It simulates the calls as they
// were served. If that reproduces the observed rates of 408s and 429s, it
// simulates them again under each remedy (remedy.go) and adds the difference to
// the finding.
//
// The package is pure except for the iterator that yields the observations.
// Equal observations give equal predictions.
package replay
