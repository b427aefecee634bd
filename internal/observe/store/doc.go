// Package store keeps the records of requests on disk and gives them back: one
// writer, any number of readers at the same time, in this process or another.
//
// A store is a directory. Records go to the end of a tail, a log of checked
// frames that is synced at least once a second. A full or old tail is turned
// into a segment: one Parquet file, sorted by time, that other people's tools
// read too. Records are numbered in the order of arrival; the name of a tail
// says where it begins and that of a segment which numbers it holds, so that a
// record that is in both for a moment counts once. docs/STORE.md tells the
// rest.
package store
