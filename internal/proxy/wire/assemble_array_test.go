package wire

import (
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
)

// assembleData assembles the data of events to a truncated response.
func assembleData(t *testing.T, api spillway.API, data ...string) string {
	t.Helper()
	var a Assembler
	a.Reset(api)
	for _, d := range data {
		if err := a.Add([]byte(d)); err != nil {
			t.Fatalf("Add(%s): %v", d, err)
		}
	}
	got, err := a.AppendResponse(nil, ResponseOptions{Truncate: true})
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// TestCallsWithoutIndex tells calls apart by their ids and names where they have no
// number, or all have the same.
func TestCallsWithoutIndex(t *testing.T) {
	const first, second = `{"id":"a","function":{"name":"f","arguments":"{}"}}`, `{"id":"b","function":{"name":"f","arguments":"{}"}}`
	for name, tt := range map[string]struct {
		calls []string
		want  string
	}{
		"whole":                      {[]string{first, second}, first + "," + second},
		"two in one delta":           {[]string{first + "," + second}, first + "," + second},
		"number 0 for both":          {[]string{`{"index":0,` + first[1:], `{"index":0,` + second[1:]}, first + "," + second},
		"number null":                {[]string{`{"index":null,` + first[1:], `{"index":null,` + second[1:]}, first + "," + second},
		"arguments in pieces":        {[]string{`{"id":"a","function":{"name":"f","arguments":"{"}}`, `{"function":{"arguments":"}"}}`}, first},
		"arguments with the id":      {[]string{`{"id":"a","function":{"name":"f","arguments":"{"}}`, `{"id":"a","function":{"arguments":"}"}}`}, first},
		"arguments with an empty id": {[]string{`{"id":"a","function":{"name":"f","arguments":"{"}}`, `{"id":"","function":{"arguments":"}"}}`, second}, first + "," + second},
		"no ids": {
			[]string{`{"function":{"name":"f","arguments":"{"}}`, `{"function":{"arguments":"}"}}`, `{"function":{"name":"g","arguments":"{}"}}`},
			`{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":"{}"}}`,
		},
		"custom": {
			[]string{`{"id":"a","custom":{"name":"f","input":"x"}}`, `{"custom":{"input":"y"}}`, `{"custom":{"name":"g","input":"z"}}`},
			`{"id":"a","custom":{"name":"f","input":"xy"}},{"custom":{"name":"g","input":"z"}}`,
		},
		"metadata beside": {
			[]string{`{"id":"a","extra_content":{"s":"1"},"function":{"name":"f","arguments":"{}"}}`, `{"extra_content":{"s":"2"}}`},
			`{"id":"a","extra_content":{"s":"12"},"function":{"name":"f","arguments":"{}"}}`,
		},
	} {
		var deltas []string
		for _, calls := range tt.calls {
			deltas = append(deltas, `{"choices":[{"index":0,"delta":{"tool_calls":[`+calls+`]}}]}`)
		}
		if got := assembleData(t, spillway.APIChat, deltas...); !strings.Contains(got, `"tool_calls":[`+tt.want+`]`) {
			t.Errorf("%s:\n%s\nwant the calls\n%s", name, got, tt.want)
		}
	}
}

// TestContentParts joins the parts of a content that go on with each other, and keeps
// the order of the others.
func TestContentParts(t *testing.T) {
	const thinkA, thinkB = `{"type":"thinking","thinking":[{"type":"text","text":"a"}]}`, `{"type":"thinking","thinking":[{"type":"text","text":"b"}]}`
	for name, tt := range map[string]struct {
		contents []string
		want     string
	}{
		"text":            {[]string{`[{"type":"text","text":"a"}]`, `[{"type":"text","text":"b"}]`}, `"ab"`},
		"thinking":        {[]string{`[` + thinkA + `]`, `[` + thinkB + `]`}, `[{"type":"thinking","thinking":[{"type":"text","text":"ab"}]}]`},
		"text then more":  {[]string{`[` + thinkA + `]`, `[{"type":"text","text":"x"}]`, `"y"`}, `[` + thinkA + `,{"type":"text","text":"xy"}]`},
		"alternating":     {[]string{`[` + thinkA + `]`, `"x"`, `[` + thinkB + `]`}, `[` + thinkA + `,{"type":"text","text":"x"},` + thinkB + `]`},
		"references":      {[]string{`[` + thinkA + `]`, `[{"type":"reference","ids":[1]}]`, `[{"type":"reference","ids":[2]}]`, `"x"`}, `[` + thinkA + `,{"type":"reference","ids":[1]},{"type":"reference","ids":[2]},{"type":"text","text":"x"}]`},
		"without a type":  {[]string{`[` + thinkA + `]`, `[{"t":1}]`, `"x"`}, `[` + thinkA + `,{"t":1},{"type":"text","text":"x"}]`},
		"two in a list":   {[]string{`[` + thinkA + `,` + thinkB + `]`}, `[{"type":"thinking","thinking":[{"type":"text","text":"ab"}]}]`},
		"plain at first":  {[]string{`"x"`, `[` + thinkA + `]`}, `[{"type":"text","text":"x"},` + thinkA + `]`},
		"half characters": {[]string{`[` + thinkA + `]`, `"\ud83d"`, `"\ude00"`}, `[` + thinkA + `,{"type":"text","text":"\ud83d\ude00"}]`},
	} {
		var deltas []string
		for _, content := range tt.contents {
			deltas = append(deltas, `{"choices":[{"index":0,"delta":{"content":`+content+`}}]}`)
		}
		if got := assembleData(t, spillway.APIChat, deltas...); !strings.Contains(got, `"content":`+tt.want+`,"refusal"`) {
			t.Errorf("%s:\n%s\nwant the content\n%s", name, got, tt.want)
		}
	}
}

// TestLogprobsStayFlat keeps the log probabilities of a long response as the values they
// are: each token as a node of the tree would exceed its limit.
func TestLogprobsStayFlat(t *testing.T) {
	var a Assembler
	a.Reset(spillway.APIChat)
	chunk := []byte(`{"choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[{"token":"x","logprob":-1,"bytes":[120],"top_logprobs":[{"token":"y","logprob":-2,"bytes":null}]}],"refusal":null}}]}`)
	for range maxNodes {
		if err := a.Add(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.tree.nodes); n > 20 {
		t.Errorf("%d nodes", n)
	}
}

// TestItemsWithoutIndex tells the items of a response apart by their ids, and orders
// those that have an index by that.
func TestItemsWithoutIndex(t *testing.T) {
	const created = `{"type":"response.created","response":{"id":"r","status":"in_progress","output":[]}}`
	added := func(item string) string { return `{"type":"response.output_item.added","item":` + item + `}` }
	for name, tt := range map[string]struct {
		events []string
		want   string
	}{
		"ids": {
			[]string{
				added(`{"id":"m1","type":"message","content":[]}`), added(`{"id":"m2","type":"message","content":[]}`),
				`{"type":"response.output_text.delta","item_id":"m2","delta":"b"}`, `{"type":"response.output_text.delta","item_id":"m1","delta":"a"}`,
			},
			`{"id":"m1","type":"message","content":[{"type":"output_text","text":"a","annotations":[]}]},{"id":"m2","type":"message","content":[{"type":"output_text","text":"b","annotations":[]}]}`,
		},
		"call ids": {
			[]string{
				added(`{"type":"function_call","call_id":"c1","arguments":""}`), `{"type":"response.function_call_arguments.delta","item_id":"c1","delta":"{}"}`,
				added(`{"type":"function_call","call_id":"c2","arguments":""}`), `{"type":"response.function_call_arguments.delta","item_id":"c2","delta":"{"}`,
				`{"type":"response.output_item.done","item":{"type":"function_call","call_id":"c1","arguments":"{}"}}`,
			},
			`{"type":"function_call","call_id":"c1","arguments":"{}"},{"type":"function_call","call_id":"c2","arguments":"{"}`,
		},
		"no ids": {
			[]string{added(`{"type":"message","content":[]}`), `{"type":"response.output_text.delta","delta":"a"}`},
			`{"type":"message","content":[{"type":"output_text","text":"a","annotations":[]}]}`,
		},
		"deltas alone have none": {
			[]string{
				`{"type":"response.output_item.added","output_index":0,"item":{"id":"m1","type":"message"}}`, `{"type":"response.output_item.added","output_index":1,"item":{"id":"m2","type":"message"}}`,
				`{"type":"response.output_text.delta","item_id":"m1","delta":"a"}`,
			},
			`{"id":"m1","type":"message","content":[{"type":"output_text","text":"a","annotations":[]}]},{"id":"m2","type":"message"}`,
		},
		"another order": {
			[]string{`{"type":"response.output_item.done","output_index":1,"item":{"id":"b"}}`, `{"type":"response.output_item.done","output_index":0,"item":{"id":"a"}}`},
			`{"id":"a"},{"id":"b"}`,
		},
		"index null": {
			[]string{`{"type":"response.output_item.done","output_index":null,"item":{"id":"a"}}`, `{"type":"response.output_item.done","output_index":null,"item":{"id":"b"}}`},
			`{"id":"a"},{"id":"b"}`,
		},
	} {
		got := assembleData(t, spillway.APIResponses, append([]string{created}, tt.events...)...)
		if !strings.Contains(got, `"output":[`+tt.want+`]`) {
			t.Errorf("%s:\n%s\nwant the items\n%s", name, got, tt.want)
		}
	}
}

// TestTerminalOutput takes the items of a terminal event that has any, and otherwise
// those that have come before.
func TestTerminalOutput(t *testing.T) {
	const item = `{"type":"response.output_item.done","output_index":0,"item":{"id":"a"}}`
	for final, want := range map[string]string{
		`{"id":"r","output":[]}`:           `{"id":"r","output":[{"id":"a"}]}`,
		`{"id":"r","output":[ ]}`:          `{"id":"r","output":[{"id":"a"}]}`,
		`{"id":"r","output":null}`:         `{"id":"r","output":[{"id":"a"}]}`,
		`{"id":"r"}`:                       `{"id":"r","output":[{"id":"a"}]}`,
		`{"id":"r","output":[{"id":"b"}]}`: `{"id":"r","output":[{"id":"b"}]}`,
	} {
		if got := assembleData(t, spillway.APIResponses, item, `{"type":"response.completed","response":`+final+`}`); got != want {
			t.Errorf("%s: %s, want %s", final, got, want)
		}
	}
}

// TestCutItems ends items of every kind with a status that their schema has.
func TestCutItems(t *testing.T) {
	for item, want := range map[string]string{
		`{"type":"message","status":"in_progress"}`:               `"status":"incomplete"`,
		`{"type":"function_call","status":"in_progress"}`:         `"status":"incomplete"`,
		`{"type":"mcp_call","status":"calling"}`:                  `"status":"incomplete"`,
		`{"type":"code_interpreter_call","status":"in_progress"}`: `"status":"incomplete"`,
		`{"type":"web_search_call","status":"searching"}`:         `"status":"failed"`,
		`{"type":"image_generation_call","status":"generating"}`:  `"status":"failed"`,
		`{"type":"mcp_list_tools","tools":[]}`:                    `"output":[{"type":"mcp_list_tools","tools":[]}]`,
		`{"type":"mcp_approval_request","name":"f"}`:              `"output":[{"type":"mcp_approval_request","name":"f"}]`,
		`{"type":"reasoning","summary":[]}`:                       `"output":[{"type":"reasoning","summary":[]}]`,
	} {
		got := assembleData(t, spillway.APIResponses, `{"type":"response.created","response":{"id":"r","output":[]}}`, `{"type":"response.output_item.added","output_index":0,"item":`+item+`}`)
		if !strings.Contains(strings.ReplaceAll(got, `"status":"incomplete","incomplete_details"`, ""), want) {
			t.Errorf("%s: %s, want %s", item, got, want)
		}
	}
}
