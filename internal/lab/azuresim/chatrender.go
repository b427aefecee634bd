package azuresim

import (
	"strconv"

	spillway "github.com/spillway-ai/spillway"
)

// The annotations of the content filter, when nothing was found.
const (
	safeCategories = `{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}`
	promptFilter   = `[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"detected":false,"filtered":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}]`
	fingerprint    = `"fp_efad92c60b"`
)

// chat renders chat completions.
type chat struct {
	x       *exchange
	g       *generation
	id      string
	filters bool
	head    []byte // a chunk up to its delta
	tail    []byte // a chunk from created on
	ident   []byte // created, id and model
	opened  []bool // choices whose role is out
}

func newChat(x *exchange, g *generation) renderer {
	c := &chat{x: x, g: g, filters: x.s.cfg.Filters, opened: make([]bool, g.choices)}
	c.id = "chatcmpl-" + randomText(x.s.nextID(), 29)
	c.ident = x.ident(c.id)
	c.head = []byte(`data: {"choices":[{`)
	if c.filters {
		c.head = append(c.head, `"content_filter_results":`+safeCategories+`,`...)
	}
	c.head = append(c.head, `"delta":`...)
	c.tail = append([]byte(`],`), c.ident...)
	c.tail = append(c.tail, `,"object":"chat.completion.chunk"`...)
	c.tail = x.appendTier(c.tail)
	c.tail = append(c.tail, `,"system_fingerprint":`+fingerprint...)
	return c
}

// appendTier appends the service tier, where the answer names it.
func (x *exchange) appendTier(b []byte) []byte {
	if !x.namesTier {
		return b
	}
	return append(b, `,"service_tier":"`+x.tier+`"`...)
}

// ident is the created, id and model members of a response.
func (x *exchange) ident(id string) []byte {
	b := append([]byte(`"created":`), strconv.FormatInt(x.pace.began.Unix(), 10)...)
	b = append(b, `,"id":"`+id+`","model":`...)
	return appendQuoted(b, display(modelVersions, x.dep.config.Model))
}

func (c *chat) appendStart(b []byte) []byte {
	if !c.filters {
		return b
	}
	return append(b, `data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":`+promptFilter+"}\n\n"...)
}

func (c *chat) appendChunk(b []byte, choice int, tokens []piece) []byte {
	p := &tokens[0]
	if !c.opened[choice] {
		b = c.role(b, choice, p.kind)
	}
	b = append(b, c.head...)
	switch p.kind {
	case pieceText:
		b = append(b, `{"content":"`...)
		b = appendTexts(b, tokens)
		b = append(b, `"}`...)
	case pieceRefusal:
		b = append(b, `{"refusal":"`...)
		b = appendTexts(b, tokens)
		b = append(b, `"}`...)
	default:
		b = append(b, `{"tool_calls":[{"index":`...)
		b = strconv.AppendInt(b, int64(p.call), 10)
		b = append(b, ',')
		if p.kind == pieceCall {
			b = append(b, `"id":"`+p.of.id+`","type":"function",`...)
		}
		b = append(b, `"function":{`...)
		if p.kind == pieceCall {
			b = append(b, `"name":`...)
			b = appendQuoted(b, p.of.name)
			b = append(b, ',')
		}
		b = append(b, `"arguments":"`...)
		b = appendTexts(b, tokens)
		b = append(b, `"}}]}`...)
	}
	b = append(b, `,"finish_reason":null,"index":`...)
	b = strconv.AppendInt(b, int64(choice), 10)
	b = append(b, `,"logprobs":`...)
	if c.g.logprobs && p.kind == pieceText {
		b = append(b, `{"content":[`...)
		for i := range tokens {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendLogprob(b, tokens[i].text, c.g.topLogprobs)
		}
		b = append(b, `],"refusal":null}`...)
	} else {
		b = append(b, `null`...)
	}
	return c.end(b)
}

// end ends a chunk with choices.
func (c *chat) end(b []byte) []byte {
	b = append(b, '}')
	b = append(b, c.tail...)
	if c.g.includeUsage {
		b = append(b, `,"usage":null`...)
	}
	return append(b, "}\n\n"...)
}

// role is a choice's first chunk, which holds no token.
func (c *chat) role(b []byte, choice int, kind pieceKind) []byte {
	c.opened[choice] = true
	b = append(b, c.head...)
	if kind == pieceText {
		b = append(b, `{"content":"","refusal":null,"role":"assistant"}`...)
	} else {
		b = append(b, `{"content":null,"refusal":null,"role":"assistant"}`...)
	}
	b = append(b, `,"finish_reason":null,"index":`...)
	b = strconv.AppendInt(b, int64(choice), 10)
	b = append(b, `,"logprobs":null`...)
	return c.end(b)
}

