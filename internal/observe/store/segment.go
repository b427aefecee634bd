package store

import (
	"fmt"
	"io"
	"time"

	"github.com/parquet-go/parquet-go"
	spillway "github.com/spillway-ai/spillway"
)

// batchRows is how many rows are turned into columns at a time: few enough for
// a processor's cache.
const batchRows = 64

// segmentWriter writes rows, in the order of time, as one segment. Not safe
// for concurrent use.
type segmentWriter struct {
	out     *parquet.GenericWriter[any]
	layout  layout
	batch   []row // the first pending of them wait
	pending int
	values  []parquet.Value // of one column of the batch
	scratch []byte          // rows that add was given as records
	inGroup int             // rows of the row group so far

	rows      int64
	low, high int64 // the first and the last time, in microseconds
}

func newSegmentWriter(w io.Writer) *segmentWriter {
	return &segmentWriter{
		out:    parquet.NewGenericWriter[any](w, writerOptions()...),
		layout: thisLayout(),
		batch:  make([]row, batchRows),
	}
}

// add adds a record.
func (s *segmentWriter) add(r *spillway.Record) error {
	from := len(s.scratch)
	s.scratch = appendRow(s.scratch, r)
	return s.addRow(&s.layout, s.scratch[from+rowLengthBytes:])
}

// addRow adds a row of a layout. The body must stay as it is until close.
func (s *segmentWriter) addRow(l *layout, body []byte) error {
	into := &s.batch[s.pending]
	if err := l.decode(body, into); err != nil {
		return err
	}
	at := into.cells[0].number
	if s.rows == 0 {
		s.low, s.high = at, at
	}
	s.low, s.high = min(s.low, at), max(s.high, at)
	s.rows++
	if s.pending++; s.pending == batchRows {
		return s.flush()
	}
	return nil
}

// flush hands the batch over, column by column.
func (s *segmentWriter) flush() error {
	rows := s.batch[:s.pending]
	for i, w := range s.out.ColumnWriters() {
		if i < len(recordColumns) {
			s.ofRecords(rows, i)
		} else {
			s.ofAttempts(rows, i-len(recordColumns))
		}
		if _, err := w.WriteRowValues(s.values); err != nil {
			return fmt.Errorf("write a column: %w", err)
		}
	}
	s.inGroup += s.pending
	s.pending = 0
	s.scratch = s.scratch[:0]
	if s.inGroup < rowsPerGroup {
		return nil
	}
	return s.endGroup()
}

// ofRecords gathers one column of the record. A value's definition level says
// that it is not null.
func (s *segmentWriter) ofRecords(rows []row, i int) {
	c := recordColumns[i]
	s.values = s.values[:0]
	for k := range rows {
		v := c.value(rows[k].cells[i])
		if c.optional && !v.IsNull() {
			v = v.Level(0, 1, i)
		}
		s.values = append(s.values, v)
	}
}

// ofAttempts gathers one column of the attempts. Its definition level is 0
// where there is no attempt; the repetition level is 0 at the first of a row.
func (s *segmentWriter) ofAttempts(rows []row, i int) {
	c := attemptColumns[i]
	s.values = s.values[:0]
	for k := range rows {
		if rows[k].count == 0 {
			s.values = append(s.values, parquet.NullValue())
		}
		for n := range rows[k].count {
			v := c.value(rows[k].attempts[n][i])
			level := 1
			if c.optional && !v.IsNull() {
				level = 2
			}
			s.values = append(s.values, v.Level(min(n, 1), level, len(recordColumns)+i))
		}
	}
}

func (s *segmentWriter) endGroup() error {
	s.inGroup = 0
	for _, w := range s.out.ColumnWriters() {
		if err := w.Close(); err != nil {
			return fmt.Errorf("close a column: %w", err)
		}
	}
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("close a row group: %w", err)
	}
	return nil
}

// close writes the rest and the footer.
func (s *segmentWriter) close() error {
	if s.pending > 0 {
		if err := s.flush(); err != nil {
			return err
		}
	}
	if err := s.out.Close(); err != nil {
		return fmt.Errorf("write the footer: %w", err)
	}
	return nil
}

// span is the time from the first record to the last.
func (s *segmentWriter) span() (low, high time.Time) {
	return time.UnixMicro(s.low).UTC(), time.UnixMicro(s.high).UTC()
}
