// Package sse reads server-sent events from a stream that is forwarded. It
// accepts the bytes in pieces of any size and returns the events that they
// complete, without copying events that arrive whole.
//
// The grammar is that of WHATWG: lines end in LF, CRLF or CR; fields data and
// event; comments; a leading byte order mark. The values of id and retry are
// ignored, because nothing here reconnects.
package sse

import (
	"bytes"
	"errors"
)

// DefaultMaxEvent is the largest event in bytes when Scanner.MaxEvent is 0.
const DefaultMaxEvent = 1 << 20

// keepBytes is the largest buffer that Reset keeps for the next stream.
const keepBytes = 64 << 10

// ErrTooLong is an event larger than the limit.
var ErrTooLong = errors.New("server-sent event exceeds the size limit")

// Event is one block of a stream up to and including its blank line. The
// slices are valid until the next Feed and must not be written to.
type Event struct {
	Name []byte // the event field; nil when absent
	// Data is the data field, its lines joined by LF. It is nil when the block
	// has none: a comment or a stray blank line, which carries no event.
	Data []byte
	// Raw is the block as it arrived. The Raws of a stream, in order, are the
	// stream, but for an event at its end that is not complete.
	Raw []byte
}

// Scanner finds the events in a stream of bytes. Its zero value is ready; it
// is not safe for concurrent use. It allocates nothing after warm-up.
type Scanner struct {
	// MaxEvent is the largest event in bytes; 0 takes DefaultMaxEvent. Set it
	// before the first Feed.
	MaxEvent int
	// HasIDs says that a block had the field id.
	HasIDs bool

	err    error
	in     []byte    // what was fed and is not consumed yet
	held   uint8     // which carry collects; the other may back an event
	open   bool      // that one has the beginning of an event
	hasCR  bool      // in contains CR, so lines cannot be found by LF alone
	inLine bool      // the bytes so far end inside a line
	afterC bool      // the last byte was CR: a following LF belongs to it
	begun  bool      // the byte order mark can no longer come
	carry  [2][]byte // beginnings of events that Feed did not complete
	joined []byte    // data of several lines; reset by Feed
}

// Reset makes the scanner ready for another stream. It keeps its buffers
// unless they have grown large.
func (s *Scanner) Reset() {
	fresh := Scanner{MaxEvent: s.MaxEvent, joined: small(s.joined)}
	fresh.carry = [2][]byte{small(s.carry[0]), small(s.carry[1])}
	*s = fresh
}

func small(b []byte) []byte {
	if cap(b) > keepBytes {
		return nil
	}
	return b[:0]
}

// Feed adds bytes of the stream. The caller must call Next until it reports
// false before it feeds again, and leave p unchanged until the next Feed.
func (s *Scanner) Feed(p []byte) {
	s.in = p
	if cap(s.joined) > keepBytes || cap(s.carry[s.held^1]) > keepBytes {
		s.releaseLast()
	}
	s.joined = s.joined[:0]
	s.hasCR = s.afterC || bytes.IndexByte(p, '\r') >= 0
}

// Next returns the next complete event of what was fed. After it has
// reported false, Err says whether that is because bytes are missing.
func (s *Scanner) Next() (Event, bool) {
	if s.err != nil || len(s.in) == 0 {
		s.in = nil // do not retain the caller's slice
		return Event{}, false
	}
	n, found := s.blockEnd(s.in)
	carry := &s.carry[s.held]
	if len(*carry)+n > s.limit() {
		s.err = ErrTooLong
		*carry, s.open = nil, false // nothing comes of it any more
		return Event{}, false
	}
	block := s.in[:n]
	s.in = s.in[n:]
	if s.open || !found {
		*carry = append(s.grown(*carry, n), block...)
		block = *carry
	}
	if !found {
		s.open, s.in = true, nil
		return Event{}, false
	}
	if s.open {
		s.turnOver()
	}
	return s.parse(block), true
}

// grown returns b with room for n bytes more. A large one doubles, but does not
// exceed the limit: append would leave several times as much to the collector.
func (s *Scanner) grown(b []byte, n int) []byte {
	if need := len(b) + n; need > cap(b) && need > keepBytes {
		return append(make([]byte, 0, max(min(2*cap(b), s.limit()), need)), b...)
	}
	return b
}

// releaseLast drops the memory of the last event, if it is large.
func (s *Scanner) releaseLast() {
	s.joined, s.carry[s.held^1] = small(s.joined), small(s.carry[s.held^1])
}

// Pending returns how many bytes of the open event the scanner holds, which come out
// with its end.
func (s *Scanner) Pending() int {
	if !s.open {
		return 0
	}
	return len(s.carry[s.held])
}

