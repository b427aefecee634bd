//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// shelf is a deployment that keeps objects, and knows those alone that it has made.
type shelf struct {
	*peer
	name     string
	notFound func(id string) (status int, body string)

	mu   sync.Mutex
	made int
}

// storedID is an identifier of an object, or what stands for encrypted reasoning.
var storedID = regexp.MustCompile(`\b(?:resp_|file-|assistant-|batch_|conv_|vs_|cntr_|chatcmpl-|rs_|cmp_|sealed_)(\w)[0-9]+`)

// newShelf starts a shelf.
func newShelf(t *testing.T, name string, notFound func(id string) (int, string)) *shelf {
	s := &shelf{name: name, notFound: notFound}
	s.peer = newPeer(t, s.answer)
	return s
}

// answer answers a request: with a new object, with one that it has, or that it does not
// have what the request names.
func (s *shelf) answer(r *askSeen) script {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, _, _ := strings.Cut(r.target, "?")
	for _, found := range storedID.FindAllStringSubmatch(path+" "+r.body, -1) {
		if found[1] == s.name {
			continue
		}
		status, body := s.notFound(found[0])
		if strings.HasPrefix(found[0], "sealed_") {
			status, body = 400, `{"error":{"message":"The encrypted content `+found[0]+` could not be verified.","type":"invalid_request_error","param":null,"code":"invalid_encrypted_content"}}`
		}
		return script{send(answer(fmt.Sprint(status), body))}
	}
	s.made++
	id := fmt.Sprintf("%s%d", s.name, s.made)
	switch kind := path[strings.LastIndexByte(path, '/')+1:]; kind {
	case "responses":
		return script{send(answer("200", `{"id":"resp_`+id+`","object":"response","status":"completed","model":"m","output":[{"type":"reasoning","id":"rs_`+id+
			`","summary":[],"encrypted_content":"sealed_`+id+`"},{"type":"message","role":"assistant","status":"completed","id":"msg_`+id+
			`","content":[{"type":"output_text","text":"hi","annotations":[]}]}],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}`))}
	case "completions":
		return script{send(answer("200", strings.Replace(whole("hi", "stop", "1"), `"id":"c1"`, `"id":"chatcmpl-`+id+`"`, 1)))}
	default:
		prefix := map[string]string{
			"files": "file-", "batches": "batch_", "conversations": "conv_", "vector_stores": "vs_", "containers": "cntr_",
		}[kind]
		if prefix == "" {
			prefix = "read_" // of an object that it has
		}
		return script{send(answer("200", `{"id":"`+prefix+id+`","object":"x"}`))}
	}
}

// answer is a JSON response as a whole.
func answer(status, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s X\r\n%sContent-Length: %d\r\n\r\n%s", status, jsonType, len(body), body)
}

// storedRequest is a request of a client, and the member of its response that names the
// new object.
type storedRequest struct{ method, path, body string }

// send sends the request to a gateway, and returns the id of the response.
func (q storedRequest) send(t *testing.T, g *gateway) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), q.method, "http://"+g.data+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Api-Key", key("alice"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := adminClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var object struct{ ID string }
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(text, &object) != nil {
		t.Fatalf("%s %s %s: %d, %v: %s", q.method, q.path, q.body, resp.StatusCode, err, text)
	}
	return object.ID
}

// makeAll has a gateway make an object of each kind, and returns their identifiers.
func makeAll(t *testing.T, g *gateway) map[string]string {
	t.Helper()
	made := map[string]string{}
	for _, kind := range []string{"responses", "conversations", "files", "batches", "vector_stores", "containers", "chat/completions"} {
		made[kind] = storedRequest{"POST", "/openai/v1/" + kind, `{"model":"m","store":true,"input":"hi","messages":[{"role":"user","content":"hi"}]}`}.send(t, g)
	}
	return made
}

