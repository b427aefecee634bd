package wire

import (
	"net/url"
	"slices"
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
		{"/v1/responses/compact", "", Path{Family: OpenAI, Operation: "responses/compact"}, "openai/responses/compact"},
		{"/v1/responses/input_tokens/", "", Path{Family: OpenAI, Operation: "responses/input_tokens"}, "openai/responses/input_tokens"},
		{"/v1/responses/compact/x", "", Path{Family: OpenAI, Operation: "responses/compact/x", ResourceID: "compact"}, "openai/responses/stored"},
		{"/v1/files/100%25", "", Path{Family: OpenAI, Operation: "files/100%25"}, "openai/files"},
		{"/v1/models/gpt%2D4o", "", Path{Family: OpenAI, Operation: "models/gpt-4o"}, "openai/models"},
		{"//openai/deployments/d/chat/completions", "", Path{Family: Azure, API: spillway.APIChat, Deployment: "d", Operation: "chat/completions"}, "azure/chat"},
		{"/openai//deployments/d/embeddings", "", Path{Family: Azure, API: spillway.APIEmbeddings, Deployment: "d", Operation: "embeddings"}, "azure/embeddings"},
		{"/openai///responses", "", Path{Family: Azure, API: spillway.APIResponses, Operation: "responses"}, "azure/responses"},
		{"///openai//v1//chat/completions", "", Path{Family: AzureV1, API: spillway.APIChat, Operation: "chat/completions"}, "azure-v1/chat"},
		{"/v1//chat/completions", "", Path{Family: OpenAI, API: spillway.APIChat, Operation: "chat/completions"}, "openai/chat"},
		{
			"/models/chat/completions", "api-version=2024-05-01-preview",
			Path{Family: AzureV1, API: spillway.APIChat, Operation: "chat/completions", foundry: true},
			"azure-v1/chat",
		},
		{"//models//embeddings/", "", Path{Family: AzureV1, API: spillway.APIEmbeddings, Operation: "embeddings", foundry: true}, "azure-v1/embeddings"},
		{
			"/api/projects/my%20project/openai/v1/responses", "api-version=v1",
			Path{Family: AzureV1, API: spillway.APIResponses, Operation: "responses", APIVersion: "v1"},
			"azure-v1/responses",
		},
		{
			"/api/projects/p/openai/deployments/d/chat/completions", "",
			Path{Family: Azure, API: spillway.APIChat, Deployment: "d", Operation: "chat/completions"},
			"azure/chat",
		},
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
		"/v1//", "//", "/openai///", "/v1//deployments/d/chat/completions", "/openai//Deployments/d/chat/completions", "/openai/v1//v1/responses",
		"//openai/deployments//chat/completions", "/openai/deployments/d//chat/completions", "/v1//../chat/completions",
		"/models", "/models/", "/models/info", "/models/chat/Completions", "/models/chat//completions", "/models/chat/completions/c1", "/models/responses",
		"/api/projects/p", "/api/projects/p/", "/api/projects//openai/v1/responses", "/api/projects/../openai/v1/responses", "/api/projects/a%2Fb/openai/v1/responses",
		"/api/projects/p/v1/responses", "/api/projects/p/openai/V1/responses", "/api/projects/p/q/openai/v1/responses", "/API/projects/p/openai/v1/responses",
		"/v1/chat//completions", "/v1/../admin", "/v1/a/%2E%2E/b", "/v1/models//", "/v1/a\nb",
		"/openai/Deployments/d/chat/completions", "/openai/%64eployments/d/chat/completions", "/v1/deployments/d/chat/completions",
		"/openai/V1/chat/completions", "/openai/%76%31/chat/completions", "/v1/Chat/Completions", "/v1/RESPONSES", "/OPENAI/v1/models",
		"/v1/chat/completions%20", "/v1/chat/completions.", "/v1/chat./completions", "/v1/chat;x/completions", "/v1/responses%2E%20",
		"/v1/deployments%20/d/chat/completions", "/openai/deployments/d/extensions/chat/completions",
		"/v1/files/..;/chat/completions", "/v1/files/..%20/chat/completions", "/v1/files/.../x", "/v1/files/;a/chat/completions", "/v1/files/%20/x",
		"/v1/files/%252e%252e/chat/completions", "/v1/files/%25252e./x", "/v1/chat%252Fcompletions", "/v1/files/a%252Fb", "/v1/%2563hat/completions",
		"/v1/responses/Compact", "/v1/responses/compact%20", "/v1/RESPONSES/compact", "/v1/responses;a/compact.", "/v1/Responses/Input_Tokens",
	} {
		if got, ok := ParsePath(path, ""); ok {
			t.Errorf("ParsePath(%q) = %+v", path, got)
		}
	}
}

