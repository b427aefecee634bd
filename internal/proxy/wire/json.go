package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// This file is the only place that knows how client JSON is read. Acceptance
// is that of package jsontext: strict grammar, valid UTF-8, no name twice in
// one object, at most maxDepth levels. The scanner decides it several times
// faster; jsontext words the errors, and a differential fuzz test holds the
// two together.
//
// What deployments send is read with package jsonwalk, which this scanner cannot
// be: it keeps the names of every object that is open, unescaped, and checks
// the text of strings, which a stream's chunks may break.

// maxDepth is how deep arrays and objects may nest, as in jsontext.
const maxDepth = 10_000

// span is a part of a text, as byte offsets.
type span struct{ start, end int }

// scanner walks one JSON text. A method that returns false has met invalid
// input and leaves the scanner of no further use.
type scanner struct {
	src   []byte
	pos   int
	depth int    // arrays and objects that are open
	high  uint64 // bit 7 of a byte is set when a string held non-ASCII bytes

	// names are those of the members of the objects that are open, outermost
	// object first: within src, or, offset by len(src), within plain, which
	// holds the names that are written with escapes.
	names []span
	plain []byte

	dataURLs  int // long base64 data URLs seen
	dataBytes int // their total length
}

// swar constants: one byte, repeated.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// plain returns the offset of the first byte of b from i on that ends a plain
// run inside a string: a quote, backslash or control, or len(b). high has bit 7
// of a byte set when bytes outside ASCII were passed, or stand close behind.
func plain(b []byte, i int) (end int, high uint64) {
	for ; len(b)-i >= 8; i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		high |= x
		// Flipping bit 1 puts the quote just above the controls, so that one
		// comparison with 0x21 finds both. Only the lowest mark is exact.
		low, slash := x^(2*ones), x^('\\'*ones)
		if m := ((low - 0x21*ones) | (slash - ones)) &^ x & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3, high
		}
	}
	for ; i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\'; i++ {
		high |= uint64(b[i])
	}
	return i, high
}

// str consumes a string whose opening quote is at pos, and reports whether it
// holds escapes.
func (s *scanner) str() (escaped, ok bool) {
	b, i := s.src, s.pos+1
	for {
		end, high := plain(b, i)
		s.high |= high
		if i = end; i >= len(b) || b[i] < ' ' {
			return escaped, false
		}
		if b[i] == '"' {
			break
		}
		n := escapeLen(b[i:])
		if n == 0 {
			return escaped, false
		}
		escaped = true
		i += n
	}
	if i-s.pos > dataShort {
		s.noteData(b[s.pos+1 : i])
	}
	s.pos = i + 1
	return escaped, true
}

// dataShort is the length up to which a data URL counts as text.
const dataShort = 512

// noteData counts a text longer than that when it is an embedded file, which
// costs tokens by what it shows and not by its length.
func (s *scanner) noteData(text []byte) {
	if string(text[:5]) == "data:" && bytes.Contains(text[:128], []byte(";base64,")) {
		s.dataURLs++
		s.dataBytes += len(text)
	}
}

// escapeLen is the length of the escape sequence that b starts with, a
// surrogate pair counting as one; 0 when it is invalid.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r, ok := hex4(b[2:])
		switch {
		case !ok || r >= 0xDC00 && r < 0xE000:
			return 0
		case r < 0xD800 || r >= 0xE000:
			return 6
		}
		if len(b) < 12 || b[6] != '\\' || b[7] != 'u' {
			return 0
		}
		if r, ok = hex4(b[8:]); ok && r >= 0xDC00 && r < 0xE000 {
			return 12
		}
	}
	return 0
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (r uint32, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | uint32(c)
	}
	return r, true
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// value consumes any value.
func (s *scanner) value() bool {
	switch s.peek() {
	case '"':
		_, ok := s.str()
		return ok
	case '{':
		return s.object(nil)
	case '[':
		return s.array()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

// literal consumes word.
func (s *scanner) literal(word string) bool {
	if len(s.src)-s.pos < len(word) || string(s.src[s.pos:s.pos+len(word)]) != word {
		return false
	}
	s.pos += len(word)
	return true
}

// number consumes a number.
func (s *scanner) number() bool {
	if s.at('-') {
		s.pos++
	}
	if s.at('0') {
		s.pos++
	} else if !s.digits() {
		return false
	}
	if s.at('.') {
		s.pos++
		if !s.digits() {
			return false
		}
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		return s.digits()
	}
	return true
}

// at reports whether c is the next byte.
func (s *scanner) at(c byte) bool { return s.pos < len(s.src) && s.src[s.pos] == c }

// digits consumes one decimal digit or more.
func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.src) && s.src[s.pos]-'0' <= 9 {
		s.pos++
	}
	return s.pos > start
}

