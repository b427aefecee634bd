//go:build race

package store

import "testing"

// oneGoroutine skips a test that has one goroutine only: there the race
// detector finds nothing, and compression takes ten times as long. make race
// runs it without the detector.
func oneGoroutine(t *testing.T) {
	t.Helper()
	t.Skip("one goroutine: the race detector would find nothing")
}
