package store

import (
	"errors"
	"fmt"
	"os"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// What a footer is believed: far more than any version has written.
const (
	mostGroupRows  = 1 << 24
	mostChunkBytes = 1 << 32
	mostElements   = 1 << 10 // attempts of a request
)

// errDamaged is a segment that is not as it was written.
var errDamaged = errors.New("the file is damaged")

// segmentError is a segment that cannot be read.
type segmentError struct {
	path string
	err  error
}

// Error says what to do besides.
func (e *segmentError) Error() string {
	return fmt.Sprintf("read %s: %v (move this file away to read the other records)", e.path, e.err)
}

// Unwrap returns why.
func (e *segmentError) Unwrap() error { return e.err }

// caught turns a panic of the Parquet reader, which damage can cause, into an
// error: the gateway reads segments too.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", errDamaged, p)
	}
}

// checkFooter compares what a segment's footer says with what a writer can
// have written. Pages carry checksums and the footer does not, and a reader
// who believes an altered one may use all memory.
func checkFooter(file *parquet.File, size int64) error {
	about := file.Metadata()
	leaves := len(file.Schema().Columns())
	var rows int64
	for i := range about.RowGroups {
		g := &about.RowGroups[i]
		if g.NumRows < 0 || g.NumRows > mostGroupRows || len(g.Columns) != leaves {
			return fmt.Errorf("%w: row group %d has %d rows and %d columns", errDamaged, i, g.NumRows, len(g.Columns))
		}
		rows += g.NumRows
		for k := range g.Columns {
			c := &g.Columns[k].MetaData
			begins := c.DataPageOffset
			if c.DictionaryPageOffset > 0 {
				begins = min(begins, c.DictionaryPageOffset)
			}
			switch {
			case c.Codec != format.Zstd && c.Codec != format.Uncompressed,
				begins < 0 || c.TotalCompressedSize < 0 || begins > size-c.TotalCompressedSize,
				c.TotalUncompressedSize < 0 || c.TotalUncompressedSize > mostChunkBytes,
				c.NumValues < 0 || c.NumValues > g.NumRows*mostElements:
				return fmt.Errorf("%w: row group %d, column %v", errDamaged, i, c.PathInSchema)
			}
		}
	}
	if rows != about.NumRows {
		return fmt.Errorf("%w: the footer lists %d rows, the row groups have %d", errDamaged, about.NumRows, rows)
	}
	return nil
}

// countRows returns how many records a segment's footer says that it holds.
func countRows(path string) (rows int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	all, err := chooseColumns(nil)
	if err != nil {
		return 0, err
	}
	scan, err := openSegment(f, all, bounds{}, nil)
	if err != nil {
		return 0, err
	}
	return scan.file.NumRows(), nil
}
