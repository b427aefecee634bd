package wire

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

var estimate = spillway.Usage{Prompt: 10, Completion: 7}

// optionsFor are those of the expected response: transcripts that end early are
// truncated.
func optionsFor(name string) ResponseOptions {
	if strings.HasSuffix(name, "_cut") || strings.HasSuffix(name, "_parts") {
		return ResponseOptions{Truncate: true, Usage: estimate}
	}
	return ResponseOptions{}
}

func assemble(t testing.TB, a *Assembler, events []sse.Event, opts ResponseOptions) ([]byte, error) {
	t.Helper()
	for _, ev := range events {
		if err := a.Add(ev.Data); err != nil {
			t.Fatalf("Add(%s): %v", ev.Data, err)
		}
	}
	return a.AppendResponse(nil, opts)
}

func TestAssembleTranscripts(t *testing.T) {
	var a Assembler // reused, to show that nothing stays behind
	for _, tr := range transcripts(t) {
		t.Run(tr.name, func(t *testing.T) {
			want, err := os.ReadFile(tr.base + ".json")
			if errors.Is(err, os.ErrNotExist) {
				t.Skip("has no answer")
			}
			if err != nil {
				t.Fatal(err)
			}
			for size := range 70 {
				if size == 0 {
					size = len(tr.raw)
				}
				tr.reset(nil, &a)
				got, err := assemble(t, &a, eventsOf(t, tr.raw, size), optionsFor(tr.name))
				if err != nil {
					t.Fatal(err)
				}
				same := sameJSON
				if tr.documented() {
					same = sameResponse
				}
				if !same(t, got, want) {
					t.Fatalf("answer:\n%s\nwant:\n%s", got, want)
				}
			}
		})
	}
}

// TestAssembleShapes holds what is added by shape equal to what is parsed.
func TestAssembleShapes(t *testing.T) {
	for _, tr := range transcripts(t) {
		var quick, slow Assembler
		tr.reset(nil, &quick)
		tr.reset(nil, &slow)
		for _, ev := range eventsOf(t, tr.raw, len(tr.raw)) {
			slow.shape.spoil()
			slow.resp.shape.spoil()
			if err := errors.Join(quick.Add(ev.Data), slow.Add(ev.Data)); err != nil {
				t.Fatal(err)
			}
			compareAnswers(t, &quick, &slow)
		}
	}
}

func compareAnswers(t *testing.T, quick, slow *Assembler) {
	t.Helper()
	opts := ResponseOptions{Truncate: true, Usage: estimate}
	got, err := quick.AppendResponse(nil, opts)
	want, wantErr := slow.AppendResponse(nil, opts)
	if err != wantErr || !bytes.Equal(got, want) {
		t.Fatalf("by shape:\n%s (%v)\nparsed:\n%s (%v)", got, err, want, wantErr)
	}
}

// TestCutTranscripts cuts every stream after every event. What a client then
// reads must end, and must assemble to the response that a synchronous client
// would have had at that moment.
func TestCutTranscripts(t *testing.T) {
	for _, tr := range transcripts(t) {
		events := eventsOf(t, tr.raw, len(tr.raw))
		for n := range events {
			checkCut(t, tr, events[:n+1])
		}
	}
}

