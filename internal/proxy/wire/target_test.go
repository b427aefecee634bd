package wire

import (
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	tests := []struct {
		style          Family
		endpoint       string
		base, prefix   string
		wantErrorAbout string
	}{
		{Azure, "https://a.openai.azure.com", "https://a.openai.azure.com", "/openai", ""},
		{Azure, "https://a.openai.azure.com/openai/", "https://a.openai.azure.com", "/openai", ""},
		{Azure, "http://127.0.0.1:8090/front%20door/", "http://127.0.0.1:8090", "/front%20door/openai", ""},
		{AzureV1, "https://a.openai.azure.com", "https://a.openai.azure.com", "/openai/v1", ""},
		{AzureV1, "https://a.openai.azure.com/openai/v1/", "https://a.openai.azure.com", "/openai/v1", ""},
		{AzureV1, "https://a.openai.azure.com/openai", "https://a.openai.azure.com", "/openai/v1", ""},
		{Azure, "https://a.services.ai.azure.com/models", "https://a.services.ai.azure.com", "/openai", ""},
		{AzureV1, "https://a.services.ai.azure.com/models/", "https://a.services.ai.azure.com", "/openai/v1", ""},
		{AzureV1, "https://a.services.ai.azure.com/api/projects/p", "https://a.services.ai.azure.com", "/api/projects/p/openai/v1", ""},
		{AzureV1, "https://a.services.ai.azure.com/api/projects/p/openai/v1", "https://a.services.ai.azure.com", "/api/projects/p/openai/v1", ""},
		{OpenAI, "https://api.openai.com", "https://api.openai.com", "/v1", ""},
		{OpenAI, "https://api.openai.com/v1/", "https://api.openai.com", "/v1", ""},
		{OpenAI, "https://host/v1beta/openai", "https://host", "/v1beta/openai", ""},
		{Azure, "https://a.openai.azure.com/openai/v1", "", "", "azure-v1"},
		{Azure, "a.openai.azure.com", "", "", "https://"},
		{Azure, "ftp://a", "", "", "https://"},
		{OpenAI, "https://", "", "", "host"},
		{OpenAI, "https://:443", "", "", "host"},
		{OpenAI, "https://u:secret@h", "", "", "credentials"},
		{OpenAI, "https://h/?x=1", "", "", "query"},
		{OpenAI, "https://h/#x", "", "", "fragment"},
		{OpenAI, "https://h/%zz", "", "", "endpoint"},
	}
	for _, tt := range tests {
		got, err := ParseTarget(tt.style, tt.endpoint, "d", "")
		if tt.wantErrorAbout != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErrorAbout) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: error %v, want one about %q", tt.endpoint, err, tt.wantErrorAbout)
			}
			continue
		}
		if err != nil || got.Base != tt.base || got.Prefix != tt.prefix {
			t.Errorf("%s %s: got %+v, %v", tt.style, tt.endpoint, got, err)
		}
	}
	if _, err := ParseTarget(Azure, "https://h", "", ""); err == nil {
		t.Error("no deployment, no error")
	}
}

