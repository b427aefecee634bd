package azuresim

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"

	spillway "github.com/spillway-ai/spillway"
)

// responses renders the Responses API. A stream is a sequence of numbered
// events around output items, of which one is open at a time.
type responses struct {
	x        *exchange
	g        *generation
	id       string
	itemID   string // of the message
	model    string
	sequence int

	items   [][]byte // finished
	itemIDs []string // of items
	pending *background
	failure string // of a failed response, as JSON

	active bool
	kind   pieceKind // of the open item
	call   *call     // of the open item, if it is one
	text   []byte    // of the open item: its text, refusal or arguments
	said   []byte    // all visible text, for the conversation's history
}

func newResponses(x *exchange, g *generation) renderer {
	return &responses{
		x: x, g: g,
		id: "resp_" + randomText(x.s.nextID(), 48), itemID: "msg_" + randomText(x.s.nextID(), 48),
		model: display(modelVersions, x.dep.config.Model),
	}
}

// event begins an event; the caller ends it with "}\n\n".
func (r *responses) event(b []byte, name string) []byte {
	b = append(b, "event: "...)
	b = append(b, name...)
	b = append(b, "\ndata: {\"type\":\""...)
	b = append(b, name...)
	b = append(b, `","sequence_number":`...)
	b = strconv.AppendInt(b, int64(r.sequence), 10)
	r.sequence++
	return b
}

func (r *responses) appendStart(b []byte) []byte {
	for _, name := range []string{"response.created", "response.in_progress"} {
		b = r.event(b, name)
		b = append(b, `,"response":`...)
		b = r.object(b, "in_progress", nil)
		b = append(b, "}\n\n"...)
	}
	if r.x.plan.ReasoningTokens > 0 {
		b = r.itemEvent(b, "response.output_item.added", r.reasoning())
		b = r.itemEvent(b, "response.output_item.done", r.reasoning())
		r.finishItem(r.reasoningID(), r.reasoning())
	}
	return b
}

func (r *responses) finishItem(id string, item []byte) {
	r.items, r.itemIDs = append(r.items, item), append(r.itemIDs, id)
}

func (r *responses) reasoningID() string { return "rs_" + r.id[len("resp_"):] }

// reasoning is the item that stands for hidden tokens.
func (r *responses) reasoning() []byte {
	encrypted := ""
	if slices.Contains(r.g.response.Include, "reasoning.encrypted_content") {
		encrypted = `,"encrypted_content":"` + r.x.seal() + r.id[len("resp_"):] + `"`
	}
	return []byte(`{"id":"` + r.reasoningID() + `","type":"reasoning","summary":[]` + encrypted + `}`)
}

// itemEvent appends an event about a whole item.
func (r *responses) itemEvent(b []byte, name string, item []byte) []byte {
	b = r.event(b, name)
	b = appendField(b, "output_index", len(r.items))
	b = append(b, `,"item":`...)
	b = append(b, item...)
	return append(b, "}\n\n"...)
}

// partEvent begins an event about the open item or its content.
func (r *responses) partEvent(b []byte, name string) []byte {
	b = r.event(b, name)
	b = appendField(b, "output_index", len(r.items))
	b = append(b, `,"item_id":"`...)
	if r.call != nil {
		b = append(b, r.call.itemID...)
		return append(b, '"')
	}
	b = append(b, r.itemID...)
	return append(b, `","content_index":0`...)
}

func (r *responses) appendChunk(b []byte, _ int, tokens []piece) []byte {
	p := &tokens[0]
	if !r.active || p.of != r.call {
		b = r.closeItem(b, "completed")
		b = r.openItem(b, p)
	}
	for i := range tokens {
		r.text = append(r.text, tokens[i].text...)
	}
	switch p.kind {
	case pieceCall:
		return b
	case pieceArguments:
		b = r.partEvent(b, "response.function_call_arguments.delta")
	case pieceRefusal:
		b = r.partEvent(b, "response.refusal.delta")
	default:
		b = r.partEvent(b, "response.output_text.delta")
	}
	b = append(b, `,"delta":"`...)
	b = appendTexts(b, tokens)
	b = append(b, '"')
	if p.kind == pieceText {
		b = append(b, `,"logprobs":[]`...)
	}
	return append(b, "}\n\n"...)
}

