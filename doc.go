// Package spillway holds the nouns that every part of the gateway shares:
// requests, deployments, classes, the events and actions that pass between
// the policy core and its drivers, and the record that each request leaves.
//
// It imports only time and errors, holds no behavior beyond naming
// its values, and keeps no state.
package spillway
