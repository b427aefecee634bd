package wire

import (
	"cmp"
	"os"
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
)

func TestSummarize(t *testing.T) {
	u := spillway.Usage{Prompt: 12, Cached: 8, Completion: 4, Reasoning: 2, Known: true}
	const usage = `"usage":{"completion_tokens":4,"completion_tokens_details":{"reasoning_tokens":2,"audio_tokens":0},"prompt_tokens":12,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":8},"total_tokens":16}`
	tests := []struct {
		name   string
		api    spillway.API
		body   string
		usage  spillway.Usage
		finish spillway.Finish
		ok     bool
	}{
		{"chat", spillway.APIChat, `{"choices":[{"finish_reason":"stop","index":0,"message":{"content":"a"}}],` + usage + `}`, u, spillway.FinishStop, true},
		{"text that looks like usage", spillway.APIChat, `{"choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":9}, \\\"}"},"finish_reason":"length"}],` + usage + ` }` + "\n", u, spillway.FinishLength, true},
		{"usage in a message does not count", spillway.APIChat, `{"choices":[{"message":{"usage":{"prompt_tokens":9},"finish_reason":"length"},"finish_reason":"stop"}]}`, spillway.Usage{}, spillway.FinishStop, true},
		{"no usage", spillway.APIChat, `{"choices":[{"finish_reason":null}],"usage":null}`, spillway.Usage{}, spillway.FinishUnknown, true},
		{"length of any choice", spillway.APIChat, `{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"},{"finish_reason":"stop"}]}`, spillway.Usage{}, spillway.FinishLength, true},
		{"tool calls", spillway.APIChat, `{"choices":[{"finish_reason":"tool_calls"}]}`, spillway.Usage{}, spillway.FinishTools, true},
		{"completions", spillway.APICompletions, `{"choices":[{"text":"]}","finish_reason":"content_filter","index":0}]}`, spillway.Usage{}, spillway.FinishFilter, true},
		{"embeddings", spillway.APIEmbeddings, `{"object":"list","data":[{"embedding":[0.1,-2e-3],"index":0}],"usage":{"prompt_tokens":8,"total_tokens":8}}`, spillway.Usage{Prompt: 8, Known: true}, spillway.FinishUnknown, true},
		{"responses", spillway.APIResponses, `{"status":"completed","output":[[1,"]"],{"status":"x"}],"usage":{"input_tokens":12,"input_tokens_details":{"cached_tokens":8},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":2}}}`, u, spillway.FinishStop, true},
		{"responses cut", spillway.APIResponses, `{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}`, spillway.Usage{}, spillway.FinishLength, true},
		{"responses details first", spillway.APIResponses, `{"incomplete_details":{"reason":"content_filter"},"status":"incomplete"}`, spillway.Usage{}, spillway.FinishFilter, true},
		{"no object", spillway.APIChat, `[1]`, spillway.Usage{}, 0, false},
		{"cut off", spillway.APIChat, `{"choices":[{"finish_reason":"stop"}],` + usage, spillway.Usage{}, 0, false},
		{"cut off in text", spillway.APIChat, `{"choices":[{"message":{"content":"abc`, spillway.Usage{}, 0, false},
		{"HTML", spillway.APIChat, `<html></html>`, spillway.Usage{}, 0, false},
		{"empty", spillway.APIChat, ``, spillway.Usage{}, 0, false},
		{"huge numbers", spillway.APIChat, `{"usage":{"prompt_tokens":99999999999999999999,"completion_tokens":-3}}`, spillway.Usage{Suspect: true}, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sum, ok := Summarize(tt.api, []byte(tt.body))
			if sum.Usage != tt.usage || sum.Finish != tt.finish || ok != tt.ok {
				t.Errorf("Summarize = %+v, %v; want %+v, %v, %v", sum, ok, tt.usage, tt.finish, tt.ok)
			}
		})
	}
}

// TestSummarizeAgrees reads the assembled responses as if they had come whole.
func TestSummarizeAgrees(t *testing.T) {
	for _, tr := range transcripts(t) {
		body, err := os.ReadFile(tr.base + ".json")
		if err != nil {
			continue
		}
		s := newStream(tr.api)
		var want spillway.Usage
		for _, ev := range eventsOf(t, tr.raw, len(tr.raw)) {
			sig, err := s.Observe(ev)
			if err != nil {
				t.Fatal(err)
			}
			if sig.Usage.Known {
				want = sig.Usage
			}
		}
		sum, ok := Summarize(tr.api, body)
		if got := sum.Usage; !ok || want.Known && got != want {
			t.Errorf("%s: %+v, %v; want %+v", tr.name, got, ok, want)
		}
	}
}

