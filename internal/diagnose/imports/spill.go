package imports

import (
	"errors"
	"fmt"
	"os"
)

// blockSize is how much of a division is gathered before it is written.
const blockSize = 16 << 10

// spill holds pieces in a temporary file, in divisions that are read one at a
// time. It is not safe for concurrent use.
type spill struct {
	file      *os.File
	end       int64
	divisions []division
}

// division is a part of the pieces: blocks in the file, and what is not yet
// written.
type division struct {
	n      int // pieces
	blocks []block
	rest   []byte
}

type block struct {
	at int64
	n  int
}

// newSpill makes one in dir; "" is the system's directory for such files.
func newSpill(dir string, divisions int) (*spill, error) {
	file, err := os.CreateTemp(dir, "spillway-import-*")
	if err != nil {
		return nil, fmt.Errorf("creating a temporary file: %w", err)
	}
	_ = os.Remove(file.Name()) // where the system lets it be: so nothing stays, whatever happens
	return &spill{file: file, divisions: make([]division, divisions)}, nil
}

// add puts a piece into a division.
func (s *spill) add(i int, p *piece) error {
	d := &s.divisions[i]
	d.n++
	d.rest = p.append(d.rest)
	if len(d.rest) < blockSize {
		return nil
	}
	if _, err := s.file.WriteAt(d.rest, s.end); err != nil {
		return fmt.Errorf("writing the temporary file (set TMPDIR to a directory with more space): %w", err)
	}
	d.blocks = append(d.blocks, block{s.end, len(d.rest)})
	s.end += int64(len(d.rest))
	d.rest = d.rest[:0]
	return nil
}

// read returns a division's pieces, as they were added, in the memory of into.
func (s *spill) read(i int, into []piece) ([]piece, error) {
	d := &s.divisions[i]
	into = into[:0]
	var raw []byte
	for _, b := range d.blocks {
		if cap(raw) < b.n {
			raw = make([]byte, b.n)
		}
		if _, err := s.file.ReadAt(raw[:b.n], b.at); err != nil {
			return nil, fmt.Errorf("reading the temporary file: %w", err)
		}
		var err error
		if into, err = decodeAll(raw[:b.n], into); err != nil {
			return nil, err
		}
	}
	return decodeAll(d.rest, into)
}

func decodeAll(raw []byte, into []piece) ([]piece, error) {
	for len(raw) > 0 {
		into = append(into, piece{})
		var err error
		if raw, err = into[len(into)-1].decode(raw); err != nil {
			return nil, err
		}
	}
	return into, nil
}

// close removes the temporary file.
func (s *spill) close() error {
	err := s.file.Close()
	if gone := os.Remove(s.file.Name()); gone != nil && !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}