func checkCut(t *testing.T, tr transcript, events []sse.Event) {
	t.Helper()
	var whole, cut Assembler
	tr.reset(nil, &whole)
	tr.reset(nil, &cut)
	s := new(Stream)
	tr.reset(s, nil)
	failed := false
	for _, ev := range events {
		sig, err := s.Observe(ev)
		if err != nil {
			t.Fatal(err)
		}
		failed = failed || sig.Err != nil
	}
	want, err := assemble(t, &whole, events, ResponseOptions{Truncate: true, Usage: estimate})
	if err != nil || s.Done() || failed {
		return
	}
	tail := s.AppendCut(nil, CutOptions{IncludeUsage: true, Usage: estimate})
	if strings.HasSuffix(tr.name, "_background") {
		if len(tail) > 0 {
			t.Fatalf("%s: ended a response that goes on:\n%s", tr.name, tail)
		}
		return
	}
	ends := newStream(tr.api)
	added := eventsOf(t, tail, len(tail))
	for _, ev := range append(events[:len(events):len(events)], added...) {
		if _, err := ends.Observe(ev); err != nil {
			t.Fatalf("%s: after the cut: %v\n%s", tr.name, err, ev.Data)
		}
		if !jsontext.Value(ev.Data).IsValid() && !bytes.Equal(ev.Data, doneMark) && tr.name != "chat_surrogates" {
			t.Fatalf("%s: not JSON: %s", tr.name, ev.Data)
		}
	}
	if !ends.Done() {
		t.Fatalf("%s: no end after %d events:\n%s", tr.name, len(events), tail)
	}
	got, err := assemble(t, &cut, append(events[:len(events):len(events)], added...), ResponseOptions{})
	if err != nil || !sameJSON(t, got, want) {
		t.Errorf("%s: cut after %d events (%v):\n%s\nwant:\n%s", tr.name, len(events), err, got, want)
	}
	if again := s.AppendCut(nil, CutOptions{}); tr.api != spillway.APIResponses && bytes.Contains(again, []byte(`"usage"`)) {
		t.Errorf("%s: usage for a client that did not ask for it:\n%s", tr.name, again)
	}
}

