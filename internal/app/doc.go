// Package app assembles the program from a configuration. It contains no policy
// and no statistics.
//
// [App] is the running gateway. Start opens the outputs of records, makes the
// metrics, builds the gateway, restores what it has learned, and opens the
// listeners, in this order. Run reloads the configuration when its file
// changes. Close undoes these steps in reverse order, so that no accepted request is
// lost: it drains, closes the listeners, saves what was learned, and flushes the
// records. While the gateway runs, [collector] and [trimmer] keep the cost of
// garbage collection and the memory of past bursts low.
//
// [Diagnosis] connects the readers of observations, a record store or exported
// logs, with the rules and the replay of package diagnose.
package app