// openItem announces the item that the piece belongs to.
func (r *responses) openItem(b []byte, p *piece) []byte {
	r.active, r.kind, r.call, r.text = true, p.kind, p.of, r.text[:0]
	if p.of != nil {
		return r.itemEvent(b, "response.output_item.added", r.callItem("in_progress"))
	}
	b = r.itemEvent(b, "response.output_item.added", []byte(`{"id":"`+r.itemID+`","type":"message","status":"in_progress","role":"assistant","content":[]}`))
	b = r.partEvent(b, "response.content_part.added")
	b = append(b, `,"part":`...)
	b = r.part(b)
	return append(b, "}\n\n"...)
}

// closeItem says that the open item, if there is one, is finished.
func (r *responses) closeItem(b []byte, status string) []byte {
	if !r.active {
		return b
	}
	r.active = false
	if r.call != nil {
		b = r.partEvent(b, "response.function_call_arguments.done")
		b = append(b, `,"name":`...)
		b = appendQuoted(b, r.call.name)
		b = append(b, `,"arguments":`...)
		b = appendQuoted(b, r.text)
		b = append(b, "}\n\n"...)
		item := r.callItem(status)
		b = r.itemEvent(b, "response.output_item.done", item)
		r.finishItem(r.call.itemID, item)
		return b
	}
	if r.kind == pieceRefusal {
		b = r.partEvent(b, "response.refusal.done")
		b = append(b, `,"refusal":`...)
		b = appendQuoted(b, r.text)
	} else {
		b = r.partEvent(b, "response.output_text.done")
		b = append(b, `,"text":`...)
		b = appendQuoted(b, r.text)
		b = append(b, `,"logprobs":[]`...)
	}
	b = append(b, "}\n\n"...)
	b = r.partEvent(b, "response.content_part.done")
	b = append(b, `,"part":`...)
	b = r.part(b)
	b = append(b, "}\n\n"...)
	item := r.messageItem(status)
	b = r.itemEvent(b, "response.output_item.done", item)
	r.finishItem(r.itemID, item)
	r.said = append(r.said, r.text...)
	return b
}

// part is the open message's content.
func (r *responses) part(b []byte) []byte {
	if r.kind == pieceRefusal {
		b = append(b, `{"type":"refusal","refusal":`...)
		b = appendQuoted(b, r.text)
		return append(b, '}')
	}
	b = append(b, `{"type":"output_text","annotations":[],"logprobs":[],"text":`...)
	b = appendQuoted(b, r.text)
	return append(b, '}')
}

func (r *responses) messageItem(status string) []byte {
	b := []byte(`{"id":"` + r.itemID + `","type":"message","status":"` + status + `","role":"assistant","content":[`)
	b = r.part(b)
	return append(b, `]}`...)
}

func (r *responses) callItem(status string) []byte {
	b := []byte(`{"id":"` + r.call.itemID + `","type":"function_call","status":"` + status + `","call_id":"` + r.call.id + `","name":`)
	b = appendQuoted(b, r.call.name)
	b = append(b, `,"arguments":`...)
	b = appendQuoted(b, r.text)
	return append(b, '}')
}

func (r *responses) appendEnd(b []byte, _ []answer, end spillway.Finish, u spillway.Usage) []byte {
	status := "completed"
	if end == spillway.FinishLength {
		status = "incomplete"
	}
	b = r.closeItem(b, status)
	b = r.event(b, "response."+status)
	b = append(b, `,"response":`...)
	object := r.object(nil, status, &u)
	r.keep(object)
	b = append(b, object...)
	return append(b, "}\n\n"...)
}

