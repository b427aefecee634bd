package wire

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

var updateStreams = flag.Bool("update-streams", false, "rewrite testdata/*/*.signals")

// transcript is one stream of testdata/streams, or of testdata/transcripts, whose
// streams and responses are those of the documentation that each names. Its file
// name begins with the operation.
type transcript struct {
	name string
	base string // of its files
	api  spillway.API
	raw  []byte
}

// documented reports whether the response is as its provider gives it.
func (tr *transcript) documented() bool { return strings.Contains(tr.base, "transcripts/") }

func transcripts(t testing.TB) (all []transcript) {
	t.Helper()
	files, err := filepath.Glob("testdata/*/*.sse")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tr := transcript{name: strings.TrimSuffix(filepath.Base(file), ".sse"), raw: raw, base: strings.TrimSuffix(file, ".sse")}
		tr.api = apiNamed(tr.name)
		all = append(all, tr)
	}
	return all
}

func apiNamed(name string) spillway.API {
	for api := spillway.APIOther; api <= spillway.APIResponses; api++ {
		if strings.HasPrefix(name, api.String()) {
			return api
		}
	}
	return spillway.APIOther
}

// eventsOf scans a stream fed in pieces of a size and returns copies.
func eventsOf(t testing.TB, raw []byte, size int) (all []sse.Event) {
	t.Helper()
	var sc sse.Scanner
	keep := func(ev sse.Event) {
		if ev.Data != nil {
			all = append(all, sse.Event{Name: bytes.Clone(ev.Name), Data: bytes.Clone(ev.Data), Raw: bytes.Clone(ev.Raw)})
		}
	}
	for len(raw) > 0 {
		n := min(size, len(raw))
		sc.Feed(raw[:n])
		for ev, ok := sc.Next(); ok; ev, ok = sc.Next() {
			keep(ev)
		}
		raw = raw[n:]
	}
	if ev, ok := sc.Finish(); ok {
		keep(ev)
	}
	if sc.Err() != nil {
		t.Fatal(sc.Err())
	}
	return all
}

func newStream(api spillway.API) *Stream {
	s := new(Stream)
	s.Reset(api)
	return s
}

// reset makes s and a ready for the transcript; either may be nil.
func (tr *transcript) reset(s *Stream, a *Assembler) {
	one := strings.HasSuffix(tr.name, "one_choice")
	if s != nil {
		s.Reset(tr.api)
		s.OneChoice = one
	}
	if a != nil {
		a.Reset(tr.api)
		a.OneChoice = one
	}
}

