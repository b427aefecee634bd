// Package store keeps the records of requests on disk: one writer, and any
// number of readers at the same time, in this process or another.
//
// A store is a directory. Records are appended to a tail, a log of frames with
// checksums that is synced at least once a second. A full or old tail becomes a
// segment: one Parquet file, sorted by time, that other tools can read. Records
// are numbered in the order of arrival. The name of a tail contains its first
// number and that of a segment its range of numbers, so that a record that is
// in both for a moment counts once. docs/STORE.md describes the guarantees.
package store
