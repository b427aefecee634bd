package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	spillway "github.com/spillway-ai/spillway"
)

// chunkRows is how many rows are read at a time, column by column.
const chunkRows = 256

// bufferBytes is what is read of a column at a time.
const bufferBytes = 64 << 10

// choice is the columns to read.
type choice struct {
	record, attempt []int // indexes in the tables
}

// chooseColumns finds columns by name, "attempts" for all of those; none asks
// for all. The time is always read.
func chooseColumns(wanted []string) (choice, error) {
	var c choice
	known := map[string]bool{attemptsName: true}
	has := func(name string) bool { return len(wanted) == 0 || slices.Contains(wanted, name) }
	for i, of := range recordColumns {
		known[of.name] = true
		if !of.derived() && (i == 0 || has(of.name)) {
			c.record = append(c.record, i)
		}
	}
	for i, of := range attemptColumns {
		name := attemptsName + "." + of.name
		known[name] = true
		if has(attemptsName) || has(name) {
			c.attempt = append(c.attempt, i)
		}
	}
	for _, w := range wanted {
		if !known[w] {
			return choice{}, fmt.Errorf("no column named %q", w)
		}
	}
	return c, nil
}

// bounds are the times that are wanted: from ≤ t < to, in microseconds.
type bounds struct{ from, to int64 }

func (b bounds) hold(us int64) bool { return b.from <= us && us < b.to }

// segmentScan reads the rows of one segment in the order of the file, which is
// that of time. Not safe for concurrent use.
type segmentScan struct {
	file   *parquet.File
	choice choice
	bounds bounds
	in     interner

	group   int   // the next row group
	left    int64 // rows that are still to come of the open one
	columns []leafScan
	batch   []spillway.Record
	at, n   int // of the batch
}

// openSegment reads the footer of f, which stays the caller's.
func openSegment(f *os.File, c choice, b bounds, in interner) (_ *segmentScan, err error) {
	defer caught(&err)
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(f, info.Size(), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(bufferBytes))
	if err != nil {
		return nil, err
	}
	if err := checkFooter(file, info.Size()); err != nil {
		return nil, err
	}
	return &segmentScan{file: file, choice: c, bounds: b, in: in, batch: make([]spillway.Record, chunkRows)}, nil
}

