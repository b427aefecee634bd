package azuresim

import (
	"encoding/json"
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
}

// inputItem is one element of a Responses input list.
type inputItem struct {
	Type      string          `json:"type"`
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	Output    json.RawMessage `json:"output"`
	Arguments string          `json:"arguments"`
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
	if id := r.PreviousResponseID; id != "" {
		previous, ok := x.s.stored.get(id)
		if !ok {
			return nil, &badRequest{"Previous response with id '" + id + "' not found.", "previous_response_id", "previous_response_not_found"}
		}
		g.prompt.add(previous.history)
	}
	return g, g.addInput(r)
}

// addInput reads the instructions and the input.
func (g *generation) addInput(r *responsesRequest) error {
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
