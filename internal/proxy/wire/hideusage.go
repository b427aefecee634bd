package wire

import (
	"bytes"

	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

// usageMember is the member usage of the chunks of a stream, which a client that did not
// ask for usage does not get: Azure leaves it out of its chunks, also where it is null.
type usageMember struct {
	// start and end are its place in the chunk that was read last, with the comma that
	// goes with it; end is 0 when there is none, or when the chunk only has the
	// remembered shape.
	start, end int
	// text is all of it in chunks of the remembered shape, which have it once; empty when
	// they have none.
	text []byte
}

func (u *usageMember) reset() { u.start, u.end, u.text = 0, 0, trim(u.text) }

// keep remembers the member that was found in a chunk. It reports false if its text
// does not identify it in chunks like this one.
func (u *usageMember) keep(chunk []byte) bool {
	if u.end == 0 {
		return true
	}
	if before := bytes.TrimRight(chunk[:u.start], whiteSpace); bytes.HasSuffix(before, comma) {
		u.start = len(before) - len(comma)
	} else if after := bytes.TrimLeft(chunk[u.end:], whiteSpace); bytes.HasPrefix(after, comma) {
		u.end = len(chunk) - len(after) + len(comma)
	}
	u.text = append(u.text, chunk[u.start:u.end]...)
	return bytes.Count(chunk, u.text) == 1
}

// in returns the place of the member in the chunk that was observed last.
func (u *usageMember) in(chunk []byte) (start, end int, found bool) {
	if u.end > 0 {
		return u.start, u.end, true
	}
	if len(u.text) == 0 {
		return 0, 0, false
	}
	at := bytes.Index(chunk, u.text)
	return at, at + len(u.text), at >= 0
}

const whiteSpace = " \t\r\n"

// AppendEvent appends the event that was observed last to dst as the client gets it.
func (s *Stream) AppendEvent(dst []byte, ev sse.Event) []byte {
	if !s.HideUsage {
		return append(dst, ev.Raw...)
	}
	start, end, found := s.usage.in(ev.Data)
	if !found {
		return append(dst, ev.Raw...)
	}
	if at := bytes.Index(ev.Raw, ev.Data); at >= 0 {
		dst = append(dst, ev.Raw[:at+start]...)
		return append(dst, ev.Raw[at+end:]...)
	}
	return appendJoined(dst, ev, start, end)
}

// appendJoined appends an event whose data has several lines without data[start:end].
func appendJoined(dst []byte, ev sse.Event, start, end int) []byte {
	for line := range bytes.FieldsFuncSeq(ev.Raw, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if !bytes.HasPrefix(line, dataName) {
			dst = append(append(dst, line...), '\n')
		}
	}
	data := append(bytes.Clone(ev.Data[:start]), ev.Data[end:]...)
	for line := range bytes.SplitSeq(data, lineEnd) {
		dst = append(append(append(dst, dataField...), line...), '\n')
	}
	return append(dst, '\n')
}

var (
	dataName = []byte("data") // constant
	lineEnd  = []byte("\n")   // constant
)

// CutUsage takes what the client does not get out of p, in place, and returns what is
// left. p is whole events of which Repeats has just reported true.
func (s *Stream) CutUsage(p []byte) []byte {
	text := s.usage.text
	if !s.HideUsage || len(text) == 0 {
		return p
	}
	kept := p[:0]
	for {
		at := bytes.Index(p, text)
		if at < 0 {
			return append(kept, p...)
		}
		kept = append(kept, p[:at]...)
		p = p[at+len(text):]
	}
}
