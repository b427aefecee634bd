package workload

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxLineBytes bounds a line; longer ones are bad rows.
const maxLineBytes = 1 << 20

// errLongLine is a line of more than maxLineBytes.
var errLongLine = errors.New("the line is longer than 1 MiB")

// Part is one file of a trace. Name stands in errors.
type Part struct {
	Name   string
	Reader io.Reader
}

// lines reads the lines of parts one after the other. Blank lines are skipped
// but counted.
type lines struct {
	parts []Part
	in    *bufio.Reader
	name  string
	n     int    // of the line returned last, from 1
	first bool   // the line returned last is the first of its part
	fresh bool   // no line of the part has been returned
	again []byte // a line to return once more
	long  []byte // holds a line that is longer than the reader's buffer
}

func newLines(parts []Part) lines {
	l := lines{parts: parts, in: bufio.NewReaderSize(nil, 1<<16)}
	l.turn()
	return l
}

// turn starts the next part, if there is one.
func (l *lines) turn() bool {
	if len(l.parts) == 0 {
		return false
	}
	l.in.Reset(l.parts[0].Reader)
	l.name, l.n, l.fresh = l.parts[0].Name, 0, true
	l.parts = l.parts[1:]
	return true
}

// next returns the next line that is not blank, without its end, valid until
// the next call. It returns io.EOF after the last part, errLongLine for a line
// that it passed over, and other errors of the reader wrapped with its name.
func (l *lines) next() ([]byte, error) {
	if line := l.again; line != nil {
		l.again = nil
		return line, nil
	}
	for {
		line, err := l.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if line, err = l.gather(line); errors.Is(err, errLongLine) {
				l.n++
				return nil, err
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read %s: %w", l.name, err)
		}
		if len(line) == 0 && err != nil {
			if !l.turn() {
				return nil, io.EOF
			}
			continue
		}
		l.n++
		if l.n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimRight(line, "\r\n"); len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		l.first, l.fresh = l.fresh, false
		return line, nil
	}
}

// gather reads the rest of a line of which the reader's buffer holds the first
// part. Of a line that is too long it keeps nothing.
func (l *lines) gather(part []byte) ([]byte, error) {
	l.long = append(l.long[:0], part...)
	long := false
	for {
		part, err := l.in.ReadSlice('\n')
		if long = long || len(l.long)+len(part) > maxLineBytes; !long {
			l.long = append(l.long, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case long && (err == nil || errors.Is(err, io.EOF)):
			return nil, errLongLine
		default:
			return l.long, err
		}
	}
}
