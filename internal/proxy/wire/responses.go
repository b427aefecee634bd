package wire

import (
	"bytes"
	"cmp"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

// responseLog follows a stream of the Responses API. It keeps the response as
// far as it has come, because only the terminal event repeats it in whole and
// a stream that is cut never has one.
type responseLog struct {
	shape    shape
	base     []byte // the response object of the first event that has one
	final    []byte // that of the terminal event
	finalRaw bool   // final is set
	hasItems bool   // final has items
	sequence int    // highest sequence number seen
	size     int    // bytes kept of items
	// serviceTier is the one that a response object has named last.
	serviceTier string
	items       []responseItem
}

// responseItem is one element of a response's output.
type responseItem struct {
	index int
	ids   [2][]byte // its id and call_id; empty without
	raw   []byte    // the item as it was added or, when done, in whole
	done  bool
	parts []responsePart
}

// partKind is what a delta of a response adds to.
type partKind uint8

const (
	partNone partKind = iota
	partText
	partRefusal
	partSummary
	partReasoning
	partArguments
	partInput
	partCode
)

// responsePart is one text that grows by deltas.
type responsePart struct {
	kind        partKind
	index       int
	text        []byte // escaped
	annotations []byte // elements, joined by commas
	done        bool   // content_part.done was seen
	raw         []byte // the part in whole, when done
}

// responseEvent is one event, its texts still escaped.
type responseEvent struct {
	kind                 []byte
	item, part, sequence int
	placed               bool   // item is set
	itemID               []byte // which tells the item where it is not
	delta                []byte
	object               []byte // response, item, part or annotation
	err                  *StreamError
}

func (r *responseLog) reset() {
	r.shape.reset()
	r.base, r.final = trim(r.base), trim(r.final)
	r.finalRaw, r.hasItems, r.sequence, r.size, r.serviceTier = false, false, 0, 0, ""
	r.items = r.items[:0]
}

// held returns how many bytes r keeps, in steps of heldStep.
func (r *responseLog) held() int {
	return (r.size + len(r.base) + len(r.final)) &^ (heldStep - 1)
}

// observeResponse is Observe for the Responses API.
func (s *Stream) observeResponse(ev sse.Event) (Signal, error) {
	sig, err := s.resp.read(ev)
	s.done = s.done || sig.Done
	return sig, err
}

// The holes of a responseLog's shape: targets from 0 are item and part packed
// by partTarget.
const (
	holeSequence int32 = -2
	partBits     int   = 16
)

// read takes in one event.
func (r *responseLog) read(raw sse.Event) (Signal, error) {
	data := raw.Data
	var got [maxHoles][]byte
	if r.shape.match(data, &got) {
		return r.matched(&got)
	}
	var ev responseEvent
	c := jsonwalk.Strict(data)
	r.shape.startRecording()
	ev.read(&c, &r.shape)
	if !c.Done() {
		r.shape.spoil()
		return Signal{}, ErrMalformed
	}
	if ev.err == nil && (string(ev.kind) == eventError || isErrorEvent(raw)) {
		ev.err = readError(new(jsonwalk.Lax(data)))
	}
	r.sequence = max(r.sequence, ev.sequence)
	var sig Signal
	target, err := r.apply(&ev, &sig)
	if target >= 0 {
		r.aim(target)
		r.shape.finishRecording(data)
	} else {
		r.shape.spoil()
	}
	return sig, err
}

// aim gives the hole of the delta its target.
func (r *responseLog) aim(target int32) {
	for k := range r.shape.n {
		if r.shape.holes[k].target == holeToken {
			r.shape.holes[k].target = target
		}
	}
}

// matched takes in an event of the remembered shape.
func (r *responseLog) matched(got *[maxHoles][]byte) (sig Signal, err error) {
	for k := range r.shape.n {
		switch target := r.shape.holes[k].target; {
		case target == holeSequence:
			r.sequence = max(r.sequence, jsonwalk.Atoi(got[k]))
		case target >= 0 && len(got[k]) > 0:
			sig.Tokens += tokensIn(got[k])
			part := &r.items[target>>partBits].parts[target&(1<<partBits-1)]
			err = r.grow(&part.text, got[k])
		}
	}
	return sig, err
}

// grow appends to a kept text within the limit.
func (r *responseLog) grow(text *[]byte, more []byte) error {
	if r.size += len(more); r.size > MaxResponseText {
		return ErrTooLarge
	}
	*text = append(*text, more...)
	return nil
}

// growValue is grow for a whole JSON value. Line ends, which are white space
// there, give way to spaces, so that the value can stand in one line of data.
func (r *responseLog) growValue(text *[]byte, raw []byte) error {
	start := len(*text)
	if err := r.grow(text, raw); err != nil {
		return err
	}
	for i, ch := range (*text)[start:] {
		if ch == '\n' || ch == '\r' {
			(*text)[start+i] = ' '
		}
	}
	return nil
}

// read reads the members that matter, whatever the kind of the event.
func (ev *responseEvent) read(c *jsonwalk.Cursor, sh *shape) {
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "type":
			ev.kind = c.Text()
		case "sequence_number":
			raw := c.Value()
			ev.sequence = jsonwalk.Atoi(raw)
			if len(raw) > 0 && jsonwalk.Digits(raw) == len(raw) {
				sh.addHole(c.Offset()-len(raw), c.Offset(), hole{digits: true, target: holeSequence})
			}
		case "output_index":
			if !c.IsNull() {
				ev.item, ev.placed = c.Number(), true
			}
		case "item_id":
			ev.itemID = c.Text()
		case "content_index", "summary_index":
			ev.part = c.Number()
		case "delta":
			ev.delta = readHole(c, sh, holeToken)
		case "obfuscation":
			readHole(c, sh, holeIgnored)
		case "response", "item", "part", "annotation":
			ev.object = c.Value()
		case "error":
			if !c.IsNull() {
				ev.err = readError(c)
			}
		default:
			c.Value()
		}
	}
}

