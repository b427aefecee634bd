package wire

import (
	"testing"

	spillway "github.com/spillway-ai/spillway"
)

func TestUnsized(t *testing.T) {
	for _, tt := range []struct {
		name string
		api  spillway.API
		body string
		want bool
	}{
		{"text", spillway.APIChat, `{"messages":[{"role":"user","content":"an image_url and a file_id."}],"stream_options":{}}`, false},
		{"tool result", spillway.APIChat, `{"messages":[{"role":"tool","tool_call_id":"x","content":"_"}]}`, false},
		{"image", spillway.APIChat, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://a/b"}}]}]}`, true},
		{"audio", spillway.APIChat, `{"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}]}`, true},
		{"file", spillway.APIChat, `{"messages":[{"content":[{"type":"file","file":{"file_id":"f"}}]}]}`, true},
		{"embedded file", spillway.APIChat, `{"messages":[{"content":[{"type":"file","file":{"file_data":"data:x"}}]}]}`, true},
		{"own data", spillway.APIChat, `{"messages":[],"data_sources":[{}]}`, true},
		{"web search", spillway.APIChat, `{"messages":[],"web_search_options":{}}`, true},
		{"a response", spillway.APIResponses, `{"input":"hello"}`, true},
		{"embeddings", spillway.APIEmbeddings, `{"input":"hello"}`, false},
		{"empty", spillway.APIChat, ``, false},
		{"an underscore at each end", spillway.APIChat, `_{}_`, false},
	} {
		if got := Unsized(tt.api, []byte(tt.body)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
