package clients

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

func TestAnswer(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		answer, err := c.Chat.Completions.New(t.Context(), chat(model, "Say hello. [[tokens=12]]"))
		if err != nil {
			t.Fatal(err)
		}
		choice := answer.Choices[0]
		if choice.Message.Content == "" || choice.FinishReason != "stop" || answer.Usage.CompletionTokens != 12 {
			t.Errorf("got=%s, want=12 tokens that end by themselves", answer.RawJSON())
		}
	})
}

func TestStream(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		ask := chat(model, "Count. [[tokens=200]]")
		ask.StreamOptions.IncludeUsage = openai.Bool(true)
		stream := c.Chat.Completions.NewStreaming(t.Context(), ask)
		defer stream.Close()
		var whole openai.ChatCompletionAccumulator
		pieces := 0
		for stream.Next() {
			chunk := stream.Current()
			if !whole.AddChunk(chunk) {
				t.Errorf("a chunk that does not fit: %s", chunk.RawJSON())
			}
			if len(chunk.Choices) > 0 && chunk.Choices[0].Delta.Content != "" {
				pieces++
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		if whole.Choices[0].FinishReason != "stop" || whole.Usage.CompletionTokens != 200 {
			t.Errorf("got=%s and %d tokens, want=stop and 200", whole.Choices[0].FinishReason, whole.Usage.CompletionTokens)
		}
		if pieces <= 3 { // of 20 tokens on average
			t.Errorf("the answer came in %d pieces", pieces)
		}
	})
}

// tools are two functions of a city.
func tools() []openai.ChatCompletionToolUnionParam {
	var all []openai.ChatCompletionToolUnionParam
	for _, name := range []string{"get_weather", "get_time"} {
		all = append(all, openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
			Name: name,
			Parameters: shared.FunctionParameters{
				"type":                 "object",
				"properties":           map[string]any{"city": map[string]string{"type": "string"}},
				"required":             []string{"city"},
				"additionalProperties": false,
			},
		}))
	}
	return all
}

func checkCalls(t *testing.T, calls []openai.ChatCompletionMessageToolCallUnion) {
	t.Helper()
	var names []string
	for _, c := range calls {
		names = append(names, c.Function.Name)
		var arguments struct{ City *string }
		if err := json.Unmarshal([]byte(c.Function.Arguments), &arguments); err != nil || arguments.City == nil || c.ID == "" {
			t.Errorf("call %q with arguments %q: %v", c.ID, c.Function.Arguments, err)
		}
	}
	if !slices.Equal(names, []string{"get_weather", "get_time"}) {
		t.Errorf("got calls of %v, want both tools", names)
	}
}

func TestTools(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		ask := chat(model, "Weather and time in Oslo? [[tool=get_weather,get_time]][[tokens=10]]")
		ask.Tools = tools()
		first, err := c.Chat.Completions.New(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		calls := first.Choices[0].Message.ToolCalls
		checkCalls(t, calls)
		ask.Messages = append(ask.Messages, first.Choices[0].Message.ToParam())
		for _, call := range calls {
			ask.Messages = append(ask.Messages, openai.ToolMessage("fine", call.ID))
		}
		second, err := c.Chat.Completions.New(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		if got := second.Choices[0].FinishReason; got != "stop" {
			t.Errorf("got=%s, want=stop after the results", got)
		}
	})
}

func TestToolsInAStream(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		ask := chat(model, "Weather and time in Oslo? [[tool=get_weather,get_time]][[tokens=10]]")
		ask.Tools = tools()
		stream := c.Chat.Completions.NewStreaming(t.Context(), ask)
		defer stream.Close()
		var whole openai.ChatCompletionAccumulator
		for stream.Next() {
			whole.AddChunk(stream.Current())
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		if got := whole.Choices[0].FinishReason; got != "tool_calls" {
			t.Errorf("got=%s, want=tool_calls", got)
		}
		checkCalls(t, whole.Choices[0].Message.ToolCalls)
	})
}

func TestStructured(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		ask := chat(model, "Extract the invoice.")
		ask.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
				Name:   "invoice",
				Strict: openai.Bool(true),
				Schema: map[string]any{
					"type": "object",
					"properties": map[string]any{
						"number": map[string]string{"type": "string"},
						"total":  map[string]string{"type": "number"},
					},
					"required":             []string{"number", "total"},
					"additionalProperties": false,
				},
			},
		}
		answer, err := c.Chat.Completions.New(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		var invoice struct {
			Number *string
			Total  *float64
		}
		text := answer.Choices[0].Message.Content
		if err := json.Unmarshal([]byte(text), &invoice); err != nil || invoice.Number == nil || invoice.Total == nil {
			t.Errorf("got=%q, want=an invoice: %v", text, err)
		}
	})
}

func TestResponse(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		answer, err := c.Responses.New(t.Context(), responses.ResponseNewParams{
			Model: model,
			Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("Say hello. [[tokens=12]]")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status != "completed" || answer.OutputText() == "" || answer.Usage.OutputTokens != 12 {
			t.Errorf("got=%s, want=12 tokens that end by themselves", answer.RawJSON())
		}
	})
}

func TestResponseStream(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		stream := c.Responses.NewStreaming(t.Context(), responses.ResponseNewParams{
			Model: model,
			Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("Count. [[tokens=40]]")},
		})
		defer stream.Close()
		text, last := "", responses.ResponseStreamEventUnion{}
		for stream.Next() {
			last = stream.Current()
			if last.Type == "response.output_text.delta" {
				text += last.Delta
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		if last.Type != "response.completed" || text == "" || last.Response.OutputText() != text {
			t.Errorf("got a last event %s and %q, want response.completed with the same text", last.Type, text)
		}
	})
}

func TestEmbeddings(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		answer, err := c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
			Model: embedding,
			Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a lock", "a weir"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Data) != 2 {
			t.Fatalf("got=%d vectors, want=2", len(answer.Data))
		}
		for i, e := range answer.Data {
			square := 0.0
			for _, x := range e.Embedding {
				square += x * x
			}
			if int(e.Index) != i || len(e.Embedding) != 1536 || math.Abs(square-1) > 1e-3 {
				t.Errorf("vector %d: index %d, %d dimensions, length² %v", i, e.Index, len(e.Embedding), square)
			}
		}
	})
}

func TestModels(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		var names []string
		list := c.Models.ListAutoPaging(t.Context())
		for list.Next() {
			names = append(names, list.Current().ID)
		}
		if err := list.Err(); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(names, model) || !slices.Contains(names, embedding) {
			t.Errorf("got=%v, want=%s and %s among them", names, model, embedding)
		}
	})
}
