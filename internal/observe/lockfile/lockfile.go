// Package lockfile prevents two processes from writing to the same place.
package lockfile

import "errors"

// ErrHeld is a lock that another process holds, or another caller of Take.
var ErrHeld = errors.New("another process holds the lock")
