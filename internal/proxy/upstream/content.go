package upstream

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// The media types that a response is served with.
const (
	eventStreamType = "text/event-stream"
	jsonType        = "application/json"
)

// content is what the first bytes of a response say that it is.
type content uint8

const (
	contentOpen    content = iota // more bytes are needed
	contentUnknown                // neither of the others
	contentJSON
	contentEvents
)

// byteOrderMark may precede JSON and events.
var byteOrderMark = []byte("\xef\xbb\xbf") // constant

// eventFields are the names that a line of an event stream can begin with.
var eventFields = [...]string{"data", "event", "id", "retry"} // constant

// judge tells what begins with p: a JSON object or array, or a line of an event stream.
// No text is both.
func judge(p []byte) content {
	if len(p) < len(byteOrderMark) && bytes.HasPrefix(byteOrderMark, p) {
		return contentOpen
	}
	p = bytes.TrimPrefix(p, byteOrderMark)
	line := bytes.TrimLeft(p, "\r\n")
	p = bytes.TrimLeft(p, " \t\r\n")
	switch {
	case len(p) == 0:
		return contentOpen
	case p[0] == '{', p[0] == '[':
		return contentJSON
	case len(line) != len(p):
		return contentUnknown // the name of a field is not indented
	case p[0] == ':':
		return contentEvents
	}
	for _, field := range eventFields {
		rest, found := bytes.CutPrefix(p, []byte(field))
		switch {
		case found && len(rest) == 0, !found && strings.HasPrefix(field, string(p[:min(len(p), len(field))])):
			return contentOpen
		case found && bytes.IndexByte([]byte(":\r\n"), rest[0]) >= 0:
			return contentEvents
		}
	}
	return contentUnknown
}

// unfinished reports whether JSON ends before its objects, arrays and strings do.
func unfinished(json []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(json); i++ {
		switch c := json[i]; {
		case quoted && c == '\\':
			i++ // what is escaped
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			depth--
		}
	}
	return quoted || depth > 0
}

// judgeContent decides whether the response is a stream of events. Servers and
// proxies mislabel both kinds, so the first bytes overrule the header, which is
// corrected for the client. It reads no further than it needs to tell.
func (a *Attempt) judgeContent() {
	a.isSSE = isEventStream(a.resp.Header)
	var body io.Reader = a.resp.Body
	if !a.isSSE {
		a.timedBody.attempt = a
		body = &a.timedBody
	}
	room := a.call.Buffers.Get(pieceBytes)
	room.B = room.B[:0]
	found, err := contentOpen, error(nil)
	for found == contentOpen && err == nil && len(room.B) < cap(room.B) {
		var n int
		n, err = body.Read(room.B[len(room.B):cap(room.B)])
		room.B = room.B[:len(room.B)+n]
		found = judge(room.B)
	}
	a.readAhead = readAhead{ReadCloser: a.resp.Body, room: room, rest: room.B, err: err}
	a.resp.Body = &a.readAhead
	switch {
	case found == contentJSON:
		if at := len(room.B) - len(bytes.TrimPrefix(room.B, byteOrderMark)); at > 0 { // which is no JSON
			a.readAhead.rest, a.resp.ContentLength = room.B[at:], -1
		}
		if a.isSSE {
			a.isSSE = false
			a.resp.Header[wire.HeaderContentType] = []string{jsonType}
		}
	case found == contentEvents && !a.isSSE:
		a.isSSE = true
		a.resp.Header[wire.HeaderContentType] = []string{eventStreamType}
	}
}

// isEventStream reports whether a response is declared to be a stream of events.
func isEventStream(h http.Header) bool {
	v := h[wire.HeaderContentType]
	if len(v) == 0 {
		return false
	}
	if v[0] == eventStreamType { // the usual case: spares the parsing
		return true
	}
	kind, _, err := mime.ParseMediaType(v[0])
	if err != nil { // such as an empty parameter
		kind, _, _ = strings.Cut(v[0], ";")
	}
	return strings.EqualFold(strings.TrimSpace(kind), eventStreamType)
}

// reportsUsage reports whether a response that is relayed can be read for its usage.
func reportsUsage(h http.Header) bool {
	kind := h.Get(wire.HeaderContentType)
	return h.Get(headerEncoding) == "" && (strings.Contains(strings.ToLower(kind), "json") || isEventStream(h))
}

// readAhead is a body whose beginning was read already.
type readAhead struct {
	io.ReadCloser
	room *buffer.Buffer // nil once all of it was read again
	rest []byte         // of room
	err  error          // that followed
}

// Read reads the beginning again, and then more of the body.
func (r *readAhead) Read(p []byte) (n int, err error) {
	if r.room == nil {
		if r.err != nil {
			return 0, r.err
		}
		return r.ReadCloser.Read(p)
	}
	n = copy(p, r.rest)
	if r.rest = r.rest[n:]; len(r.rest) > 0 {
		return n, nil
	}
	r.release()
	return n, r.err
}

// release returns the memory of what was read ahead.
func (r *readAhead) release() {
	r.room.Release()
	r.room, r.rest = nil, nil
}
