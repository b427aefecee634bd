package wire

import (
	"strconv"

	"github.com/spillway-ai/spillway"
)

// Patch is what to change in a body. The zero Patch changes nothing.
type Patch struct {
	Model     string // the model to name; "" keeps the client's
	SetStream bool   // set stream to Stream
	Stream    bool
	// TokenField is the token limit to send, as the function TokenField says, and Tokens
	// its value; 0 keeps the client's.
	TokenField string
	Tokens     int
	// IncludeUsage asks a stream of chat or completions for its usage.
	IncludeUsage bool
}

// TokenField returns the field that carries the token limit of ask to a
// deployment; "" where the operation has none. Reasoning deployments take only
// max_completion_tokens in chat; elsewhere a client that used it keeps it.
func TokenField(api spillway.API, reasoning bool, ask *Ask) string {
	switch api {
	case spillway.APIChat:
		if reasoning || ask.TokenField == fieldMaxCompletion {
			return fieldMaxCompletion
		}
		return fieldMaxTokens
	case spillway.APICompletions:
		return fieldMaxTokens
	case spillway.APIResponses:
		return fieldMaxOutput
	}
	return ""
}

// edit replaces body[start:end]. A text comes from one of three forms.
type edit struct {
	start, end int
	kind       editKind
	name       string // of a member to write
	text       string // of a string value
	number     int
}

type editKind uint8

const (
	editDrop   editKind = iota // nothing
	editRaw                    // text as it is
	editString                 // text as a JSON string
	editNumber                 // number
)

// edits is a short list, ordered by start. A patch makes five at most: model,
// stream, two for the token limit, stream_options.
type edits struct {
	list [5]edit
	n    int
}

// add keeps the order; at equal starts, insertions go before what replaces.
func (e *edits) add(x edit) {
	i := e.n
	for ; i > 0; i-- {
		if last := e.list[i-1]; last.start < x.start || last.start == x.start && last.end <= x.end {
			break
		}
		e.list[i] = e.list[i-1]
	}
	e.list[i] = x
	e.n++
}

// Patch returns body with the changes of p, and every other byte as it was. It
// appends the result to dst, or returns body itself when nothing changes.
// body is what the Ask was read from. Of a multipart form only the model is changed; any
// other body that is no object stays as it is.
func (a *Ask) Patch(dst, body []byte, p Patch) []byte {
	if a.formDelimiter != "" && p.Model != "" && p.Model != a.Model {
		return a.patchForm(dst, body, p.Model)
	}
	if !a.object {
		return body
	}
	var e edits
	if p.Model != "" && p.Model != a.Model {
		a.setMember(&e, a.model, edit{kind: editString, name: "model", text: p.Model})
	}
	stream := a.Stream
	if p.SetStream && p.Stream != a.Stream {
		stream = p.Stream
		a.setMember(&e, a.stream, edit{kind: editRaw, name: "stream", text: strconv.FormatBool(stream)})
	}
	a.patchTokens(&e, body, p)
	if a.API == spillway.APIChat || a.API == spillway.APICompletions {
		switch {
		case stream && p.IncludeUsage && !a.IncludeUsage:
			a.askUsage(&e)
		case !stream && a.Stream && a.options.present():
			e.add(a.dropStreamOptions(body))
		}
	}
	if e.n == 0 {
		return body
	}
	return a.splice(dst, body, &e)
}

// setMember writes a member's value: in place, or as a new first member.
func (a *Ask) setMember(e *edits, m member, x edit) {
	x.start, x.end = a.open, a.open
	if m.present() {
		x.start, x.end, x.name = m.val, m.end, ""
	}
	e.add(x)
}

// patchTokens writes the token limit, and sees that no other carries one.
func (a *Ask) patchTokens(e *edits, body []byte, p Patch) {
	field, tokens := p.TokenField, p.Tokens
	zero := a.TokenField != "" && a.Tokens == 0
	if field == "" || zero {
		return
	}
	if tokens == 0 {
		tokens = a.Tokens
	}
	if tokens == 0 || tokens == a.Tokens && field == a.TokenField {
		return
	}
	want, have := a.limit(field), a.limit(a.TokenField)
	value := edit{kind: editNumber, name: field, number: tokens}
	if a.TokenField == "" || field == a.TokenField {
		a.setMember(e, want, value)
		return
	}
	if want.present() { // as null: the two change roles
		a.setMember(e, want, value)
		a.setMember(e, have, edit{kind: editRaw, text: "null"})
		return
	}
	e.add(edit{start: have.key, end: nameEnd(body, have), kind: editString, text: field})
	if tokens != a.Tokens {
		a.setMember(e, have, value)
	}
}

// limit returns where a token limit stands; absent for "".
func (a *Ask) limit(field string) member {
	for i, name := range limitNames {
		if name == field {
			return a.limits[i]
		}
	}
	return member{}
}

// askUsage writes stream_options.include_usage: true.
func (a *Ask) askUsage(e *edits) {
	switch {
	case a.withUsage.present():
		e.add(edit{start: a.withUsage.val, end: a.withUsage.end, kind: editRaw, text: "true"})
	case a.optOpen == 0:
		a.setMember(e, a.options, edit{kind: editRaw, name: "stream_options", text: `{"include_usage":true}`})
	case a.optEmpty:
		e.add(edit{start: a.optOpen, end: a.optOpen, kind: editRaw, text: `"include_usage":true`})
	default:
		e.add(edit{start: a.optOpen, end: a.optOpen, kind: editRaw, text: `"include_usage":true,`})
	}
}

// dropStreamOptions removes stream_options and one comma beside it. There is one, because
// stream is a member too.
func (a *Ask) dropStreamOptions(body []byte) edit {
	m := a.options
	next := scanner{src: body, pos: m.end}
	if next.peek() == ',' {
		next.pos++
		next.peek()
		return edit{start: m.key, end: next.pos}
	}
	return edit{start: m.prev, end: m.end}
}

// nameEnd is the offset after the quoted name of m.
func nameEnd(body []byte, m member) int {
	i := m.val
	for body[i-1] != '"' { // white space and the colon
		i--
	}
	return i
}

// splice appends body with the edits to dst.
func (a *Ask) splice(dst, body []byte, e *edits) []byte {
	at := 0
	for i, x := range e.list[:e.n] {
		dst = append(dst, body[at:x.start]...)
		at = x.end
		if x.name != "" {
			dst = appendString(dst, x.name)
			dst = append(dst, ':')
		}
		switch x.kind {
		case editDrop:
		case editRaw:
			dst = append(dst, x.text...)
		case editString:
			dst = appendString(dst, x.text)
		case editNumber:
			dst = strconv.AppendInt(dst, int64(x.number), 10)
		}
		if x.name != "" && (a.members > 0 || i+1 < e.n && e.list[i+1].name != "") {
			dst = append(dst, ',')
		}
	}
	return append(dst, body[at:]...)
}
