// Package cost computes a bill: tokens at standard deployments, from the
// records, and provisioned capacity by the hour, allocated by the work done for
// each line of the bill.
//
// It is pure: no clock, no files. Nothing in it is safe for concurrent use.
package cost
