package clients

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	goopenai "github.com/sashabaranov/go-openai"
	"github.com/sashabaranov/go-openai/jsonschema"
)

// headers is a transport that adds headers to each request, which is how go-openai sets
// default headers.
type headers map[string]string

// RoundTrip implements http.RoundTripper.
func (h headers) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range h {
		r.Header.Set(name, value)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// connectGoOpenAI returns a client of one path family, with default headers.
func connectGoOpenAI(family, url string, defaults headers) *goopenai.Client {
	var config goopenai.ClientConfig
	switch family {
	case "azure":
		config = goopenai.DefaultAzureConfig(key, url)
		config.APIVersion = "2025-04-01-preview"
	case "azure-v1":
		config = goopenai.DefaultConfig(key)
		config.BaseURL = url + "/openai/v1"
	default:
		config = goopenai.DefaultConfig(key)
		config.BaseURL = url + "/v1"
	}
	config.HTTPClient = &http.Client{Transport: defaults}
	return goopenai.NewClientWithConfig(config)
}

// eachGoOpenAI runs a test with a client of every path family, side by side.
func eachGoOpenAI(t *testing.T, url string, defaults headers, test func(*testing.T, *goopenai.Client)) {
	t.Parallel()
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			test(t, connectGoOpenAI(family, url, defaults))
		})
	}
}

// goChat is a request of one user message.
func goChat(name, text string) goopenai.ChatCompletionRequest {
	return goopenai.ChatCompletionRequest{
		Model:    name,
		Messages: []goopenai.ChatCompletionMessage{{Role: goopenai.ChatMessageRoleUser, Content: text}},
	}
}

// goAnswer is what a stream has said.
type goAnswer struct {
	text   string
	pieces int
	finish goopenai.FinishReason
	usage  *goopenai.Usage
	calls  []goopenai.ToolCall
}

// goStream reads a stream to its end.
func goStream(ctx context.Context, c *goopenai.Client, ask goopenai.ChatCompletionRequest) (got goAnswer, err error) {
	stream, err := c.CreateChatCompletionStream(ctx, ask)
	if err != nil {
		return got, err
	}
	defer stream.Close()
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		if chunk.Usage != nil {
			got.usage = chunk.Usage
		}
		for _, choice := range chunk.Choices {
			if choice.Delta.Content != "" {
				got.pieces++
			}
			got.text += choice.Delta.Content
			if choice.FinishReason != "" {
				got.finish = choice.FinishReason
			}
			for _, call := range choice.Delta.ToolCalls {
				if *call.Index == len(got.calls) {
					got.calls = append(got.calls, call)
					continue
				}
				got.calls[*call.Index].Function.Arguments += call.Function.Arguments
			}
		}
	}
}

func TestGoOpenAIAnswer(t *testing.T) {
	eachGoOpenAI(t, demoURL, nil, func(t *testing.T, c *goopenai.Client) {
		answer, err := c.CreateChatCompletion(t.Context(), goChat(model, "Say hello. [[tokens=12]]"))
		if err != nil {
			t.Fatal(err)
		}
		choice := answer.Choices[0]
		if choice.Message.Content == "" || choice.FinishReason != "stop" || answer.Usage.CompletionTokens != 12 {
			t.Errorf("got=%+v, want=12 tokens that end by themselves", answer)
		}
	})
}

func TestGoOpenAIStream(t *testing.T) {
	eachGoOpenAI(t, demoURL, nil, func(t *testing.T, c *goopenai.Client) {
		ask := goChat(model, "Count. [[tokens=200]]")
		bare, err := goStream(t.Context(), c, ask)
		if err != nil {
			t.Fatal(err)
		}
		if bare.usage != nil || bare.finish != "stop" || bare.pieces <= 3 { // of 20 tokens on average
			t.Errorf("got usage %+v, finish %q and %d pieces, want no usage, stop and several", bare.usage, bare.finish, bare.pieces)
		}
		ask.StreamOptions = &goopenai.StreamOptions{IncludeUsage: true}
		full, err := goStream(t.Context(), c, ask)
		if err != nil {
			t.Fatal(err)
		}
		if full.usage == nil || full.usage.CompletionTokens != 200 {
			t.Errorf("got=%+v, want=200 tokens", full.usage)
		}
	})
}

