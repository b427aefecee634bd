package wire

import (
	"testing"

	"github.com/spillway-ai/spillway"
)

// TestSince raises a client's api-version to what its members need, and leaves a
// configured one.
func TestSince(t *testing.T) {
	for _, tt := range []struct{ configured, client, members, want string }{
		{"", "2024-10-21", ``, "2024-10-21"},
		{"", "2024-10-21", `,"max_completion_tokens":5,"parallel_tool_calls":true`, "2024-10-21"},
		{"", "2024-10-21", `,"reasoning_effort":"low"`, "2024-12-01-preview"},
		{"", "2024-10-21", `,"reasoning_effort":null`, "2024-10-21"},
		{"", "", `,"store":true,"metadata":{"a":"b"}`, "2024-12-01-preview"},
		{"", "2023-05-15", `,"prediction":{"type":"content","content":"x"},"store":false`, "2025-01-01-preview"},
		{"", "2025-04-01-preview", `,"prediction":{"type":"content","content":"x"}`, "2025-04-01-preview"},
		{"2024-10-21", "2025-01-01-preview", `,"reasoning_effort":"low"`, "2024-10-21"},
	} {
		target, err := ParseTarget(Azure, "https://h", "d", tt.configured)
		if err != nil {
			t.Fatal(err)
		}
		ask, err := ReadAsk(spillway.APIChat, []byte(`{"messages":[{"role":"user","content":"hi"}]`+tt.members+`}`))
		if err != nil {
			t.Fatal(err)
		}
		p, _ := ParsePath("/openai/deployments/d/chat/completions", "api-version="+tt.client)
		p.Since = ask.Since
		if _, query := target.URL(p, ""); query != "api-version="+tt.want {
			t.Errorf("%q, client's %q, %s: %s, want %s", tt.configured, tt.client, tt.members, query, tt.want)
		}
	}
}

// TestEnabledSince reads which api-version a refusal asks for.
func TestEnabledSince(t *testing.T) {
	for _, tt := range []struct {
		body, version string
		model         bool
	}{
		{`{"error":{"code":"BadRequest","message":"Model {modelName} is enabled only for api versions 2024-12-01-preview and later"}}`, "2024-12-01-preview", true},
		{`{"error":{"code":"BadRequest","message":"tool_choice value as required is enabled only for api versions 2024-06-01 and later"}}`, "2024-06-01", false},
		{`{"error":{"code":"BadRequest","message":"Azure OpenAI Responses API is enabled only for api-version 2025-03-01-preview and later"}}`, "", false},
		{`{"error":{"message":"it is enabled only for api versions soon and later"}}`, "", false},
		{`{"error":{"message":"it is enabled only for api versions 2024-06-01-` + `a-very-long-suffix-that-nobody-has and later"}}`, "", false},
		{`{"error":{"message":"x is enabled only for api versions `, "", false},
		{``, "", false},
	} {
		if version, model := EnabledSince([]byte(tt.body)); version != tt.version || model != tt.model {
			t.Errorf("%s: %q, %t, want %q, %t", tt.body, version, model, tt.version, tt.model)
		}
	}
}
