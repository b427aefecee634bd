package telemetry

import (
	"errors"
	"os/signal"
	"syscall"
	"testing"
)

// A limit on the size of files makes a real write fail in the middle of a
// line. That line is taken back, so that what follows starts a line of its own.
func TestFileTakesTornLineBack(t *testing.T) {
	p := newPlace(t, FileConfig{})
	p.write("whole\n")
	lift := limitFileSize(t, 10)
	n, err := p.out.Write([]byte("b\ntorn\n"))
	lift()
	if n != len("b\n") || !errors.Is(err, syscall.EFBIG) {
		t.Errorf("wrote %d bytes: %v, want 2 and EFBIG", n, err)
	}
	p.write("next\n")
	p.want("", "whole\nb\nnext\n")
}

// limitFileSize bounds the files that this process writes, until the returned
// function is called.
func limitFileSize(t *testing.T, limit uint64) (lift func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Skip(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: before.Max}); err != nil {
		t.Skip(err)
	}
	return func() {
		signal.Reset(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}
}