// uses are requests that name objects, by what they name.
func uses(made map[string]string) map[string]storedRequest {
	list := map[string]storedRequest{
		"response":             {"GET", "/openai/v1/responses/" + made["responses"], ""},
		"its items":            {"GET", "/openai/v1/responses/" + made["responses"] + "/input_items", ""},
		"previous response":    {"POST", "/openai/v1/responses", `{"model":"m","input":"hi","previous_response_id":"` + made["responses"] + `"}`},
		"encrypted reasoning":  {"POST", "/openai/v1/responses", `{"model":"m","input":[{"type":"reasoning","id":"` + strings.Replace(made["responses"], "resp_", "rs_", 1) + `","summary":[],"encrypted_content":"` + strings.Replace(made["responses"], "resp_", "sealed_", 1) + `"},{"role":"user","content":"hi"}]}`},
		"sealed without an id": {"POST", "/openai/v1/responses", `{"model":"m","input":[{"type":"reasoning","summary":[],"encrypted_content":"` + strings.Replace(made["responses"], "resp_", "sealed_", 1) + `"}]}`},
		"item reference":       {"POST", "/openai/v1/responses", `{"model":"m","input":[{"type":"item_reference","id":"` + strings.Replace(made["responses"], "resp_", "rs_", 1) + `"}]}`},
		"conversation of one":  {"POST", "/openai/v1/responses", `{"model":"m","input":"hi","conversation":"` + made["conversations"] + `"}`},
		"file of an input":     {"POST", "/openai/v1/responses", `{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"` + made["files"] + `"}]}]}`},
		"file search":          {"POST", "/openai/v1/responses", `{"model":"m","input":"hi","tools":[{"type":"file_search","vector_store_ids":["` + made["vector_stores"] + `"]}]}`},
		"code interpreter":     {"POST", "/openai/v1/responses", `{"model":"m","input":"hi","tools":[{"type":"code_interpreter","container":"` + made["containers"] + `"}]}`},
		"batch of a file":      {"POST", "/openai/v1/batches", `{"input_file_id":"` + made["files"] + `","endpoint":"/v1/chat/completions"}`},
		"file of a store":      {"POST", "/openai/v1/vector_stores/" + made["vector_stores"] + "/files", `{"file_id":"` + made["files"] + `"}`},
		"file's content":       {"GET", "/openai/v1/files/" + made["files"] + "/content", ""},
		"stored completion":    {"GET", "/openai/v1/chat/completions/" + made["chat/completions"], ""},
		"its messages":         {"GET", "/openai/v1/chat/completions/" + made["chat/completions"] + "/messages", ""},
		"its metadata":         {"POST", "/openai/v1/chat/completions/" + made["chat/completions"], `{"metadata":{"a":"b"}}`},
		"deployment's path":    {"GET", "/openai/files/" + made["files"] + "?api-version=2024-10-21", ""},
	}
	for _, kind := range []string{"files", "batches", "conversations", "vector_stores", "containers"} {
		list[kind] = storedRequest{"GET", "/openai/v1/" + kind + "/" + made[kind], ""}
	}
	return list
}

// TestStoredObjects has two gateways before the same two deployments, of which each asks
// the other one first. What is made through one is found through the other, and after a
// restart without asking again.
func TestStoredObjects(t *testing.T) {
	for _, tt := range []struct {
		name     string
		notFound func(id string) (int, string)
	}{
		{"404", func(id string) (int, string) {
			return 404, `{"error":{"message":"Item with id '` + id + `' not found.","type":"invalid_request_error","param":null,"code":null}}`
		}},
		{"404 of a resource", func(string) (int, string) { return 404, `{"error":{"code":"404","message":"Resource not found"}}` }},
		{"400", func(id string) (int, string) {
			if strings.HasPrefix(id, "resp_") {
				return 400, `{"error":{"message":"Previous response with id '` + id + `' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}`
			}
			return 400, `{"error":{"message":"The object ` + id + ` does not exist.","type":"invalid_request_error","param":null,"code":null}}`
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, b := newShelf(t, "a", tt.notFound), newShelf(t, "b", tt.notFound)
			lanes := []lane{{name: "a", peer: a.peer}, {name: "b", peer: b.peer}}
			const class = `operations: ["*"]`
			first := startGateway(t, &setup{lanes: lanes, window: time.Minute, class: class, store: true})
			other := &setup{lanes: []lane{lanes[1], lanes[0]}, window: time.Minute, class: class, store: true}
			second := startGateway(t, other)

			known := map[string]storedRequest{}
			for name := range uses(nil) { // each with objects of its own, which the second gateway does not know
				use := uses(makeAll(t, first))[name]
				use.send(t, first)
				if b.count() != len(known) {
					t.Fatalf("%s: the gateway that has made the object asked the other deployment", name)
				}
				t.Run(name, func(t *testing.T) { use.send(t, second) })
				known[name] = use
				if b.count() != len(known) {
					t.Fatalf("%s: b was asked %d times, want %d", name, b.count(), len(known))
				}
			}
			// A chain of responses, whose links go through both gateways in turn.
			id := makeAll(t, first)["responses"]
			for i := range 6 {
				id = storedRequest{"POST", "/openai/v1/responses", `{"model":"m","input":"hi","previous_response_id":"` + id + `"}`}.send(t, []*gateway{second, first}[i%2])
			}
			if code := second.stop(); code != 0 {
				t.Fatalf("exit status %d", code)
			}
			other.keep = second.dir
			second = startGateway(t, other)
			asked := b.count()
			for name, use := range known {
				t.Run("restarted, "+name, func(t *testing.T) { use.send(t, second) })
			}
			storedRequest{"POST", "/openai/v1/responses", `{"model":"m","input":"hi","previous_response_id":"` + id + `"}`}.send(t, second)
			// The last link was made through the first gateway, and what is sealed has no id.
			if n := b.count() - asked; n != 2 {
				t.Errorf("after the restart, b was asked %d times, want 2", n)
			}
		})
	}
}
