package wire

import (
	"bytes"
	"math"
)

// maxNesting bounds the nesting of the JSON that upstream sends.
const maxNesting = 256

// cursor walks one JSON text in place, without building anything. Methods
// that meet a syntax error set bad and from then on find nothing, so that
// loops end and one check at the end is enough.
//
// A strict cursor accepts exactly JSON, except that strings may hold invalid
// UTF-8 and lone surrogate escapes: a stream may cut a character in two. A lax
// one, for bytes that are only looked at, passes over the insides of strings
// and of values that it skips.
type cursor struct {
	b      []byte
	i      int
	depth  int
	strict bool
	fresh  bool // just inside a bracket: no comma is due
	bad    bool
}

// peek returns the next byte that is not white space, 0 at the end.
func (c *cursor) peek() byte {
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

// fail marks the text as malformed.
func (c *cursor) fail() {
	c.bad = true
	c.i = len(c.b)
}

// enter consumes an opening bracket; more must be called next.
func (c *cursor) enter(open byte) {
	if c.peek() != open || c.depth >= maxNesting {
		c.fail()
		return
	}
	c.i++
	c.depth++
	c.fresh = true
}

// more reports whether another element follows inside the bracket that end
// closes, and consumes the comma before it or the bracket itself.
func (c *cursor) more(end byte) bool {
	ch := c.peek()
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
		if ch = c.peek(); ch != end && ch != 0 {
			return true
		}
	}
	c.fail()
	return false
}

// key consumes a member's name and colon; the name stays escaped.
func (c *cursor) key() []byte {
	k := c.str()
	if c.peek() != ':' {
		c.fail()
		return nil
	}
	c.i++
	return k
}

// str consumes a string and returns what is between its quotes, escaped.
func (c *cursor) str() []byte {
	if c.peek() != '"' {
		c.fail()
		return nil
	}
	start := c.i + 1
	var end int
	if c.strict {
		end = stringEnd(c.b, start)
	} else {
		end = quoteAfter(c.b, start)
	}
	if end < 0 {
		c.fail()
		return nil
	}
	c.i = end + 1
	return c.b[start:end]
}

// value consumes any value and returns its bytes.
func (c *cursor) value() []byte {
	ch := c.peek()
	start := c.i
	switch {
	case ch == '"':
		c.str()
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
func (c *cursor) composite(open byte) {
	c.enter(open)
	for c.more(open + 2) { // '{' and '}', '[' and ']' lie two apart
		if open == '{' {
			c.key()
		}
		c.value()
	}
}

// leap consumes an object or array by counting brackets outside strings. Flat
// arrays of numbers, such as embeddings, are passed in one search each.
func (c *cursor) leap() {
	level := 0
	tried := -1 // the bracket that the last such search found; none is due before it
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case '"':
			end := quoteAfter(c.b, c.i+1)
			if end < 0 {
				c.fail()
				return
			}
			c.i = end
		case '{':
			level++
		case '[':
			level++
			if c.i > tried && c.numberFollows() {
				tried = c.i + bytes.IndexByte(c.b[c.i:], ']')
				if tried > c.i && flat(c.b[c.i+1:tried]) {
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
	c.fail()
}

// numberFollows reports whether the next byte but one begins a number.
func (c *cursor) numberFollows() bool {
	rest := c.b[c.i+1:]
	return len(rest) > 0 && (rest[0] == '-' || digits(rest[:1]) == 1)
}

// flat reports whether the inside of an array holds no string, object or
// array.
func flat(inside []byte) bool {
	return bytes.IndexByte(inside, '"') < 0 && bytes.IndexByte(inside, '{') < 0 && bytes.IndexByte(inside, '[') < 0
}

// scalar consumes a number, true, false or null.
func (c *cursor) scalar() {
	start := c.i
	for c.i < len(c.b) && !delimiter(c.b[c.i]) {
		c.i++
	}
	raw := c.b[start:c.i]
	if len(raw) == 0 || c.strict && !validScalar(raw) {
		c.fail()
	}
}

// isNull consumes a null if that is what comes next.
func (c *cursor) isNull() bool {
	if c.peek() != 'n' {
		return false
	}
	c.scalar()
	return true
}

// text consumes a value and returns it if it is a string, escaped, else nil.
func (c *cursor) text() []byte {
	if c.peek() == '"' {
		return c.str()
	}
	c.value()
	return nil
}

// number consumes a value and returns it if it is a number that an int can
// hold, without its fraction, else 0.
func (c *cursor) number() int { return atoi(c.value()) }

// done reports whether the whole text was one well-formed value.
func (c *cursor) done() bool {
	return c.peek() == 0 && c.i == len(c.b) && !c.bad && c.depth == 0
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

// stringEnd is quoteAfter for a string whose inside must be well formed.
func stringEnd(b []byte, i int) int {
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
	whole := digits(rest)
	if whole == 0 || whole > 1 && rest[0] == '0' {
		return false
	}
	rest = rest[whole:]
	if len(rest) > 0 && rest[0] == '.' {
		n := digits(rest[1:])
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
		n := digits(rest)
		if n == 0 {
			return false
		}
		rest = rest[n:]
	}
	return len(rest) == 0
}

var minus = []byte("-") // constant

// digits counts the decimal digits that b starts with.
func digits(b []byte) int {
	for i, ch := range b {
		if ch < '0' || ch > '9' {
			return i
		}
	}
	return len(b)
}

// atoi reads a whole number of tokens or the like, ignoring a fraction; what
// is negative, too large or no number counts as 0.
func atoi(raw []byte) int {
	n := 0
	for _, ch := range raw[:digits(raw)] {
		if n > math.MaxInt32/10 {
			return 0
		}
		n = n*10 + int(ch-'0')
	}
	return n
}
