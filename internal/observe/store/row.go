package store

import (
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"

	spillway "github.com/spillway-ai/spillway"
)

// maxStringBytes bounds every string: some of them come from clients.
const maxStringBytes = 256

// A row is a record as bytes: a uvarint of the length of what follows; the
// columns of the record in the order of the tail's head; the number of
// attempts; the columns of each. Text is a uvarint and bytes, a number a
// zigzag varint, and an optional number that plus one, so that 0 is null.

// rowLengthBytes is the size of the length that appendRow writes: enough for
// 2 MiB, which MaxAttempts and maxStringBytes keep far away.
const rowLengthBytes = 3

// errRow is a row that does not keep to that.
var errRow = errors.New("malformed row")

// appendRow appends r to dst as a row. It allocates only to grow dst.
func appendRow(dst []byte, r *spillway.Record) []byte {
	at := len(dst)
	dst = append(dst, 0x80, 0x80, 0) // the length is not known yet
	dst = appendCells(dst, recordColumns, r)
	n := min(len(r.Attempts), spillway.MaxAttempts)
	dst = append(dst, byte(n))
	for i := range n {
		dst = appendCells(dst, attemptColumns, &r.Attempts[i])
	}
	size := len(dst) - at - rowLengthBytes
	dst[at] |= byte(size & 0x7f)
	dst[at+1] |= byte(size >> 7 & 0x7f)
	dst[at+2] = byte(size >> 14)
	return dst
}

func appendCells[T any](dst []byte, columns []column[T], r *T) []byte {
	for i := range columns {
		c := &columns[i]
		if c.kind == text {
			dst = appendText(dst, c.words(r))
			continue
		}
		v, ok := c.number(r)
		switch {
		case !c.optional:
			dst = binary.AppendVarint(dst, v)
		case ok:
			dst = binary.AppendUvarint(dst, zigzag(v)+1)
		default:
			dst = append(dst, 0)
		}
	}
	return dst
}

