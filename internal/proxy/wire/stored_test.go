package wire

import (
	"slices"
	"strings"
	"testing"
)

func TestStoredIDs(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		name, json string
		want       []string
	}{
		{"response", `{"id":"resp_1a","object":"response","previous_response_id":"resp_0"}`, []string{"resp_1a", "resp_0"}},
		{
			"kinds", `{"input_file_id":"file-1","vector_store_ids":["vs_2"],"conversation":{"id":"conv_3"},"id":"batch_4","container":"cntr_5"}`,
			[]string{"conv_3", "file-1", "batch_4", "vs_2", "cntr_5"},
		},
		{"encrypted reasoning", `[{"type":"reasoning","id":"rs_9","encrypted_content":"abc"}]`, []string{"rs_9"}},
		{"text", `{"content":"see \"resp_1\" and resp_2, \"file-3\""}`, nil},
		{"text that begins like one", `{"content":"file-3 is missing","name":"resp_ 1"}`, nil},
		{"cut off", `{"id":"resp_1","x":"resp_2`, []string{"resp_1"}},
		{"empty, long", `["resp_","resp_` + long + `"]`, nil},
		{"not JSON", "\x00\"file-1\xff\"file-2\"", []string{"file-2"}},
		{"nothing", ``, nil},
	} {
		var got []string
		StoredIDs([]byte(tt.json), func(id []byte) bool {
			got = append(got, string(id))
			return true
		})
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	n := 0
	StoredIDs([]byte(`["resp_1","resp_2","file-3"]`), func([]byte) bool {
		n++
		return n < 2
	})
	if n != 2 || !IsStoredID("vs_1") || IsStoredID("files") || IsStoredID("vs_"+long) {
		t.Errorf("%d identifiers after the stop, want 2", n)
	}
}

func TestObjectNotFound(t *testing.T) {
	for _, tt := range []struct {
		name          string
		status        int
		body          string
		stored, plain bool // whether it is, for a request that names an object, and for another
	}{
		{"previous response", 400, `{"error":{"message":"Previous response with id 'resp_1' not found.","param":"previous_response_id","code":"previous_response_not_found"}}`, true, true},
		{"encrypted content", 400, `{"error":{"message":"The encrypted content could not be verified.","code":"invalid_encrypted_content"}}`, true, true},
		{"404", 404, `{"error":{"code":"NotFound","message":"File file-1 not found"}}`, true, false},
		{"404 without a body", 404, ``, true, false},
		{"file", 400, `{"error":{"message":"No such File object: file-1"}}`, true, false},
		{"another 400", 400, `{"error":{"message":"Invalid value: 'x'","code":"invalid_value"}}`, false, false},
		{"key", 401, `{"error":{"message":"not found"}}`, false, false},
		{"failure", 500, `{"error":{"message":"not found"}}`, false, false},
	} {
		e := ScanFault([]byte(tt.body))
		if stored, plain := ObjectNotFound(tt.status, e, true), ObjectNotFound(tt.status, e, false); stored != tt.stored || plain != tt.plain {
			t.Errorf("%s: %v and %v, want %v and %v", tt.name, stored, plain, tt.stored, tt.plain)
		}
	}
}
