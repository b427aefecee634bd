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
			[]string{"file-1", "vs_2", "conv_3", "batch_4", "cntr_5"},
		},
		{"encrypted reasoning", `[{"type":"reasoning","id":"rs_9","encrypted_content":"abc"}]`, []string{"rs_9"}},
		{"text", `{"content":"see \"resp_1\" and resp_2, \"file-3\""}`, nil},
		{"text that begins like one", `{"content":"file-3 is missing","name":"resp_ 1"}`, nil},
		{"cut off", `{"id":"resp_1","x":"resp_2`, []string{"resp_1"}},
		{"empty, long", `["resp_","resp_` + long + `"]`, nil},
		{"not JSON", "\x00\"file-1\xff\"file-2\"", []string{"file-2"}},
		{"nothing", ``, nil},
		{"words", `{"type":"file_search","file_id":"file-1","run_id":"run_2","x":["batch_size","thread_x","video_url","eval_id","upload_id"]}`, []string{"file-1", "run_2"}},
		{"names", `{"resp_1":"resp_2", "file-3" : "file-4"}`, []string{"resp_2", "file-4"}},
		{"chat response", `{"id":"chatcmpl-1","x":"cfile_1"}`, []string{"cfile_1"}},
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
	if n != 2 || !IsStoredID("vs_1") || !IsStoredID("chatcmpl-1") || IsStoredID("files") || IsStoredID("file_search") || IsStoredID("run_") || IsStoredID("vs_"+long) {
		t.Errorf("%d identifiers after the stop, want 2", n)
	}
}

// TestStoredPrefixes finds every kind, alone and in JSON.
func TestStoredPrefixes(t *testing.T) {
	for _, prefix := range []string{
		"resp_", "rs_", "cmp_", "conv_", "cntr_", "cfile_", "file-", "file_", "assistant-", "batch_", "vs_", "vsfb_",
		"asst_", "thread_", "run_", "upload_", "ftjob-", "eval_", "evalrun_", "video_",
	} {
		id := prefix + "1"
		found := false
		StoredIDs([]byte(`{"id":"`+id+`"}`), func(got []byte) bool {
			found = string(got) == id
			return true
		})
		if !found || !IsStoredID(id) || IsStoredID(prefix) {
			t.Errorf("%s is not found", id)
		}
	}
}

func BenchmarkStoredIDs(b *testing.B) {
	part := `{"role":"user","content":[{"type":"input_text","text":"hello there, how are you today, what a nice day"}]},`
	body := []byte(`{"model":"x","input":[` + strings.Repeat(part, 200) + `]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		StoredIDs(body, func([]byte) bool { return true })
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
		{"file of a batch", 400, `{"error":{"code":"invalidPayload","message":"Could not find the file file-1"}}`, true, false},
		{"item", 400, `{"error":{"message":"Item with id 'rs_1' not found.","type":"invalid_request_error","param":"input","code":null}}`, true, false},
		{"vector store", 400, `{"error":{"message":"Vector store vs_1 does not exist.","code":"invalid_request_error"}}`, true, false},
		{"Azure's code", 400, `{"error":{"code":"NotFound","message":"x"}}`, true, false},
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
