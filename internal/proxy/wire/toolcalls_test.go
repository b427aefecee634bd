package wire

import (
	"testing"

	spillway "github.com/spillway-ai/spillway"
)

func TestHasToolCalls(t *testing.T) {
	for _, tt := range []struct {
		name string
		api  spillway.API
		body string
		want bool
	}{
		{"tool call", spillway.APIChat, `{"choices":[{"index":0,"message":{"content":null,"tool_calls":[{"id":"c","function":{"arguments":"{\"a"}}]}}]}`, true},
		{"second choice", spillway.APIChat, `{"choices":[{"message":{"content":"x"}},{"message":{"tool_calls":[{}]}}]}`, true},
		{"function call", spillway.APIChat, `{"choices":[{"message":{"function_call":{"name":"f"}}}]}`, true},
		{"text", spillway.APIChat, `{"choices":[{"message":{"content":"\"tool_calls\": [1]","tool_calls":null,"function_call":null}}]}`, false},
		{"none", spillway.APIChat, `{"choices":[{"message":{"tool_calls":[]}}]}`, false},
		{"completion", spillway.APICompletions, `{"choices":[{"text":"tool_calls"}]}`, false},
		{"response", spillway.APIResponses, `{"output":[{"type":"message"},{"type":"function_call","arguments":"{"}]}`, true},
		{"custom tool", spillway.APIResponses, `{"output":[{"type":"custom_tool_call"}]}`, true},
		{"message", spillway.APIResponses, `{"output":[{"type":"reasoning"},{"type":"message","content":[{"type":"function_call"}]}]}`, false},
		{"odd", spillway.APIResponses, `{"output":[1,null,"function_call"]}`, false},
		{"empty", spillway.APIChat, ``, false},
	} {
		if got := HasToolCalls(tt.api, []byte(tt.body)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
