package wire

import (
	"net/url"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway"
)

func TestParsePath(t *testing.T) {
	tests := []struct {
		path, query string
		want        Path
		route       string
	}{
		{
			"/openai/deployments/chat/chat/completions", "api-version=2024-10-21",
			Path{Family: Azure, API: spillway.APIChat, Deployment: "chat", Operation: "chat/completions", APIVersion: "2024-10-21"},
			"azure/chat",
		},
		{
			"/openai/deployments/my%20gpt/completions/", "a=b&API-Version=2024-06-01&c",
			Path{Family: Azure, API: spillway.APICompletions, Deployment: "my gpt", Operation: "completions", APIVersion: "2024-06-01"},
			"azure/completions",
		},
		{
			"/openai/deployments/e/embeddings", "",
			Path{Family: Azure, API: spillway.APIEmbeddings, Deployment: "e", Operation: "embeddings"},
			"azure/embeddings",
		},
		{
			"/openai/deployments/img/images/generations", "",
			Path{Family: Azure, Deployment: "img", Operation: "images/generations"},
			"azure/images",
		},
		{
			"/openai/responses", "api-version=2025-03-01-preview",
			Path{Family: Azure, API: spillway.APIResponses, Operation: "responses", APIVersion: "2025-03-01-preview"},
			"azure/responses",
		},
		{
			"/openai/responses/resp_1/input_items", "",
			Path{Family: Azure, Operation: "responses/resp_1/input_items", ResourceID: "resp_1"},
			"azure/responses/stored",
		},
		{"/openai/models", "", Path{Family: Azure, Operation: "models"}, "azure/models"},
		{"/openai/files/f1/content", "", Path{Family: Azure, Operation: "files/f1/content"}, "azure/files"},
		{"/openai/v1/chat/completions", "", Path{Family: AzureV1, API: spillway.APIChat, Operation: "chat/completions"}, "azure-v1/chat"},
		{
			"/openai/v1/responses", "api-version=preview",
			Path{Family: AzureV1, API: spillway.APIResponses, Operation: "responses", APIVersion: "preview"},
			"azure-v1/responses",
		},
		{"/v1/chat/completions", "", Path{Family: OpenAI, API: spillway.APIChat, Operation: "chat/completions"}, "openai/chat"},
		{"/v1/chat/completions/c1", "", Path{Family: OpenAI, Operation: "chat/completions/c1"}, "openai/chat/stored"},
		{"/v1/responses/r1/cancel", "", Path{Family: OpenAI, Operation: "responses/r1/cancel", ResourceID: "r1"}, "openai/responses/stored"},
		{"/v1/responses/compact", "", Path{Family: OpenAI, Operation: "responses/compact"}, "openai/responses/stored"},
		{"/v1/models/gpt%2D4o", "", Path{Family: OpenAI, Operation: "models/gpt-4o"}, "openai/models"},
		{"/v1/something/new", "", Path{Family: OpenAI, Operation: "something/new"}, "openai/other"},
		{"/v1/%63hat/completions", "", Path{Family: OpenAI, API: spillway.APIChat, Operation: "chat/completions"}, "openai/chat"},
		{"/v1/models/a%3Fb%23c", "api%2Dversion=x", Path{Family: OpenAI, Operation: "models/a%3Fb%23c", APIVersion: "x"}, "openai/models"},
	}
	for _, tt := range tests {
		got, ok := ParsePath(tt.path, tt.query)
		if !ok || got != tt.want || got.Route() != tt.route {
			t.Errorf("%s?%s:\ngot  %+v %v %s\nwant %+v %s", tt.path, tt.query, got, ok, got.Route(), tt.want, tt.route)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	for _, path := range []string{
		"", "/", "/openai", "/openai/", "/v1", "/v1/", "/v2/chat/completions", "/healthz", "v1/chat/completions",
		"/openai/v1", "/openai/v1/", "/openai/deployments", "/openai/deployments/", "/openai/deployments/d", "/openai/deployments/d/",
		"/openai/deployments//chat/completions", "/openai/deployments/%20%2F/chat/completions", "/openai/deployments/./chat/completions",
		"/openai/deployments/../v1/models", "/openai/deployments/%2e%2e/chat/completions", "/openai/deployments/a%2fb/completions",
		"/openai/deployments/a%5Cb/completions", "/openai/deployments/a%00/completions", "/openai/deployments/%zz/completions",
		"/v1//chat/completions", "/v1/chat//completions", "/v1/../admin", "/v1/a/%2E%2E/b", "/v1/models//", "/v1/a\nb",
		"/openai/Deployments/d/chat/completions", "/openai/%64eployments/d/chat/completions", "/v1/deployments/d/chat/completions",
		"/openai/V1/chat/completions", "/openai/%76%31/chat/completions", "/v1/Chat/Completions", "/v1/RESPONSES", "/OPENAI/v1/models",
		"/v1/chat/completions%20", "/v1/chat/completions.", "/v1/chat./completions", "/v1/chat;x/completions", "/v1/responses%2E%20",
		"/v1/deployments%20/d/chat/completions", "/openai/deployments/d/extensions/chat/completions",
	} {
		if got, ok := ParsePath(path, ""); ok {
			t.Errorf("ParsePath(%q) = %+v", path, got)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, path := range []string{
		"/v1/chat/completions", "/openai/deployments/d%20e/chat/completions", "/openai/v1/responses/r%2d/cancel", "/v1/%2e%2e/x", "/openai/%64eployments/a/b",
	} {
		f.Add(path, "api-version=1&x=%zz&api%2Dversion=2")
	}
	target := Target{Style: Azure, Prefix: "/openai", Deployment: "own deployment"}
	f.Fuzz(func(t *testing.T, path, query string) {
		p, ok := ParsePath(path, query)
		if !ok {
			return
		}
		again, ok := ParsePath("/v1/"+p.Operation, "")
		if !ok || again.Operation != p.Operation || again.API != p.API || again.ResourceID != p.ResourceID {
			t.Fatalf("%+v reads again as %+v, %v", p, again, ok)
		}
		up, upQuery := target.URL(p, query)
		plain, err := url.PathUnescape(up)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(plain, "/../") || strings.HasSuffix(plain, "/..") || strings.ContainsAny(up, "?#\\ \n") {
			t.Fatalf("unsafe path %q", up)
		}
		if _, name, ok := strings.Cut(strings.ToLower(plain), "/deployments/"); ok && isDeploymentOperation(p.Operation) && !strings.HasPrefix(name, "own deployment/") {
			t.Fatalf("path %q reaches another deployment", up)
		}
		if n := strings.Count(strings.ToLower(upQuery), "api-version="); n < 1 {
			t.Fatalf("query %q", upQuery)
		}
		if len(p.Route()) > 32 {
			t.Fatalf("route %q", p.Route())
		}
	})
}
