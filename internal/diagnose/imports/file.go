package imports

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// A file with more bad rows than badSome and than badShare of all is refused,
// and so is one in which no row can be read.
const (
	badSome    = 10
	badShare   = 0.1
	maxSamples = 3
	inspected  = 1000 // rows to inspect before any is read
)

// layout is how a file holds its rows.
type layout uint8

const (
	asCSV     layout = iota
	asObjects        // objects, in a list or one after the other
	asRecords        // {"records":[…]}, as diagnostic settings write; one or several
	asTables         // {"tables":[{"columns":[…],"rows":[…]}]}, a query's response
	asMetrics        // {"value":[{"timeseries":[…]}]}, the metrics API's response
)

// row is one row's values by column; "" for what it lacks. It is valid until
// the next row is read.
type row struct {
	values [colCount]string
	ranks  [colCount]uint8 // of the names that the values had, from 1
	cells  []string        // of a CSV: all
	object []byte          // of JSON: the object
}

// set takes the value of a column, if it has no better name's already.
func (r *row) set(p place, value string) {
	if value == "" || r.values[p.column] != "" && int(r.ranks[p.column])-1 <= p.rank {
		return
	}
	r.values[p.column], r.ranks[p.column] = value, uint8(p.rank+1)
}

// file is one export, and how well it could be read.
type file struct {
	path   string
	src    *source
	info   os.FileInfo
	layout layout
	table  table
	clock  clock
	local  bool // its times are said to be local ones

	// Of a CSV: what divides its columns, the lines before its header, the
	// header, and where each column is (-1 for nowhere). Wide is one whose
	// columns are series of a metric.
	comma  byte
	before int
	header []string
	at     [colCount]int
	wide   []series

	aliases map[string]place
	known   map[string]place // of JSON: names that were met; rank -1 for none of ours

	line, rows, used, bad int
	kinds                 uint8 // of the rows that were used, a bit each
	samples               []string
	from, to              int64 // µs
}

// semicolons reports whether numbers may be written the continental way.
func (f *file) semicolons() bool { return f.comma == ';' }

// reject notes a row that cannot be read.
func (f *file) reject(reason string) {
	f.bad++
	if len(f.samples) < maxSamples {
		f.samples = append(f.samples, fmt.Sprintf("line %d: %s", f.line, reason))
	}
}

// refused is the error of a file with too many bad rows, or with none at all.
func (f *file) refused() error {
	if f.rows == 0 {
		return fmt.Errorf("%s has no rows", f.path)
	}
	if f.bad < f.rows && (f.bad <= badSome || float64(f.bad) <= badShare*float64(f.rows)) {
		return nil
	}
	return fmt.Errorf("%s: %d of %d rows are unreadable, too many to continue:\n  %s", f.path, f.bad, f.rows, strings.Join(f.samples, "\n  "))
}

// openFile opens a file and sees what it is.
func openFile(path string) (*file, error) {
	src, err := openSource(path)
	if err != nil {
		return nil, err
	}
	f := &file{path: path, src: src, aliases: aliases(), known: map[string]place{}}
	if err := f.inspect(); err != nil {
		src.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// errInspected ends a look.
var errInspected = errors.New("seen enough")

// inspect finds out what the file is from its beginning, without consuming it.
func (f *file) inspect() error {
	var err error
	if f.info, err = f.src.file.Stat(); err != nil {
		return err
	}
	head, err := f.src.Peek(bufferSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("truncated: %w", err)
	}
	if err := f.detectLayout(head); err != nil {
		return err
	}
	n := 0
	var columns []string
	err = f.read(bufio.NewReader(bytes.NewReader(head)), func(r *row) error {
		n++
		f.clock.see(r.values[colTime])
		_ = f.properties(r) // complained of when it is read
		if n == inspected {
			return errInspected
		}
		return nil
	})
	var wrong *columnsError
	switch {
	case errors.As(err, &wrong):
		return wrong.err
	case f.layout == asObjects, f.layout == asRecords:
		for name := range f.known {
			columns = append(columns, name)
		}
		slices.Sort(columns)
		if len(columns) == 0 {
			return errors.New("no rows")
		}
		if f.table, err = recognize(columns); err != nil {
			return err
		}
	}
	f.line, f.rows, f.bad, f.samples = 0, 0, 0, nil
	return nil
}

// has reports whether rows may have a value in that column.
func (f *file) has(c column) bool {
	if f.header != nil && f.at[c] >= 0 {
		return true
	}
	for _, p := range f.known {
		if p.rank >= 0 && p.column == c {
			return true
		}
	}
	return false
}

// columnsError says that a file's columns are of no use.
type columnsError struct{ err error }

func (e *columnsError) Error() string { return e.err.Error() }

// detectLayout finds out how the file holds its rows.
func (f *file) detectLayout(head []byte) error {
	c := jsonwalk.Lax(head)
	switch first := c.Peek(); {
	case c.Offset() == len(head):
		return errors.New("the file has only spaces")
	case first == '[':
		f.layout = asObjects
		return nil
	case first != '{':
		return f.detectCSV(head)
	}
	f.layout = asObjects
	has := map[string]bool{}
	whole := members(c.Value(), func(name, _ []byte) { has[plain(string(name))] = true }) == nil
	beginning := func(text string) bool { return !whole && bytes.Contains(head, []byte(text)) }
	switch {
	case has["tables"], beginning(`"columns"`), beginning(`"Columns"`):
		f.layout = asTables
	case has["value"] && (has["timespan"] || has["interval"] || has["namespace"]), beginning(`"timeseries"`):
		f.layout, f.table = asMetrics, tables()[0]
	case has["records"], has["value"], beginning(`"records"`):
		f.layout = asRecords
	case has["error"] && len(has) == 1:
		return errors.New("the file contains an error response of the service instead of rows")
	}
	return nil
}

// read calls visit with every row. An error that is a badRow spoils one row;
// others end the reading.
func (f *file) read(in *bufio.Reader, visit func(*row) error) error {
	each := func(r *row, err error) error {
		f.rows++
		if err == nil {
			err = visit(r)
		}
		if bad := badRow(""); errors.As(err, &bad) {
			f.reject(string(bad))
			return nil
		}
		if err != nil {
			f.rows-- // the reading ends before it
		}
		return err
	}
	switch f.layout {
	case asCSV:
		return f.readCSV(in, each)
	case asTables:
		return f.readTables(in, each)
	case asMetrics:
		return f.readMetrics(in, each)
	case asRecords:
		return f.readRecords(in, each)
	default:
		return f.readObjects(in, each)
	}
}

// title names what the rows are of: AzureDiagnostics can hold several.
func (f *file) title() string {
	switch {
	case f.table.name != serviceTable:
		return f.table.name
	case f.kinds == 1<<kindGateway:
		return gatewayTable
	case f.kinds == 1<<kindLLM:
		return llmTable
	}
	return serviceTable
}

// broken is the error of a file that cannot be read to its end.
func (f *file) broken(err error) error {
	return fmt.Errorf("%s: cannot read past line %d, row %d: %w. The file was not used; export it again", f.path, f.line, f.rows+1, err)
}
