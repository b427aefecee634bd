package azuresim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// twoResources is a fleet of two regions, each with the same model, and a reasoning
// model in the second.
func twoResources() Config {
	west, reasoner := steady("west", spillway.Standard), steady("reasoner", spillway.Standard)
	west.Region, reasoner.Region = "westus3", "westus3"
	reasoner.Model, reasoner.Reasoning = "gpt-5.6-sol", true
	return Config{
		Deployments: []fleet.Deployment{steady("east", spillway.Standard), west, reasoner},
		Keys:        []string{"azure"}, Seed: 1,
	}
}

// step is one request of a flow. $name in its path and body is an id that an
// earlier step has captured.
type step struct {
	wait         time.Duration // before the request
	method, path string
	body         string
	// file makes the body a form with this file, in the form of openai-python.
	file string
	// capture names the first match of the pattern in the answer.
	capture, pattern string
}

// flow runs steps against a fleet, and returns a transcript.
func flow(t *testing.T, cfg Config, steps []step) string {
	t.Helper()
	var out strings.Builder
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, cfg)
		known := map[string]string{}
		for _, s := range steps {
			time.Sleep(s.wait)
			path, body := s.path, s.body
			for name, id := range known {
				path, body = strings.ReplaceAll(path, "$"+name, id), strings.ReplaceAll(body, "$"+name, id)
			}
			req, err := http.NewRequestWithContext(t.Context(), s.method, "http://sim"+path, strings.NewReader(body))
			if s.file != "" {
				req, err = upload(t, path, s.file)
			}
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer azure")
			resp, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if resp.Header.Get("Content-Type") == "application/json" && !json.Valid(text) {
				t.Errorf("%s %s: not JSON: %s", s.method, path, text)
			}
			if s.capture != "" {
				match := regexp.MustCompile(s.pattern).Find(text)
				if match == nil {
					t.Fatalf("%s %s: no %s in %s", s.method, path, s.pattern, text)
				}
				known[s.capture] = string(match)
			}
			fmt.Fprintf(&out, "%s %s %s\n%s\n%s\n\n", s.method, s.path, s.body, resp.Status, text)
		}
	})
	return normalize(out.String())
}

