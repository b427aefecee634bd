// Package export sends the records of a store to other places: Azure Data
// Explorer, ClickHouse, and object storage. The store on disk is the queue, so
// that a place that is down for hours loses nothing and no request waits for
// one. docs/EXPORT.md tells the rest.
package export

//go:generate go test . -run TestDeploy -update