// Held returns how many bytes the scanner holds between two pieces of the stream,
// from keepBytes on; smaller buffers count as nothing. Some may back the last event.
func (s *Scanner) Held() int {
	held := 0
	for _, b := range [...][]byte{s.carry[0], s.carry[1], s.joined} {
		if cap(b) > keepBytes {
			held += cap(b)
		}
	}
	return held
}

// turnOver ends the event that the carry has collected. The next one is
// collected in the other.
func (s *Scanner) turnOver() {
	s.held ^= 1
	s.carry[s.held] = s.carry[s.held][:0]
	s.open = false
}

// Finish ends the stream: it returns the event that was still open when the
// last byte came, if it has data. Some servers omit the final blank line.
func (s *Scanner) Finish() (Event, bool) {
	rest := s.carry[s.held]
	if s.err != nil || !s.open {
		return Event{}, false
	}
	s.turnOver()
	ev := s.parse(rest)
	return ev, ev.Data != nil
}

// Between reports whether what was fed has ended with a whole event, so that
// the next byte begins another.
func (s *Scanner) Between() bool {
	return s.begun && !s.open && !s.afterC && s.err == nil
}

// Err returns ErrTooLong once an event was too large, else nil. Nothing more
// is found after that.
func (s *Scanner) Err() error { return s.err }

func (s *Scanner) limit() int {
	if s.MaxEvent > 0 {
		return s.MaxEvent
	}
	return DefaultMaxEvent
}

// blockEnd returns how many bytes of b belong to the current block, and
// whether its blank line is among them. It continues where the last call
// ended, so that no byte is looked at twice.
func (s *Scanner) blockEnd(b []byte) (n int, found bool) {
	if s.hasCR {
		return s.blockEndCR(b)
	}
	for n < len(b) {
		if !s.inLine && b[n] == '\n' {
			return n + 1, true
		}
		k := bytes.IndexByte(b[n:], '\n')
		if k < 0 {
			s.inLine = true
			return len(b), false
		}
		s.inLine = false
		n += k + 1
	}
	return n, false
}

// blockEndCR is blockEnd where CR may end lines too. A CR at the very end is
// taken for a whole line end; the LF of a CRLF then opens the next block.
func (s *Scanner) blockEndCR(b []byte) (n int, found bool) {
	for n < len(b) {
		c := b[n]
		n++
		switch {
		case c == '\n' && s.afterC:
			s.afterC = false
		case c == '\n' || c == '\r':
			s.afterC = c == '\r'
			if !s.inLine {
				if s.afterC && n < len(b) && b[n] == '\n' {
					s.afterC = false
					n++
				}
				return n, true
			}
			s.inLine = false
		default:
			s.afterC = false
			s.inLine = true
		}
	}
	return n, false
}

var byteOrderMark = []byte("\xef\xbb\xbf") // constant

// parse reads the fields of one block.
func (s *Scanner) parse(raw []byte) Event {
	ev := Event{Raw: raw}
	rest := raw
	if !s.begun {
		s.begun = true
		rest = bytes.TrimPrefix(rest, byteOrderMark)
	}
	hasCR := bytes.IndexByte(rest, '\r') >= 0
	joining := false
	for len(rest) > 0 {
		var line []byte
		line, rest = cutLine(rest, hasCR)
		name, value, _ := bytes.Cut(line, colon)
		if len(value) > 0 && value[0] == ' ' {
			value = value[1:]
		}
		switch string(name) {
		case "event":
			ev.Name = value
		case "id":
			s.HasIDs = s.HasIDs || bytes.IndexByte(value, 0) < 0 // one with NUL is none
		case "data":
			if ev.Data != nil {
				if !joining {
					s.joined = s.grown(s.joined, len(raw)) // which holds all that will be joined
				}
				ev.Data = s.join(ev.Data, value, joining)
				joining = true
				continue
			}
			if ev.Data = value; value == nil { // "data" without a colon is an empty line of data
				ev.Data = line[len(line):]
			}
		}
	}
	return ev
}

var colon = []byte(":") // constant

// join appends a line to the data of an event. The result lies in s.joined,
// where data does already when joining.
func (s *Scanner) join(data, line []byte, joining bool) []byte {
	start := len(s.joined) - len(data)
	if !joining {
		start = len(s.joined)
		s.joined = append(s.joined, data...)
	}
	s.joined = append(s.joined, '\n')
	s.joined = append(s.joined, line...)
	return s.joined[start:]
}

// cutLine returns the first line of b without its end, and what follows.
// Bytes are compared one by one only where CR may end lines.
func cutLine(b []byte, hasCR bool) (line, rest []byte) {
	if !hasCR {
		line, rest, _ = bytes.Cut(b, lineFeed)
		return line, rest
	}
	for i, c := range b {
		switch {
		case c == '\n':
			return b[:i], b[i+1:]
		case c == '\r' && i+1 < len(b) && b[i+1] == '\n':
			return b[:i], b[i+2:]
		case c == '\r':
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

var lineFeed = []byte("\n") // constant
