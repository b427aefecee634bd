package azuresim

import (
	"encoding/json"
	"strings"

	"github.com/spillway-ai/spillway/internal/stat"
)

// responsesRequest is what the simulator reads of a Responses request. Raw
// members are said back unchanged.
type responsesRequest struct {
	Input              json.RawMessage `json:"input"`
	Instructions       json.RawMessage `json:"instructions"`
	MaxOutputTokens    *int            `json:"max_output_tokens"`
	Stream             bool            `json:"stream"`
	Tools              json.RawMessage `json:"tools"`
	ToolChoice         json.RawMessage `json:"tool_choice"`
	ParallelToolCalls  *bool           `json:"parallel_tool_calls"`
	PreviousResponseID string          `json:"previous_response_id"`
	Store              *bool           `json:"store"`
	Metadata           json.RawMessage `json:"metadata"`
	Text               json.RawMessage `json:"text"`
	Reasoning          json.RawMessage `json:"reasoning"`
	ServiceTier        string          `json:"service_tier"`
	Background         bool            `json:"background"`
	Conversation       json.RawMessage `json:"conversation"`
	Include            []string        `json:"include"`

	conversation string // its id
}

// stores reports whether the response is kept.
func (r *responsesRequest) stores() bool { return r.Store == nil || *r.Store }

// inputItem is one element of a Responses input list.
type inputItem struct {
	Type      string          `json:"type"`
	ID        string          `json:"id"`
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	Output    json.RawMessage `json:"output"`
	Arguments string          `json:"arguments"`
	Encrypted string          `json:"encrypted_content"`
}

// parseResponses reads a Responses request.
func parseResponses(x *exchange, body []byte) (*generation, error) {
	r := &responsesRequest{}
	if err := decode(body, r); err != nil {
		return nil, err
	}
	g := &generation{
		stream: r.Stream, choices: 1, response: r, hidden: -1,
		choice: parseToolChoice(r.ToolChoice), parallel: r.ParallelToolCalls == nil || *r.ParallelToolCalls,
		tier: r.ServiceTier,
	}
	if r.Background && !r.stores() {
		return nil, &badRequest{"Background mode requires 'store' to be true.", "store", "invalid_value"}
	}
	var reasoning struct {
		Effort string `json:"effort"`
	}
	var text struct {
		Format struct {
			Type   string          `json:"type"`
			Schema json.RawMessage `json:"schema"`
		} `json:"format"`
	}
	var tools []wireTool
	for _, part := range []struct {
		raw json.RawMessage
		to  any
	}{{r.Reasoning, &reasoning}, {r.Text, &text}, {r.Tools, &tools}} {
		if len(part.raw) == 0 {
			continue
		}
		if err := decode(part.raw, part.to); err != nil {
			return nil, err
		}
	}
	g.hidden = hiddenTokens(reasoning.Effort)
	g.format = format{object: text.Format.Type == "json_object", schema: text.Format.Schema}
	g.tools = functions(tools)
	g.addTools(tools)
	if r.MaxOutputTokens != nil {
		if err := g.setLimit(*r.MaxOutputTokens, "max_output_tokens"); err != nil {
			return nil, err
		}
	}
	if err := x.addHistory(g); err != nil {
		return nil, err
	}
	return g, x.addInput(g)
}

// addHistory adds what the service has kept of the conversation to the prompt.
func (x *exchange) addHistory(g *generation) error {
	r := g.response
	id, err := conversationID(r.Conversation)
	switch {
	case err != nil:
		return err
	case id != "" && r.PreviousResponseID != "":
		return &badRequest{"Mutually exclusive parameters: 'previous_response_id' and 'conversation'.", "previous_response_id", "mutually_exclusive_parameters"}
	}
	r.conversation = id
	found := true
	x.res.store.do(func() {
		if id != "" {
			var c *conversation
			if c, found = lookup[*conversation](&x.res.store, id); found {
				g.prompt.add(c.text())
			}
		} else if r.PreviousResponseID != "" {
			var p *storedResponse
			if p, found = lookup[*storedResponse](&x.res.store, r.PreviousResponseID); found {
				g.prompt.add(p.history)
			}
		}
	})
	switch {
	case found:
		return nil
	case id != "":
		return noConversation(id)
	}
	return &badRequest{"Previous response with id '" + r.PreviousResponseID + "' not found.", "previous_response_id", "previous_response_not_found"}
}

// addInput reads the instructions and the input.
func (x *exchange) addInput(g *generation) error {
	r := g.response
	g.prompt.add(contentText(r.Instructions))
	var one string
	if json.Unmarshal(r.Input, &one) == nil && one != "" {
		g.prompt.add(one)
		g.prompt.extra += 4
		g.prompt.last = one
		return nil
	}
	var items []inputItem
	if err := json.Unmarshal(r.Input, &items); err != nil || len(items) == 0 {
		return &badRequest{"Missing required parameter: 'input'.", "input", "missing_required_parameter"}
	}
	if err := x.checkItems(items); err != nil {
		return err
	}
	for i := range items {
		it := &items[i]
		text := contentText(it.Content)
		g.prompt.add(it.Role)
		g.prompt.add(text)
		g.prompt.add(it.Arguments)
		g.prompt.add(contentText(it.Output))
		g.prompt.extra += 3
		g.prompt.answered = it.Type == "function_call_output"
		if it.Role == "user" {
			g.prompt.last = text
		}
	}
	return nil
}

// checkItems refuses input items that only another resource could read: references
// to items that are not stored here (openclaw#21782), and reasoning that another
// resource has encrypted.
func (x *exchange) checkItems(items []inputItem) error {
	for i := range items {
		it := &items[i]
		switch {
		case it.Encrypted != "":
			if !strings.HasPrefix(it.Encrypted, x.seal()) {
				return &badRequest{"The encrypted content for item " + it.ID + " could not be verified. Reason: Encrypted content could not be decrypted or parsed.", "", "invalid_encrypted_content"}
			}
		case it.Type == "item_reference", it.Type == "reasoning" && it.ID != "":
			known := false
			x.res.store.do(func() { known = x.res.store.items[it.ID] })
			if !known {
				return &badRequest{message: "Item with id '" + it.ID + "' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input.", param: "input"}
			}
		}
	}
	return nil
}

// seal begins what the addressed resource encrypts.
func (x *exchange) seal() string {
	h := x.s.cfg.Seed
	for _, c := range []byte(x.res.name) {
		h = stat.Mix(h ^ uint64(c))
	}
	return "gAAAAA" + randomText(h, 16)
}
