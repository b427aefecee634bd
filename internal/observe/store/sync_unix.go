//go:build unix

package store

import (
	"errors"
	"os"
)

// syncDir makes what was renamed or made in dir outlive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
