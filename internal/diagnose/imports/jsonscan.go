package imports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// maxRow bounds what one row may take.
const maxRow = 64 << 20

var errLong = fmt.Errorf("a row is longer than %d MiB; check for a missing quotation mark or bracket", maxRow>>20)

// scanner finds the values of a JSON text one after the other, without
// knowing what they mean.
type scanner struct {
	in   *bufio.Reader
	line int // of what was read last, from 1
	buf  []byte
}

// next is the first byte that is no space, which is not consumed.
func (s *scanner) next() (byte, error) {
	for {
		b, err := s.in.ReadByte()
		if err != nil {
			return 0, err
		}
		switch b {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return b, s.in.UnreadByte()
		}
	}
}

// skip consumes the byte that next returned.
func (s *scanner) skip() { _, _ = s.in.ReadByte() } // it is there

// value reads one object or list, to its closing bracket. It is valid until
// the next call.
func (s *scanner) value() ([]byte, error) {
	s.buf = s.buf[:0]
	var at nesting
	for {
		if _, err := s.in.Peek(1); errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return nil, err
		}
		window, _ := s.in.Peek(s.in.Buffered()) // all there is
		n, done := at.end(window)
		if len(s.buf)+n > maxRow {
			return nil, errLong
		}
		s.buf = append(s.buf, window[:n]...)
		s.line += bytes.Count(window[:n], []byte("\n"))
		_, _ = s.in.Discard(n) // they were peeked at
		if done {
			return s.buf, nil
		}
	}
}

// nesting says where in a value one is.
type nesting struct {
	depth           int
	quoted, escaped bool
}

// end is how many bytes belong to the value, and whether it ends there.
func (at *nesting) end(b []byte) (n int, done bool) {
	for i := 0; i < len(b); i++ {
		if at.quoted {
			if at.escaped {
				at.escaped = false
				continue
			}
			next := bytes.IndexAny(b[i:], `"\`)
			if next < 0 {
				return len(b), false
			}
			i += next
			at.escaped, at.quoted = b[i] == '\\', b[i] == '\\'
			continue
		}
		switch b[i] {
		case '"':
			at.quoted = true
		case '{', '[':
			at.depth++
		case '}', ']':
			if at.depth--; at.depth <= 0 {
				return i + 1, true
			}
		}
	}
	return len(b), false
}

var errObject = badRow("not a JSON object")

// members calls visit with each member of a JSON object, the value as it is
// written. What it is given must not be kept. The object's form is checked as
// far as is needed to find its members.
func members(object []byte, visit func(name, value []byte)) error {
	c := jsonwalk.Lax(object)
	for c.Enter('{'); c.More('}'); {
		if name, value := c.Key(), c.Value(); !c.Bad() {
			visit(name, value)
		}
	}
	if c.Bad() {
		return errObject
	}
	return nil
}

// elements calls visit with each element of a JSON list.
func elements(list []byte, visit func(value []byte)) error {
	c := jsonwalk.Lax(list)
	for c.Enter('['); c.More(']'); {
		if value := c.Value(); !c.Bad() {
			visit(value)
		}
	}
	if c.Bad() {
		return badRow("not a JSON array")
	}
	return nil
}

// text is a JSON value as a CSV would hold it: a string without its quotes,
// nothing for null.
func text(value []byte) string {
	if len(value) < 2 || value[0] != '"' {
		if string(value) == "null" {
			return ""
		}
		return string(value)
	}
	inner := value[1 : len(value)-1]
	for _, b := range inner {
		if b == '\\' || b < ' ' {
			var s string
			if json.Unmarshal(value, &s) != nil {
				return string(inner)
			}
			return s
		}
	}
	return string(inner)
}
