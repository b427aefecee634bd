package azuresim

import (
	"encoding/json"
	"strconv"
)

// chatRequest is what the simulator reads of a chat completion request.
type chatRequest struct {
	Messages            []chatMessage `json:"messages"`
	MaxTokens           *int          `json:"max_tokens"`
	MaxCompletionTokens *int          `json:"max_completion_tokens"`
	Stream              bool          `json:"stream"`
	StreamOptions       *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	N                 *int            `json:"n"`
	ServiceTier       string          `json:"service_tier"`
	Store             *bool           `json:"store"`
	Metadata          json.RawMessage `json:"metadata"`
	Prediction        json.RawMessage `json:"prediction"`
	Functions         json.RawMessage `json:"functions"`
	Logprobs          bool            `json:"logprobs"`
	TopLogprobs       int             `json:"top_logprobs"`
	Tools             []wireTool      `json:"tools"`
	ToolChoice        json.RawMessage `json:"tool_choice"`
	ParallelToolCalls *bool           `json:"parallel_tool_calls"`
	ReasoningEffort   string          `json:"reasoning_effort"`
	ResponseFormat    *struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
}

type chatMessage struct {
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	ToolCalls json.RawMessage `json:"tool_calls"`
}

// parseChat reads a chat completion request.
func parseChat(x *exchange, body []byte) (*generation, error) {
	var r chatRequest
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	if err := x.checkFeatures(&r); err != nil {
		return nil, err
	}
	if len(r.Messages) == 0 {
		return nil, &badRequest{"Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.", "messages", "empty_array"}
	}
	g := &generation{
		stream: r.Stream, choices: 1, logprobs: r.Logprobs, topLogprobs: r.TopLogprobs,
		includeUsage: r.StreamOptions != nil && r.StreamOptions.IncludeUsage,
		hidden:       hiddenTokens(r.ReasoningEffort), tools: functions(r.Tools),
		choice: parseToolChoice(r.ToolChoice), parallel: r.ParallelToolCalls == nil || *r.ParallelToolCalls,
		tier: r.ServiceTier, options: r.StreamOptions != nil,
	}
	if r.Store != nil && *r.Store {
		g.stored = &chatStored{metadata: r.Metadata}
	}
	if f := r.ResponseFormat; f != nil {
		g.format = format{object: f.Type == "json_object"}
		if f.Type == "json_schema" {
			g.format.schema = f.JSONSchema.Schema
		}
	}
	if err := g.setChoices(r.N); err != nil {
		return nil, err
	}
	if err := g.setChatLimit(&r, x.dep.config.Reasoning); err != nil {
		return nil, err
	}
	g.addTools(r.Tools)
	for i := range r.Messages {
		m := &r.Messages[i]
		text := contentText(m.Content)
		g.prompt.add(m.Role)
		g.prompt.add(text)
		g.prompt.add(string(m.ToolCalls))
		g.prompt.extra += 3
		g.prompt.answered = m.Role == "tool" || m.Role == "function"
		if m.Role == "user" {
			g.prompt.last = text
		}
	}
	if g.stored != nil {
		g.stored.messages = r.Messages
	}
	return g, nil
}

// addTools counts the tools as the first part of the prompt, as the service
// does.
func (g *generation) addTools(wire []wireTool) {
	for i := range wire {
		t := &wire[i]
		g.prompt.add(t.Name)
		g.prompt.add(string(t.Parameters))
		if t.Function != nil {
			g.prompt.add(t.Function.Name)
			g.prompt.add(string(t.Function.Parameters))
		}
	}
}

// setChoices takes n, the number of responses.
func (g *generation) setChoices(n *int) error {
	if n == nil {
		return nil
	}
	if *n < 1 || *n > 128 {
		return &badRequest{"Invalid 'n': expected a value between 1 and 128, but got " + itoa(*n) + " instead.", "n", "integer_out_of_range"}
	}
	g.choices = *n
	return nil
}

// setChatLimit takes the token limit from the field that the model wants.
func (g *generation) setChatLimit(r *chatRequest, reasoning bool) error {
	old, current := r.MaxTokens, r.MaxCompletionTokens
	switch {
	case old != nil && current != nil:
		return &badRequest{"Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", "max_tokens", "invalid_parameter_combination"}
	case old != nil && reasoning:
		return &badRequest{"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "max_tokens", "unsupported_parameter"}
	case old != nil:
		return g.setLimit(*old, "max_tokens")
	case current != nil:
		return g.setLimit(*current, "max_completion_tokens")
	}
	return nil
}

// setLimit takes the token limit that the client set in that field.
func (g *generation) setLimit(n int, field string) error {
	if n < 1 {
		return &badRequest{"Invalid '" + field + "': integer below minimum value. Expected a value >= 1, but got " + itoa(n) + " instead.", field, "integer_below_min_value"}
	}
	g.maxTokens, g.limitField = n, field
	return nil
}

// hiddenTokens is how many reasoning tokens an effort costs; -1 leaves it to
// the model.
func hiddenTokens(effort string) int {
	if effort == "none" || effort == "minimal" {
		return 0
	}
	return -1
}

// contentText is the text of a message's content: a string, or parts with
// text. Parts without text, such as images, count as nothing.
func contentText(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) == nil {
		return s
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return ""
	}
	for _, p := range parts {
		s += p.Text
	}
	return s
}

func itoa(n int) string { return strconv.Itoa(n) }
