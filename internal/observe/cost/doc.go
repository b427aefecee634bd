// Package cost adds up what requests cost: tokens at standard deployments, as
// their records say, and provisioned capacity by the hour, shared out by the
// work that each line of the bill did there.
//
// It is pure: no clock, no files. Nothing in it is safe for concurrent use.
package cost
