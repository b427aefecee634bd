package azuresim

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/stat"
)

// conversation is a list of items that responses read and continue.
type conversation struct {
	id       string
	created  time.Time
	metadata json.RawMessage
	ids      []string
	items    [][]byte
	bytes    int
}

func (c *conversation) size() int { return c.bytes + len(c.metadata) }

func (c *conversation) json(time.Time) []byte {
	b := []byte(`{"id":"` + c.id + `","object":"conversation","created_at":`)
	b = strconv.AppendInt(b, c.created.Unix(), 10)
	b = appendRaw(b, "metadata", c.metadata, `{}`)
	return append(b, '}')
}

// text is the conversation as prompt text.
func (c *conversation) text() string {
	var b strings.Builder
	for _, item := range c.items {
		b.Write(item)
	}
	return b.String()
}

// add appends items. The caller holds the store's lock.
func (c *conversation) add(s *store, ids []string, items [][]byte) {
	for i, id := range ids {
		c.ids, c.items = append(c.ids, id), append(c.items, items[i])
		c.bytes += len(items[i])
		s.bytes += len(items[i])
		s.keepItem(id)
	}
}

// find is the place of an item, or -1.
func (c *conversation) find(id string) int {
	for i := range c.ids {
		if c.ids[i] == id {
			return i
		}
	}
	return -1
}

// noConversation is worded as observed at OpenAI.
func noConversation(id string) error { return missing("Conversation with id '"+id+"' not found.", "") }

// conversationID reads a request's conversation: an id, or an object with one.
func conversationID(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var id string
	if json.Unmarshal(raw, &id) == nil {
		return id, nil
	}
	var o struct {
		ID string `json:"id"`
	}
	return o.ID, decode(raw, &o)
}

// inputItems are the items of a Responses input, or of a list of items, with ids
// that depend on of alone.
func inputItems(raw json.RawMessage, of string) (ids []string, items [][]byte) {
	var seed uint64
	for _, c := range []byte(of) {
		seed = stat.Mix(seed ^ uint64(c))
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		quoted := appendQuoted(nil, text)
		raw = append(append([]byte(`[{"role":"user","content":`), quoted...), `}]`...)
	}
	var list []map[string]json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, nil
	}
	for i, item := range list {
		if item == nil {
			continue // null
		}
		id := completeItem(item, randomText(seed+uint64(i), 48))
		text, err := json.Marshal(item)
		if err != nil {
			continue
		}
		ids, items = append(ids, id), append(items, text)
	}
	return ids, items
}

// completeItem adds what a client may leave out of an item, and returns its id.
func completeItem(item map[string]json.RawMessage, random string) string {
	kind, id, text := "message", "", ""
	if raw, ok := item["type"]; ok {
		_ = json.Unmarshal(raw, &kind) // another type is none that we know
	} else {
		item["type"] = json.RawMessage(`"message"`)
	}
	if kind == "message" {
		item["status"] = json.RawMessage(`"completed"`)
		if json.Unmarshal(item["content"], &text) == nil {
			part := append(append([]byte(`[{"type":"input_text","text":`), appendQuoted(nil, text)...), `}]`...)
			item["content"] = part
		}
	}
	if raw, ok := item["id"]; ok && json.Unmarshal(raw, &id) == nil && id != "" {
		return id
	}
	if id = "fc_" + random; kind == "message" {
		id = "msg_" + random
	}
	item["id"] = json.RawMessage(`"` + id + `"`)
	return id
}

func (x *exchange) createConversation(body []byte) error {
	var r struct {
		Items    json.RawMessage `json:"items"`
		Metadata json.RawMessage `json:"metadata"`
	}
	if len(body) > 0 {
		if err := decode(body, &r); err != nil {
			return err
		}
	}
	c := &conversation{id: "conv_" + randomText(x.s.nextID(), 48), created: x.s.clock.now(), metadata: r.Metadata}
	ids, items := inputItems(r.Items, c.id)
	x.res.store.do(func() {
		x.res.store.put(c.id, c)
		c.add(&x.res.store, ids, items)
	})
	x.write(c.json(c.created))
	return nil
}

// withConversation runs f on the conversation that the path names.
func (x *exchange) withConversation(f func(c *conversation)) error {
	found := false
	x.res.store.do(func() {
		var c *conversation
		if c, found = lookup[*conversation](&x.res.store, x.id); found {
			f(c)
		}
	})
	if !found {
		return noConversation(x.id)
	}
	return nil
}

func (x *exchange) getConversation([]byte) error { return show[*conversation](x, noConversation) }

func (x *exchange) updateConversation(body []byte) error {
	var r struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := decode(body, &r); err != nil {
		return err
	}
	var out []byte
	if err := x.withConversation(func(c *conversation) {
		x.res.store.bytes += len(r.Metadata) - len(c.metadata)
		c.metadata = r.Metadata
		out = c.json(c.created)
	}); err != nil {
		return err
	}
	x.write(out)
	return nil
}

func (x *exchange) deleteConversation([]byte) error {
	return remove[*conversation](x, "conversation.deleted", noConversation)
}

func (x *exchange) createItems(body []byte) error {
	var r struct {
		Items json.RawMessage `json:"items"`
	}
	if err := decode(body, &r); err != nil {
		return err
	}
	ids, items := inputItems(r.Items, x.requestID)
	if len(ids) == 0 {
		return &badRequest{"Missing required parameter: 'items'.", "items", "missing_required_parameter"}
	}
	if err := x.withConversation(func(c *conversation) { c.add(&x.res.store, ids, items) }); err != nil {
		return err
	}
	x.write(appendList(nil, ids, items, "", len(ids)))
	return nil
}

func (x *exchange) listItems([]byte) error {
	var ids []string
	var items [][]byte
	if err := x.withConversation(func(c *conversation) { ids, items = reversed(c.ids), reversed(c.items) }); err != nil {
		return err
	}
	return x.writeList(ids, items)
}

// noItem is assumed.
func noItem(id, of string) error {
	return missing("Item with id '"+id+"' not found in conversation with id '"+of+"'.", "")
}

func (x *exchange) getItem([]byte) error {
	var item []byte
	if err := x.withConversation(func(c *conversation) {
		if i := c.find(x.item); i >= 0 {
			item = c.items[i]
		}
	}); err != nil {
		return err
	}
	if item == nil {
		return noItem(x.item, x.id)
	}
	x.write(item)
	return nil
}

func (x *exchange) deleteItem([]byte) error {
	var out []byte
	if err := x.withConversation(func(c *conversation) {
		i := c.find(x.item)
		if i < 0 {
			return
		}
		x.res.store.bytes -= len(c.items[i])
		c.bytes -= len(c.items[i])
		c.ids, c.items = append(c.ids[:i:i], c.ids[i+1:]...), append(c.items[:i:i], c.items[i+1:]...)
		out = c.json(c.created)
	}); err != nil {
		return err
	}
	if out == nil {
		return noItem(x.item, x.id)
	}
	x.write(out)
	return nil
}
