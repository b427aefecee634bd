package imports

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxPreamble is how many lines may stand before a CSV's header.
const maxPreamble = 20

// detectCSV finds a CSV's header: the first line that names a time and more, or
// else the first line.
func (f *file) detectCSV(head []byte) error {
	first := -1
	rest, above := head, 0
	for n := 0; n <= maxPreamble && len(rest) > 0; n++ {
		line, more, _ := bytes.Cut(rest, []byte("\n"))
		begin := len(head) - len(rest)
		rest = more
		if len(bytes.TrimSpace(line)) == 0 || bytes.HasPrefix(bytes.ToLower(bytes.Trim(line, `"`)), []byte("sep=")) {
			continue
		}
		comma := divider(line)
		names, err := fields(line, comma)
		if err != nil {
			continue
		}
		if first < 0 {
			first, f.before, f.comma, f.header = n, n, comma, names
		}
		if len(names) > 1 && hasTime(names) {
			f.before, f.comma, f.header, above = n, comma, names, begin
			break
		}
	}
	if first < 0 {
		return errors.New("no header line found")
	}
	if len(f.header) == 1 && !hasTime(f.header) {
		return fmt.Errorf("neither CSV nor JSON: the first line is %s", quote(strings.TrimSpace(string(firstLine(head)))))
	}
	return f.placeColumns(f.header, string(head[:above]))
}

func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}

// fields reads one line.
func fields(line []byte, comma byte) ([]string, error) {
	r := csv.NewReader(bytes.NewReader(line))
	r.Comma, r.LazyQuotes = rune(comma), true
	return r.Read()
}

// divider is what most likely divides a line's columns.
func divider(line []byte) byte {
	counts := map[byte]int{}
	quoted := false
	for _, b := range line {
		if b == '"' {
			quoted = !quoted
		}
		if !quoted {
			counts[b]++
		}
	}
	best := byte(',')
	for _, b := range []byte{';', '\t'} {
		if counts[b] > counts[best] {
			best = b
		}
	}
	return best
}

func hasTime(names []string) bool {
	all := aliases()
	for _, name := range names {
		if p, ok := all[plain(name)]; ok && p.column == colTime {
			return true
		}
	}
	return false
}

// placeColumns finds where the columns are. Above is what stands before the
// rows.
func (f *file) placeColumns(names []string, above string) error {
	var ranks [colCount]int
	for c := range f.at {
		f.at[c] = -1
	}
	all := aliases()
	for i, name := range names {
		p, ok := all[plain(name)]
		if !ok || f.at[p.column] >= 0 && ranks[p.column] <= p.rank {
			continue
		}
		f.at[p.column], ranks[p.column] = i, p.rank
		if p.column == colTime && strings.Contains(strings.ToLower(name), "local") {
			f.local = true
		}
	}
	var err error
	if f.table, err = recognize(names); err == nil {
		return nil
	}
	if f.at[colTime] >= 0 {
		if f.wide = wideSeries(names, f.at[colTime], above); f.wide != nil {
			f.table = tables()[0]
			return nil
		}
	}
	return &columnsError{err}
}

// bounded yields what a reader has, as long as no row takes too much of it,
// and remembers the last byte.
type bounded struct {
	r    io.Reader
	left int
	last byte
}

// Read reads, within the bound.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLong
	}
	n, err := b.r.Read(p)
	if b.left -= n; n > 0 {
		b.last = p[n-1]
	}
	return n, err
}

func (f *file) readCSV(in *bufio.Reader, each func(*row, error) error) error {
	for range f.before {
		if _, err := in.ReadSlice('\n'); err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
	limit := &bounded{r: in, left: maxRow}
	r := csv.NewReader(limit)
	r.Comma, r.ReuseRecord, r.FieldsPerRecord = rune(f.comma), true, -1
	if _, err := r.Read(); err != nil {
		return err
	}
	var one row
	torn := ""
	for {
		limit.left = maxRow
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			if torn != "" {
				f.rows-- // it was counted as a bad row
				return fmt.Errorf("%s: %w", torn, io.ErrUnexpectedEOF)
			}
			return nil
		}
		torn = ""
		var wrong *csv.ParseError
		switch {
		case errors.As(err, &wrong):
			f.line = f.before + wrong.StartLine
			if errors.Is(err, csv.ErrQuote) { // and the file ends: it is still open
				torn = "unclosed quotation mark"
			}
			err = badRow(wrong.Err.Error())
		case err != nil:
			return err
		default:
			line, _ := r.FieldPos(0)
			f.line = f.before + line
			if len(record) != len(f.header) {
				if limit.last != '\n' && len(record) < len(f.header) { // so if the file ends here
					torn = "too few columns"
				}
				err = badRow(fmt.Sprintf("the row has %d columns, the header has %d", len(record), len(f.header)))
				break
			}
			one = row{cells: record}
			for c, i := range f.at {
				if i >= 0 {
					one.values[c] = record[i]
				}
			}
		}
		if err := each(&one, err); err != nil {
			return err
		}
	}
}