func (c *chat) appendEnd(b []byte, answers []answer, end spillway.Finish, u spillway.Usage) []byte {
	for i := range answers {
		if !c.opened[i] {
			b = c.role(b, i, pieceText)
		}
		b = append(b, `data: {"choices":[{`...)
		if c.filters {
			b = append(b, `"content_filter_results":{},`...)
		}
		b = append(b, `"delta":{},"finish_reason":"`+answers[i].reason(end)+`","index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `,"logprobs":null`...)
		b = c.end(b)
	}
	if c.g.includeUsage && u.Known {
		b = append(b, `data: {"choices":[`...)
		b = append(b, c.tail...)
		b = append(b, `,"usage":`...)
		b = appendChatUsage(b, u)
		b = append(b, "}\n\n"...)
	}
	c.storeCopy(end, u)
	return append(b, "data: [DONE]\n\n"...)
}

// reason is the finish_reason of chat.
func (a *answer) reason(end spillway.Finish) string {
	if end == spillway.FinishStop && len(a.calls) > 0 {
		return "tool_calls"
	}
	return end.String()
}

func (c *chat) appendWhole(b []byte, answers []answer, n int, end spillway.Finish, u spillway.Usage) []byte {
	start := len(b)
	b = append(b, `{"choices":[`...)
	for i := range answers {
		if i > 0 {
			b = append(b, ',')
		}
		b = c.choice(b, i, &answers[i], n, end)
	}
	b = append(b, `],`...)
	b = append(b, c.ident...)
	b = append(b, `,"object":"chat.completion"`...)
	if c.filters {
		b = append(b, `,"prompt_filter_results":`+promptFilter...)
	}
	b = c.x.appendTier(b)
	b = append(b, `,"system_fingerprint":`+fingerprint...)
	if u.Known {
		b = append(b, `,"usage":`...)
		b = appendChatUsage(b, u)
	}
	c.store(b[start:])
	return append(b, '}')
}

// choice is one choice of a synchronous response with n visible tokens.
func (c *chat) choice(b []byte, index int, a *answer, n int, end spillway.Finish) []byte {
	b = append(b, '{')
	if c.filters {
		b = append(b, `"content_filter_results":`+safeCategories+`,`...)
	}
	b = append(b, `"finish_reason":"`+a.reason(end)+`","index":`...)
	b = strconv.AppendInt(b, int64(index), 10)
	b = append(b, `,"logprobs":`...)
	s := a.collect(n, end == spillway.FinishStop, c.g)
	if s.logprobs != nil {
		b = append(b, `{"content":[`...)
		b = append(b, s.logprobs...)
		b = append(b, `],"refusal":null}`...)
	} else {
		b = append(b, `null`...)
	}
	b = append(b, `,"message":{"annotations":[],"content":`...)
	if s.refusal == nil && len(s.calls) == 0 {
		b = appendQuoted(b, s.text)
	} else {
		b = append(b, `null`...)
	}
	b = append(b, `,"refusal":`...)
	b = appendNullable(b, string(s.refusal))
	b = append(b, `,"role":"assistant"`...)
	for n := range s.calls {
		b = append(b, [2]string{`,"tool_calls":[`, `,`}[min(n, 1)]...)
		b = append(b, `{"function":{"arguments":`...)
		b = appendQuoted(b, s.calls[n])
		b = append(b, `,"name":`...)
		b = appendQuoted(b, a.calls[n].name)
		b = append(b, `},"id":"`+a.calls[n].id+`","type":"function"}`...)
	}
	if len(s.calls) > 0 {
		b = append(b, ']')
	}
	return append(b, `}}`...)
}

// appendChatUsage appends the usage object of chat and completions.
func appendChatUsage(b []byte, u spillway.Usage) []byte {
	b = append(b, `{"completion_tokens":`...)
	b = strconv.AppendInt(b, int64(u.Completion), 10)
	b = append(b, `,"completion_tokens_details":{"accepted_prediction_tokens":0,"audio_tokens":0,"reasoning_tokens":`...)
	b = strconv.AppendInt(b, int64(u.Reasoning), 10)
	b = append(b, `,"rejected_prediction_tokens":0}`...)
	b = appendField(b, "prompt_tokens", u.Prompt)
	b = append(b, `,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":`...)
	b = strconv.AppendInt(b, int64(u.Cached), 10)
	b = append(b, '}')
	b = appendField(b, "total_tokens", u.Prompt+u.Completion)
	return append(b, '}')
}
