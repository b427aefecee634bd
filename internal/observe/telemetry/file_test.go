package telemetry

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spillway-ai/spillway/internal/observe/lockfile"
)

// place is a directory with a file of lines being written in it.
type place struct {
	t    *testing.T
	dir  string
	path string
	out  *file
}

func newPlace(t *testing.T, cfg FileConfig) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir()}
	p.path = filepath.Join(p.dir, "records.jsonl")
	cfg.Path = p.path
	p.open(cfg)
	return p
}

func (p *place) open(cfg FileConfig) {
	p.t.Helper()
	out, err := File(cfg)()
	if err != nil {
		p.t.Fatal(err)
	}
	p.out = out.(*file)
	p.t.Cleanup(func() { p.out.Close() })
}

func (p *place) write(lines string) {
	p.t.Helper()
	if n, err := p.out.Write([]byte(lines)); err != nil || n != len(lines) {
		p.t.Fatalf("wrote %d of %q: %v", n, lines, err)
	}
}

func (p *place) want(suffix, content string) {
	p.t.Helper()
	got, err := os.ReadFile(p.path + suffix)
	if err != nil || string(got) != content {
		p.t.Errorf("%s holds %q (%v), want %q", "records.jsonl"+suffix, got, err, content)
	}
}

func TestFileRotates(t *testing.T) {
	p := newPlace(t, FileConfig{MaxBytes: 4, MaxFiles: 3})
	for _, line := range []string{"a\n", "b\n", "c\n", "dddddd\n", "e\n", "f\n", "g\n"} {
		p.write(line)
	}
	p.want("", "g\n")
	p.want(".1", "e\nf\n")
	p.want(".2", "dddddd\n")
	if names, _ := filepath.Glob(p.path + "*"); len(names) != 3 {
		t.Errorf("kept %v, want three files", names)
	}
}

func TestFileRotatesInPlace(t *testing.T) {
	p := newPlace(t, FileConfig{MaxBytes: 4})
	p.write("a\nb\n")
	p.write("c\n")
	p.want("", "c\n")
	if names, _ := filepath.Glob(p.path + "*"); len(names) != 1 {
		t.Errorf("kept %v, want one file", names)
	}
}

func TestFileIsMadeAnewWhenTakenAway(t *testing.T) {
	p := newPlace(t, FileConfig{})
	p.write("a\n")
	if err := os.Rename(p.path, p.path+".moved"); err != nil {
		t.Fatal(err)
	}
	p.write("b\n")
	p.want("", "b\n")
	p.want(".moved", "a\n")
	if err := os.RemoveAll(p.dir); err != nil {
		t.Fatal(err)
	}
	p.write("c\n")
	p.want("", "c\n")
}

func TestFileContinuesAfterTornLine(t *testing.T) {
	p := newPlace(t, FileConfig{})
	p.write("whole\n")
	if _, err := p.out.f.WriteString(`{"torn`); err != nil {
		t.Fatal(err)
	}
	if _, err := File(FileConfig{Path: p.path})(); !errors.Is(err, lockfile.ErrHeld) {
		t.Errorf("opened twice: %v, want %v", err, lockfile.ErrHeld)
	}
	if err := p.out.Close(); err != nil { // as a crash would
		t.Fatal(err)
	}
	p.open(FileConfig{Path: p.path})
	p.write("next\n")
	p.want("", "whole\n{\"torn\nnext\n")
}

// The disk is really full: the lines are counted, nothing blocks, and the
// writer goes on when there is room.
func TestFileOnFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "records.jsonl")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(File(FileConfig{Path: path}), WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	record(w, 3)
	if err := w.Close(); !errors.Is(err, syscall.ENOSPC) || w.Dropped() != 3 {
		t.Errorf("Close = %v with %d dropped, want ENOSPC with 3", err, w.Dropped())
	}
}

func TestFileCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	blocker := filepath.Join(dir, "file")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := File(FileConfig{Path: filepath.Join(blocker, "records.jsonl")})()
	if err == nil || !strings.Contains(err.Error(), blocker) {
		t.Errorf("got %v, want an error that names %s", err, blocker)
	}
}
