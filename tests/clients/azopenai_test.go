package clients

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/ai/azopenai"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/openai/openai-go/v3/option"
)

// azopenai adds Azure's own members to openai-go's types, so these tests read what the
// gateway keeps of them.

func TestAzureFilterResults(t *testing.T) {
	t.Parallel()
	c := connect("azure", demoURL, key)
	answer, err := c.Chat.Completions.New(t.Context(), chat(model, "Say hello. [[tokens=12]]"))
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := azopenai.ChatCompletion(*answer).PromptFilterResults()
	if err != nil || len(prompt) != 1 {
		t.Errorf("prompt_filter_results: got=%+v, %v, want=one; answer %s", prompt, err, answer.RawJSON())
	}
	choice, err := azopenai.ChatCompletionChoice(answer.Choices[0]).ContentFilterResults()
	if err != nil || choice == nil || choice.Hate == nil || *choice.Hate.Filtered {
		t.Errorf("content_filter_results: got=%+v, %v, want=hate is not filtered; answer %s", choice, err, answer.RawJSON())
	}
}

func TestAzureFilterResultsInAStream(t *testing.T) {
	t.Parallel()
	c := connect("azure", demoURL, key)
	stream := c.Chat.Completions.NewStreaming(t.Context(), chat(model, "Say hello. [[tokens=12]]"))
	defer stream.Close()
	found := 0
	for stream.Next() {
		results, err := azopenai.ChatCompletionChunk(stream.Current()).PromptFilterResults()
		if err != nil {
			t.Errorf("chunk %s: %v", stream.Current().RawJSON(), err)
		}
		found += len(results)
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if found != 1 {
		t.Errorf("prompt_filter_results: got=%d, want=one", found)
	}
}

// TestAzureFilterError reads why a prompt was refused.
func TestAzureFilterError(t *testing.T) {
	t.Parallel()
	c := connect("azure", demoURL, key)
	_, err := c.Chat.Completions.New(t.Context(), chat(model, "Hi. [[filter]]"))
	var refused *azopenai.ContentFilterError
	if !azopenai.ExtractContentFilterError(err, &refused) {
		t.Fatalf("got=%v, want=an error of the content filter", err)
	}
	for name, severity := range map[string]*azopenai.ContentFilterResult{"hate": refused.Hate, "violence": refused.Violence} {
		if severity == nil || severity.Severity == nil {
			t.Errorf("%s: got=%+v, want=a severity", name, severity)
		}
	}
}

// TestAzureOnYourData has a deployment answer from a search index: the context, which
// has the citations, is in a delta of its own. The answer that the gateway puts together
// keeps it.
func TestAzureOnYourData(t *testing.T) {
	t.Parallel()
	const context = `{"citations":[{"content":"A weir is a barrier.","title":"Weirs","url":null,"filepath":"weirs.md","chunk_id":"0"}],"intent":"[\"what is a weir\"]"}`
	events := []string{
		`{"id":"c","object":"extensions.chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","context":` + context + `},"end_turn":false,"finish_reason":null}]}`,
		`{"id":"c","object":"extensions.chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"A barrier [doc1]."},"end_turn":false,"finish_reason":null}]}`,
		`{"id":"c","object":"extensions.chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"end_turn":true,"finish_reason":"stop"}]}`,
		"[DONE]",
	}
	name, mark := putScript(t, script{
		Headers: map[string]string{"content-type": "text/event-stream"},
		Body:    "data: " + strings.Join(events, "\n\ndata: ") + "\n\n",
	})
	c := connect("openai", faultyURL, key)
	more := []option.RequestOption{
		option.WithHeader("x-script", mark),
		azopenai.WithDataSources(&azopenai.AzureSearchChatExtensionConfiguration{
			Type: to.Ptr(azopenai.AzureChatExtensionTypeAzureSearch),
			Parameters: &azopenai.AzureSearchChatExtensionParameters{
				Endpoint: to.Ptr("https://search.example.com"), IndexName: to.Ptr("weirs"),
			},
		}),
	}
	answer, err := c.Chat.Completions.New(t.Context(), chat(name, "What is a weir?"), more...)
	if err != nil {
		t.Fatal(err)
	}
	found, err := azopenai.ChatCompletionMessage(answer.Choices[0].Message).Context()
	if err != nil || found == nil || len(found.Citations) != 1 || *found.Citations[0].Content != "A weir is a barrier." {
		t.Errorf("context: got=%+v, %v; answer %s", found, err, answer.RawJSON())
	}
	if text := answer.Choices[0].Message.Content; text != "A barrier [doc1]." {
		t.Errorf("got=%q", text)
	}

	stream := c.Chat.Completions.NewStreaming(t.Context(), chat(name, "What is a weir?"), more...)
	defer stream.Close()
	if !stream.Next() {
		t.Fatal(stream.Err())
	}
	found, err = azopenai.ChatCompletionChunkChoiceDelta(stream.Current().Choices[0].Delta).Context()
	if err != nil || found == nil || len(found.Citations) != 1 {
		t.Errorf("context of a stream: got=%+v, %v; chunk %s", found, err, stream.Current().RawJSON())
	}
	for stream.Next() {
	}
	if err := stream.Err(); err != nil {
		t.Error(err)
	}
}

// putScript puts answers at the upstream and returns the model and the mark of the
// requests that get them.
func putScript(t *testing.T, answers ...script) (name, mark string) {
	t.Helper()
	body, err := json.Marshal(answers)
	if err != nil {
		t.Fatal(err)
	}
	mark = strings.ReplaceAll(t.Name(), "/", "-")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, upstreamURL+"/scripts/"+mark, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	own, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("put a script: %d, %s, %v", res.StatusCode, own, err)
	}
	return string(own), mark
}