// appendWhole says everything to itself as a stream and keeps the last object.
func (r *responses) appendWhole(b []byte, answers []answer, n int, end spillway.Finish, u spillway.Usage) []byte {
	scratch := r.appendStart(nil)
	for i := range n {
		token := answers[0].take(end == spillway.FinishStop && i == n-1)
		scratch = r.appendChunk(scratch[:0], 0, []piece{token})
	}
	status := "completed"
	if end == spillway.FinishLength {
		status = "incomplete"
	}
	r.closeItem(scratch[:0], status)
	start := len(b)
	b = r.object(b, status, &u)
	r.keep(b[start:])
	return b
}

// object is the response itself; usage is nil while it is in progress.
func (r *responses) object(b []byte, status string, u *spillway.Usage) []byte {
	q := r.g.response
	b = append(b, `{"id":"`+r.id+`","object":"response","created_at":`...)
	b = strconv.AppendInt(b, r.x.pace.began.Unix(), 10)
	b = append(b, `,"status":"`+status+`","background":`...)
	b = strconv.AppendBool(b, q.Background)
	b = append(b, `,"error":`...)
	b = append(b, cmp.Or(r.failure, "null")...)
	b = append(b, `,"incomplete_details":`...)
	if status == "incomplete" {
		b = append(b, `{"reason":"max_output_tokens"}`...)
	} else {
		b = append(b, `null`...)
	}
	b = appendRaw(b, "instructions", q.Instructions, "null")
	if q.MaxOutputTokens != nil {
		b = appendField(b, "max_output_tokens", *q.MaxOutputTokens)
	} else {
		b = append(b, `,"max_output_tokens":null`...)
	}
	b = append(b, `,"model":`...)
	b = appendQuoted(b, r.model)
	b = append(b, `,"output":[`...)
	for i, item := range r.items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, item...)
	}
	b = append(b, `],"parallel_tool_calls":`...)
	b = strconv.AppendBool(b, r.g.parallel)
	b = append(b, `,"previous_response_id":`...)
	b = appendNullable(b, q.PreviousResponseID)
	b = appendRaw(b, "reasoning", q.Reasoning, `{"effort":null,"summary":null}`)
	b = append(b, `,"store":`...)
	b = strconv.AppendBool(b, q.stores())
	if r.x.namesTier {
		b = append(b, `,"service_tier":"`+r.x.tier+`"`...)
	}
	if q.conversation != "" {
		b = append(b, `,"conversation":{"id":"`+q.conversation+`"}`...)
	}
	b = append(b, `,"temperature":1.0`...)
	b = appendRaw(b, "text", q.Text, `{"format":{"type":"text"}}`)
	b = appendRaw(b, "tool_choice", q.ToolChoice, `"auto"`)
	b = appendRaw(b, "tools", q.Tools, `[]`)
	b = append(b, `,"top_p":1.0,"truncation":"disabled","usage":`...)
	if u != nil && u.Known {
		b = append(b, `{"input_tokens":`...)
		b = strconv.AppendInt(b, int64(u.Prompt), 10)
		b = append(b, `,"input_tokens_details":{"cached_tokens":`...)
		b = strconv.AppendInt(b, int64(u.Cached), 10)
		b = appendField(b, "cache_write_tokens", u.CacheWrite)
		b = append(b, '}')
		b = appendField(b, "output_tokens", u.Completion)
		b = append(b, `,"output_tokens_details":{"reasoning_tokens":`...)
		b = strconv.AppendInt(b, int64(u.Reasoning), 10)
		b = append(b, '}')
		b = appendField(b, "total_tokens", u.Prompt+u.Completion)
		b = append(b, '}')
	} else {
		b = append(b, `null`...)
	}
	b = append(b, `,"user":null`...)
	b = appendRaw(b, "metadata", q.Metadata, `{}`)
	return append(b, '}')
}

// appendRaw appends a member as the client sent it, or its default.
func appendRaw(b []byte, name string, raw json.RawMessage, byDefault string) []byte {
	b = append(b, `,"`+name+`":`...)
	if len(raw) == 0 || string(raw) == "null" {
		return append(b, byDefault...)
	}
	return append(b, raw...)
}
