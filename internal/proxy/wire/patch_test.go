package wire

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway"
)

// updateRequests rewrites the wanted part of testdata/requests.
var updateRequests = flag.Bool("update-requests", false, "rewrite the wanted bodies in testdata/requests")

// TestPatchGolden runs the files of testdata/requests: an operation and a patch
// as JSON on the first line, then the body, a line "---", and the body wanted.
func TestPatchGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/requests/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, rest, _ := bytes.Cut(text, []byte("\n"))
			body, want, ok := bytes.Cut(rest, []byte("\n---\n"))
			if !ok {
				t.Fatal("no line ---")
			}
			var in struct {
				API spillway.API
				Patch
			}
			if err := json.Unmarshal(head, &in); err != nil {
				t.Fatal(err)
			}
			ask, err := ReadAsk(in.API, body)
			if err != nil {
				t.Fatal(err)
			}
			got := ask.Patch(nil, body, in.Patch)
			if !reference(got) {
				t.Errorf("the result is not JSON:\n%s", got)
			}
			if *updateRequests {
				text = bytes.Join([][]byte{head, []byte("\n"), body, []byte("\n---\n"), got, []byte("\n")}, nil)
				if err := os.WriteFile(file, text, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want = bytes.TrimSuffix(want, []byte("\n")); !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestPatchKeepsBody(t *testing.T) {
	body := []byte(`{"model":"m","stream":true,"max_tokens":5,"stream_options":{"include_usage":true}}`)
	ask, err := ReadAsk(spillway.APIChat, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Patch{
		{},
		{Model: "m", SetStream: true, Stream: true, TokenField: "max_tokens", Tokens: 5, IncludeUsage: true},
	} {
		if got := ask.Patch(nil, body, p); &got[0] != &body[0] || len(got) != len(body) {
			t.Errorf("%+v copied the body: %s", p, got)
		}
	}
	other, _ := ReadAsk(spillway.APIOther, []byte("not JSON"))
	if got := other.Patch(nil, body, Patch{Model: "x"}); &got[0] != &body[0] {
		t.Error("a body that is no object was patched")
	}
	if got := string(ask.Patch([]byte("before "), body, Patch{Model: "x"})); !strings.HasPrefix(got, `before {"model":"x",`) {
		t.Errorf("dst was lost: %s", got)
	}
}

func TestTokenField(t *testing.T) {
	tests := []struct {
		api       spillway.API
		reasoning bool
		client    string
		want      string
	}{
		{spillway.APIChat, false, "", "max_tokens"},
		{spillway.APIChat, false, "max_tokens", "max_tokens"},
		{spillway.APIChat, false, "max_completion_tokens", "max_completion_tokens"},
		{spillway.APIChat, true, "", "max_completion_tokens"},
		{spillway.APIChat, true, "max_tokens", "max_completion_tokens"},
		{spillway.APICompletions, true, "", "max_tokens"},
		{spillway.APIResponses, false, "", "max_output_tokens"},
		{spillway.APIEmbeddings, false, "", ""},
		{spillway.APIOther, false, "", ""},
	}
	for _, tt := range tests {
		if got := TokenField(tt.api, tt.reasoning, &Ask{TokenField: tt.client}); got != tt.want {
			t.Errorf("%+v: got %q", tt, got)
		}
	}
}

// FuzzPatch patches whatever parses, and demands that the result reads as the
// patch says and that no other field changed.
func FuzzPatch(f *testing.F) {
	for _, text := range texts() {
		f.Add([]byte(text), uint8(0xFF), 100)
	}
	for _, text := range []string{
		`{ "stream_options" : {} , "stream" : true }`, `{"stream":true,"stream_options":{"include_usage":false}}`,
		`{"stream":true,"x":1,"stream_options":null}`, `{"stream":true,"stream_options":{"a":1},"max_tokens":3}`,
		`{"max_tokens":null,"max_completion_tokens":7}`, `{"max\u005ftokens" : 7, "n":null}`, `{"stream_options":{},"stream":true,"model":null}`,
	} {
		for bits := range uint8(32) {
			f.Add([]byte(text), bits, 3)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, bits uint8, tokens int) {
		before, err := ReadAsk(spillway.APIChat, body)
		if err != nil {
			return
		}
		p := Patch{SetStream: bits&1 != 0, Stream: bits&2 != 0, IncludeUsage: bits&8 != 0}
		if bits&4 != 0 {
			p.Model = `deploy "ment"`
		}
		if p.Tokens = tokens; tokens < 1 || tokens > maxCount {
			p.Tokens = 0
		}
		p.TokenField = TokenField(spillway.APIChat, bits&16 != 0, &before)
		original := bytes.Clone(body)
		got := before.Patch(nil, body, p)
		if !bytes.Equal(body, original) {
			t.Fatal("the body was changed in place")
		}
		after, err := ReadAsk(spillway.APIChat, got)
		if err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		check(t, &before, &after, p)
		sameRest(t, body, got)
		if again := after.Patch(nil, got, p); !bytes.Equal(again, got) {
			t.Fatalf("a second patch changed\n%s\nto\n%s", got, again)
		}
	})
}

// check compares the fields that a patch touches.
func check(t *testing.T, before, after *Ask, p Patch) {
	t.Helper()
	want := *before
	if p.Model != "" {
		want.Model = p.Model
	}
	if p.SetStream {
		want.Stream = p.Stream
	}
	if p.Tokens != 0 {
		want.Tokens = p.Tokens
	}
	if want.Tokens != 0 {
		want.TokenField = p.TokenField
	}
	switch {
	case want.Stream && p.IncludeUsage:
		want.IncludeUsage = true
	case before.Stream && !want.Stream:
		want.IncludeUsage = false
	}
	if got, want := viewOf(*after), viewOf(want); got != want {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

// sameRest demands that members that no patch touches are the same bytes, in
// the same order.
func sameRest(t *testing.T, before, after []byte) {
	t.Helper()
	a, b := rest(t, before), rest(t, after)
	if !bytes.Equal(a, b) {
		t.Fatalf("other fields changed:\n%s\n%s", a, b)
	}
}

// rest lists the members that a patch never touches.
func rest(t *testing.T, body []byte) []byte {
	t.Helper()
	var out []byte
	s := scanner{src: body}
	s.peek()
	if !s.object(func(start int) bool {
		name := string(s.name())
		ok := s.value()
		switch name {
		case "model", "stream", "stream_options", fieldMaxTokens, fieldMaxCompletion:
		default:
			out = append(append(out, body[start:s.pos]...), '\n')
		}
		return ok
	}) {
		t.Fatalf("not an object: %s", body)
	}
	return out
}
