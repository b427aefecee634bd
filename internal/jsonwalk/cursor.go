// Package jsonwalk walks JSON texts in place and builds nothing. It is for
// callers that need a few members of many texts: stream events, logs, records.
// It decodes neither strings nor numbers, and does not check for duplicate names
// in an object.
package jsonwalk

import (
	"bytes"
	"math"
)

// MaxNesting bounds how deep Enter may be nested. Values that a lax cursor
// passes may nest deeper.
const MaxNesting = 256

// Cursor is a place in one JSON text. Methods that meet a syntax error make the
// cursor bad and from then on find nothing, so that loops end and one check at
// the end is enough:
//
//	c := jsonwalk.Lax(text)
//	for c.Enter('{'); c.More('}'); {
//		name, value := c.Key(), c.Value()
//		…
//	}
//	if c.Bad() { … }
//
// What it returns are parts of the text.
type Cursor struct {
	b      []byte
	i      int
	depth  int
	strict bool
	fresh  bool // just inside a bracket: no comma is due
	bad    bool
}

// Strict returns a cursor that accepts exactly JSON, except that strings may hold
// invalid UTF-8 and lone surrogate escapes: a stream may cut a character in two.
func Strict(text []byte) Cursor { return Cursor{b: text, strict: true} }

// Lax returns a cursor for a text that is only looked at: it does not check the
// insides of strings, nor of values that it passes.
func Lax(text []byte) Cursor { return Cursor{b: text} }

// Bad reports whether the text was malformed so far.
func (c *Cursor) Bad() bool { return c.bad }

// Whole returns the text.
func (c *Cursor) Whole() []byte { return c.b }

// Offset returns how many bytes were consumed.
func (c *Cursor) Offset() int { return c.i }

// Rewind goes back to an offset where a value began, to read it once more.
func (c *Cursor) Rewind(offset int) { c.i = offset }

// Peek returns the next byte that is not white space, 0 at the end.
func (c *Cursor) Peek() byte {
	for c.i < len(c.b) {
		switch ch := c.b[c.i]; ch {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return ch
		}
	}
	return 0
}

// Fail marks the text as malformed.
func (c *Cursor) Fail() {
	c.bad = true
	c.i = len(c.b)
}

// Enter consumes an opening bracket; More must be called next.
func (c *Cursor) Enter(open byte) {
	if c.Peek() != open || c.depth >= MaxNesting {
		c.Fail()
		return
	}
	c.i++
	c.depth++
	c.fresh = true
}

// More reports whether another element follows inside the bracket that end
// closes, and consumes the comma before it or the bracket itself.
func (c *Cursor) More(end byte) bool {
	ch := c.Peek()
	fresh := c.fresh
	c.fresh = false
	switch {
	case ch == end:
		c.i++
		c.depth--
		return false
	case fresh && ch != 0:
		return true
	case ch == ',' && !fresh:
		c.i++
		if ch = c.Peek(); ch != end && ch != 0 {
			return true
		}
	}
	c.Fail()
	return false
}

// Key consumes a member's name and colon; the name stays escaped.
func (c *Cursor) Key() []byte {
	k := c.Str()
	if c.Peek() != ':' {
		c.Fail()
		return nil
	}
	c.i++
	return k
}

// Str consumes a string and returns what is between its quotes, escaped.
func (c *Cursor) Str() []byte {
	if c.Peek() != '"' {
		c.Fail()
		return nil
	}
	start := c.i + 1
	var end int
	if c.strict {
		end = StringEnd(c.b, start)
	} else {
		end = quoteAfter(c.b, start)
	}
	if end < 0 {
		c.Fail()
		return nil
	}
	c.i = end + 1
	return c.b[start:end]
}

// Value consumes any value and returns its bytes.
func (c *Cursor) Value() []byte {
	ch := c.Peek()
	start := c.i
	switch {
	case ch == '"':
		c.Str()
	case (ch == '{' || ch == '[') && c.strict:
		c.composite(ch)
	case ch == '{' || ch == '[':
		c.leap()
	default:
		c.scalar()
	}
	if c.bad {
		return nil
	}
	return c.b[start:c.i]
}

// composite consumes an object or array, checking all of it.
func (c *Cursor) composite(open byte) {
	c.Enter(open)
	for c.More(open + 2) { // '{' and '}', '[' and ']' lie two apart
		if open == '{' {
			c.Key()
		}
		c.Value()
	}
}

// leap consumes an object or array by counting brackets outside strings. Flat
// arrays of numbers, such as embeddings, are passed in one search each.
func (c *Cursor) leap() {
	level := 0
	tried := -1 // the bracket that the last such search found; none is due before it
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case '"':
			end := quoteAfter(c.b, c.i+1)
			if end < 0 {
				c.Fail()
				return
			}
			c.i = end
		case '{':
			level++
		case '[':
			level++
			if c.i > tried && c.numberFollows() {
				length := bytes.IndexByte(c.b[c.i:], ']')
				if length < 0 {
					c.Fail() // the array has no end
					return
				}
				if tried = c.i + length; flat(c.b[c.i+1 : tried]) {
					c.i = tried - 1
				}
			}
		case '}', ']':
			level--
		}
		c.i++
		if level == 0 {
			return
		}
	}
	c.Fail()
}

