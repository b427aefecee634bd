// Package export sends the records of a store to Azure Data Explorer,
// ClickHouse and object storage. The store on disk is the queue: a destination
// that is down for hours loses nothing, and no request waits for it.
// docs/EXPORT.md describes the guarantees.
package export

//go:generate go test . -run TestDeploy -update