// next returns the next record, or io.EOF. It is valid until the next call.
func (s *segmentScan) next() (_ *spillway.Record, err error) {
	if s.at < s.n { // nothing that can panic
		s.at++
		return &s.batch[s.at-1], nil
	}
	defer caught(&err)
	for s.at == s.n {
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
	s.at++
	return &s.batch[s.at-1], nil
}

// fill reads the next rows, of the next row group where this one is at its
// end.
func (s *segmentScan) fill() error {
	for s.left == 0 {
		if err := s.close(); err != nil {
			return err
		}
		if s.group == len(s.file.RowGroups()) {
			return io.EOF
		}
		s.group++
		if err := s.openGroup(s.file.RowGroups()[s.group-1]); err != nil {
			return err
		}
	}
	s.at, s.n = 0, int(min(s.left, chunkRows))
	s.left -= int64(s.n)
	for i := range s.n {
		s.batch[i] = spillway.Record{Attempts: s.batch[i].Attempts[:0]}
	}
	for i := range s.columns {
		if err := s.columns[i].read(s.batch[:s.n], s.in); err != nil {
			return err
		}
	}
	return nil
}

// openGroup finds the rows that are wanted, and the columns.
func (s *segmentScan) openGroup(g parquet.RowGroup) error {
	low, high, err := s.wanted(g)
	if err != nil || low == high {
		return err
	}
	s.left = high - low
	for _, i := range s.choice.record {
		c := recordColumns[i]
		if err := s.openLeaf(g, leafScan{record: i, attempt: -1}, low, c.node(), c.name); err != nil {
			return err
		}
	}
	for _, i := range s.choice.attempt {
		c := attemptColumns[i]
		if err := s.openLeaf(g, leafScan{record: -1, attempt: i}, low, c.node(), attemptsName, "list", "element", c.name); err != nil {
			return err
		}
	}
	return nil
}

// wanted returns the range of rows whose time is wanted; rows are sorted by
// it.
func (s *segmentScan) wanted(g parquet.RowGroup) (low, high int64, err error) {
	leaf, ok := s.file.Schema().Lookup(recordColumns[0].name)
	if !ok {
		return 0, 0, errors.New("no column named time")
	}
	pages := g.ColumnChunks()[leaf.ColumnIndex].Pages()
	defer pages.Close()
	times := leafScan{pages: pages}
	at := make([]int64, g.NumRows())
	for i := range at {
		v, err := times.next()
		if err != nil {
			return 0, 0, fmt.Errorf("column time: %w", notEarly(err))
		}
		at[i] = v.Int64()
	}
	from, _ := slices.BinarySearch(at, s.bounds.from)
	to, _ := slices.BinarySearch(at, s.bounds.to)
	return int64(from), int64(max(from, to)), nil
}

// openLeaf begins a column at a row. One that the file does not have, because
// an older version wrote it, stays at its zero value.
func (s *segmentScan) openLeaf(g parquet.RowGroup, l leafScan, row int64, want parquet.Node, path ...string) error {
	leaf, ok := s.file.Schema().Lookup(path...)
	if !ok {
		return nil
	}
	if leaf.Node.Type().Kind() != want.Type().Kind() {
		return fmt.Errorf("column %s has another type", strings.Join(path, "."))
	}
	l.pages = g.ColumnChunks()[leaf.ColumnIndex].Pages()
	s.columns = append(s.columns, l)
	if row == 0 {
		return nil
	}
	if err := l.pages.SeekToRow(row); err != nil {
		return fmt.Errorf("column %s: %w", strings.Join(path, "."), err)
	}
	return nil
}

// close ends the reading of the open row group.
func (s *segmentScan) close() error {
	var errs []error
	for i := range s.columns {
		errs = append(errs, s.columns[i].pages.Close())
	}
	s.columns = s.columns[:0]
	return errors.Join(errs...)
}

// leafScan reads one column of a row group.
type leafScan struct {
	record, attempt int // index in its table; the other is -1
	pages           parquet.Pages
	values          parquet.ValueReader // of the page
	buffer          []parquet.Value
	at, n           int
}

// read gives the column's field of every record its value.
func (l *leafScan) read(records []spillway.Record, in interner) error {
	if l.record >= 0 {
		c := recordColumns[l.record]
		if err := l.readRecords(&c, records, in); err != nil {
			return fmt.Errorf("column %s: %w", c.name, notEarly(err))
		}
		return nil
	}
	c := attemptColumns[l.attempt]
	if err := l.readAttempts(&c, records, in); err != nil {
		return fmt.Errorf("column %s.%s: %w", attemptsName, c.name, notEarly(err))
	}
	return nil
}

func (l *leafScan) readRecords(c *column[record], records []spillway.Record, in interner) error {
	for i := range records {
		v, err := l.next()
		if err != nil {
			return err
		}
		c.set(&records[i], v, in)
	}
	return nil
}

func (l *leafScan) readAttempts(c *column[attempt], records []spillway.Record, in interner) error {
	for i := range records {
		r := &records[i]
		v, err := l.next()
		if err != nil {
			return err
		}
		for n := 0; v.DefinitionLevel() > 0; n++ {
			if n == len(r.Attempts) {
				r.Attempts = append(r.Attempts, blankAttempt())
			}
			c.set(&r.Attempts[n], v, in)
			more, err := l.repeats()
			if err != nil {
				return err
			}
			if !more {
				break
			}
			if v, err = l.next(); err != nil {
				return err
			}
		}
	}
	return nil
}

// next returns the next value, or io.EOF.
func (l *leafScan) next() (parquet.Value, error) {
	if l.at == l.n {
		if err := l.more(); err != nil {
			return parquet.Value{}, err
		}
	}
	l.at++
	return l.buffer[l.at-1], nil
}

// repeats reports whether the next value belongs to the row of the last.
func (l *leafScan) repeats() (bool, error) {
	if l.at == l.n {
		err := l.more()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return l.buffer[l.at].RepetitionLevel() > 0, nil
}

// more reads values of the page, or of the next.
func (l *leafScan) more() error {
	if l.buffer == nil {
		l.buffer = make([]parquet.Value, chunkRows)
	}
	for {
		if l.values == nil {
			page, err := l.pages.ReadPage()
			if err != nil {
				return err
			}
			l.values = page.Values()
		}
		n, err := l.values.ReadValues(l.buffer)
		l.at, l.n = 0, n
		if errors.Is(err, io.EOF) {
			l.values, err = nil, nil
		}
		if n > 0 || err != nil {
			return err
		}
	}
}

// notEarly turns the end of a column that should go on into an error.
func notEarly(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
