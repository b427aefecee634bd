package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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

// A state is the magic bytes, the checksum of what follows in four bytes,
// little endian, and what follows.
const (
	stateMagic     = "spwstat1"
	stateHeadBytes = len(stateMagic) + 4
	// maxStateBytes bounds a state.
	maxStateBytes = 64 << 20
)

// ErrState is a file that is no state, or one that was altered.
var ErrState = errors.New("incomplete state")

// SaveState keeps data under a name in the store's directory, in place of what
// was there. After a crash the old or the new is there, whole. The directory
// must exist and be that of a running Writer: one that starts removes what is
// being written.
func SaveState(dir, name string, data []byte) error {
	path, err := statePath(dir, name)
	if err != nil {
		return err
	}
	if len(data) > maxStateBytes-stateHeadBytes {
		return fmt.Errorf("save the state %s: %d bytes, more than the limit of %d", name, len(data), maxStateBytes-stateHeadBytes)
	}
	whole := append(binary.LittleEndian.AppendUint32([]byte(stateMagic), checksum(data)), data...)
	err = writeWhole(dir, func(f *os.File) (string, error) {
		_, err := f.Write(whole)
		return filepath.Base(path), err
	})
	if err != nil {
		return fmt.Errorf("save the state %s: %w", name, err)
	}
	return nil
}

// LoadState returns what was saved last; the error is fs.ErrNotExist where
// nothing was, and ErrState where the file is not what was saved.
func LoadState(dir, name string) ([]byte, error) {
	path, err := statePath(dir, name)
	if err != nil {
		return nil, err
	}
	data, err := readState(path)
	if err != nil {
		return nil, fmt.Errorf("load the state %s: %w", name, err)
	}
	return data, nil
}

func readState(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	whole, err := io.ReadAll(io.LimitReader(f, maxStateBytes+1))
	if err != nil {
		return nil, err
	}
	sum, ok := bytes.CutPrefix(whole, []byte(stateMagic))
	if !ok || len(sum) < 4 || len(whole) > maxStateBytes {
		return nil, ErrState
	}
	data := sum[4:]
	if binary.LittleEndian.Uint32(sum) != checksum(data) {
		return nil, ErrState
	}
	return data, nil
}

func statePath(dir, name string) (string, error) {
	if !stateName.MatchString(name) {
		return "", fmt.Errorf("%q is not a valid state name: use a to z, 0 to 9, _ . -", name)
	}
	return filepath.Join(dir, statePrefix+name), nil
}

// feedStateName returns the state that a file holds, if it is that of a feed.
func feedStateName(file string) (state string, ok bool) {
	state, ok = strings.CutPrefix(file, statePrefix)
	return state, ok && strings.HasPrefix(state, feedPrefix) && stateName.MatchString(state)
}

// originState names the state that holds the identity of this store.
const originState = "origin"

// origin returns the identity of the store in dir, and creates it the
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
		return "", fmt.Errorf("%s%s does not contain %d letters; remove it", statePrefix, originState, originLetters)
	}
	return string(data), nil
}

// originLetters are of five random bits each.
const originLetters = 12
