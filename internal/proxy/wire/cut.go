package wire

import (
	"strconv"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// CutOptions says what the client of a stream that is cut was promised.
type CutOptions struct {
	// IncludeUsage adds the usage chunk of chat and completions, unless it was
	// seen already. A response always has its usage.
	IncludeUsage bool
	// Usage is the caller's own count; zero tokens leave it out.
	Usage spillway.Usage
}

// AppendCut appends the events that end the stream where it is, so that the
// client sees a complete response that ended for length. They follow whole
// events only. Nothing is appended when the end was already seen, or when the
// stream has not begun.
func (s *Stream) AppendCut(dst []byte, opts CutOptions) []byte {
	switch {
	case s.done:
		return dst
	case s.api == spillway.APIResponses:
		return s.resp.appendCut(dst, opts.Usage)
	case s.api != spillway.APIChat && s.api != spillway.APICompletions, len(s.id)+len(s.choices) == 0:
		return dst
	}
	if len(s.choices) == 0 {
		s.choice(0)
	}
	open := 0
	for _, choice := range s.choices {
		if !choice.finished {
			open++
		}
	}
	if open > 0 {
		dst = s.appendHead(dst)
		for _, choice := range s.choices {
			if choice.finished {
				continue
			}
			if dst[len(dst)-1] != '[' {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"index":`...)
			dst = appendCount(dst, choice.index)
			dst = append(dst, s.emptyPart()...)
			dst = append(dst, `,"logprobs":null,"finish_reason":"length"}`...)
		}
		dst = append(dst, "]}\n\n"...)
	}
	if opts.IncludeUsage && !s.usageSeen {
		dst = s.appendHead(dst)
		dst = append(dst, `],"usage":`...)
		before := len(dst)
		if dst = appendUsage(dst, s.api, opts.Usage); len(dst) == before {
			dst = append(dst, "null"...)
		}
		dst = append(dst, "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}

// appendHead appends the beginning of a chunk up to its choices.
func (s *Stream) appendHead(dst []byte) []byte {
	dst = append(dst, `data: {"id":"`...)
	dst = append(dst, s.id...)
	if s.api == spillway.APIChat {
		dst = append(dst, `","object":"chat.completion.chunk","created":`...)
	} else {
		dst = append(dst, `","object":"text_completion","created":`...)
	}
	if len(s.created) == 0 {
		dst = append(dst, '0')
	}
	dst = append(dst, s.created...)
	dst = append(dst, `,"model":"`...)
	dst = append(dst, s.model...)
	return append(dst, `","choices":[`...)
}

// emptyPart is the member of a choice that adds nothing to its text.
func (s *Stream) emptyPart() string {
	if s.api == spillway.APIChat {
		return `,"delta":{}`
	}
	return `,"text":""`
}

// appendCount appends a number in decimal digits.
func appendCount(dst []byte, n int) []byte {
	return strconv.AppendInt(dst, int64(n), 10)
}

// appendCut appends the events that end a response: its open texts, parts and
// items, and the terminal event. The arguments of a tool call that was cut get
// no event of their own that a client could take for complete ones; they are
// in the item, which is marked incomplete. A response in the background is not ended: it
// goes on, and the client may resume its stream.
func (r *responseLog) appendCut(dst []byte, usage spillway.Usage) []byte {
	if len(r.base) == 0 || inBackground(r.base) {
		return dst
	}
	for i := range r.items {
		it := &r.items[i]
		if it.done || !it.known() {
			continue
		}
		id := textMember(it.raw, "id")
		for k := range it.parts {
			if p := &it.parts[k]; !p.done {
				dst = r.appendPartEnd(dst, it, p, id)
			}
		}
		dst = r.appendEvent(dst, "response.output_item.done")
		dst = append(dst, `,"output_index":`...)
		dst = appendCount(dst, it.index)
		dst = append(dst, `,"item":`...)
		dst = it.appendTo(dst)
		dst = append(dst, "}\n\n"...)
	}
	dst = r.appendEvent(dst, "response.incomplete")
	dst = append(dst, `,"response":`...)
	dst = r.appendIncomplete(dst, usage)
	return append(dst, "}\n\n"...)
}

// inBackground reports whether a response runs without its stream.
func inBackground(response []byte) (found bool) {
	c := jsonwalk.Lax(response)
	c.Enter('{')
	for c.More('}') {
		key := string(c.Key())
		if value := c.Value(); key == "background" {
			found = string(value) == "true"
		}
	}
	return found
}

// partEnds names, by partKind, the events that end a text and its part, the
// member that holds the text, and the one that numbers the part.
var partEnds = [...]struct{ text, part, member, index string }{ // constant
	partText:      {"response.output_text.done", "response.content_part.done", "text", "content_index"},
	partRefusal:   {"response.refusal.done", "response.content_part.done", "refusal", "content_index"},
	partSummary:   {"response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "text", "summary_index"},
	partReasoning: {"response.reasoning_text.done", "response.content_part.done", "text", "content_index"},
}

// appendPartEnd appends the events that end a part of an item.
func (r *responseLog) appendPartEnd(dst []byte, it *responseItem, p *responsePart, id []byte) []byte {
	if int(p.kind) >= len(partEnds) {
		return dst
	}
	end := partEnds[p.kind]
	place := func(name string) {
		dst = r.appendEvent(dst, name)
		dst = append(dst, `,"item_id":"`...)
		dst = append(dst, id...)
		dst = append(dst, `","output_index":`...)
		dst = appendCount(dst, it.index)
		dst = append(dst, `,"`...)
		dst = append(dst, end.index...)
		dst = append(dst, `":`...)
		dst = appendCount(dst, p.index)
	}
	place(end.text)
	dst = append(dst, `,"`...)
	dst = append(dst, end.member...)
	dst = append(dst, `":`...)
	dst = appendQuoted(dst, p.text)
	if p.kind == partText {
		dst = append(dst, `,"logprobs":[]`...)
	}
	dst = append(dst, "}\n\n"...)
	place(end.part)
	dst = append(dst, `,"part":`...)
	dst = p.appendTo(dst)
	return append(dst, "}\n\n"...)
}

// appendEvent appends the beginning of the next event of the response.
func (r *responseLog) appendEvent(dst []byte, name string) []byte {
	r.sequence++
	dst = append(dst, "event: "...)
	dst = append(dst, name...)
	dst = append(dst, "\ndata: {\"type\":\""...)
	dst = append(dst, name...)
	dst = append(dst, `","sequence_number":`...)
	return appendCount(dst, r.sequence)
}