// numberFollows reports whether the next byte but one begins a number.
func (c *Cursor) numberFollows() bool {
	rest := c.b[c.i+1:]
	return len(rest) > 0 && (rest[0] == '-' || Digits(rest[:1]) == 1)
}

// flat reports whether the inside of an array holds no string, object or
// array.
func flat(inside []byte) bool {
	return bytes.IndexByte(inside, '"') < 0 && bytes.IndexByte(inside, '{') < 0 && bytes.IndexByte(inside, '[') < 0
}

// scalar consumes a number, true, false or null.
func (c *Cursor) scalar() {
	start := c.i
	for c.i < len(c.b) && !delimiter(c.b[c.i]) {
		c.i++
	}
	raw := c.b[start:c.i]
	if len(raw) == 0 || c.strict && !validScalar(raw) {
		c.Fail()
	}
}

// IsNull consumes a null if that is what comes next.
func (c *Cursor) IsNull() bool {
	if c.Peek() != 'n' {
		return false
	}
	c.scalar()
	return true
}

// Text consumes a value and returns it if it is a string, escaped, else nil.
func (c *Cursor) Text() []byte {
	if c.Peek() == '"' {
		return c.Str()
	}
	c.Value()
	return nil
}

// Number consumes a value and returns it if it is a number that an int can
// hold, without its fraction, else 0.
func (c *Cursor) Number() int { return Atoi(c.Value()) }

// Done reports whether the whole text was one well-formed value.
func (c *Cursor) Done() bool {
	return c.Peek() == 0 && c.i == len(c.b) && !c.bad && c.depth == 0
}

func delimiter(ch byte) bool {
	switch ch {
	case ',', ']', '}', ':', '"', '[', '{', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}

// quoteAfter returns the index of the quote that ends a string whose inside
// starts at i, or -1. It walks a little way, which is quickest for names and
// where quotes are escaped, and then searches.
func quoteAfter(b []byte, i int) int {
	const walk = 24
	for i < len(b) {
		for stop := min(i+walk, len(b)); i < stop; i++ {
			if b[i] == '"' {
				return i
			}
			if b[i] == '\\' {
				i++
			}
		}
		from := min(i, len(b))
		n := bytes.IndexByte(b[from:], '"')
		if n < 0 {
			return -1
		}
		i = from + n
		slashes := i
		for slashes > from && b[slashes-1] == '\\' {
			slashes--
		}
		if (i-slashes)%2 == 0 {
			return i
		}
		i++
	}
	return -1
}

// StringEnd is quoteAfter for a string whose inside must be well formed.
func StringEnd(b []byte, i int) int {
	for i < len(b) {
		switch ch := b[i]; {
		case ch == '"':
			return i
		case ch < ' ':
			return -1
		case ch == '\\':
			n := escapeSize(b[i:])
			if n == 0 {
				return -1
			}
			i += n
		default:
			i++
		}
	}
	return -1
}

// escapeSize returns the length of the escape sequence that b starts with, 0
// if it is none.
func escapeSize(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && hex(b[2]) && hex(b[3]) && hex(b[4]) && hex(b[5]) {
			return 6
		}
	}
	return 0
}

func hex(ch byte) bool {
	return '0' <= ch && ch <= '9' || 'a' <= ch|0x20 && ch|0x20 <= 'f'
}

// validScalar reports whether raw is a literal or a number of JSON.
func validScalar(raw []byte) bool {
	switch string(raw) {
	case "null", "true", "false":
		return true
	}
	rest := bytes.TrimPrefix(raw, minus)
	whole := Digits(rest)
	if whole == 0 || whole > 1 && rest[0] == '0' {
		return false
	}
	rest = rest[whole:]
	if len(rest) > 0 && rest[0] == '.' {
		n := Digits(rest[1:])
		if n == 0 {
			return false
		}
		rest = rest[1+n:]
	}
	if len(rest) > 0 && rest[0]|0x20 == 'e' {
		rest = rest[1:]
		if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
			rest = rest[1:]
		}
		n := Digits(rest)
		if n == 0 {
			return false
		}
		rest = rest[n:]
	}
	return len(rest) == 0
}

var minus = []byte("-") // constant

// Digits counts the decimal Digits that b starts with.
func Digits(b []byte) int {
	for i, ch := range b {
		if ch < '0' || ch > '9' {
			return i
		}
	}
	return len(b)
}

// Atoi reads a whole number of tokens or the like, ignoring a fraction; what
// is negative, too large or no number counts as 0.
func Atoi(raw []byte) int {
	n := 0
	for _, ch := range raw[:Digits(raw)] {
		if n > math.MaxInt32/10 {
			return 0
		}
		n = n*10 + int(ch-'0')
	}
	return n
}
