package azuresim

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

var update = flag.Bool("update", false, "rewrite the golden transcripts")

// volatile matches what differs between runs without meaning anything.
var volatile = regexp.MustCompile(`("(?:created|[a-z_]+_at)":)[1-9]\d*|\b(chatcmpl|cmpl|resp|msg|fc|call|rs|conv|vs|file)[-_][0-9A-Za-z]{20,}|[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}`)

func normalize(s string) string {
	return volatile.ReplaceAllStringFunc(s, func(m string) string {
		if name, _, ok := strings.Cut(m, ":"); ok {
			return name + ":1"
		}
		if i := strings.IndexAny(m, "-_"); i > 0 && i < 9 && !strings.Contains(m[i+1:], "-") {
			return m[:i+1] + "ID"
		}
		return "UUID"
	})
}

// transcript is a response as text: status, headers in order, body.
func transcript(resp *http.Response, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", resp.Status)
	var names []string
	for name := range resp.Header {
		if name != "Date" && name != "Content-Length" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s\n", strings.ToLower(name), resp.Header.Get(name))
	}
	fmt.Fprintf(&b, "\n%s\n", body)
	return normalize(b.String())
}

// checkJSON checks that a body, or each event of a stream, is JSON.
func checkJSON(t *testing.T, body string) {
	t.Helper()
	if json.Valid([]byte(body)) {
		return
	}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok && line != "" && !strings.HasPrefix(line, "event: ") || ok && data != "[DONE]" && !json.Valid([]byte(data)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

const (
	weather   = `{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["c","f"]}},"required":["city","unit"],"additionalProperties":false}}}`
	clockFn   = `{"type":"function","function":{"name":"get_time","parameters":{"type":"object","properties":{"zone":{"type":"string"}}}}}`
	reasoning = "/openai/deployments/reasoner/chat/completions?api-version=2024-12-01-preview"
	person    = `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":18,"maximum":99}},"required":["name","age"],"additionalProperties":false}`
)

func TestGoldenTranscripts(t *testing.T) {
	user := func(text string) string { return `"messages":[{"role":"user","content":"` + text + `"}]` }
	for _, tc := range []struct {
		name, path, body string
		headers          []string
		faults           []fleet.Fault
		chunkTokens      int // 0 is 1
	}{
		{name: "chat", path: chatPath("ptu"), body: `{` + user("Say something. [[tokens=9]]") + `,"max_tokens":100}`},
		{name: "chat_stream", path: chatPath("std"), body: `{` + user("Say something. [[tokens=5]]") + `,"stream":true}`},
		{name: "chat_stream_usage", path: "/openai/v1/chat/completions", body: `{"model":"ptu",` + user("Say something. [[tokens=3]]") + `,"stream":true,"stream_options":{"include_usage":true}}`},
		{name: "chat_stream_choices", path: chatPath("std"), body: `{` + user("[[tokens=2]]") + `,"stream":true,"n":2}`},
		{name: "chat_length", path: chatPath("ptu"), body: `{` + user("[[tokens=9]]") + `,"max_tokens":4}`},
		{name: "chat_logprobs", path: chatPath("std"), body: `{` + user("[[tokens=2]]") + `,"logprobs":true,"top_logprobs":2}`},
		{name: "chat_tools", path: chatPath("ptu"), body: `{` + user("Use get_weather and get_time.") + `,"tools":[` + weather + `,` + clockFn + `]}`},
		{name: "chat_tools_stream", path: chatPath("ptu"), body: `{` + user("Use get_weather.") + `,"tools":[` + weather + `],"stream":true}`},
		{name: "chat_schema", path: chatPath("ptu"), body: `{` + user("Who?") + `,"response_format":{"type":"json_schema","json_schema":{"name":"p","schema":` + person + `}}}`},
		{name: "chat_refusal", path: chatPath("ptu"), body: `{` + user("[[refusal]]") + `}`},
		{name: "chat_reasoning", path: reasoning, body: `{` + user("[[tokens=3]]") + `,"max_completion_tokens":5000}`},
		{name: "chat_openai_path", path: "/v1/chat/completions", body: `{"model":"gpt-4o-mini",` + user("[[tokens=2]]") + `}`, headers: []string{"Authorization", "Bearer azure", "api-key", ""}},
		{name: "completions", path: "/openai/deployments/std/completions?api-version=2024-10-21", body: `{"prompt":"Once [[tokens=4]]","max_tokens":10}`},
		{name: "completions_stream", path: "/openai/v1/completions", body: `{"model":"std","prompt":"Once [[tokens=2]]","stream":true,"stream_options":{"include_usage":true}}`},
		{name: "embeddings", path: "/openai/deployments/embed/embeddings?api-version=2024-10-21", body: `{"input":["a","b"],"dimensions":3}`},
		{name: "embeddings_base64", path: "/openai/v1/embeddings", body: `{"model":"embed","input":"a","dimensions":3,"encoding_format":"base64"}`},
		{name: "responses", path: "/openai/v1/responses", body: `{"model":"ptu","input":"Hello [[tokens=5]]","instructions":"Be kind."}`},
		{name: "responses_stream", path: "/openai/responses?api-version=2025-03-01-preview", body: `{"model":"ptu","input":[{"role":"user","content":[{"type":"input_text","text":"Hello [[tokens=3]]"}]}],"stream":true}`},
		{name: "responses_incomplete", path: "/v1/responses", body: `{"model":"ptu","input":"Hello [[tokens=8]]","max_output_tokens":2,"stream":true}`},
		{name: "responses_tools", path: "/v1/responses", body: `{"model":"ptu","input":"[[tool]]","tools":[{"type":"function","name":"get_time","parameters":{"type":"object","properties":{"zone":{"enum":["utc"]}}}}],"stream":true}`},
		{name: "batches_chat", path: chatPath("std"), body: `{` + user("[[tokens=20]]") + `,"stream":true,"stream_options":{"include_usage":true}}`, chunkTokens: 8},
		{name: "batches_chat_choices", path: chatPath("std"), body: `{` + user("[[tokens=9]]") + `,"stream":true,"n":2}`, chunkTokens: 8},
		{name: "batches_chat_logprobs", path: chatPath("std"), body: `{` + user("[[tokens=6]]") + `,"stream":true,"logprobs":true,"top_logprobs":1}`, chunkTokens: 8},
		{name: "batches_chat_tools", path: chatPath("ptu"), body: `{` + user("Use get_weather and get_time.") + `,"tools":[` + weather + `,` + clockFn + `],"stream":true}`, chunkTokens: 8},
		{name: "batches_chat_reasoning", path: reasoning, body: `{` + user("[[tokens=12]]") + `,"max_completion_tokens":5000,"stream":true,"stream_options":{"include_usage":true}}`, chunkTokens: 8},
		{name: "batches_completions", path: "/openai/v1/completions", body: `{"model":"std","prompt":"Once [[tokens=9]]","stream":true,"logprobs":1}`, chunkTokens: 8},
		{name: "batches_responses", path: "/v1/responses", body: `{"model":"ptu","input":"Hello [[tokens=20]]","stream":true}`, chunkTokens: 8},
		{name: "batches_responses_tools", path: "/v1/responses", body: `{"model":"ptu","input":"[[tool]]","tools":[{"type":"function","name":"get_time","parameters":{"type":"object","properties":{"zone":{"enum":["Europe/Stockholm"]}}}}],"stream":true}`, chunkTokens: 8},
		{name: "error_401", path: chatPath("ptu"), body: `{}`, headers: []string{"api-key", "wrong"}},
		{name: "error_404_deployment", path: chatPath("nope"), body: `{}`},
		{name: "error_404_no_version", path: "/openai/deployments/ptu/chat/completions", body: `{}`},
		{name: "error_400_json", path: chatPath("ptu"), body: `{"messages":`},
		{name: "error_400_type", path: chatPath("ptu"), body: `{"messages":[],"max_tokens":"many"}`},
		{name: "error_400_both_limits", path: chatPath("ptu"), body: `{` + user("x") + `,"max_tokens":4,"max_completion_tokens":4}`},
		{name: "error_400_reasoning_limit", path: reasoning, body: `{` + user("x") + `,"max_tokens":4}`},
		{name: "error_400_too_many", path: chatPath("ptu"), body: `{` + user("x") + `,"max_tokens":16385}`},
		{name: "error_400_filter", path: chatPath("ptu"), body: `{` + user("[[filter]]") + `}`},
		{name: "error_400_operation", path: chatPath("embed"), body: `{` + user("x") + `}`},
		{name: "error_400_previous", path: "/v1/responses", body: `{"model":"ptu","input":"x","previous_response_id":"resp_x"}`},
		{name: "error_408", path: chatPath("ptu"), body: `{` + user("[[tokens=9000]]") + `}`},
		{name: "error_429", path: chatPath("std"), body: `{` + user("x") + `}`, faults: []fleet.Fault{{Kind: fleet.FaultStatus429}}},
		{name: "error_429_absurd", path: chatPath("ptu"), body: `{` + user("x") + `}`, faults: []fleet.Fault{{Kind: fleet.FaultAbsurdRetryAfter}}},
		{name: "error_500", path: chatPath("ptu"), body: `{` + user("x") + `}`, faults: []fleet.Fault{{Kind: fleet.FaultStatus5xx}}},
		{name: "error_503", path: chatPath("ptu"), body: `{` + user("x") + `}`, faults: []fleet.Fault{{Kind: fleet.FaultStatus5xx, Status: 503}}},
		{name: "spilled", path: chatPath("ptu"), body: `{` + user("[[tokens=2]]") + `}`, headers: []string{"x-ms-spillover-deployment", "std"}, faults: []fleet.Fault{{Kind: fleet.FaultStatus429, Deployment: "ptu"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cfg := steadyFleet()
				cfg.Faults = tc.faults
				for i := range cfg.Deployments {
					cfg.Deployments[i].ChunkTokens = max(tc.chunkTokens, 1)
				}
				resp, body := serve(t, cfg).do(tc.path, tc.body, tc.headers...)
				checkJSON(t, body)
				got := transcript(resp, body)
				file := filepath.Join("testdata", tc.name+".txt")
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
		})
	}
}
