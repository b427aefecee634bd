package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestState(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadState(dir, "speeds"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a state that was never saved: %v", err)
	}
	for _, data := range []string{"one", "", "another"} {
		if err := SaveState(dir, "speeds", []byte(data)); err != nil {
			t.Fatal(err)
		}
		if got, err := LoadState(dir, "speeds"); err != nil || string(got) != data {
			t.Errorf("got %q, %v, want %q", got, err, data)
		}
	}
	for _, name := range []string{"", "../x", "a/b", "UP", ".x"} {
		if SaveState(dir, name, nil) == nil {
			t.Errorf("%q was taken as a name", name)
		}
	}
	if got := namesIn(t, dir); len(got) != 1 {
		t.Errorf("left are %v", got)
	}
	write(t, Config{Dir: dir, MaxAge: time.Hour, MaxBytes: 1}, at(0, "a"))
	if _, err := LoadState(dir, "speeds"); err != nil {
		t.Errorf("a writer took it away: %v", err)
	}
}

// A state that was altered, cut or put there by others is no state.
func TestStateIsChecked(t *testing.T) {
	dir := t.TempDir()
	if err := SaveState(dir, "x", []byte("what was learned")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, statePrefix+"x")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := [][]byte{nil, []byte("x"), []byte(stateMagic), good[:len(good)-1], append(bytes.Clone(good), 0)}
	for i := range good {
		altered := bytes.Clone(good)
		altered[i] ^= 0x20
		bad = append(bad, altered)
	}
	for _, data := range bad {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := LoadState(dir, "x"); !errors.Is(err, ErrState) {
			t.Errorf("%q is taken for %q, %v", data, got, err)
		}
	}
	if err := SaveState(dir, "x", make([]byte, maxStateBytes)); err == nil {
		t.Error("a state beyond the bound is saved")
	}
}
