package wire

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

// ResponseOptions says how an assembled response ends.
type ResponseOptions struct {
	// Truncate makes a valid response of a stream that did not come to its end:
	// what is open ended for length. A tool call that was cut keeps the
	// arguments that arrived, which need not be complete JSON.
	Truncate bool
	// Usage stands in when upstream reported none; zero tokens leave it out.
	Usage spillway.Usage
}

// Assembler builds from a stream the response that the same request would have
// had without one. It is not safe for concurrent use; Reset makes it ready for
// another stream. It allocates nothing per event after warm-up.
//
// Fields that it does not know survive. In a delta, and in objects inside it,
// strings concatenate, arrays append, elements that carry an index merge with
// those of the same index, and other scalars replace; role, type, id and format
// replace as well. Tool calls without an index are told apart by id and name, and
// adjacent parts of text, or of thinking, are joined. Elsewhere in a chunk the last value that is not empty wins,
// except that id, model and created are those of the first chunk that has
// them. What belongs to streams alone (obfuscation, content_filter_offsets)
// is dropped.
//
// Text is kept as it is escaped in the stream and never decoded, so that a
// character whose surrogates arrive in two chunks comes out whole. Base64
// audio concatenates the same way, which is right for chunks without padding.
type Assembler struct {
	// OneChoice is as in Stream.
	OneChoice bool

	api   spillway.API
	tree  tree
	shape shape
	resp  responseLog
}

// Reset makes a ready for a stream of an operation, keeping moderate buffers.
func (a *Assembler) Reset(api spillway.API) {
	a.api, a.OneChoice = api, false
	a.tree.reset()
	a.shape.reset()
	a.resp.reset()
}

// Held returns how many bytes a keeps of its stream, in steps of 64 KiB.
func (a *Assembler) Held() int { return a.tree.size&^(heldStep-1) + a.resp.held() }

// Add takes in the data of one event. Error events and [DONE] add nothing.
// After an error the response is of no use.
func (a *Assembler) Add(data []byte) error {
	if len(data) == 0 || isDone(data) {
		return nil
	}
	if a.api == spillway.APIResponses {
		_, err := a.resp.read(sse.Event{Data: data})
		return err
	}
	if len(a.tree.nodes) == 0 {
		a.tree.reset()
	}
	var got [maxHoles][]byte
	if a.shape.match(data, &got) {
		return a.extend(&got)
	}
	c := jsonwalk.Strict(data)
	a.shape.startRecording()
	a.addChunk(&c)
	if !c.Done() {
		a.shape.spoil()
		return ErrMalformed
	}
	a.shape.finishRecording(data)
	return a.tree.err()
}

// AddRepeats takes in the whole events of chat or completions that p begins
// with, as long as they differ from one that s has observed in their deltas
// alone: neither Add nor Observe need see them. It returns what those deltas
// hold in tokens, and what of p is left.
func (a *Assembler) AddRepeats(s *Stream, p []byte) (tokens int, left []byte, err error) {
	var got [maxHoles][]byte
	for err == nil {
		data, rest, whole := cutEvent(p)
		if !whole || !s.shape.match(data, &got) {
			break
		}
		tokens += s.matched(&got)
		if a.shape.alike(&s.shape) {
			err = a.extend(&got)
		} else {
			err = a.Add(data)
		}
		p = rest
	}
	return tokens, p, err
}

// extend adds what the holes of an event hold that has the remembered shape.
func (a *Assembler) extend(got *[maxHoles][]byte) error {
	for k := range a.shape.n {
		if at := a.shape.holes[k].target; at >= 0 {
			a.tree.extend(at, got[k])
		}
	}
	return a.tree.err()
}

// AppendResponse appends the response to dst. ErrNoAnswer says that the stream held
// nothing that a response could be made of.
func (a *Assembler) AppendResponse(dst []byte, opts ResponseOptions) ([]byte, error) {
	if a.api == spillway.APIResponses {
		return a.resp.appendResponse(dst, opts)
	}
	return a.appendAnswer(dst, opts)
}

// wholeText returns escaped text without the beginning of a character at its
// end: the first half of a surrogate pair, or of a UTF-8 sequence.
func wholeText(text []byte) []byte {
	if n := len(text) - 6; n >= 0 && text[n] == '\\' && text[n+1] == 'u' &&
		text[n+2]|0x20 == 'd' && bytes.IndexByte(highHalf, text[n+3]|0x20) >= 0 {
		slashes := n
		for slashes > 0 && text[slashes-1] == '\\' {
			slashes--
		}
		if (n-slashes)%2 == 0 {
			return text[:n]
		}
	}
	for n := 1; n <= 3 && n <= len(text); n++ {
		switch lead := text[len(text)-n]; {
		case lead < 0x80, lead >= 0xC0 && n >= sequenceLen(lead):
			return text
		case lead >= 0xC0:
			return text[:len(text)-n]
		}
	}
	return text
}

// highHalf are the third digits of the escapes \ud800 to \udbff, with bit 5
// set as text is compared.
var highHalf = []byte("89ab") // constant

// sequenceLen is the length of the UTF-8 sequence that a lead byte begins.
func sequenceLen(lead byte) int {
	switch {
	case lead >= 0xF0:
		return 4
	case lead >= 0xE0:
		return 3
	}
	return 2
}

// unescape decodes the inside of a string; text that is none comes out as it
// is.
func unescape(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text)
	}
	quoted := append(append([]byte{'"'}, text...), '"')
	plain, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil && len(plain) == 0 {
		return string(text)
	}
	return string(plain)
}
