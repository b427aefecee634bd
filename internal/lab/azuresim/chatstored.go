package azuresim

import (
	"encoding/json"
	"strconv"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// chatStored is a chat completion that was created with store, without what makes
// it a whole object until it has been composed.
type chatStored struct {
	id       string
	body     []byte // without its metadata and closing brace
	metadata json.RawMessage
	messages []chatMessage
}

func (c *chatStored) size() int {
	n := len(c.body) + len(c.metadata)
	for i := range c.messages {
		n += len(c.messages[i].Content) + len(c.messages[i].ToolCalls)
	}
	return n
}

func (c *chatStored) json(time.Time) []byte {
	b := append([]byte(nil), c.body...)
	b = appendRaw(b, "metadata", c.metadata, `{}`)
	return append(b, '}')
}

// store keeps a composed completion, if the request wants that. body is without its
// closing brace.
func (c *chat) store(body []byte) {
	o := c.g.stored
	if o == nil || c.x.offline {
		return
	}
	o.id, o.body = c.id, append([]byte(nil), body...)
	c.x.res.store.do(func() { c.x.res.store.put(o.id, o) })
}

// storeCopy keeps a completion that was streamed.
func (c *chat) storeCopy(end spillway.Finish, u spillway.Usage) {
	if c.g.stored != nil {
		c.appendWhole(nil, c.x.copies, c.x.plan.OutputTokens-c.x.plan.ReasoningTokens, end, u)
	}
}

// noChat is assumed.
func noChat(id string) error { return missing("Chat completion with id '"+id+"' not found.", "") }

func (x *exchange) listChats([]byte) error {
	return listOf(x, func(c *chatStored) string { return c.id })
}

func (x *exchange) getChat([]byte) error { return show[*chatStored](x, noChat) }

func (x *exchange) deleteChat([]byte) error {
	return remove[*chatStored](x, "chat.completion.deleted", noChat)
}

// updateChat replaces the metadata of a stored completion.
func (x *exchange) updateChat(body []byte) error {
	var r struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := decode(body, &r); err != nil {
		return err
	}
	x.res.store.do(func() {
		if c, ok := lookup[*chatStored](&x.res.store, x.id); ok {
			x.res.store.bytes += len(r.Metadata) - len(c.metadata)
			c.metadata = r.Metadata
		}
	})
	return show[*chatStored](x, noChat)
}

// listChatMessages lists what a stored completion answers, oldest first.
func (x *exchange) listChatMessages([]byte) error {
	var messages []chatMessage
	found := false
	x.res.store.do(func() {
		var c *chatStored
		if c, found = lookup[*chatStored](&x.res.store, x.id); found {
			messages = c.messages
		}
	})
	if !found {
		return noChat(x.id)
	}
	ids, list := make([]string, len(messages)), make([][]byte, len(messages))
	for i := range messages {
		ids[i] = x.id + "-" + strconv.Itoa(i)
		b := append([]byte(`{"id":"`+ids[i]+`","role":`), appendQuoted(nil, messages[i].Role)...)
		b = appendRaw(b, "content", messages[i].Content, `null`)
		if len(messages[i].ToolCalls) > 0 {
			b = appendRaw(b, "tool_calls", messages[i].ToolCalls, `null`)
		}
		list[i] = append(b, '}')
	}
	x.write(appendList(nil, ids, list, x.r.URL.Query().Get("after"), max(len(ids), 1)))
	return nil
}
