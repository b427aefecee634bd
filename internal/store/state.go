package store

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// statePrefix begins the names of files that hold learned state.
const statePrefix = "state-"

// stateName is what a state may be called.
var stateName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)

// SaveState keeps data under a name in the store's directory, in place of what
// was there. After a crash the old or the new is there, whole. The directory
// must exist; that of a running Writer is the intended one.
func SaveState(dir, name string, data []byte) error {
	path, err := statePath(dir, name)
	if err != nil {
		return err
	}
	err = writeWhole(dir, func(f *os.File) (string, error) {
		_, err := f.Write(data)
		return filepath.Base(path), err
	})
	if err != nil {
		return fmt.Errorf("save the state %s: %w", name, err)
	}
	return nil
}

// LoadState returns what was saved last; the error is fs.ErrNotExist where
// nothing was.
func LoadState(dir, name string) ([]byte, error) {
	path, err := statePath(dir, name)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load the state %s: %w", name, err)
	}
	return data, nil
}

func statePath(dir, name string) (string, error) {
	if !stateName.MatchString(name) {
		return "", fmt.Errorf("%q cannot name a state: a to z, 0 to 9, _ . -", name)
	}
	return filepath.Join(dir, statePrefix+name), nil
}
