package wire

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway"
)

// view is the part of an Ask that a client would recognize.
type view struct {
	Model, Field          string
	Tokens, Choices       int
	Stream, Usage         bool
	Tools, Structured     bool
	Reasoning, Background bool
	NoReasoning           bool
	Unstreamable          bool
	PreviousAnswer        string
}

func viewOf(a Ask) view {
	return view{
		Model: a.Model, Field: a.TokenField, Tokens: a.Tokens, Choices: a.Choices, Stream: a.Stream,
		Usage: a.IncludeUsage, Tools: a.Tools, Structured: a.Structured, Reasoning: a.Reasoning, NoReasoning: a.NoReasoning,
		Background: a.Background, Unstreamable: a.Unstreamable, PreviousAnswer: a.PreviousResponseID,
	}
}

func TestReadAsk(t *testing.T) {
	const chat, text, resp = spillway.APIChat, spillway.APICompletions, spillway.APIResponses
	tests := []struct {
		name string
		api  spillway.API
		body string
		want view
	}{
		{"empty", chat, `{}`, view{Choices: 1}},
		{
			"usual", chat, `{"model":"m","stream":true,"max_tokens":5,"n":2,"user":"u"}`,
			view{Model: "m", Stream: true, Field: "max_tokens", Tokens: 5, Choices: 2},
		},
		{
			"escaped names and values", chat, `{"mod\u0065l":"a\n\u00e9","max_tok\u0065ns":7}`,
			view{Model: "a\né", Field: "max_tokens", Tokens: 7, Choices: 1},
		},
		{
			"nulls", chat, `{"model":null,"stream":null,"max_tokens":null,"max_completion_tokens":9,"n":null,"tools":null,"response_format":null,"stream_options":null,"reasoning_effort":null,"store":null}`,
			view{Field: "max_completion_tokens", Tokens: 9, Choices: 1},
		},
		{"tools", chat, `{"tools":[ {"type":"function"}]}`, view{Choices: 1, Tools: true}},
		{"no tools", chat, `{"tools":[ ],"functions":[]}`, view{Choices: 1}},
		{"functions", chat, `{"functions":[{"name":"f"}]}`, view{Choices: 1, Tools: true}},
		{"schema", chat, `{"response_format":{"json_schema":{"type":"text"},"type":"json_schema"}}`, view{Choices: 1, Structured: true}},
		{"plain format", chat, `{"response_format":{"type":"text"}}`, view{Choices: 1}},
		{"usage", chat, `{"stream":true,"stream_options":{"x":1,"include_usage":true}}`, view{Choices: 1, Stream: true, Usage: true}},
		{"reasoning", chat, `{"reasoning_effort":"low"}`, view{Choices: 1, Reasoning: true}},
		{"reasoning turned off", chat, `{"reasoning_effort":"none"}`, view{Choices: 1, NoReasoning: true}},
		{"turned off with escapes", chat, `{"reasoning_effort":"n\u006fne"}`, view{Choices: 1, NoReasoning: true}},
		{"turned off in Responses", resp, `{"reasoning":{"summary":"auto","effort":"none"}}`, view{Choices: 1, NoReasoning: true}},
		{"turned off in one of two", chat, `{"reasoning_effort":"none","reasoning":{"effort":"high"}}`, view{Choices: 1, NoReasoning: true, Reasoning: true}},
		{"an effort of no kind", chat, `{"reasoning_effort":0}`, view{Choices: 1, Reasoning: true}},
		{"an effort by default", resp, `{"reasoning":{"effort":null}}`, view{Choices: 1, Reasoning: true}},
		{"an effort within another setting", resp, `{"reasoning":{"x":{"effort":"none"}}}`, view{Choices: 1, Reasoning: true}},
		{"an effort that only begins so", resp, `{"reasoning":{"effort":"none of it"}}`, view{Choices: 1, Reasoning: true}},
		{"no reasoning settings", resp, `{"reasoning":null}`, view{Choices: 1}},
		{"fields of another operation", chat, `{"max_output_tokens":"x","text":"free"}`, view{Choices: 1}},
		{"best of", text, `{"best_of":4,"n":2,"max_tokens":0}`, view{Choices: 4, Field: "max_tokens", Unstreamable: true}},
		{
			"responses", resp, `{"max_output_tokens":40,"max_tokens":"ignored","text":{"format":{"type":"json_object"}},"reasoning":{"effort":"low"},"previous_response_id":"r1","background":true}`,
			view{Choices: 1, Field: "max_output_tokens", Tokens: 40, Structured: true, Reasoning: true, PreviousAnswer: "r1", Background: true},
		},
		{"no text format", resp, `{"store":null,"text":{"verbosity":"low","format":null}}`, view{Choices: 1}},
		{"spoken", chat, `{"audio":{"format":"mp3"}}`, view{Choices: 1, Unstreamable: true}},
		{"not spoken", chat, `{"audio":null}`, view{Choices: 1}},
		{"one prompt", text, `{"prompt":["a"],"n":2}`, view{Choices: 2}},
		{"one prompt of tokens", text, `{"prompt":[1,2,3]}`, view{Choices: 1}},
		{"no prompt", text, `{"prompt":[]}`, view{Choices: 1}},
		{"several prompts", text, `{"prompt":[ "a" , "b,]" ],"n":2}`, view{Choices: 4}},
		{"several prompts of tokens", text, `{"n":3,"prompt":[[1,2],[3]],"input":"x"}`, view{Choices: 6}},
		{"prompts of chat", chat, `{"prompt":["a","b"]}`, view{Choices: 1}},
		{"absurdly many", text, `{"prompt":["a","b"],"n":1000000000}`, view{Choices: 1_000_000_000}},
		{"best of one", text, `{"best_of":1}`, view{Choices: 1}},
		{"embeddings", spillway.APIEmbeddings, `{"model":"e","input":["a","b"],"n":"?","max_tokens":-1}`, view{Model: "e", Choices: 1}},
		{"other", spillway.APIOther, `{"model":"i","n":"?"}`, view{Model: "i", Choices: 1}},
		{"other, not JSON", spillway.APIOther, "--boundary\r\n", view{Choices: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := ReadAsk(tt.api, []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := viewOf(a); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestReadAskErrors(t *testing.T) {
	tests := []struct{ body, code, param, message string }{
		{``, CodeInvalidJSON, "", "unexpected"},
		{`[]`, CodeInvalidType, "", "must be a JSON object"},
		{`"x`, CodeInvalidJSON, "", "not valid JSON"},
		{`{"model":"a","model":"b"}`, CodeInvalidJSON, "model", "duplicate key"},
		{`{"model":"a","mod\u0065l":"b"}`, CodeInvalidJSON, "model", "duplicate key"},
		{`{"messages":[{"role":"a","role":"b"}]}`, CodeInvalidJSON, "role", "duplicate key"},
		{`{"model":3}`, CodeInvalidType, "model", "a string, got a number"},
		{`{"stream":"true"}`, CodeInvalidType, "stream", "a boolean, got a string"},
		{`{"max_tokens":"5"}`, CodeInvalidType, "max_tokens", "an integer, got a string"},
		{`{"max_tokens":true}`, CodeInvalidType, "max_tokens", "an integer, got a boolean"},
		{`{"max_tokens":[1]}`, CodeInvalidType, "max_tokens", "an integer, got an array"},
		{`{"max_tokens":1.5}`, CodeInvalidType, "max_tokens", "decimal"},
		{`{"max_tokens":1e3}`, CodeInvalidType, "max_tokens", "decimal"},
		{`{"max_tokens":0}`, "integer_below_min_value", "max_tokens", "at least 1"},
		{`{"max_tokens":-3}`, "integer_below_min_value", "max_tokens", "at least 1"},
		{`{"max_tokens":1000000001}`, "integer_above_max_value", "max_tokens", "at most 1000000000"},
		{`{"max_tokens":99999999999999999999999999}`, "integer_above_max_value", "max_tokens", "at most"},
		{`{"n":0}`, "integer_below_min_value", "n", "at least 1"},
		{`{"max_tokens":1,"max_completion_tokens":1}`, "invalid_parameter_combination", "max_tokens", "same time"},
		{`{"tools":{}}`, CodeInvalidType, "tools", "an array, got an object"},
		{`{"response_format":"json"}`, CodeInvalidType, "response_format", "an object, got a string"},
		{`{"response_format":{"type":1}}`, CodeInvalidType, "response_format.type", "a string, got a number"},
		{`{"stream_options":[]}`, CodeInvalidType, "stream_options", "an object, got an array"},
		{`{"stream_options":{"include_usage":1}}`, CodeInvalidType, "stream_options.include_usage", "a boolean"},
		{`{"max_tokens":"5}`, CodeInvalidJSON, "", "not valid JSON"},
		{`{"max_tokens":x}`, CodeInvalidJSON, "", "not valid JSON"},
		{`{"model":nope}`, CodeInvalidJSON, "", "not valid JSON"},
	}
	for _, tt := range tests {
		_, err := ReadAsk(spillway.APIChat, []byte(tt.body))
		bad, ok := errors.AsType[*BadRequest](err)
		if !ok {
			t.Errorf("%s: no error", tt.body)
			continue
		}
		if bad.Code != tt.code || bad.Param != tt.param || !strings.Contains(bad.Error(), tt.message) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.body, *bad, tt)
		}
	}
}

func TestReadAskErrorsOfResponses(t *testing.T) {
	for body, param := range map[string]string{
		`{"text":[]}`:                     "text",
		`{"text":{"format":"json"}}`:      "text.format",
		`{"text":{"format":{"type":{}}}}`: "text.format.type",
		`{"max_output_tokens":0}`:         "max_output_tokens",
	} {
		_, err := ReadAsk(spillway.APIResponses, []byte(body))
		if bad, ok := errors.AsType[*BadRequest](err); !ok || bad.Param != param {
			t.Errorf("%s: %v, want a fault of %s", body, err, param)
		}
	}
}

func TestPromptBytes(t *testing.T) {
	base64 := strings.Repeat("aB3/9+", 20_000)
	image := `"data:image/png;base64,` + strings.Repeat("A", 100_000) + `"`
	tests := []struct {
		name, body string
		want       int
	}{
		{"none", `{"model":"m"}`, 0},
		{"messages and tools", `{"messages":[1,2],"tools":[ ],"user":"not counted"}`, 5 + 2},
		{"instructions and input", `{"input":"abc","instructions":"de"}`, 5 + 4},
		{"image", `{"messages":[` + image + `]}`, len(`[""]`) + fileBytes},
		{"two images", `{"messages":[` + image + `,` + image + `]}`, len(`["",""]`) + 2*fileBytes},
		{"image elsewhere", `{"metadata":` + image + `,"messages":[]}`, 2},
		{"audio", `{"messages":[{"input_audio":{"data":"` + base64 + `","format":"wav"}}]}`, len(`[{"input_audio":{"data":"","format":"wav"}}]`) + fileBytes},
		{"file without a type", `{"messages":[{"file":{"file_data":"` + base64 + `=="}}]}`, len(`[{"file":{"file_data":""}}]`) + fileBytes},
		{"audio with escaped slashes", `{"messages":[{"data":"` + strings.ReplaceAll(base64, "/", `\/`) + `"}]}`, len(`[{"data":""}]`) + fileBytes},
		{"images", `{"messages":[{"b64_json":"` + base64 + `"},{"result":"` + base64 + `"}]}`, len(`[{"b64_json":""},{"result":""}]`) + 2*fileBytes},
		{"short data", `{"messages":[{"data":"` + base64[:400] + `"}]}`, len(`[{"data":""}]`) + 400},
		{"data that is text", `{"messages":[{"data":"` + strings.Repeat("some words ", 1000) + `"}]}`, len(`[{"data":""}]`) + 11_000},
		{"base64 elsewhere", `{"messages":[{"content":"` + base64 + `"}]}`, len(`[{"content":""}]`) + len(base64)},
		{"base64 in a text after a file", `{"messages":[{"data":"x"},"` + base64 + `"]}`, len(`[{"data":"x"},""]`) + len(base64)},
		{"escapes", `{"messages":"\u4e2d\u6587\ud83d\ude00\u00e9\u0041\n\"\\"}`, len(`"中文😀éA` + "\n" + `"\"`)},
		{"white space", "{ \"messages\" :\n\t[\r\n  { \"role\" : \"a b\" } ,\n 1 ]\n , \"tools\": [\n] }", len(`[{"role":"a b"},1]`) + len(`[]`)},
		{"white space elsewhere", `{"messages":[1],` + strings.Repeat(" ", 100) + `"user":"\u4e2d"}`, 3},
		{"text that looks like one", `{"messages":["data: ` + strings.Repeat("A", 1000) + `"]}`, len(`["data: "]`) + 1000},
	}
	for _, tt := range tests {
		a, err := ReadAsk(spillway.APIChat, []byte(tt.body))
		if err != nil || a.PromptBytes != tt.want {
			t.Errorf("%s: got %d, %v, want %d", tt.name, a.PromptBytes, err, tt.want)
		}
	}
}

func TestAffinity(t *testing.T) {
	of := func(body string) uint64 {
		t.Helper()
		a, err := ReadAsk(spillway.APIChat, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return a.Affinity
	}
	long := strings.Repeat("A long preamble. ", 300)
	chat := func(text, rest string) string { return `{"messages":[{"content":"` + text + `"}` + rest + `]}` }
	if got := of(chat("short", "")); got != 0 {
		t.Errorf("a short prompt has affinity %x", got)
	}
	if a, b := of(chat(long, "")), of(chat(long, `,{"content":"next turn"}`)); a != b || a == 0 {
		t.Errorf("turns of one conversation differ: %x, %x", a, b)
	}
	if a, b := of(chat("x"+long, "")), of(chat("y"+long, "")); a == b {
		t.Errorf("different prompts agree: %x", a)
	}
	key := `{"prompt_cache_key":"k","messages":[]}`
	if a, b := of(key), of(`{"messages":["other"],"prompt_cache_key":"k"}`); a != b || a == 0 {
		t.Errorf("one key, two affinities: %x, %x", a, b)
	}
	if got, want := of(key), uint64(0); got == want || of(`{"prompt_cache_key":"","messages":[]}`) != 0 {
		t.Errorf("a key gives %x, or an empty key something", got)
	}
	if got, want := of(chat(long, "")), uint64(0xe765d8816573ddb8); got != want {
		t.Errorf("the hash is %#x, was %#x: replicas of two versions disagree", got, want)
	}
}

func TestFill(t *testing.T) {
	a, err := ReadAsk(spillway.APIChat, []byte(`{"model":"m","stream":true,"max_tokens":5,"n":2,"tools":[1],"messages":[1],"response_format":{"type":"json_object"},"reasoning_effort":"low","service_tier":"flex"}`))
	if err != nil {
		t.Fatal(err)
	}
	got := spillway.Request{ID: "id"}
	a.Fill(&got)
	want := spillway.Request{
		ID: "id", API: spillway.APIChat, Stream: true, Choices: 2, AskTokens: 5, BodyBytes: 6,
		Structured: true, Tools: true, Reasoning: true, ServiceTier: "flex",
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestServiceTier(t *testing.T) {
	for body, want := range map[string]string{
		`{}`: "", `{"service_tier":null}`: "", `{"service_tier":"auto"}`: "auto", `{"service_tier":"pri\u006frity"}`: "priority",
		`{"service_tier":"made-up"}`: "other", `{"service_tier":7}`: "",
	} {
		if a, err := ReadAsk(spillway.APIResponses, []byte(body)); err != nil || a.ServiceTier != want {
			t.Errorf("%s: tier %q, %v; want %q", body, a.ServiceTier, err, want)
		}
	}
}

// FuzzReadAsk compares what is read with what encoding/json reads.
func FuzzReadAsk(f *testing.F) {
	for _, text := range texts() {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"model":"m","stream":true,"max_tokens":5,"n":2,"user":"u","tools":[1],"response_format":{"type":"json_object"},"stream_options":{"include_usage":true}}`))
	f.Add([]byte(`{"mod\u0065l":"\ud83d\ude00","max_completion_tokens":1000000000,"reasoning_effort":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := ReadAsk(spillway.APIChat, body)
		if err != nil {
			if _, ok := errors.AsType[*BadRequest](err); !ok {
				t.Fatalf("%T", err)
			}
			return
		}
		if !reference(body) {
			t.Fatal("invalid JSON accepted")
		}
		fields := make(map[string]json.RawMessage)
		if err := json.Unmarshal(body, &fields); err != nil {
			t.Fatal(err)
		}
		compare(t, fields, "model", a.Model)
		compare(t, fields, "stream", a.Stream)
		if a.TokenField != "" {
			compare(t, fields, a.TokenField, a.Tokens)
		} else {
			compare(t, fields, fieldMaxTokens, 0)
			compare(t, fields, fieldMaxCompletion, 0)
		}
		var usage struct {
			IncludeUsage bool `json:"include_usage"`
		}
		nested := make(map[string]json.RawMessage)
		_ = json.Unmarshal(fields["stream_options"], &nested)
		_ = json.Unmarshal(nested["include_usage"], &usage.IncludeUsage)
		if a.IncludeUsage != usage.IncludeUsage {
			t.Fatalf("include_usage %v, want %v", a.IncludeUsage, usage.IncludeUsage)
		}
	})
}

// compare decodes one field and demands got; an absent field is the zero value.
func compare[T comparable](t *testing.T, fields map[string]json.RawMessage, name string, got T) {
	t.Helper()
	var want T
	if raw, ok := fields[name]; ok {
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if got != want {
		t.Fatalf("%s: got %v, want %v", name, got, want)
	}
}
