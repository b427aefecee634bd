package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spillway-ai/spillway/internal/observe/lockfile"
)

// FileConfig is a file of lines that is rotated by size.
type FileConfig struct {
	// Path is the file being written. Older ones are Path.1, Path.2 and so on,
	// the newest first. Missing directories are made.
	Path string
	// MaxBytes is the size at which a new file is begun; 0 means never. A
	// single write larger than it still goes into one file.
	MaxBytes int64
	// MaxFiles bounds the files kept, the one being written included; 0 takes
	// 1, so that a full file is thrown away.
	MaxFiles int
}

// File returns the Open of a rotated file. The file is appended to, readable by
// its owner and group alone. One that was renamed or removed is made anew at
// the next write. While it is open it is locked against other openers, in another process
// either: that is lockfile.ErrHeld.
func File(cfg FileConfig) Open {
	return func() (io.WriteCloser, error) {
		if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o750); err != nil {
			return nil, fmt.Errorf("create the records directory: %w", err)
		}
		lock, err := lockfile.Take(filepath.Join(filepath.Dir(cfg.Path), "."+filepath.Base(cfg.Path)+".lock"))
		if err != nil {
			return nil, fmt.Errorf("lock the records file: %w", err)
		}
		f := &file{cfg: cfg, lock: lock}
		if err := f.open(); err != nil {
			return nil, errors.Join(err, lock.Close())
		}
		return f, nil
	}
}

// Stream returns the Open of an output that is not ours to close, such as
// standard output.
func Stream(w io.Writer) Open {
	return func() (io.WriteCloser, error) { return stream{w}, nil }
}

type stream struct{ io.Writer }

// Close does nothing.
func (stream) Close() error { return nil }

// file is one rotated file. Not safe for concurrent use.
type file struct {
	cfg  FileConfig
	lock *os.File
	f    *os.File
	size int64
}

func (f *file) open() error {
	if err := os.MkdirAll(filepath.Dir(f.cfg.Path), 0o750); err != nil {
		return fmt.Errorf("create the records directory: %w", err)
	}
	opened, err := os.OpenFile(f.cfg.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open the records file: %w", err)
	}
	f.f = opened
	if err := f.endTornLine(); err != nil {
		_ = opened.Close()
		return fmt.Errorf("seek in the records file: %w", err)
	}
	return nil
}

// endTornLine ends a line that a crash left incomplete, so that the next one starts fresh.
func (f *file) endTornLine() error {
	info, err := f.f.Stat()
	if err != nil {
		return err
	}
	f.size = info.Size()
	if f.size == 0 || !info.Mode().IsRegular() {
		return nil
	}
	var last [1]byte
	if _, err := f.f.ReadAt(last[:], f.size-1); err != nil {
		return err
	}
	if last[0] == '\n' {
		return nil
	}
	n, err := f.f.Write([]byte{'\n'})
	f.size += int64(n)
	return err
}

// Write appends whole lines. When it fails part of the way, the torn line is
// taken back, and n counts the bytes that stay.
func (f *file) Write(lines []byte) (n int, err error) {
	if err := f.place(int64(len(lines))); err != nil {
		return 0, err
	}
	n, err = f.f.Write(lines)
	f.size += int64(n)
	if err == nil {
		return n, nil
	}
	whole := bytes.LastIndexByte(lines[:n], '\n') + 1
	f.size -= int64(n - whole)
	return whole, errors.Join(err, f.f.Truncate(f.size))
}

// place makes sure that f.f is the file at Path and has room for more bytes.
func (f *file) place(more int64) error {
	if !f.current() {
		if err := f.reopen(); err != nil {
			return err
		}
	}
	if f.cfg.MaxBytes <= 0 || f.size == 0 || f.size+more <= f.cfg.MaxBytes {
		return nil
	}
	if err := f.shift(); err != nil {
		return fmt.Errorf("rotate the records file: %w", err)
	}
	return f.reopen()
}

// current reports whether the open file is still the one at Path.
func (f *file) current() bool {
	at, err := os.Stat(f.cfg.Path)
	if err != nil {
		return false
	}
	open, err := f.f.Stat()
	return err == nil && os.SameFile(at, open)
}

// reopen opens Path anew. The old file is left alone until that has worked.
func (f *file) reopen() error {
	old := f.f
	if err := f.open(); err != nil {
		f.f = old
		return err
	}
	return old.Close()
}

// shift renames every file to the next older name; the oldest falls off.
func (f *file) shift() error {
	keep := max(f.cfg.MaxFiles, 1)
	if keep == 1 {
		return os.Remove(f.cfg.Path)
	}
	for i := keep - 2; i >= 0; i-- {
		err := os.Rename(f.older(i), f.older(i+1))
		if err != nil && (i == 0 || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// older is the name of the i-th older file; 0 is the one being written.
func (f *file) older(i int) string {
	if i == 0 {
		return f.cfg.Path
	}
	return f.cfg.Path + "." + strconv.Itoa(i)
}

// Close closes the file.
func (f *file) Close() error { return errors.Join(f.f.Close(), f.lock.Close()) }
