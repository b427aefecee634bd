//go:build unix

package lockfile

import (
	"errors"
	"os"
	"syscall"
)

// Take makes the caller the only holder of the lock file at path, which it
// makes where there is none, until the file is closed or the process ends. It
// does not wait: ErrHeld says that there is a holder.
func Take(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrHeld
	}
	return nil, errors.Join(err, f.Close())
}