// open consumes a bracket or brace, and reports whether it may nest so deep.
func (s *scanner) open() bool {
	s.pos++
	s.depth++
	return s.depth <= maxDepth
}

// close consumes the end of an array or object.
func (s *scanner) close() bool {
	s.pos++
	s.depth--
	return true
}

// array consumes an array.
func (s *scanner) array() bool {
	if !s.open() {
		return false
	}
	if s.peek() == ']' {
		return s.close()
	}
	for {
		if !s.value() {
			return false
		}
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			return s.close()
		default:
			return false
		}
	}
}

// object consumes an object. For each member it calls field, which must
// consume the value: pos is at its first byte, name returns the member's name,
// and start is the offset of that name's quote. A nil field skips the values.
func (s *scanner) object(field func(start int) bool) bool {
	if !s.open() {
		return false
	}
	base := len(s.names)
	if s.peek() == '}' {
		return s.close()
	}
	for {
		start, ok := s.key()
		if !ok {
			return false
		}
		if field == nil {
			ok = s.value()
		} else {
			ok = field(start)
		}
		if !ok {
			return false
		}
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			ok = !s.repeats(s.names[base:])
			s.names = s.names[:base]
			return s.close() && ok
		default:
			return false
		}
	}
}

// key consumes a member's name and colon, keeps the name, and stops at the
// value.
func (s *scanner) key() (start int, ok bool) {
	if s.peek() != '"' {
		return 0, false
	}
	start = s.pos
	escaped, ok := s.str()
	if !ok {
		return start, false
	}
	at := span{start + 1, s.pos - 1}
	if escaped {
		at.start = len(s.src) + len(s.plain)
		s.plain = append(s.plain, unquote(s.src[start:s.pos])...)
		at.end = len(s.src) + len(s.plain)
	}
	s.names = append(s.names, at)
	if s.peek() != ':' {
		return start, false
	}
	s.pos++
	s.peek()
	return start, true
}

// name returns the name of the member that object is at.
func (s *scanner) name() []byte { return s.nameAt(s.names[len(s.names)-1]) }

// nameAt returns a name, unescaped.
func (s *scanner) nameAt(at span) []byte {
	if n := len(s.src); at.start >= n {
		return s.plain[at.start-n : at.end-n]
	}
	return s.src[at.start:at.end]
}

// repeats reports whether two of names are equal. It may reorder them.
func (s *scanner) repeats(names []span) bool {
	const few = 16
	if len(names) > few {
		slices.SortFunc(names, func(a, b span) int { return bytes.Compare(s.nameAt(a), s.nameAt(b)) })
		for i := 1; i < len(names); i++ {
			if bytes.Equal(s.nameAt(names[i-1]), s.nameAt(names[i])) {
				return true
			}
		}
		return false
	}
	for i, a := range names {
		for _, b := range names[:i] {
			if a.end-a.start == b.end-b.start && bytes.Equal(s.nameAt(a), s.nameAt(b)) {
				return true
			}
		}
	}
	return false
}

// end reports whether nothing but white space is left, and every string was
// valid UTF-8.
func (s *scanner) end() bool {
	s.peek()
	return s.pos == len(s.src) && (s.high&highs == 0 || utf8.Valid(s.src))
}

// unquote returns the text of a valid JSON string.
func unquote(quoted []byte) []byte {
	text, _ := jsontext.AppendUnquote(nil, quoted)
	return text
}

// appendString appends s as a JSON string, invalid UTF-8 replaced.
func appendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// explain says why body is not one acceptable JSON value.
func explain(body []byte) *BadRequest {
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	_, err := d.ReadValue()
	if err == nil {
		_, err = d.ReadToken()
	}
	offset, what := int64(len(body)), "unexpected end"
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset, what = min(syntax.ByteOffset, offset), syntax.Err.Error()
		if errors.Is(err, jsontext.ErrDuplicateName) {
			name := syntax.JSONPointer.LastToken()
			line, column := position(body, offset)
			return &BadRequest{
				Code: CodeInvalidJSON, Param: name,
				Message: fmt.Sprintf("The request body has a duplicate key %q (line %d, column %d). Send it once.", name, line, column),
			}
		}
	} else if err == nil {
		what = "more than one value"
	}
	line, column := position(body, offset)
	return &BadRequest{
		Code:    CodeInvalidJSON,
		Message: fmt.Sprintf("The request body is not valid JSON: %s (line %d, column %d).", what, line, column),
	}
}

// position turns a byte offset into a line and a column, both from 1; the
// column counts bytes.
func position(body []byte, offset int64) (line, column int) {
	before := body[:offset]
	return bytes.Count(before, []byte{'\n'}) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}
