package clients

import (
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/azure"
	"github.com/openai/openai-go/v3/option"
)

const (
	model     = "gpt-4o-mini"
	embedding = "text-embedding-3-small"
)

var families = []string{"azure", "azure-v1", "openai"}

// connect returns a client of one path family: only its address and key are
// ours.
func connect(family, url, apiKey string) openai.Client {
	settings := []option.RequestOption{option.WithMaxRetries(0), option.WithRequestTimeout(time.Minute)}
	switch family {
	case "azure":
		settings = append(settings, azure.WithEndpoint(url, "2025-04-01-preview"), azure.WithAPIKey(apiKey), azure.WithUnsafeAllowHTTP())
	case "azure-v1":
		settings = append(settings, option.WithBaseURL(url+"/openai/v1"), option.WithAPIKey(apiKey))
	default:
		settings = append(settings, option.WithBaseURL(url+"/v1"), option.WithAPIKey(apiKey))
	}
	return openai.NewClient(settings...)
}

// eachFamily runs a test with a client of every path family, side by side.
func eachFamily(t *testing.T, test func(*testing.T, openai.Client)) {
	t.Parallel()
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			test(t, connect(family, demoURL, key))
		})
	}
}

// eachFaulty is eachFamily before the failing upstream.
func eachFaulty(t *testing.T, test func(*testing.T, openai.Client)) {
	t.Parallel()
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			test(t, connect(family, faultyURL, key))
		})
	}
}

// chat is a request of one user message.
func chat(name, text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    name,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)},
	}
}
