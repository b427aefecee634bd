package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// This file is the only place that knows how client JSON is read. Acceptance
// is that of package jsontext: strict grammar, valid UTF-8, no name twice in
// one object. The scanner decides it several times faster; jsontext words the
// errors of the grammar, and a differential fuzz test holds the two together.
//
// Beyond that, maxDepth and maxOpenNames bound what a text may take to read: time
// is linear in its length, and memory at most its length and a constant.
//
// What deployments send is read with package jsonwalk, which this scanner cannot
// be: it keeps the names of every object that is open, unescaped, and checks
// the text of strings, which a stream's chunks may break.

const (
	// maxDepth is how deep arrays and objects may nest. The scanner recurses, so it
	// bounds the stack. Tools and schemas nest about ten deep.
	maxDepth = 256
	// maxOpenNames is how many members the objects that are open may have together.
	// Each takes 24 bytes until its object ends.
	maxOpenNames = 1 << 16
)

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
	// object first. plain holds the text of those that are written with escapes.
	names []name
	plain []byte
	table []int32 // of repeatedHash
	seed  maphash.Seed
	fault fault // why the text was refused, besides its grammar

	files     int // embedded files seen: long base64 texts
	fileBytes int // their total length
	// idleBytes is what was seen besides the text itself: white space between values,
	// and what escapes take more than the characters that they stand for.
	idleBytes int
}

// name is the name of a member.
type name struct {
	quote int  // offset of its opening quote
	at    span // its text: within src, or, offset by len(src), within plain
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
	b, i, idle := s.src, s.pos+1, s.idleBytes
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
		s.idleBytes += n - escapedLen(b[i:i+n])
		i += n
	}
	if i-s.pos > fileShort && s.isFile(b[s.pos+1:i]) {
		s.files++
		s.fileBytes += i - s.pos - 1
		s.idleBytes = idle
	}
	s.pos = i + 1
	return escaped, true
}

// fileShort is the length up to which base64 counts as text.
const fileShort = 512

// isFile reports whether a text longer than that is an embedded file, which costs tokens
// by what it shows and not by its length: a data URL, or base64 in one of the members
// that hold files.
func (s *scanner) isFile(text []byte) bool {
	if string(text[:5]) == "data:" {
		return bytes.Contains(text[:128], []byte(";base64,"))
	}
	if len(s.names) == 0 {
		return false
	}
	switch string(s.name()) {
	case "data", "file_data", "b64_json", "image", "result": // input_audio's, files', images', generated images'
	default:
		return false
	}
	for _, c := range text[:256] {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c == '+', c == '/', c == '-', c == '_', c == '\\': // a slash may be escaped
		default:
			return false
		}
	}
	return true
}

// escapedLen is the length in UTF-8 of what an escape sequence stands for.
func escapedLen(escape []byte) int {
	switch len(escape) {
	case 2:
		return 1
	case 12:
		return 4
	}
	r, _ := hex4(escape[2:])
	return utf8.RuneLen(rune(r))
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
			s.idleBytes++
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
	if s.depth == maxDepth {
		return s.refuse(fault{reason: fmt.Sprintf("arrays and objects nest more than %d deep", maxDepth), offset: s.pos})
	}
	s.pos++
	s.depth++
	return true
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
	base, plainBase := len(s.names), len(s.plain)
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
			if second := s.repeated(s.names[base:]); second >= 0 {
				return s.refuse(fault{duplicate: true, offset: second})
			}
			s.names, s.plain = s.names[:base], s.plain[:plainBase]
			return s.close()
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
	if len(s.names) == maxOpenNames {
		return start, s.refuse(fault{reason: fmt.Sprintf("objects have more than %d members", maxOpenNames), offset: start})
	}
	at := span{start + 1, s.pos - 1}
	if escaped {
		at.start = len(s.src) + len(s.plain)
		s.plain = slices.Grow(s.plain, s.pos-start) // no more: plain text is shorter
		s.plain, _ = jsontext.AppendUnquote(s.plain, s.src[start:s.pos])
		at.end = len(s.src) + len(s.plain)
	}
	s.names = append(s.names, name{start, at})
	if s.peek() != ':' {
		return start, false
	}
	s.pos++
	s.peek()
	return start, true
}

// name returns the name of the member that object is at.
func (s *scanner) name() []byte { return s.text(s.names[len(s.names)-1]) }

// text returns the text of a name, unescaped.
func (s *scanner) text(n name) []byte {
	if size := len(s.src); n.at.start >= size {
		return s.plain[n.at.start-size : n.at.end-size]
	}
	return s.src[n.at.start:n.at.end]
}

// repeated returns the offset of the first of names that repeats one before it, -1
// for none.
func (s *scanner) repeated(names []name) int {
	const few = 16
	if len(names) > few {
		return s.repeatedHash(names)
	}
	for i, a := range names {
		for _, b := range names[:i] {
			if a.at.end-a.at.start == b.at.end-b.at.start && bytes.Equal(s.text(a), s.text(b)) {
				return a.quote
			}
		}
	}
	return -1
}

// repeatedHash is repeated for many names. It finds equal ones in a hash table,
// because comparing each with each other, or sorting, takes more than linear time.
// The seed keeps a client from choosing names that collide.
func (s *scanner) repeatedHash(names []name) int {
	size := 1 << bits.Len(uint(2*len(names)))
	if cap(s.table) < size {
		s.table = make([]int32, size)
	}
	if s.seed == (maphash.Seed{}) {
		s.seed = maphash.MakeSeed()
	}
	table := s.table[:size] // places in names, from 1; 0 is free
	clear(table)
	for i, n := range names {
		text := s.text(n)
		at := maphash.Bytes(s.seed, text) & uint64(size-1)
		for ; table[at] != 0; at = (at + 1) & uint64(size-1) {
			if bytes.Equal(s.text(names[table[at]-1]), text) {
				return n.quote
			}
		}
		table[at] = int32(i + 1)
	}
	return -1
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
