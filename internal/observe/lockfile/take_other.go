//go:build !unix

package lockfile

import "os"

// Take opens the lock file. This system has no flock: that there is one holder
// is up to the operator.
func Take(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
}