// TestPermission includes whatever could generate without token logic.
func TestPermission(t *testing.T) {
	tests := []struct{ method, path, want string }{
		{"POST", "/v1/chat/completions", "chat"},
		{"POST", "/openai/deployments/d/chat/completions/", "chat"},
		{"POST", "/openai/deployments/d/responses", "responses"},
		{"POST", "/openai/v1/%63ompletions", "completions"},
		{"POST", "/v1/embeddings", "embeddings"},
		{"GET", "/v1/models", "models"},
		{"GET", "/openai/v1/models/m", "models"},
		{"DELETE", "/v1/models/m", "other"},
		{"POST", "/v1/models", "other"},
		{"GET", "/openai/deployments/d/models", "other"},
		{"GET", "/v1/responses/r", "responses"},
		{"HEAD", "/v1/responses/r", "responses"},
		{"DELETE", "/openai/responses/r", "responses"},
		{"GET", "/v1/responses/r/input_items", "responses"},
		{"POST", "/v1/responses/r/cancel", "responses"},
		{"POST", "/v1/responses/input_tokens", "responses"},
		{"GET", "/v1/responses/input_tokens", "other"},
		{"POST", "/v1/responses/compact", "responses/compact"},
		{"POST", "/openai/v1/responses/compact/", "responses/compact"},
		{"GET", "/v1/responses/compact", "responses/compact"},
		{"POST", "/v1/responses/compact/x", "other"},
		{"POST", "/v1/responses/r", "other"},
		{"PUT", "/v1/responses/r", "other"},
		{"DELETE", "/v1/responses/r/input_items", "other"},
		{"POST", "/v1/responses/r/continue", "other"},
		{"GET", "/v1/responses/r/cancel", "other"},
		{"POST", "/v1/chat/completions/c1", "chat/stored"},
		{"GET", "/v1/chat/completions/c1/messages", "chat/stored"},
		{"POST", "/v1/chat/other", "other"},
		{"POST", "/v1/completions/x", "other"},
		{"POST", "/v1/messages", "other"},
		{"POST", "/v1/messages/count_tokens", "other"},
		{"POST", "/v1/engines/gpt/completions", "other"},
		{"POST", "/openai/v1/engines/gpt/chat/completions", "other"},
		{"POST", "/openai/deployments/d/generate", "other"},
		{"POST", "/v1/api/generate", "other"},
		{"POST", "/v1/rerank", "other"},
		{"POST", "/v1/Files", "other"},
		{"POST", "/v1/file%73", "files"},
		{"POST", "/openai/files", "files"},
		{"POST", "/v1/fine_tuning/jobs", "fine_tuning"},
		{"POST", "/v1/batches", "batches"},
		{"POST", "/openai/threads/runs", "threads"},
		{"GET", "/v1/vector_stores", "vector_stores"},
		{"POST", "/openai/deployments/d/images/generations", "images"},
	}
	for _, tt := range tests {
		p, ok := ParsePath(tt.path, "")
		if got := p.Permission(tt.method); !ok || got != tt.want {
			t.Errorf("%s %s: got %q, %v, want %q", tt.method, tt.path, got, ok, tt.want)
		}
	}
}

// TestOperations finds every operation by a path of its own, and permits by default
// what has token logic.
func TestOperations(t *testing.T) {
	for _, name := range spillway.Operations() {
		path, method := "/v1/"+name, "POST"
		switch name {
		case "chat":
			path += "/completions"
		case "chat/stored":
			path, method = "/v1/chat/completions/c1", "GET"
		case "models":
			method = "GET"
		}
		p, ok := ParsePath(path, "")
		if got := p.Permission(method); !ok || got != name {
			t.Errorf("%s %s needs %q, %v, want %q", method, path, got, ok, name)
		}
		byDefault := slices.Contains(spillway.DefaultOperations(), name)
		if byDefault != (p.API != spillway.APIOther || name == spillway.OperationModels) {
			t.Errorf("%s: allowed by default: %v", name, byDefault)
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
		for _, method := range [...]string{"GET", "POST", "DELETE", "BREW"} {
			name := p.Permission(method)
			if !slices.Contains(spillway.Operations(), name) {
				t.Fatalf("%s %q needs the unknown permission %q", method, path, name)
			}
			if method == "POST" && p.API == spillway.APIOther && slices.Contains([]string{"chat", "completions", "embeddings"}, name) {
				t.Fatalf("%q needs %q, without its token logic", path, name)
			}
		}
		if len(p.Route()) > 32 {
			t.Fatalf("route %q", p.Route())
		}
	})
}
