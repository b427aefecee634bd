//go:build unix

package lockfile

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestTake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "LOCK")
	held, err := Take(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(path); !errors.Is(err, ErrHeld) {
		t.Errorf("the second holder gets %v, want %v", err, ErrHeld)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Take(path)
	if err != nil {
		t.Fatalf("once it is free: %v", err)
	}
	again.Close()
	if _, err := Take(filepath.Join(path, "LOCK")); err == nil || errors.Is(err, ErrHeld) {
		t.Errorf("below a file: %v", err)
	}
}