func TestScanFault(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"code":"overloaded","message":"m"}}`:         "overloaded",
		`{"id":"x","error":{"code":"429","message":"m"},"a":1}`: "429",
		`{"error":"no"}`:                                       "no",
		`{"error":null}`:                                       "",
		`{"choices":[],"error":{"code":"x"}}`:                  "",
		`{"error":{"code":"x"},"data":[]}`:                     "",
		`{"status":"failed","error":{"code":"x"},"output":[]}`: "",
		`{}`: "",
	} {
		got := ""
		if fault := ScanFault([]byte(body)); fault != nil {
			got = cmp.Or(fault.Code, fault.Message)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func BenchmarkSummarize(b *testing.B) {
	const (
		prose = `It was the best of times, it was the worst of times; \"it\" was the age of wisdom.\n\nIt was the age of foolishness, it was the epoch of belief, of incredulity, of light and of darkness.\n`
		code  = `{\"name\": \"value\", \"n\": 1},\n`
	)
	chat := func(n int, text string) string {
		return `{"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"finish_reason":"stop","index":0,"logprobs":null,"message":{"content":"` +
			strings.Repeat(text, n/len(text)) + `","refusal":null,"role":"assistant"}}],"created":1760000000,"id":"chatcmpl-A1","model":"gpt-4o-mini","object":"chat.completion",` +
			`"usage":{"completion_tokens":4,"completion_tokens_details":{"reasoning_tokens":0},"prompt_tokens":12,"prompt_tokens_details":{"cached_tokens":8},"total_tokens":16}}`
	}
	vector := `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[` + strings.Repeat("-0.0123456,", 1535) + `1]}],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}`
	for name, body := range map[string]string{"chat=1KiB": chat(512, prose), "chat=16KiB": chat(16000, prose), "quotes=16KiB": chat(16000, code), "embedding=16KiB": vector} {
		data := []byte(body)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, ok := Summarize(spillway.APIChat, data); !ok {
					b.Fatal("not read")
				}
			}
		})
	}
}

// TestHasContent tells a response from other JSON.
func TestHasContent(t *testing.T) {
	for _, tt := range []struct {
		api  spillway.API
		body string
		want bool
	}{
		{spillway.APIChat, `{"id":"c","choices":[{}]}`, true},
		{spillway.APICompletions, `{"choices":[{}]}`, true},
		{spillway.APIChat, `{"object":"chat.completion","choices":[]}`, false},
		{spillway.APICompletions, `{"choices":[ ],"object":"text_completion"}`, false},
		{spillway.APIChat, `{"choices":null}`, false},
		{spillway.APIChat, `{"object":"chat.completion"}`, true},
		{spillway.APIEmbeddings, `{"data":[]}`, true},
		{spillway.APIResponses, `{"output":[]}`, true},
		{spillway.APIResponses, `{"status":"queued"}`, true},
		{spillway.APIChat, `{}`, false},
		{spillway.APIChat, `{"status":"ok"}`, false},
		{spillway.APIChat, `{"x":{"choices":[]}}`, false},
		{spillway.APIEmbeddings, `{"choices":[]}`, false},
		{spillway.APIResponses, `{"data":[]}`, false},
	} {
		if got := HasContent(tt.api, []byte(tt.body)); got != tt.want {
			t.Errorf("%v %s: %v, want %v", tt.api, tt.body, got, tt.want)
		}
	}
}

// TestMalformedUsage reports counts that are no numbers of tokens, whole and in a
// stream of every operation: nothing of such a usage is used. null is no count at all.
func TestMalformedUsage(t *testing.T) {
	good := spillway.Usage{Prompt: 5, Completion: 7, Known: true}
	counts := map[string]spillway.Usage{
		`7`: good, `null`: {Prompt: 5},
		`-1`: {Suspect: true}, `"7"`: {Suspect: true}, `7.5`: {Suspect: true}, `7e3`: {Suspect: true}, `[7]`: {Suspect: true},
		`{}`: {Suspect: true}, `true`: {Suspect: true}, `9007199254740993`: {Suspect: true},
		`9223372036854775808`: {Suspect: true}, `18446744073709551617`: {Suspect: true}, `1e400`: {Suspect: true},
	}
	chat := func(usage string) string {
		return `{"id":"x","choices":[{"index":0,"finish_reason":"stop"}],"usage":` + usage + `}`
	}
	for count, want := range counts {
		usage := map[spillway.API]string{
			spillway.APIChat:        `{"prompt_tokens":5,"completion_tokens":` + count + `}`,
			spillway.APICompletions: `{"completion_tokens":` + count + `,"prompt_tokens":5}`,
			spillway.APIResponses:   `{"input_tokens":5,"output_tokens":` + count + `}`,
			spillway.APIEmbeddings:  `{"prompt_tokens":5,"completion_tokens":` + count + `}`,
		}
		for api, object := range usage {
			want := want
			if api == spillway.APIEmbeddings && count == `null` {
				want.Known = true // they have no output
			}
			if sum, _ := Summarize(api, []byte(chat(object))); sum.Usage != want {
				t.Errorf("%v, %s: %+v, want %+v", api, count, sum.Usage, want)
			}
			event := `data: ` + chat(object) + "\n\n"
			switch api {
			case spillway.APIEmbeddings:
				continue
			case spillway.APIResponses:
				event = `data: {"type":"response.completed","response":{"id":"r","status":"completed","output":[],"usage":` + object + "}}\n\n"
			}
			s := newStream(api)
			sig, err := s.Observe(eventsOf(t, []byte(event), len(event))[0])
			if err != nil || sig.Usage != want {
				t.Errorf("%v stream, %s: %+v, %v; want %+v", api, count, sig.Usage, err, want)
			}
		}
	}
	for _, object := range []string{`[]`, `"5"`, `-5`} {
		if sum, _ := Summarize(spillway.APIChat, []byte(chat(object))); sum.Usage != (spillway.Usage{Suspect: true}) {
			t.Errorf("usage %s: %+v", object, sum.Usage)
		}
	}
	for _, details := range []string{`"prompt_tokens_details":{"cached_tokens":-1}`, `"completion_tokens_details":{"reasoning_tokens":"2"}`} {
		if sum, _ := Summarize(spillway.APIChat, []byte(chat(`{"prompt_tokens":5,"completion_tokens":7,`+details+`}`))); sum.Usage != (spillway.Usage{Suspect: true}) {
			t.Errorf("%s: %+v", details, sum.Usage)
		}
	}
	if sum, _ := Summarize(spillway.APIChat, []byte(chat(`{"prompt_tokens":5,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":null},"completion_tokens_details":null}`))); sum.Usage != good {
		t.Errorf("null details: %+v", sum.Usage)
	}
}

