// Package workload is traffic as data: calls in the order of their intended
// start, read from traces of several formats, written as CSV, described by
// statistics, or generated from arrival processes and token distributions.
//
// Everything streams: a Source yields one call after the other and holds at
// most a bounded part of a trace. Nothing here reads a clock or a file; the
// caller passes readers and seeds. docs/WORKLOADS.md describes formats, options
// and statistics.
package workload
