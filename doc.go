// Package spillway defines the types that all parts of the gateway share:
// requests, deployments, classes, the events and actions that pass between
// the policy core and its drivers, and the record of each request.
//
// It imports only time and errors, has no behavior beyond naming its values,
// and keeps no state.
package spillway