// upload is a request for a file, with the fields that openai-python sends.
func upload(t *testing.T, path, content string) (*http.Request, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, field := range [][2]string{{"purpose", "batch"}, {"expires_after[anchor]", "created_at"}, {"expires_after[seconds]", "1209600"}} {
		if err := form.WriteField(field[0], field[1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := form.CreateFormFile("file", "test.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(part, content); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://sim"+path, &body)
	if err == nil {
		req.Header.Set("Content-Type", form.FormDataContentType())
	}
	return req, err
}

// batchFile is the input of Microsoft's batch page, with lengths and a wrong line.
const batchFile = `{"custom_id": "task-0", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "west", "messages": [{"role": "system", "content": "You are an AI assistant that helps people find information."}, {"role": "user", "content": "When was Microsoft founded? [[tokens=4]]"}]}}
{"custom_id": "task-1", "method": "POST", "url": "/chat/completions", "body": {"model": "west", "messages": [{"role": "user", "content": "When was the first XBOX released? [[tokens=1000]]"}]}}

{"custom_id": "task-2", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "west", "messages": []}}
`

const (
	east = "/resource/eastus/openai/v1/"
	west = "/resource/westus3/openai/v1/"
)

// TestFlows are what clients do with stored objects: each is created in one
// resource, read there, and missing in another.
func TestFlows(t *testing.T) {
	for name, steps := range map[string][]step{
		"flow_responses": {
			{method: "POST", path: east + "responses", body: `{"model":"east","input":"Hello [[tokens=3]]","metadata":{"k":"v"}}`, capture: "id", pattern: "resp_[0-9A-Za-z]+"},
			{method: "GET", path: east + "responses/$id"},
			{method: "GET", path: east + "responses/$id/input_items"},
			{method: "POST", path: east + "responses", body: `{"model":"east","input":[{"role":"user","content":"More [[tokens=2]]"}],"previous_response_id":"$id","store":false}`, capture: "second", pattern: "resp_[0-9A-Za-z]+"},
			{method: "GET", path: east + "responses/$second"},
			{method: "GET", path: west + "responses/$id"},
			{method: "POST", path: west + "responses", body: `{"model":"west","input":"More","previous_response_id":"$id"}`},
			{method: "POST", path: east + "responses/$id/cancel"},
			{method: "DELETE", path: west + "responses/$id"},
			{method: "DELETE", path: east + "responses/$id"},
			{method: "GET", path: east + "responses/$id"},
			{method: "GET", path: "/resource/eastus/openai/responses/$id?api-version=2024-10-21"},
		},
		"flow_background": {
			{method: "POST", path: west + "responses", body: `{"model":"west","input":"Hello [[tokens=100]]","background":true}`, capture: "id", pattern: "resp_[0-9A-Za-z]+"},
			{method: "GET", path: west + "responses/$id", wait: 100 * time.Millisecond},
			{method: "GET", path: west + "responses/$id", wait: 500 * time.Millisecond},
			{method: "GET", path: west + "responses/$id", wait: time.Minute},
			{method: "POST", path: west + "responses/$id/cancel"},
			{method: "POST", path: west + "responses", body: `{"model":"west","input":"Hello [[tokens=100]]","background":true}`, capture: "second", pattern: "resp_[0-9A-Za-z]+"},
			{method: "POST", path: west + "responses/$second/cancel", wait: 600 * time.Millisecond},
			{method: "GET", path: west + "responses/$second", wait: time.Minute},
			{method: "POST", path: west + "responses", body: `{"model":"west","input":"x","background":true,"store":false}`},
			{method: "POST", path: east + "responses/$id/cancel"},
		},
		"flow_reasoning_items": {
			{method: "POST", path: west + "responses", body: `{"model":"reasoner","input":"Hello [[tokens=3]]","include":["reasoning.encrypted_content"]}`, capture: "item", pattern: "rs_[0-9A-Za-z]+"},
			{method: "POST", path: west + "responses", body: `{"model":"reasoner","input":[{"type":"reasoning","id":"$item","summary":[]},{"role":"user","content":"More [[tokens=1]]"}]}`},
			{method: "POST", path: west + "responses", body: `{"model":"reasoner","input":[{"type":"item_reference","id":"$item"},{"role":"user","content":"More [[tokens=1]]"}]}`},
			{method: "POST", path: east + "responses", body: `{"model":"east","input":[{"type":"reasoning","id":"$item","summary":[]},{"role":"user","content":"More [[tokens=1]]"}]}`},
			{method: "POST", path: east + "responses", body: `{"model":"east","input":[{"type":"reasoning","id":"$item","encrypted_content":"gAAAAAelsewhere","summary":[]},{"role":"user","content":"More"}]}`},
		},
		"flow_chat": {
			{method: "POST", path: east + "chat/completions", body: `{"model":"east","messages":[{"role":"user","content":"Hello [[tokens=3]]"}],"store":true,"metadata":{"k":"v"},"stream":true}`, capture: "id", pattern: "chatcmpl-[0-9A-Za-z]+"},
			{method: "GET", path: east + "chat/completions/$id"},
			{method: "GET", path: east + "chat/completions/$id/messages"},
			{method: "POST", path: east + "chat/completions/$id", body: `{"metadata":{"k":"w"}}`},
			{method: "GET", path: east + "chat/completions"},
			{method: "GET", path: west + "chat/completions/$id"},
			{method: "GET", path: west + "chat/completions"},
			{method: "DELETE", path: east + "chat/completions/$id"},
			{method: "GET", path: east + "chat/completions/$id"},
			{method: "GET", path: "/openai/chat/completions/x?api-version=2024-10-21"},
		},
		"flow_conversations": {
			{method: "POST", path: east + "conversations", body: `{"metadata":{"topic":"demo"},"items":[{"type":"message","role":"user","content":"Hello!"}]}`, capture: "id", pattern: "conv_[0-9A-Za-z]+"},
			{method: "GET", path: east + "conversations/$id"},
			{method: "POST", path: east + "responses", body: `{"model":"east","input":"More [[tokens=3]]","conversation":{"id":"$id"}}`},
			{method: "GET", path: east + "conversations/$id/items?limit=2", capture: "item", pattern: "msg_[0-9A-Za-z]+"},
			{method: "POST", path: east + "conversations/$id/items", body: `{"items":[{"type":"function_call_output","call_id":"c","output":"5"}]}`},
			{method: "GET", path: east + "conversations/$id/items/$item"},
			{method: "DELETE", path: east + "conversations/$id/items/$item"},
			{method: "GET", path: east + "conversations/$id/items/$item"},
			{method: "POST", path: east + "conversations/$id", body: `{"metadata":{}}`},
			{method: "GET", path: west + "conversations/$id"},
			{method: "POST", path: west + "responses", body: `{"model":"west","input":"More","conversation":"$id"}`},
			{method: "POST", path: east + "responses", body: `{"model":"east","input":"More","conversation":"$id","previous_response_id":"resp_x"}`},
			{method: "DELETE", path: east + "conversations/$id"},
			{method: "GET", path: east + "conversations/$id/items"},
			{method: "POST", path: "/openai/conversations?api-version=2025-04-01-preview", body: `{}`},
		},
		"flow_files": {
			{method: "POST", path: west + "files", file: batchFile, capture: "id", pattern: "file-[0-9a-f]+"},
			{method: "GET", path: west + "files"},
			{method: "GET", path: "/resource/westus3/openai/files/$id?api-version=2024-10-21"},
			{method: "GET", path: west + "files/$id/content"},
			{method: "GET", path: east + "files/$id"},
			{method: "POST", path: west + "vector_stores", body: `{"name":"docs","file_ids":["$id"]}`, capture: "vs", pattern: "vs_[0-9A-Za-z]+"},
			{method: "GET", path: west + "vector_stores/$vs/files"},
			{method: "POST", path: west + "vector_stores/$vs/files", body: `{"file_id":"$id"}`},
			{method: "GET", path: west + "vector_stores/$vs"},
			{method: "POST", path: west + "vector_stores/$vs/files", body: `{"file_id":"file-elsewhere"}`},
			{method: "POST", path: east + "vector_stores", body: `{"file_ids":["$id"]}`},
			{method: "GET", path: east + "vector_stores/$vs"},
			{method: "GET", path: west + "vector_stores"},
			{method: "DELETE", path: west + "vector_stores/$vs"},
			{method: "DELETE", path: west + "files/$id"},
			{method: "GET", path: west + "files/$id/content"},
			{method: "POST", path: west + "files", body: `{}`},
		},
		"flow_batches": {
			{method: "POST", path: west + "files", file: batchFile, capture: "file", pattern: "file-[0-9a-f]+"},
			{method: "POST", path: east + "batches", body: `{"input_file_id":"$file","endpoint":"/v1/chat/completions","completion_window":"24h"}`},
			{method: "POST", path: west + "batches", body: `{"input_file_id":"$file","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"k":"v"}}`, capture: "id", pattern: "batch_[0-9a-f-]+"},
			{method: "GET", path: west + "batches/$id", wait: 11 * time.Second},
			{method: "GET", path: west + "batches/$id", wait: 11 * time.Second},
			{method: "GET", path: west + "batches/$id", wait: time.Minute, capture: "output", pattern: `"output_file_id":"file-[0-9a-f]+`},
			{method: "GET", path: west + "files"},
			{method: "POST", path: west + "batches/$id/cancel"},
			{method: "GET", path: east + "batches/$id"},
			{method: "POST", path: west + "batches", body: `{"input_file_id":"$file","endpoint":"/chat/completions","completion_window":"24h"}`, capture: "second", pattern: "batch_[0-9a-f-]+"},
			{method: "POST", path: west + "batches/$second/cancel", wait: 12 * time.Second},
			{method: "GET", path: west + "batches/$second", wait: time.Minute},
			{method: "POST", path: west + "batches", body: `{"input_file_id":"$file","endpoint":"/v1/responses","completion_window":"24h"}`, capture: "third", pattern: "batch_[0-9a-f-]+"},
			{method: "GET", path: west + "batches/$third", wait: time.Minute},
			{method: "POST", path: west + "batches", body: `{"input_file_id":"$file","endpoint":"/v1/chat/completions","completion_window":"1h"}`},
			{method: "GET", path: "/resource/westus3/openai/batches/$id?api-version=2024-06-01"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := flow(t, twoResources(), steps)
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