func zigzag(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// appendText appends s, cut at maxStringBytes. Bytes that are not UTF-8 become
// U+FFFD: readers of Parquet refuse a file for one of them.
func appendText(dst []byte, s string) []byte {
	if len(s) > maxStringBytes+utf8.UTFMax {
		s = s[:maxStringBytes+utf8.UTFMax] // a client may have sent megabytes: the rest is not looked at
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	if len(s) > maxStringBytes {
		end := maxStringBytes
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// cell is one value of a row.
type cell struct {
	number int64
	text   []byte // of the row's bytes
	null   bool
}

// row is a decoded row, by the columns of this version.
type row struct {
	cells    []cell
	attempts [][]cell
	count    int // of attempts; the rest is spare
}

// layout is how the rows of one tail are to be read: its columns and where
// they belong in the tables of this version.
type layout struct {
	record, attempt []place
}

// place is one column of a layout.
type place struct {
	kind     kind
	optional bool
	to       int // index in the table; -1 for a column of another version
}

// thisLayout is how this version writes rows.
func thisLayout() layout {
	return layout{record: placesOf(recordColumns), attempt: placesOf(attemptColumns)}
}

func placesOf[T any](columns []column[T]) []place {
	out := make([]place, len(columns))
	for i := range columns {
		out[i] = place{columns[i].kind, columns[i].optional, i}
	}
	return out
}

// head describes this version's rows: a line for the columns of the record and
// one for those of attempts, each a list of name:kind, with a ? after a kind
// that can be null.
func head() string {
	return headLine(recordColumns) + "\n" + headLine(attemptColumns)
}

func headLine[T any](columns []column[T]) string {
	var b strings.Builder
	for i := range columns {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(columns[i].name + ":" + kindNames[columns[i].kind])
		if columns[i].optional {
			b.WriteByte('?')
		}
	}
	return b.String()
}

// parseHead reads what head of any version wrote.
func parseHead(s string) (layout, error) {
	first, second, ok := strings.Cut(s, "\n")
	if !ok {
		return layout{}, errors.New("the header has only one line")
	}
	var l layout
	var err error
	if l.record, err = parseLine(first, recordColumns); err != nil {
		return layout{}, err
	}
	if l.record[0] != (place{instant, false, 0}) {
		return layout{}, errors.New("the header does not start with the time")
	}
	l.attempt, err = parseLine(second, attemptColumns)
	return l, err
}

func parseLine[T any](line string, columns []column[T]) ([]place, error) {
	var out []place
	for item := range strings.SplitSeq(line, " ") {
		name, of, _ := strings.Cut(item, ":")
		of, optional := strings.CutSuffix(of, "?")
		p := place{optional: optional, to: -1}
		known := false
		for k, n := range kindNames {
			if n == of {
				p.kind, known = kind(k), true
			}
		}
		if !known {
			return nil, errors.New("the header has an unknown kind: " + of)
		}
		for i := range columns {
			if columns[i].name == name && columns[i].kind == p.kind {
				p.to = i
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// decode reads a row without its length into into, whose texts are parts of
// body.
func (l *layout) decode(body []byte, into *row) error {
	into.cells = blankCells(into.cells, len(recordColumns))
	rest, ok := decodeCells(body, l.record, into.cells)
	if !ok {
		return errRow
	}
	n, size := binary.Uvarint(rest)
	if size <= 0 || n > spillway.MaxAttempts {
		return errRow
	}
	rest = rest[size:]
	into.count = int(n)
	for i := range into.count {
		if i == len(into.attempts) {
			into.attempts = append(into.attempts, nil)
		}
		into.attempts[i] = blankCells(into.attempts[i], len(attemptColumns))
		if rest, ok = decodeCells(rest, l.attempt, into.attempts[i]); !ok {
			return errRow
		}
	}
	if len(rest) > 0 {
		return errRow
	}
	return nil
}

// blankCells returns n cells that are null, reusing old.
func blankCells(old []cell, n int) []cell {
	if cap(old) < n {
		old = make([]cell, n)
	}
	old = old[:n]
	for i := range old {
		old[i] = cell{null: true}
	}
	return old
}

func decodeCells(b []byte, places []place, into []cell) (rest []byte, ok bool) {
	for _, p := range places {
		u, size := binary.Uvarint(b)
		if size <= 0 {
			return nil, false
		}
		b = b[size:]
		var c cell
		switch {
		case p.kind == text:
			if u > uint64(len(b)) {
				return nil, false
			}
			c.text, b = b[:u:u], b[u:]
		case !p.optional:
			c.number = unzigzag(u)
		case u == 0:
			c.null = true
		default:
			c.number = unzigzag(u - 1)
		}
		if p.to >= 0 {
			into[p.to] = c
		}
	}
	return b, true
}

// rowTime returns the time in a row without its length, in microseconds. It
// stands first.
func rowTime(body []byte) (us int64, ok bool) {
	us, size := binary.Varint(body)
	return us, size > 0
}

// interner gives equal texts one string. Not safe for concurrent use.
type interner map[string]string

// maxInterned bounds an interner.
const maxInterned = 1 << 16

func (in interner) of(b []byte) string {
	if s, ok := in[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(in) < maxInterned {
		in[s] = s
	}
	return s
}

// record writes the chosen columns of the row into r. The record keeps the room
// of r.Attempts.
func (w *row) record(r *spillway.Record, c choice, in interner) {
	*r = spillway.Record{Attempts: r.Attempts[:0]}
	setCells(recordColumns, c.record, r, w.cells, in)
	if len(c.attempt) == 0 {
		return
	}
	for i := range w.count {
		r.Attempts = append(r.Attempts, blankAttempt())
		setCells(attemptColumns, c.attempt, &r.Attempts[i], w.attempts[i], in)
	}
}

// blankAttempt is an attempt of which nothing is known.
func blankAttempt() spillway.Attempt { return spillway.Attempt{Utilization: -1, CostUSD: -1} }

func setCells[T any](columns []column[T], chosen []int, r *T, cells []cell, in interner) {
	for _, i := range chosen {
		c := &columns[i]
		switch {
		case cells[i].null:
		case c.kind != text:
			c.setNumber(r, cells[i].number)
		case c.spread:
			c.setWords(r, string(cells[i].text))
		default:
			c.setWords(r, in.of(cells[i].text))
		}
	}
}