// TestMalformedUsageOnly keeps a usage that the client did not ask for from it,
// malformed or not.
func TestMalformedUsageOnly(t *testing.T) {
	const event = `data: {"id":"x","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":-7}}` + "\n\n"
	s := newStream(spillway.APIChat)
	sig, err := s.Observe(eventsOf(t, []byte(event), len(event))[0])
	if err != nil || !sig.UsageOnly {
		t.Errorf("%+v, %v", sig, err)
	}
}

// TestCountOutput counts what complete responses hold of generated text, and nothing
// else of them.
func TestCountOutput(t *testing.T) {
	for _, tt := range []struct {
		body string
		want int
	}{
		{`{}`, 0},
		{`{"choices":null,"output":"x"}`, 0},
		{`{"choices":[{"index":0,"message":{"role":"assistant","content":"hi","refusal":null},"finish_reason":"stop"}]}`, 1},
		{`{"choices":[{"message":{"content":"` + strings.Repeat("word ", 80) + `"}},{"message":{"content":"hi"}}]}`, 101},
		{`{"choices":[{"text":"hi"}],"model":"a model of many words","system_fingerprint":"a fingerprint"}`, 1},
		{`{"choices":[{"message":{"tool_calls":[{"id":"call_0123456789","type":"function","function":{"name":"f","arguments":"{}"}}]}}]}`, 2},
		{`{"choices":[{"message":{"content":"hi"},"logprobs":{"content":[{"token":"hi","bytes":[104,105]}]}}]}`, 1},
		{`{"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"so"}]},` +
			`{"type":"message","content":[{"type":"output_text","text":"hi","annotations":[{"title":"a title"}]}]}],"text":{"format":{"type":"text"}}}`, 2},
		{`{"choices":[{"message":{"content":[[[[[{"text":"hi"}]]]]]}}]}`, 1},
	} {
		if got := CountOutput([]byte(tt.body)); got != tt.want {
			t.Errorf("%s: %d tokens, want %d", tt.body, got, tt.want)
		}
	}
}

// TestUsageOnly tells a chunk that is there for its usage from one that says more.
func TestUsageOnly(t *testing.T) {
	const usage = `,"usage":{"prompt_tokens":5,"completion_tokens":7}}`
	for chunk, want := range map[string]bool{
		`{"choices":[]` + usage:                       true,
		`{"choices":null` + usage:                     true,
		`{"choices":[{"index":0,"delta":{}}]` + usage: true,
		`{"choices":[{"delta":{},"index":3,"finish_reason":null,"logprobs":null}]` + usage:                true,
		`{"choices":[{"index":0,"delta":{"content":"","role":null,"tool_calls":[]}}]` + usage:             true,
		`{"choices":[{"index":0,"delta":null},{"index":1,"delta":{}}]` + usage:                            true,
		`{"choices":[{"index":0,"text":""}]` + usage:                                                      true,
		`{"choices":[{"index":0,"delta":{}}]}`:                                                            false,
		`{"choices":[{"index":0,"delta":{}}],"usage":null}`:                                               false,
		`{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]` + usage:                      false,
		`{"choices":[{"index":0,"delta":{"content":"a"}}]` + usage:                                        false,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]` + usage:                              false,
		`{"choices":[{"index":0,"delta":{}},{"index":1,"delta":{},"finish_reason":"stop"}]` + usage:       false,
		`{"choices":[{"index":0,"delta":{},"content_filter_results":{"hate":{"filtered":true}}}]` + usage: false,
		`{"choices":[{"index":0,"delta":{"annotations":[1]}}]` + usage:                                    false,
	} {
		s := newStream(spillway.APIChat)
		event := "data: " + chunk + "\n\n"
		sig, err := s.Observe(eventsOf(t, []byte(event), len(event))[0])
		if err != nil || sig.UsageOnly != want {
			t.Errorf("%s: %v, %v; want %v", chunk, sig.UsageOnly, err, want)
		}
	}
}
