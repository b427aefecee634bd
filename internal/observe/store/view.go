package store

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// view is a store at one moment: its segments are open, so that they can be
// read to the end whatever becomes of their names, and its tails are read.
type view struct {
	bounds   bounds
	segments []openFile // by their first time
	tails    []*tailData
}

type openFile struct {
	file segmentFile
	f    *os.File
}

// maxViews bounds how often a view is tried while files are being replaced.
const maxViews = 100

func openView(dir string, b bounds) (*view, error) {
	for try := 1; ; try++ {
		l, err := list(dir)
		if err != nil {
			return nil, err
		}
		v := &view{bounds: b}
		err = v.open(dir, l)
		if err == nil {
			return v, nil
		}
		v.close()
		if !errors.Is(err, fs.ErrNotExist) || try == maxViews {
			return nil, fmt.Errorf("read the store: %w", err)
		}
	}
}

// open opens what a listing names.
func (v *view) open(dir string, l *listing) error {
	for _, s := range l.segments {
		if s.to.Add(time.Second).UnixMicro() <= v.bounds.from || s.from.UnixMicro() >= v.bounds.to {
			continue
		}
		f, err := os.Open(filepath.Join(dir, s.name))
		if err != nil {
			return err
		}
		v.segments = append(v.segments, openFile{s, f})
	}
	slices.SortStableFunc(v.segments, func(a, b openFile) int { return a.file.from.Compare(b.file.from) })
	for _, t := range l.tails {
		if err := v.readTail(filepath.Join(dir, t.name), t.first, l); err != nil {
			return err
		}
	}
	return nil
}

// readTail reads the rows of a tail that are wanted and in no segment.
func (v *view) readTail(path string, first int64, l *listing) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	t, err := parseTail(data)
	if err != nil {
		return nil //nolint:nilerr // just begun, or for the writer to put aside
	}
	kept := t.rows[:0]
	for i, r := range t.rows {
		if v.bounds.hold(r.time) && !l.sealed(first+int64(i)) {
			kept = append(kept, r)
		}
	}
	t.rows = kept
	t.sort()
	v.tails = append(v.tails, t)
	return nil
}

// close gives up the segments.
func (v *view) close() {
	for _, s := range v.segments {
		_ = s.f.Close() // it was only read
	}
	v.segments = nil
}

// source is a sequence of records in the order of time.
type source struct {
	next func() (*spillway.Record, error) // io.EOF at the end
	end  func() error
	head *spillway.Record
}

// sources is a heap by the time of their heads.
type sources []*source

// Len is heap.Interface's.
func (s sources) Len() int { return len(s) }

// Less is heap.Interface's.
func (s sources) Less(i, j int) bool { return s[i].head.Time.Before(s[j].head.Time) }

// Swap is heap.Interface's.
func (s sources) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

// Push is heap.Interface's.
func (s *sources) Push(x any) { *s = append(*s, x.(*source)) }

// Pop is heap.Interface's.
func (s *sources) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// records merges the tails and the segments. A segment is read from when its
// time comes, so that few are at once.
func (v *view) records(c choice) iter.Seq2[*spillway.Record, error] {
	return func(yield func(*spillway.Record, error) bool) {
		var open sources
		defer func() {
			for _, s := range open {
				_ = s.end() // columns the query does not need
			}
		}()
		in := interner{}
		for _, t := range v.tails {
			if err := open.add(t.source(c, in)); err != nil {
				yield(nil, fmt.Errorf("read a tail: %w", err))
				return
			}
		}
		waiting := v.segments
		for len(open) > 0 || len(waiting) > 0 {
			for len(waiting) > 0 && (len(open) == 0 || !waiting[0].file.from.After(open[0].head.Time)) {
				if err := open.addSegment(waiting[0], c, v.bounds, in); err != nil {
					yield(nil, err)
					return
				}
				waiting = waiting[1:]
			}
			if len(open) == 0 {
				continue
			}
			if !yield(open[0].head, nil) {
				return
			}
			if err := open.advance(); err != nil {
				yield(nil, fmt.Errorf("read the store: %w", err))
				return
			}
		}
	}
}

func (s *sources) addSegment(o openFile, c choice, b bounds, in interner) error {
	scan, err := openSegment(o.f, c, b, in)
	if err != nil {
		return &segmentError{o.f.Name(), err}
	}
	next := func() (*spillway.Record, error) {
		r, err := scan.next()
		if err != nil && !errors.Is(err, io.EOF) {
			err = &segmentError{o.f.Name(), err}
		}
		return r, err
	}
	return s.add(&source{next: next, end: scan.close})
}

// add inserts a source in order, unless it is empty.
func (s *sources) add(from *source) error {
	r, err := from.next()
	if errors.Is(err, io.EOF) {
		return from.end()
	}
	if err != nil {
		return errors.Join(err, from.end())
	}
	from.head = r
	heap.Push(s, from)
	return nil
}

// advance takes the first record away.
func (s *sources) advance() error {
	first := (*s)[0]
	r, err := first.next()
	if errors.Is(err, io.EOF) {
		heap.Pop(s)
		return first.end()
	}
	if err != nil {
		return err
	}
	first.head = r
	if len(*s) > 1 {
		heap.Fix(s, 0)
	}
	return nil
}

// source reads the chosen columns of the rows of a tail.
func (t *tailData) source(c choice, in interner) *source {
	var decoded row
	var r spillway.Record
	at := 0
	return &source{
		next: func() (*spillway.Record, error) {
			for ; at < len(t.rows); at++ {
				if t.layout.decode(t.rows[at].body, &decoded) != nil {
					continue // of another version; sealing logs it
				}
				at++
				decoded.record(&r, c, in)
				return &r, nil
			}
			return nil, io.EOF
		},
		end: func() error { return nil },
	}
}