func TestAnswerEdges(t *testing.T) {
	chunk := func(delta string) string {
		return `{"id":"c","created":1,"model":"m","choices":[{"index":0,"delta":` + delta + `}]}`
	}
	tests := []struct {
		name string
		adds []string
		want string // content of choice 0, raw
	}{
		{"half a character at the end goes", []string{chunk(`{"content":"a\ud83d"}`)}, `"a"`},
		{"an escaped backslash is not half a character", []string{chunk(`{"content":"a\\ud83d"}`)}, `"a\\ud83d"`},
		{"bytes of a character split over chunks", []string{chunk("{\"content\":\"\xc3\"}"), chunk("{\"content\":\"\xa9\"}")}, `"é"`},
		{"half a sequence at the end goes", []string{chunk("{\"content\":\"a\xe2\x82\"}")}, `"a"`},
		{"null does not erase", []string{chunk(`{"content":"a"}`), chunk(`{"content":null}`), chunk(`{"content":"b"}`)}, `"ab"`},
		{"empty text stays text", []string{chunk(`{"content":""}`)}, `""`},
		{"no text is null", []string{chunk(`{"tool_calls":[{"index":0,"id":"x"}]}`)}, `null`},
		{"empty text beside a tool call is null", []string{chunk(`{"content":"","tool_calls":[{"index":0,"id":"x"}]}`)}, `null`},
		{"a value of another kind replaces", []string{chunk(`{"content":"a"}`), chunk(`{"content":[{"t":1}]}`), chunk(`{"content":[{"t":2}]}`)}, `[{"type":"text","text":"a"},{"t":1},{"t":2}]`},
		{"a list of text is text", []string{chunk(`{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`), chunk(`{"content":[]}`), chunk(`{"content":"c"}`)}, `"abc"`},
		{"text joins a list", []string{chunk(`{"content":[{"type":"thinking","thinking":[]}]}`), chunk(`{"content":"a"}`), chunk(`{"content":""}`)}, `[{"type":"thinking","thinking":[]},{"type":"text","text":"a"}]`},
		{"a list of other things stays one", []string{chunk(`{"content":[1,null]}`)}, `[1,null]`},
		{"a name given twice stays valid", []string{chunk(`{"content":"a","content":1}`), chunk(`{"content":"b","content":1}`)}, `1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var a Assembler
			a.Reset(spillway.APIChat)
			for _, data := range tt.adds {
				if err := a.Add([]byte(data)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := a.AppendResponse(nil, ResponseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if want := `"content":` + tt.want + `,"refusal"`; !strings.Contains(string(got), want) {
				t.Errorf("answer %s does not hold %s", got, want)
			}
			if !jsontext.Value(got).IsValid(jsontext.AllowDuplicateNames(true)) {
				t.Errorf("not JSON: %s", got)
			}
		})
	}
}

func TestAnswerLimits(t *testing.T) {
	chunk := []byte(`{"id":"c","choices":[{"index":0,"delta":{"content":"` + strings.Repeat("x", 1<<20) + `"}}]}`)
	event := []byte(`{"type":"response.output_text.delta","delta":"` + strings.Repeat("x", 1<<20) + `"}`)
	for api, data := range map[spillway.API][]byte{spillway.APIChat: chunk, spillway.APIResponses: event} {
		var a Assembler
		a.Reset(api)
		if err := a.Add(data); err != nil {
			t.Fatalf("%v: %v", api, err)
		}
		a.tree.size += MaxResponseText - 3<<20
		a.resp.size += MaxResponseText - 3<<20
		if err := a.Add(data); err != nil {
			t.Errorf("%v: within the limit: %v", api, err)
		}
		if err := errors.Join(a.Add(data), a.Add(data)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: Add = %v, want ErrTooLarge", api, err)
		}
	}
	var many strings.Builder
	many.WriteString(`{"choices":[{"index":0,"delta":{"a":{"x":1`)
	for n := range maxNodes / 64 {
		many.WriteString(`,"k` + strconv.Itoa(n) + `":{"y":1`)
		for k := range 64 {
			many.WriteString(`,"k` + strconv.Itoa(k) + `":0`)
		}
		many.WriteString(`}`)
	}
	many.WriteString(`}}}]}`)
	var a Assembler
	a.Reset(spillway.APIChat)
	if err := a.Add([]byte(many.String())); err != ErrTooLarge {
		t.Errorf("Add of many members = %v, want ErrTooLarge", err)
	}
}

func TestAnswerWithout(t *testing.T) {
	for _, api := range []spillway.API{spillway.APIOther, spillway.APIChat, spillway.APICompletions, spillway.APIResponses} {
		var a Assembler
		if _, err := a.AppendResponse(nil, ResponseOptions{Truncate: true}); err != ErrNoResponse {
			t.Errorf("zero Assembler: %v, want ErrNoAnswer", err)
		}
		a.Reset(api)
		if err := a.Add([]byte(`{"choices":[],"id":"","prompt_filter_results":[]}`)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.AppendResponse(nil, ResponseOptions{Truncate: true}); err != ErrNoResponse {
			t.Errorf("%v: %v, want ErrNoAnswer", api, err)
		}
		if cut := newStream(api).AppendCut(nil, CutOptions{}); len(cut) != 0 {
			t.Errorf("%v: cut of a stream that has not begun: %s", api, cut)
		}
	}
}

// TestCutLines cuts a response whose objects came over several lines of data:
// each event that ends it must still fit into one.
func TestCutLines(t *testing.T) {
	s := newStream(spillway.APIResponses)
	for _, data := range []string{
		"{\"type\":\"response.created\",\n\"response\":{\n\"id\":\"resp_1\",\r\n\"output\":[]}}",
		"{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\n\"id\":\"msg_1\",\"type\":\"message\"}}",
		`{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"a"}`,
	} {
		if _, err := s.Observe(sse.Event{Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	tail := s.AppendCut(nil, CutOptions{Usage: estimate})
	for _, ev := range eventsOf(t, tail, len(tail)) {
		if !jsontext.Value(ev.Data).IsValid() || len(ev.Name) == 0 {
			t.Errorf("not an event of JSON: %q", ev.Raw)
		}
	}
	const want = `"content":[{"type":"output_text","text":"a","annotations":[]}]`
	if !strings.Contains(string(tail), want) {
		t.Errorf("cut does not hold %s:\n%s", want, tail)
	}
}
