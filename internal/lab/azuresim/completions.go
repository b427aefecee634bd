package azuresim

import (
	"bytes"
	"encoding/json"

	spillway "github.com/spillway-ai/spillway"
)

// parseCompletions reads a legacy completion request.
func parseCompletions(x *exchange, body []byte) (*generation, error) {
	var r struct {
		Prompt        json.RawMessage `json:"prompt"`
		MaxTokens     *int            `json:"max_tokens"`
		Stream        bool            `json:"stream"`
		StreamOptions *struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
		N        *int `json:"n"`
		Logprobs *int `json:"logprobs"`
	}
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	g := &generation{
		stream: r.Stream, choices: 1, hidden: -1,
		includeUsage: r.StreamOptions != nil && r.StreamOptions.IncludeUsage, options: r.StreamOptions != nil,
	}
	if err := x.checkFeatures(&chatRequest{StreamOptions: r.StreamOptions}); err != nil {
		return nil, err
	}
	if r.Logprobs != nil {
		g.logprobs, g.topLogprobs = true, *r.Logprobs
	}
	if err := g.setChoices(r.N); err != nil {
		return nil, err
	}
	if r.MaxTokens == nil {
		g.maxTokens = 16 // the API's own default
	} else if err := g.setLimit(*r.MaxTokens, "max_tokens"); err != nil {
		return nil, err
	}
	prompts := inputTexts(r.Prompt)
	g.choices *= max(1, len(prompts))
	for _, p := range prompts {
		g.prompt.add(p)
		g.prompt.last = p
	}
	return g, nil
}

// inputTexts is a string or a list of strings. A list of token numbers is one
// text of bytesPerToken bytes per token; lists of such are several.
func inputTexts(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var many []string
	if json.Unmarshal(raw, &many) == nil {
		return many
	}
	var tokens []int
	if json.Unmarshal(raw, &tokens) == nil {
		return []string{tokenText(tokens)}
	}
	var lists [][]int
	if json.Unmarshal(raw, &lists) != nil {
		return nil
	}
	for _, l := range lists {
		many = append(many, tokenText(l))
	}
	return many
}

func tokenText(tokens []int) string {
	b := make([]byte, 0, len(tokens)*bytesPerToken)
	for _, t := range tokens {
		b = append(b, byte(t), byte(t>>8), byte(t>>16), ' ')
	}
	return string(b)
}

// completions renders legacy completions.
type completions struct {
	g       *generation
	filters bool
	ident   []byte
}

func newCompletions(x *exchange, g *generation) renderer {
	return &completions{g: g, filters: x.s.cfg.Filters, ident: x.ident("cmpl-" + randomText(x.s.nextID(), 29))}
}

func (c *completions) appendStart(b []byte) []byte {
	if !c.filters {
		return b
	}
	b = append(b, `data: {`...)
	b = append(b, c.ident...)
	return append(b, `,"object":"text_completion","prompt_filter_results":`+promptFilter+`,"choices":[]}`+"\n\n"...)
}

func (c *completions) appendChunk(b []byte, choice int, tokens []piece) []byte {
	b = append(b, `data: {`...)
	b = append(b, c.ident...)
	b = append(b, `,"object":"text_completion","choices":[`...)
	b = c.choice(b, choice, tokens, "")
	return c.end(b)
}

// end ends a chunk with choices.
func (c *completions) end(b []byte) []byte {
	b = append(b, ']')
	if c.g.includeUsage {
		b = append(b, `,"usage":null`...)
	}
	return append(b, "}\n\n"...)
}

// choice is one choice; the reason "" is none yet.
func (c *completions) choice(b []byte, index int, tokens []piece, reason string) []byte {
	b = append(b, `{"text":"`...)
	b = appendTexts(b, tokens)
	b = append(b, '"')
	b = appendField(b, "index", index)
	b = append(b, `,"finish_reason":`...)
	b = appendNullable(b, reason)
	b = append(b, `,"logprobs":`...)
	if c.g.logprobs && len(tokens) > 0 {
		b = appendTokenLogprobs(b, tokens)
	} else {
		b = append(b, `null`...)
	}
	return append(b, '}')
}

func (c *completions) appendEnd(b []byte, answers []answer, end spillway.Finish, u spillway.Usage) []byte {
	for i := range answers {
		b = append(b, `data: {`...)
		b = append(b, c.ident...)
		b = append(b, `,"object":"text_completion","choices":[`...)
		b = c.choice(b, i, nil, end.String())
		b = c.end(b)
	}
	if c.g.includeUsage && u.Known {
		b = append(b, `data: {`...)
		b = append(b, c.ident...)
		b = append(b, `,"object":"text_completion","choices":[],"usage":`...)
		b = appendChatUsage(b, u)
		b = append(b, "}\n\n"...)
	}
	return append(b, "data: [DONE]\n\n"...)
}

func (c *completions) appendWhole(b []byte, answers []answer, n int, end spillway.Finish, u spillway.Usage) []byte {
	b = append(b, '{')
	b = append(b, c.ident...)
	b = append(b, `,"object":"text_completion","choices":[`...)
	for i := range answers {
		if i > 0 {
			b = append(b, ',')
		}
		tokens := make([]piece, n)
		for k := range tokens {
			tokens[k] = answers[i].take(end == spillway.FinishStop && k == n-1)
			tokens[k].text = bytes.Clone(tokens[k].text)
		}
		b = c.choice(b, i, tokens, end.String())
	}
	b = append(b, ']')
	if c.filters {
		b = append(b, `,"prompt_filter_results":`+promptFilter...)
	}
	if u.Known {
		b = append(b, `,"usage":`...)
		b = appendChatUsage(b, u)
	}
	return append(b, '}')
}
