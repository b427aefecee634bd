package wire

import "testing"

// TestRefusedMember reads errors of several services. The messages are theirs, shortened.
func TestRefusedMember(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"old api-version", `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`, MemberStreamOptions},
		{"validator, options", `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}`, MemberStreamOptions},
		{"options without a stream", `{"error":{"message":"The 'stream_options' parameter is only allowed when 'stream' is enabled.","param":"stream_options"}}`, MemberStreamOptions},
		{"model", `{"error":{"message":"Unsupported value: 'stream' does not support true with this model.","param":"stream","code":"unsupported_value"}}`, MemberStream},
		{"organization", `{"error":{"message":"Your organization must be verified to stream this model.","param":"stream","code":"unsupported_value"}}`, MemberStream},
		{"message alone", `{"error":{"message":"Streaming is not supported for this deployment."}}`, MemberStream},
		{"text", `This model cannot be streamed.`, MemberStream},
		{"validator", `{"detail":[{"type":"extra_forbidden","loc":["body","stream"],"msg":"Extra inputs are not permitted"}]}`, MemberStream},
		{"another member", `{"error":{"message":"Unsupported value: 'temperature'","param":"temperature"}}`, ""},
		{"a tool's name", `{"error":{"message":"Invalid tool 'upstream_stream': stream-of-logs, livestream"}}`, ""},
		{"empty", ``, ""},
	} {
		if got := RefusedMember([]byte(tt.body)); got != tt.want {
			t.Errorf("%s: refused member %q, want %q", tt.name, got, tt.want)
		}
	}
}