// story prints the signals of a stream, one line per event.
func story(t testing.TB, s *Stream, events []sse.Event) string {
	t.Helper()
	var b strings.Builder
	for _, ev := range events {
		sig, err := s.Observe(ev)
		if err != nil {
			t.Fatalf("Observe(%s): %v", ev.Data, err)
		}
		fmt.Fprintf(&b, "tokens=%d", sig.Tokens)
		if u := sig.Usage; u.Known {
			fmt.Fprintf(&b, " usage=%d/%d+%d/%d only=%v", u.Cached, u.Prompt, u.Reasoning, u.Completion, sig.UsageOnly)
		}
		if sig.Finish != spillway.FinishUnknown {
			fmt.Fprintf(&b, " finish=%v", sig.Finish)
		}
		if sig.Err != nil {
			fmt.Fprintf(&b, " error=%+v", *sig.Err)
		}
		if sig.Done {
			b.WriteString(" done")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestStreamTranscripts(t *testing.T) {
	for _, tr := range transcripts(t) {
		t.Run(tr.name, func(t *testing.T) {
			file := tr.base + ".signals"
			s := new(Stream)
			tr.reset(s, nil)
			got := story(t, s, eventsOf(t, tr.raw, len(tr.raw)))
			if *updateStreams {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("signals:\n%s\nwant:\n%s", got, want)
			}
			for size := 1; size < 70; size++ {
				tr.reset(s, nil)
				if again := story(t, s, eventsOf(t, tr.raw, size)); again != got {
					t.Fatalf("in pieces of %d bytes:\n%s\nwant:\n%s", size, again, got)
				}
			}
		})
	}
}

// TestStreamShapes holds what is read by shape equal to what is parsed.
func TestStreamShapes(t *testing.T) {
	for _, tr := range transcripts(t) {
		s := newStream(tr.api)
		for _, ev := range eventsOf(t, tr.raw, len(tr.raw)) {
			quick, err := s.Observe(ev)
			if err != nil {
				t.Fatal(err)
			}
			fresh := newStream(tr.api)
			slow, err := fresh.Observe(ev)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(quick, slow) {
				t.Errorf("%s: %s: by shape %+v, parsed %+v", tr.name, ev.Data, quick, slow)
			}
		}
	}
}

func TestObserveMalformed(t *testing.T) {
	const good = `{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}`
	for _, data := range []string{
		`<html>`, `{`, `{"choices":[{"index":0,"delta":{"content":"a}]}`, `{"choices":[}`, `[1]`,
		`{"a":1,}`, `{"a" 1}`, `{"a":1}x`, good + `}`, `null`,
		strings.Repeat(`{"choices":[`, 300),
	} {
		for _, api := range []spillway.API{spillway.APIChat, spillway.APICompletions, spillway.APIResponses} {
			s := newStream(api)
			if _, err := s.Observe(sse.Event{Data: []byte(good)}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Observe(sse.Event{Data: []byte(data)}); err != ErrMalformed {
				t.Errorf("%v: Observe(%s) = %v, want ErrMalformed", api, data, err)
			}
		}
	}
}

func TestObserveErrors(t *testing.T) {
	const chat, responses = spillway.APIChat, spillway.APIResponses
	flat := StreamError{500, "c", "", "m", "p"}
	tests := []struct {
		api        spillway.API
		name, data string
		want       StreamError
	}{
		{chat, "", `{"error":{"code":"429","message":"slow \"down\""}}`, StreamError{429, "429", "", `slow "down"`, ""}},
		{chat, "", `{"error":{"code":429,"message":"m"}}`, StreamError{429, "429", "", "m", ""}},
		{chat, "", `{"error":{"code":"content_filter","message":"m","status":400}}`, StreamError{400, "content_filter", "", "m", ""}},
		{chat, "", `{"error":"broken"}`, StreamError{500, "", "", "broken", ""}},
		{chat, "", `{"error":{"code":"x","type":"rate_limit_error","inner":{"a":[1,{}]}}}`, StreamError{429, "x", "rate_limit_error", "", ""}},
		{chat, "", `{"error":{"code":null,"param":"messages.0","message":"m"}}`, StreamError{500, "", "", "m", "messages.0"}},
		{chat, "error", `{"message":"m","type":"overloaded_error"}`, StreamError{503, "", "overloaded_error", "m", ""}},
		{chat, "error", `{"error":{"message":"m","code":null}}`, StreamError{500, "", "", "m", ""}},
		{chat, "", `{"type":"error","code":"c","message":"m","param":"p"}`, flat},
		{chat, "", `{"object":"error","message":"m","type":"BadRequestError","param":"p","code":400}`, StreamError{400, "400", "BadRequestError", "m", "p"}},
		{chat, "error", `{"type":"error","code":"c","message":"m","param":"p"}`, flat},
		{chat, "error", `{"type":"error","error":{"code":"c","message":"m","param":"p"}}`, flat},
		{responses, "", `{"type":"error","sequence_number":1,"code":"c","message":"m","param":"p"}`, flat},
		{responses, "error", `{"type":"error","code":"c","message":"m","param":"p"}`, flat},
		{responses, "error", `{"code":"c","message":"m","param":"p"}`, flat},
		{responses, "error", `{"code":"c","message":"m","param":"p","type":"server_error"}`, StreamError{500, "c", "server_error", "m", "p"}},
		{responses, "error", `{"type":"error","error":{"code":"c","message":"m","param":"p"}}`, flat},
		{responses, "", `{"type":"error","code":"rate_limit_exceeded","message":"m","param":null}`, StreamError{429, "rate_limit_exceeded", "", "m", ""}},
		{responses, "", `{"type":"error","code":429,"message":"m"}`, StreamError{429, "429", "", "m", ""}},
		{chat, "", `{"object":"error","message":"m","code":null,"error":null}`, StreamError{500, "", "", "m", ""}},
	}
	for _, tt := range tests {
		sig, err := newStream(tt.api).Observe(sse.Event{Name: []byte(tt.name), Data: []byte(tt.data)})
		if err != nil || sig.Err == nil || *sig.Err != tt.want {
			t.Errorf("%v %q %s: %+v, %v; want %+v", tt.api, tt.name, tt.data, sig.Err, err, tt.want)
		}
	}
}

// TestHasResponse tells streams that hold a response without a token from those that
// hold none.
func TestHasResponse(t *testing.T) {
	for _, tt := range []struct {
		api         spillway.API
		events      []string
		has, isDone bool
	}{
		{spillway.APIChat, []string{`[DONE]`}, false, true},
		{spillway.APIChat, []string{`{"choices":[],"prompt_filter_results":[]}`, `[DONE]`}, false, true},
		{spillway.APIChat, []string{`{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`, `[DONE]`}, false, true},
		{spillway.APIChat, []string{`{"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}`}, true, false},
		{spillway.APICompletions, []string{`{"choices":[{"index":0,"text":"","finish_reason":"stop"}]}`, `[DONE]`}, true, true},
		{spillway.APIResponses, []string{`[DONE]`}, false, false},
		{spillway.APIResponses, []string{`{"type":"response.created","response":{"id":"r"}}`, `[DONE]`}, true, false},
		{spillway.APIResponses, []string{`{"type":"response.completed","response":{"id":"r","status":"completed"}}`, `[DONE]`}, true, true},
	} {
		s := newStream(tt.api)
		for _, data := range tt.events {
			if _, err := s.Observe(sse.Event{Data: []byte(data)}); err != nil {
				t.Fatal(err)
			}
		}
		if s.HasResponse() != tt.has || s.Done() != tt.isDone {
			t.Errorf("%v %q: response %v, done %v; want %v, %v", tt.api, tt.events, s.HasResponse(), s.Done(), tt.has, tt.isDone)
		}
	}
}

// TestDoneMark recognizes the mark at the end of a stream wherever clients do.
func TestDoneMark(t *testing.T) {
	for data, isMark := range map[string]bool{
		`[DONE]`: true, ` [DONE]`: true, `[DONE] `: true, "\t [DONE]\t": true, `[DONE]{"x":1}`: true, "[DONE]\n[DONE]": true,
		`[done]`: false, `[DONE`: false, `DONE`: false, `x[DONE]`: false, `["[DONE]"]`: false,
	} {
		for _, api := range []spillway.API{spillway.APIOther, spillway.APIChat, spillway.APICompletions} {
			sig, err := newStream(api).Observe(sse.Event{Data: []byte(data)})
			if sig.Done != isMark || isMark && err != nil {
				t.Errorf("%v: Observe(%q) = %+v, %v", api, data, sig, err)
			}
		}
		var a Assembler
		a.Reset(spillway.APIChat)
		if err := a.Add([]byte(data)); (err == nil) != isMark {
			t.Errorf("Add(%q) = %v", data, err)
		}
	}
}

// TestMediaIsOutput counts an image as output: without text, it is the first sign that
// the deployment generates something.
func TestMediaIsOutput(t *testing.T) {
	for _, tt := range []struct {
		api    spillway.API
		data   string
		tokens int
	}{
		{spillway.APIResponses, `{"type":"response.image_generation_call.partial_image","item_id":"ig_1","output_index":0,"partial_image_b64":"iVBO"}`, 1},
		{spillway.APIResponses, `{"type":"response.output_item.done","output_index":0,"item":{"id":"ig_1","type":"image_generation_call","result":"iVBO"}}`, 1},
		{spillway.APIResponses, `{"type":"response.output_item.done","output_index":0,"item":{"id":"fs_1","type":"file_search_call"}}`, 0},
		{spillway.APIResponses, `{"type":"response.image_generation_call.generating","item_id":"ig_1","output_index":0}`, 0},
		{spillway.APIResponses, `{"type":"response.audio.delta","delta":"AAAA"}`, 1},
		{spillway.APIChat, `{"choices":[{"index":0,"delta":{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"}}]}}]}`, 1},
		{spillway.APIChat, `{"choices":[{"index":0,"delta":{"images":[]}}]}`, 0},
		{spillway.APIChat, `{"choices":[{"index":0,"delta":{"images":null}}]}`, 0},
		{spillway.APIChat, `{"choices":[{"index":0,"delta":{"audio":{"data":"AAAABBBBCCCCDDDD"}}}]}`, 1},
	} {
		s := newStream(tt.api)
		for range 2 { // the second time perhaps by its shape
			if sig, err := s.Observe(sse.Event{Data: []byte(tt.data)}); err != nil || sig.Tokens != tt.tokens {
				t.Errorf("%s: %d tokens, %v; want %d", tt.data, sig.Tokens, err, tt.tokens)
			}
		}
	}
}

// TestTranscriptSources requires each transcript of a provider to say where its facts are
// from, and what of it is certain.
func TestTranscriptSources(t *testing.T) {
	for _, tr := range transcripts(t) {
		if !tr.documented() {
			continue
		}
		lines := strings.SplitN(string(tr.raw), "\n", 3)
		if len(lines) < 3 || len(lines[0]) < 30 || !strings.HasPrefix(lines[0], ": source: ") || len(lines[1]) < 15 || !strings.HasPrefix(lines[1], ": sure: ") {
			t.Errorf("%s begins with %q", tr.name, lines[:min(len(lines), 2)])
		}
	}
}

func TestStreamErrorText(t *testing.T) {
	for want, e := range map[string]StreamError{
		"upstream error in stream: m":    {Message: "m"},
		"upstream error in stream: c: m": {Code: "c", Message: "m"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("Error = %q, want %q", got, want)
		}
	}
}

// sameJSON reports whether two texts mean the same.
func sameJSON(t testing.TB, got, want []byte) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, got)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, want)
	}
	return reflect.DeepEqual(a, b)
}

// sameResponse reports whether a response is the one that its provider gives outside
// streams, but for members that say nothing: which of those there are is each
// provider's habit.
func sameResponse(t testing.TB, got, want []byte) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, got)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, want)
	}
	return reflect.DeepEqual(telling(a), telling(b))
}

// telling returns a value without what says nothing in it: null, empty text, and empty
// objects and arrays; nil if nothing is left.
func telling(value any) any {
	switch v := value.(type) {
	case string:
		if v == "" {
			return nil
		}
	case map[string]any:
		for name, member := range v {
			if v[name] = telling(member); v[name] == nil {
				delete(v, name)
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = telling(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	}
	return value
}