func TestTargetURL(t *testing.T) {
	const (
		azureChat = "/openai/deployments/theirs/chat/completions"
		chatV1    = "/openai/v1/chat/completions"
	)
	tests := []struct {
		style     Family
		version   string
		in, query string
		want      string
		model     bool
	}{
		{Azure, "", azureChat, "api-version=2024-12-01-preview&x=%20y", "/openai/deployments/my%20chat/chat/completions?api-version=2024-12-01-preview&x=%20y", false},
		{Azure, "2025-01-01", azureChat, "x=1&api-version=2024-12-01-preview", "/openai/deployments/my%20chat/chat/completions?api-version=2025-01-01&x=1", false},
		{Azure, "", azureChat, "api-version=2023-05-15", "/openai/deployments/my%20chat/chat/completions?api-version=2024-10-21", false},
		{Azure, "", azureChat, "api-version=2024-10-01-preview", "/openai/deployments/my%20chat/chat/completions?api-version=2024-10-01-preview", false},
		{Azure, "", azureChat, "api-version=9", "/openai/deployments/my%20chat/chat/completions?api-version=2024-10-21", false},
		{Azure, "", azureChat, "api-version=2025-01-01preview", "/openai/deployments/my%20chat/chat/completions?api-version=2024-10-21", false},
		{Azure, "", azureChat, "api-version=2025-01-01-a%26b", "/openai/deployments/my%20chat/chat/completions?api-version=2025-01-01-a%26b", false},
		{Azure, "", azureChat, "api-version=2025/01/01", "/openai/deployments/my%20chat/chat/completions?api-version=2024-10-21", false},
		{Azure, "", "/openai/files", "api-version=2024-05-01-preview", "/openai/files?api-version=2024-05-01-preview", true},
		{Azure, "", "/openai/responses", "api-version=2025-04-01-preview", "/openai/responses?api-version=2025-04-01-preview", true},
		{Azure, "", azureChat, "", "/openai/deployments/my%20chat/chat/completions?api-version=2024-10-21", false},
		{Azure, "", chatV1, "api-version=preview", "/openai/deployments/my%20chat/chat/completions?api-version=2024-10-21", false},
		{Azure, "", "/v1/embeddings", "", "/openai/deployments/my%20chat/embeddings?api-version=2024-10-21", false},
		{Azure, "2024-06-01", "/v1/embeddings", "", "/openai/deployments/my%20chat/embeddings?api-version=2024-06-01", false},
		{Azure, "", "/v1/responses", "", "/openai/responses?api-version=2025-03-01-preview", true},
		{Azure, "2024-10-21", "/openai/responses/r1", "stream=true", "/openai/responses/r1?api-version=2025-03-01-preview&stream=true", true},
		{Azure, "2025-04-01-preview", "/v1/responses", "", "/openai/responses?api-version=2025-04-01-preview", true},
		{Azure, "", "/v1/files", "", "/openai/files?api-version=2024-10-21", true},
		{Azure, "", "/openai/v1/conversations/conv_1/items", "limit=2", "/openai/v1/conversations/conv_1/items?limit=2", true},
		{Azure, "2025-04-01-preview", "/v1/containers", "", "/openai/v1/containers", true},
		{AzureV1, "", azureChat, "api-version=2024-10-21&x=1", "/openai/v1/chat/completions?x=1", true},
		{AzureV1, "", chatV1, "api-version=preview", "/openai/v1/chat/completions?api-version=preview", true},
		{AzureV1, "", "/models/chat/completions", "api-version=2024-05-01-preview", "/openai/v1/chat/completions", true},
		{Azure, "", "/models/chat/completions", "api-version=2024-05-01-preview", "/openai/deployments/my%20chat/chat/completions?api-version=2024-10-21", false},
		{AzureV1, "", "/v1/responses", "", "/openai/v1/responses", true},
		{OpenAI, "", azureChat, "api-version=2024-10-21", "/v1/chat/completions", true},
		{OpenAI, "", azureChat, "api-key=k&limit=1&Subscription%2DKey=k", "/v1/chat/completions?limit=1", true},
		{OpenAI, "", "/v1/models/a%3Fb", "limit=1&&after=", "/v1/models/a%3Fb?limit=1&&after=", true},
	}
	for _, tt := range tests {
		target, err := ParseTarget(tt.style, "https://h", "my chat", tt.version)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := ParsePath(tt.in, tt.query)
		if !ok {
			t.Fatal(tt.in)
		}
		got, query := target.URL(p, tt.query)
		if query != "" {
			got += "?" + query
		}
		if got != tt.want || target.ModelInBody(p) != tt.model {
			t.Errorf("%s %q, %s?%s:\ngot  %s %v\nwant %s %v", tt.style, tt.version, tt.in, tt.query, got, target.ModelInBody(p), tt.want, tt.model)
		}
	}
	if (Target{Style: OpenAI}).ModelInBody(Path{}) {
		t.Error("a target that names no model must keep the client's")
	}
}

func TestFamilyNames(t *testing.T) {
	for f, want := range map[Family]string{Azure: "azure", AzureV1: "azure-v1", OpenAI: "openai", 9: "unknown"} {
		if got := f.String(); got != want {
			t.Errorf("family %d is called %q, want %q", f, got, want)
		}
	}
}

// TestReasoningVersion raises a client's api-version to the first that reasoning models
// accept, and leaves a configured one.
func TestReasoningVersion(t *testing.T) {
	for _, tt := range []struct{ configured, path, client, want string }{
		{"", "/openai/deployments/d/chat/completions", "2024-10-21", "2024-12-01-preview"},
		{"", "/openai/deployments/d/chat/completions", "", "2024-12-01-preview"},
		{"", "/v1/chat/completions", "", "2024-12-01-preview"},
		{"", "/openai/deployments/d/chat/completions", "2025-01-01-preview", "2025-01-01-preview"},
		{"2024-10-21", "/openai/deployments/d/chat/completions", "2025-01-01-preview", "2024-10-21"},
		{"", "/openai/deployments/d/embeddings", "2024-10-21", "2024-10-21"},
		{"", "/openai/responses", "2024-10-21", "2025-03-01-preview"},
	} {
		target, err := ParseTarget(Azure, "https://h", "d", tt.configured)
		if err != nil {
			t.Fatal(err)
		}
		target.Reasoning = true
		query := "api-version=" + tt.client
		p, _ := ParsePath(tt.path, query)
		if _, got := target.URL(p, query); got != "api-version="+tt.want {
			t.Errorf("%s, configured %q, client %q: %s, want %s", tt.path, tt.configured, tt.client, got, tt.want)
		}
	}
}
