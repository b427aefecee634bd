package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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

// feedStateName returns the state that a file holds, if it is that of a feed.
func feedStateName(file string) (state string, ok bool) {
	state, ok = strings.CutPrefix(file, statePrefix)
	return state, ok && strings.HasPrefix(state, feedPrefix) && stateName.MatchString(state)
}

// originState names the state that holds what tells this store from others.
const originState = "origin"

// origin returns what tells the store in dir from others, and makes it up the
// first time.
func origin(dir string) (string, error) {
	data, err := LoadState(dir, originState)
	if errors.Is(err, fs.ErrNotExist) {
		data = []byte(rand.Text()[:originLetters])
		err = SaveState(dir, originState, data)
	}
	if err != nil {
		return "", err
	}
	if len(data) != originLetters {
		return "", fmt.Errorf("%s%s does not hold %d letters; remove it", statePrefix, originState, originLetters)
	}
	return string(data), nil
}

// originLetters are of five random bits each.
const originLetters = 12
