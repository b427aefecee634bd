package wire

import (
	"bytes"
	"slices"
	"strconv"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// maxResponseItems bounds the items of a response and the parts of an item.
const maxResponseItems = 1 << 12

// item returns an element of the output, which begins when it is first named;
// nil when there are too many.
func (r *responseLog) item(index int) (at int, it *responseItem) {
	for at = range r.items {
		if r.items[at].index == index {
			return at, &r.items[at]
		}
	}
	at = len(r.items)
	if at == maxResponseItems {
		return 0, nil
	}
	if at < cap(r.items) { // take over the buffers of an earlier stream
		r.items = r.items[:at+1]
		it = &r.items[at]
		*it = responseItem{ids: [2][]byte{trim(it.ids[0]), trim(it.ids[1])}, raw: trim(it.raw), parts: it.parts[:0]}
	} else {
		r.items = append(r.items, responseItem{})
		it = &r.items[at]
	}
	it.index = index
	return at, it
}

// place returns the index of the item that an event is about which has none: some
// servers tell items by their ids alone. Function calls may have only a call_id.
func (r *responseLog) place(ev *responseEvent) int {
	whole := string(ev.kind) == eventItemAdded || string(ev.kind) == eventItemDone
	ids := [2][]byte{ev.itemID}
	if whole {
		ids = [2][]byte{textMember(ev.object, "id"), textMember(ev.object, "call_id")}
	}
	last := -1
	for i := range r.items {
		it := &r.items[i]
		last = max(last, it.index)
		if it.hasID(ids[0]) || it.hasID(ids[1]) {
			return it.index
		}
	}
	if whole {
		return last + 1
	}
	return max(last, 0)
}

// hasID reports whether the item has this id, or is a call that has.
func (it *responseItem) hasID(id []byte) bool {
	return len(id) > 0 && (bytes.Equal(it.ids[0], id) || bytes.Equal(it.ids[1], id))
}

// part returns a text of an item, which begins when it is first named, and
// its place packed for a hole; nil when it is not kept.
func (r *responseLog) part(item, index int, kind partKind) (target int32, p *responsePart) {
	if kind == partNone {
		return -1, nil
	}
	i, it := r.item(item)
	if it == nil || it.done {
		return -1, nil
	}
	k := 0
	for k < len(it.parts) && (it.parts[k].index != index || it.parts[k].kind != kind) {
		k++
	}
	switch {
	case k < len(it.parts):
	case k == maxResponseItems:
		return -1, nil
	case k < cap(it.parts):
		it.parts = it.parts[:k+1]
		p = &it.parts[k]
		*p = responsePart{text: trim(p.text), annotations: trim(p.annotations), raw: trim(p.raw)}
	default:
		it.parts = append(it.parts, responsePart{})
	}
	p = &it.parts[k]
	p.kind, p.index = kind, index
	return int32(i)<<partBits | int32(k), p
}

// putItem takes in an item as upstream gives it.
func (r *responseLog) putItem(ev *responseEvent, done bool) error {
	_, it := r.item(ev.item)
	if it == nil || it.done {
		return nil
	}
	it.raw, it.done = it.raw[:0], done
	it.ids[0] = append(it.ids[0][:0], textMember(ev.object, "id")...)
	it.ids[1] = append(it.ids[1][:0], textMember(ev.object, "call_id")...)
	return r.growValue(&it.raw, ev.object)
}

// putPart takes in a part of an item as upstream gives it.
func (r *responseLog) putPart(ev *responseEvent, done bool) error {
	kind := partNone
	switch string(textMember(ev.object, "type")) {
	case "output_text":
		kind = partText
	case "refusal":
		kind = partRefusal
	case "summary_text":
		kind = partSummary
	case "reasoning_text":
		kind = partReasoning
	}
	_, p := r.part(ev.item, ev.part, kind)
	if p == nil || !done {
		return nil
	}
	p.raw, p.done = p.raw[:0], true
	return r.growValue(&p.raw, ev.object)
}

// response appends the response: the terminal event's, or when upstream never
// came to that, what had arrived.
func (r *responseLog) appendResponse(dst []byte, opts ResponseOptions) ([]byte, error) {
	switch {
	case r.finalRaw && !r.hasItems && len(r.items) > 0: // some servers leave out what has come before
		return appendRewritten(dst, r.final, []string{"output"}, func(dst []byte, _ string) []byte {
			return r.appendOutput(dst)
		}), nil
	case r.finalRaw:
		return append(dst, r.final...), nil
	case len(r.base) == 0:
		return dst, ErrNoResponse
	case !opts.Truncate:
		return append(dst, r.base...), nil
	}
	return r.appendIncomplete(dst, opts.Usage), nil
}

// responseNames are the members that an incomplete response has of its own.
var responseNames = []string{"status", "incomplete_details", "output", "usage"} // constant

// appendIncomplete appends the response as far as it has come.
func (r *responseLog) appendIncomplete(dst []byte, usage spillway.Usage) []byte {
	return appendRewritten(dst, r.base, responseNames, func(dst []byte, name string) []byte {
		switch name {
		case "status":
			return append(dst, `"incomplete"`...)
		case "incomplete_details":
			return append(dst, `{"reason":"max_output_tokens"}`...)
		case "output":
			return r.appendOutput(dst)
		}
		return appendUsage(dst, spillway.APIResponses, usage)
	})
}

// appendOutput appends the items by their index, in whatever order they have come.
func (r *responseLog) appendOutput(dst []byte) []byte {
	order := make([]int, len(r.items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return r.items[a].index - r.items[b].index })
	dst = append(dst, '[')
	open := len(dst)
	for _, i := range order {
		if it := &r.items[i]; it.known() {
			if len(dst) > open {
				dst = append(dst, ',')
			}
			dst = it.appendTo(dst)
		}
	}
	return append(dst, ']')
}

// known reports whether upstream said what the item is.
func (it *responseItem) known() bool { return len(it.raw) > 0 }

// itemNames are the members that deltas build up, besides the status.
var itemNames = []string{"status", "content", "summary", "arguments", "input", "code"} // constant

// appendTo appends the item, in whole when it is done, else as far as it has
// come. A tool call that was cut keeps the arguments that arrived.
func (it *responseItem) appendTo(dst []byte) []byte {
	if it.done {
		return append(dst, it.raw...)
	}
	names := itemNames
	if textMember(it.raw, "status") == nil { // as items of some types have none
		names = names[1:]
	}
	return appendRewritten(dst, it.raw, names, func(dst []byte, name string) []byte {
		switch name {
		case "status":
			return append(dst, it.cutStatus()...)
		case "content":
			return it.appendParts(dst, partText, partRefusal, partReasoning)
		case "summary":
			return it.appendParts(dst, partSummary)
		case "arguments":
			return it.appendText(dst, partArguments)
		case "input":
			return it.appendText(dst, partInput)
		}
		return it.appendText(dst, partCode)
	})
}

// cutStatus is the status of an item that was cut, in quotes. Not every type can be
// incomplete.
func (it *responseItem) cutStatus() string {
	switch string(textMember(it.raw, "type")) {
	case imageCall, searchCall:
		return `"failed"`
	}
	return `"incomplete"`
}

// appendParts appends the array of the parts of some kinds, or nothing when
// the item has none.
func (it *responseItem) appendParts(dst []byte, kinds ...partKind) []byte {
	separator := byte('[')
	for i := range it.parts {
		if p := &it.parts[i]; slices.Contains(kinds, p.kind) {
			dst = append(dst, separator)
			separator = ','
			dst = p.appendTo(dst)
		}
	}
	if separator == ',' {
		dst = append(dst, ']')
	}
	return dst
}

// appendText appends the text of the first part of a kind as a string, or
// nothing when the item has none.
func (it *responseItem) appendText(dst []byte, kind partKind) []byte {
	for i := range it.parts {
		if it.parts[i].kind == kind {
			return appendQuoted(dst, it.parts[i].text)
		}
	}
	return dst
}

// appendTo appends the part, in whole when it is done.
func (p *responsePart) appendTo(dst []byte) []byte {
	if p.done {
		return append(dst, p.raw...)
	}
	switch p.kind {
	case partRefusal:
		dst = append(dst, `{"type":"refusal","refusal":`...)
	case partSummary:
		dst = append(dst, `{"type":"summary_text","text":`...)
	case partReasoning:
		dst = append(dst, `{"type":"reasoning_text","text":`...)
	default:
		dst = append(dst, `{"type":"output_text","text":`...)
	}
	dst = appendQuoted(dst, p.text)
	if p.kind == partText {
		dst = append(dst, `,"annotations":[`...)
		dst = append(dst, p.annotations...)
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// textMember returns a string member of an object, escaped; nil without one.
func textMember(object []byte, name string) (text []byte) {
	c := jsonwalk.Lax(object)
	c.Enter('{')
	for c.More('}') {
		if string(c.Key()) == name {
			text = c.Text()
		} else {
			c.Value()
		}
	}
	return text
}

// appendRewritten appends an object with the values of some members replaced
// by what put appends for them; a member for which put appends nothing stays
// as it is. Replaced members that the object lacks are added at its end.
func appendRewritten(dst, object []byte, names []string, put func(dst []byte, name string) []byte) []byte {
	var seen uint
	dst = append(dst, '{')
	open := len(dst)
	member := func(key []byte) {
		if len(dst) > open {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, key...)
		dst = append(dst, '"', ':')
	}
	c := jsonwalk.Lax(object)
	c.Enter('{')
	for c.More('}') {
		key := c.Key()
		value := c.Value()
		member(key)
		before := len(dst)
		for i, name := range names {
			if string(key) == name {
				seen |= 1 << i
				dst = put(dst, name)
			}
		}
		if len(dst) == before {
			dst = append(dst, value...)
		}
	}
	for i, name := range names {
		if seen&(1<<i) == 0 {
			before := len(dst)
			member([]byte(name))
			start := len(dst)
			if dst = put(dst, name); len(dst) == start {
				dst = dst[:before]
			}
		}
	}
	return append(dst, '}')
}

// appendQuoted appends a string whose inside is escaped already, less a
// character at its end of which only a part had arrived.
func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	dst = append(dst, wholeText(text)...)
	return append(dst, '"')
}

// appendUsage appends a usage object with our own figures, or nothing when
// there are none.
func appendUsage(dst []byte, api spillway.API, u spillway.Usage) []byte {
	if u.Prompt == 0 && u.Completion == 0 {
		return dst
	}
	prompt, completion := "prompt_tokens", "completion_tokens"
	if api == spillway.APIResponses {
		prompt, completion = "input_tokens", "output_tokens"
	}
	field := func(lead, name, tail string, n int) {
		dst = append(dst, lead...)
		dst = append(dst, name...)
		dst = append(dst, tail...)
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	field(`{"`, prompt, `":`, u.Prompt)
	field(`,"`, completion, `":`, u.Completion)
	field(`,"`, "total_tokens", `":`, u.Prompt+u.Completion)
	field(`,"`, prompt, `_details":{"cached_tokens":`, u.Cached)
	if api == spillway.APIResponses || u.CacheWrite > 0 { // OpenAI's SDKs require it in Responses
		field(`,"`, "cache_write_tokens", `":`, u.CacheWrite)
	}
	field(`},"`, completion, `_details":{"reasoning_tokens":`, u.Reasoning)
	return append(dst, '}', '}')
}
