//go:build !race

package store

import "testing"

// oneGoroutine marks a test that the race detector need not run.
func oneGoroutine(t *testing.T) { t.Helper() }
