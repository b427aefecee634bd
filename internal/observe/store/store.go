package store

import (
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Query says which records are wanted. The zero value wants all of all.
type Query struct {
	// From and To bound the time of acceptance: From ≤ time < To. Zero is no
	// bound.
	From, To time.Time
	// Columns names what is read, as in docs/STORE.md; an element of attempts
	// is attempts.name and "attempts" is all of them. Fields of other columns
	// stay zero, and Utilization and CostUSD -1. The time is always read; none means all.
	// Derived columns may be named and read nothing.
	Columns []string
}

func (q *Query) bounds() bounds {
	b := bounds{math.MinInt64, math.MaxInt64}
	if !q.From.IsZero() {
		b.from = microAtLeast(q.From)
	}
	if !q.To.IsZero() {
		b.to = microAtLeast(q.To)
	}
	return b
}

// microAtLeast is the first microsecond that is not before t.
func microAtLeast(t time.Time) int64 {
	us := t.UnixMicro()
	if t.After(time.UnixMicro(us)) {
		us++
	}
	return us
}

// Store reads a directory of records. It takes no lock and writes nothing: a
// writer may go on meanwhile. Safe for concurrent use.
type Store struct {
	dir string
}

// Open returns the store in dir. A directory without records is an empty
// store; a missing one is an error.
func Open(dir string) (*Store, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("open the store: %s is not a directory", dir)
	}
	return &Store{dir}, nil
}

// Records returns the wanted records in the order of time; those of one
// microsecond stand in no particular order. Each range over it sees the store
// as it is when the range begins: every record that was on disk, once. A record
// and its Attempts are valid until the next step: copy what must live longer.
// An error ends the sequence.
func (s *Store) Records(q Query) iter.Seq2[*spillway.Record, error] {
	return func(yield func(*spillway.Record, error) bool) {
		c, err := chooseColumns(q.Columns)
		if err != nil {
			yield(nil, err)
			return
		}
		v, err := openView(s.dir, q.bounds())
		if err != nil {
			yield(nil, err)
			return
		}
		defer v.close()
		for r, err := range v.records(c) {
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// Files gives other programs what they need to read the wanted records: the
// paths of the segments that may hold some, and, written to rest as one more
// segment, the records that are in none yet. Together they hold each record
// once, and others that are out of the time range. unsealed is the number of
// records that were written to rest, which has every column of this version
// also when there are none: segments of older versions lack some. A segment can
// be replaced by a merged one at any time: where a path is gone, ask again.
func (s *Store) Files(q Query, rest io.Writer) (paths []string, unsealed int64, err error) {
	v, err := openView(s.dir, q.bounds())
	if err != nil {
		return nil, 0, err
	}
	for _, p := range v.segments {
		paths = append(paths, filepath.Join(s.dir, p.file.name))
	}
	v.close() // the segments
	all, err := chooseColumns(nil)
	if err != nil {
		return nil, 0, err
	}
	w := newSegmentWriter(rest)
	for r, err := range v.records(all) {
		if err != nil {
			return nil, 0, err
		}
		if err := w.add(r); err != nil {
			return nil, 0, fmt.Errorf("write the unsealed records: %w", err)
		}
	}
	if err := w.close(); err != nil {
		return nil, 0, fmt.Errorf("write the unsealed records: %w", err)
	}
	return paths, w.rows, nil
}
