//go:build !unix

package store

import (
	"os"
	"path/filepath"
)

// lockDir opens the lock file. This system has no flock: that there is one
// writer is up to the operator.
func lockDir(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o640)
}

// syncDir does nothing: this system does not sync directories.
func syncDir(string) error { return nil }