// goTools are two functions of a city.
func goTools() []goopenai.Tool {
	var all []goopenai.Tool
	for _, name := range []string{"get_weather", "get_time"} {
		all = append(all, goopenai.Tool{Type: goopenai.ToolTypeFunction, Function: &goopenai.FunctionDefinition{
			Name: name,
			Parameters: jsonschema.Definition{
				Type:                 jsonschema.Object,
				Properties:           map[string]jsonschema.Definition{"city": {Type: jsonschema.String}},
				Required:             []string{"city"},
				AdditionalProperties: false,
			},
		}})
	}
	return all
}

func checkGoCalls(t *testing.T, calls []goopenai.ToolCall) {
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

func TestGoOpenAITools(t *testing.T) {
	eachGoOpenAI(t, demoURL, nil, func(t *testing.T, c *goopenai.Client) {
		ask := goChat(model, "Weather and time in Oslo? [[tool=get_weather,get_time]]")
		ask.Tools = goTools()
		answer, err := c.CreateChatCompletion(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		checkGoCalls(t, answer.Choices[0].Message.ToolCalls)
		streamed, err := goStream(t.Context(), c, ask)
		if err != nil {
			t.Fatal(err)
		}
		checkGoCalls(t, streamed.calls)
	})
}

func TestGoOpenAIStructured(t *testing.T) {
	type invoice struct {
		Number string  `json:"number"`
		Total  float64 `json:"total"`
	}
	eachGoOpenAI(t, demoURL, nil, func(t *testing.T, c *goopenai.Client) {
		schema, err := jsonschema.GenerateSchemaForType(invoice{})
		if err != nil {
			t.Fatal(err)
		}
		ask := goChat(model, "Extract the invoice.")
		ask.ResponseFormat = &goopenai.ChatCompletionResponseFormat{
			Type:       goopenai.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &goopenai.ChatCompletionResponseFormatJSONSchema{Name: "invoice", Schema: schema, Strict: true},
		}
		answer, err := c.CreateChatCompletion(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		var got invoice
		if err := schema.Unmarshal(answer.Choices[0].Message.Content, &got); err != nil || got.Number == "" {
			t.Errorf("got=%q, want=an invoice: %v", answer.Choices[0].Message.Content, err)
		}
	})
}

func TestGoOpenAIEmbeddings(t *testing.T) {
	eachGoOpenAI(t, demoURL, nil, func(t *testing.T, c *goopenai.Client) {
		for _, format := range []goopenai.EmbeddingEncodingFormat{"", goopenai.EmbeddingEncodingFormatBase64} {
			answer, err := c.CreateEmbeddings(t.Context(), goopenai.EmbeddingRequestStrings{
				Input: []string{"a lock", "a weir"}, Model: embedding, EncodingFormat: format,
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
					square += float64(x) * float64(x)
				}
				if e.Index != i || len(e.Embedding) != 1536 || math.Abs(square-1) > 1e-3 {
					t.Errorf("vector %d: index %d, %d dimensions, length² %v", i, e.Index, len(e.Embedding), square)
				}
			}
		}
	})
}

func TestGoOpenAIResponses(t *testing.T) {
	eachGoOpenAI(t, demoURL, nil, func(t *testing.T, c *goopenai.Client) {
		ask := goopenai.CreateResponseRequest{Model: model, Input: "Say hello. [[tokens=12]]"}
		first, err := c.CreateResponse(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		ask.PreviousResponseID = first.ID
		second, err := c.CreateResponse(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		if first.GetOutputText() == "" || second.GetOutputText() == "" || second.PreviousResponseID != first.ID || second.Usage.OutputTokens != 12 {
			t.Errorf("got=%+v and %+v, want a chain", first, second)
		}
		ask.PreviousResponseID = "resp_unknown"
		_, err = c.CreateResponse(t.Context(), ask)
		wantGoStatus(t, err, http.StatusBadRequest)
	})
}

func TestGoOpenAIResponseStream(t *testing.T) {
	eachGoOpenAI(t, demoURL, nil, func(t *testing.T, c *goopenai.Client) {
		stream, err := c.CreateResponseStream(t.Context(), goopenai.CreateResponseRequest{Model: model, Input: "Count. [[tokens=40]]"})
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		text, last := "", goopenai.ResponseStreamEvent{}
		for {
			event, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if last = event; event.Type == goopenai.ResponseStreamEventOutputTextDelta {
				text += event.Delta
			}
		}
		if last.Type != goopenai.ResponseStreamEventCompleted || text == "" || last.Response.GetOutputText() != text {
			t.Errorf("got a last event %s and %q, want response.completed with the same text", last.Type, text)
		}
	})
}

// wantGoStatus demands the library's error with one of the statuses, a code and a message.
func wantGoStatus(t *testing.T, err error, statuses ...int) {
	t.Helper()
	failure, ok := errors.AsType[*goopenai.APIError](err)
	if !ok || !slices.Contains(statuses, failure.HTTPStatusCode) || failure.Message == "" || failure.Code == nil {
		t.Errorf("got=%v, want=an error with status %v, code and message", err, statuses)
	}
}

func TestGoOpenAIUpstreamFails(t *testing.T) {
	wants := map[string][]int{
		"throttled": {http.StatusTooManyRequests},
		"broken":    {http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable},
		"filtered":  {http.StatusBadRequest},
	}
	eachGoOpenAI(t, faultyURL, nil, func(t *testing.T, c *goopenai.Client) {
		for fault, statuses := range wants {
			_, err := c.CreateChatCompletion(t.Context(), goChat(fault, "Hi."))
			wantGoStatus(t, err, statuses...)
			_, err = goStream(t.Context(), c, goChat(fault, "Hi."))
			wantGoStatus(t, err, statuses...)
		}
	})
}

func TestGoOpenAIBrokenStream(t *testing.T) {
	eachGoOpenAI(t, faultyURL, nil, func(t *testing.T, c *goopenai.Client) {
		if got, err := goStream(t.Context(), c, goChat("cut", "Hi.")); err == nil {
			t.Errorf("got=%+v, want=an error", got)
		}
	})
}

func TestGoOpenAIHeartbeats(t *testing.T) {
	eachGoOpenAI(t, faultyURL, nil, func(t *testing.T, c *goopenai.Client) {
		for _, model := range []string{"pauses", "numbered"} {
			got, err := goStream(t.Context(), c, goChat(model, "Hi."))
			if err != nil || strings.Count(got.text, "word") != 4 {
				t.Errorf("%s: %q, %v; want 4 words", model, got.text, err)
			}
		}
	})
}

func TestGoOpenAICutAtTheDeadline(t *testing.T) {
	t.Parallel()
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			var answer goopenai.ChatCompletionResponse
			var err error
			for _, window := range windows {
				c := connectGoOpenAI(family, demoURL, headers{"x-spillway-deadline-ms": window})
				answer, err = c.CreateChatCompletion(t.Context(), goChat(model, long))
				if refused, ok := errors.AsType[*goopenai.APIError](err); !ok || refused.HTTPStatusCode != http.StatusRequestTimeout {
					break
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := answer.Header().Get("x-spillway-truncated"); got != "deadline" {
				t.Errorf("x-spillway-truncated: got=%q, want=deadline", got)
			}
			if choice := answer.Choices[0]; choice.FinishReason != "length" || choice.Message.Content == "" {
				t.Errorf("got=%+v, want=a part of the answer", choice)
			}
		})
	}
}

func TestGoOpenAINoTokenInTime(t *testing.T) {
	eachGoOpenAI(t, demoURL, headers{"x-spillway-deadline-ms": "20"}, func(t *testing.T, c *goopenai.Client) {
		_, err := c.CreateChatCompletion(t.Context(), goChat(model, long))
		wantGoStatus(t, err, http.StatusRequestTimeout)
		_, err = goStream(t.Context(), c, goChat(model, long))
		wantGoStatus(t, err, http.StatusRequestTimeout)
	})
}

// TestGoOpenAISaysNoTimeout: the gateway cannot know how long the library waits.
func TestGoOpenAISaysNoTimeout(t *testing.T) {
	t.Parallel()
	var seen http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header
		refuse(w, http.StatusBadRequest, "any", "Any.")
	}))
	defer server.Close()
	config := goopenai.DefaultConfig(key)
	config.BaseURL = server.URL
	config.HTTPClient = &http.Client{Timeout: startTimeout}
	ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
	defer cancel()
	_, err := goopenai.NewClientWithConfig(config).CreateChatCompletion(ctx, goChat(model, "Hi."))
	wantGoStatus(t, err, http.StatusBadRequest)
	for name := range seen {
		if strings.Contains(strings.ToLower(name), "timeout") {
			t.Errorf("got=%s, want=no header of a timeout", name)
		}
	}
}