// apply records what an event says. For a delta that is kept, it returns the
// packed place of its text; else -1.
func (r *responseLog) apply(ev *responseEvent, sig *Signal) (target int32, err error) {
	if ev.err != nil {
		sig.Err = ev.err
		return -1, nil //nolint:nilerr // the event is valid; its content is an error
	}
	kind := string(ev.kind)
	if !ev.placed {
		ev.item = r.place(ev)
	}
	switch kind {
	case "response.created", "response.queued", "response.in_progress":
		return -1, r.keepBase(ev.object)
	case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
		return -1, r.readTerminal(ev.object, sig)
	case eventItemAdded, eventItemDone:
		if kind == eventItemDone && string(textMember(ev.object, "type")) == imageCall {
			sig.Tokens++
		}
		return -1, r.putItem(ev, kind == eventItemDone)
	case "response.content_part.added", "response.content_part.done",
		"response.reasoning_summary_part.added", "response.reasoning_summary_part.done":
		return -1, r.putPart(ev, bytes.HasSuffix(ev.kind, []byte("done")))
	case "response.output_text.annotation.added":
		_, p := r.part(ev.item, ev.part, partText)
		if p == nil {
			return -1, nil
		}
		if len(p.annotations) > 0 {
			p.annotations = append(p.annotations, ',')
		}
		return -1, r.growValue(&p.annotations, ev.object)
	}
	if kind == "response.image_generation_call.partial_image" {
		sig.Tokens++ // an image is output, whatever it has in tokens
	}
	if !bytes.HasSuffix(ev.kind, []byte(".delta")) {
		return -1, nil
	}
	if kind == "response.audio.delta" {
		sig.Tokens += min(len(ev.delta), 1)
	} else {
		sig.Tokens += tokensIn(ev.delta)
	}
	at, p := r.part(ev.item, ev.part, deltaKind(kind))
	if p == nil {
		return -1, nil
	}
	return at, r.grow(&p.text, ev.delta)
}

// The events and items that more than one place names.
const (
	eventItemAdded = "response.output_item.added"
	eventItemDone  = "response.output_item.done"
	imageCall      = "image_generation_call"
	searchCall     = "web_search_call"
)

// deltaKind is what the deltas of an event kind add to. Deltas of other kinds
// count as tokens, but their text is not kept.
func deltaKind(kind string) partKind {
	switch kind {
	case "response.output_text.delta":
		return partText
	case "response.refusal.delta":
		return partRefusal
	case "response.reasoning_summary_text.delta":
		return partSummary
	case "response.reasoning_text.delta":
		return partReasoning
	case "response.function_call_arguments.delta", "response.mcp_call_arguments.delta":
		return partArguments
	case "response.custom_tool_call_input.delta":
		return partInput
	case "response.code_interpreter_call_code.delta":
		return partCode
	}
	return partNone
}

func (r *responseLog) keepBase(object []byte) error {
	if len(r.base) > 0 {
		return nil
	}
	r.serviceTier = scanServiceTier(object)
	return r.growValue(&r.base, object)
}

// readTerminal takes in the response object of a terminal event.
func (r *responseLog) readTerminal(object []byte, sig *Signal) error {
	sig.Done = true
	c := jsonwalk.Lax(object)
	if c.Peek() != '{' {
		return ErrMalformed
	}
	var status []byte
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "status":
			status = c.Text()
		case "usage":
			sig.Usage = readUsage(&c, spillway.APIResponses)
		case "output":
			list := jsonwalk.Lax(c.Value())
			list.Enter('[')
			r.hasItems = list.More(']')
		case "service_tier":
			r.serviceTier = cmp.Or(serviceTierOf(c.Text()), r.serviceTier)
		case "incomplete_details":
			if c.Peek() == '{' {
				sig.Finish = readReason(&c)
			} else {
				c.Value()
			}
		case "error":
			if !c.IsNull() {
				sig.Err = readError(&c)
			}
		default:
			c.Value()
		}
	}
	if string(status) == "completed" && sig.Finish == spillway.FinishUnknown {
		sig.Finish = spillway.FinishStop
	}
	r.final, r.finalRaw = r.final[:0], true
	return r.growValue(&r.final, object)
}
