package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

// TestHideUsage takes the member usage out of the chunks of a client that did not ask
// for it, wherever it stands, and nothing else.
func TestHideUsage(t *testing.T) {
	chunk := func(members string) string { return "data: {" + members + "}\n\n" }
	const choice = `"choices":[{"index":0,"delta":{"content":"a"}}]`
	for name, tt := range map[string]struct{ in, out string }{
		"last":              {chunk(choice + `,"usage":null`), chunk(choice)},
		"first":             {chunk(`"usage":null,` + choice), chunk(choice)},
		"in the middle":     {chunk(`"id":"c","usage":null,` + choice), chunk(`"id":"c",` + choice)},
		"alone":             {chunk(`"usage":null`), chunk("")},
		"white space":       {chunk(`"id":"c" , "usage" : null , ` + choice), chunk(`"id":"c"  , ` + choice)},
		"with an object":    {chunk(choice + `,"usage":{"prompt_tokens":5,"completion_tokens":7}`), chunk(choice)},
		"malformed":         {chunk(choice + `,"usage":{"prompt_tokens":-5}`), chunk(choice)},
		"no object":         {chunk(choice + `,"usage":"x"`), chunk(choice)},
		"none":              {chunk(choice), chunk(choice)},
		"nested":            {chunk(`"choices":[{"index":0,"delta":{"content":"a"},"usage":null}]`), chunk(`"choices":[{"index":0,"delta":{"content":"a"},"usage":null}]`)},
		"nested and own":    {chunk(`"choices":[{"index":0,"delta":{"content":"a"},"usage":null}],"usage":null`), chunk(`"choices":[{"index":0,"delta":{"content":"a"},"usage":null}]`)},
		"in the text":       {chunk(`"choices":[{"index":0,"delta":{"content":",\"usage\":null"}}],"usage":null`), chunk(`"choices":[{"index":0,"delta":{"content":",\"usage\":null"}}]`)},
		"CRLF":              {"event: e\r\ndata: {" + choice + ",\"usage\":null}\r\n\r\n", "event: e\r\ndata: {" + choice + "}\r\n\r\n"},
		"several lines":     {"event: e\ndata: {" + choice + ",\ndata: \"usage\":null}\n\n", "event: e\ndata: {" + choice + "}\n\n"},
		"lines that remain": {"data: {" + choice + ",\ndata:\"usage\":null,\ndata: \"id\":\"c\"}\nid: 7\n\n", "id: 7\ndata: {" + choice + ",\ndata: \"id\":\"c\"}\n\n"},
		"no space":          {"data:{" + choice + ",\"usage\":null}\n\n", "data:{" + choice + "}\n\n"},
		"end":               {chunk(choice+`,"usage":null`) + "data: [DONE]\n\n", chunk(choice) + "data: [DONE]\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			in := strings.Repeat(tt.in, 3) // the later ones have the shape of the first
			if name == "end" {
				in = tt.in
			}
			for _, hide := range []bool{true, false} {
				s := newStream(spillway.APIChat)
				s.HideUsage = hide
				var got []byte
				for _, ev := range eventsOf(t, []byte(in), len(in)) {
					if _, err := s.Observe(ev); err != nil {
						t.Fatal(err)
					}
					got = s.AppendEvent(got, ev)
				}
				want := in
				if hide {
					want = strings.ReplaceAll(in, tt.in, tt.out)
				}
				if string(got) != want {
					t.Errorf("hide %v: got\n%s\nwant\n%s", hide, got, want)
				}
			}
		})
	}
}

// TestHideUsageOfMalformed passes on an event that is not JSON as it came.
func TestHideUsageOfMalformed(t *testing.T) {
	s := newStream(spillway.APIChat)
	s.HideUsage = true
	for _, raw := range []string{"data: {\"usage\":null,\"choices\":\n\n", "data: x\n\n"} {
		ev := eventsOf(t, []byte(raw), len(raw))[0]
		if _, err := s.Observe(ev); err == nil {
			t.Errorf("%q is read", raw)
		}
		if got := s.AppendEvent(nil, ev); string(got) != raw {
			t.Errorf("%q became %q", raw, got)
		}
	}
}

// TestCutUsage takes usage out of pieces of several events that are not read one by
// one, in place.
func TestCutUsage(t *testing.T) {
	for _, kind := range []string{"chat", "two"} {
		api, events := benchChunks(kind)
		s := newStream(api)
		s.HideUsage = true
		cut := 0
		for i := 0; i+2 < len(events); i++ {
			if _, err := s.Observe(events[i]); err != nil {
				t.Fatal(err)
			}
			piece := fmt.Appendf(nil, "data: %s\n\ndata: %s\n\n", events[i+1].Data, events[i+2].Data)
			want := bytes.ReplaceAll(piece, []byte(`,"usage":null`), nil)
			if _, ok := s.Repeats(piece); !ok {
				continue
			}
			if got := s.CutUsage(piece); !bytes.Equal(got, want) {
				t.Fatalf("got\n%s\nwant\n%s", got, want)
			}
			cut++
		}
		if (cut > 0) != (kind == "chat") {
			t.Errorf("%s: %d pieces", kind, cut)
		}
	}
}

// TestHideUsageAllocates checks that hiding usage costs no allocation.
func TestHideUsageAllocates(t *testing.T) {
	for _, kind := range []string{"chat", "two"} {
		api, events := benchChunks(kind)
		for i := range events {
			events[i].Raw = fmt.Appendf(nil, "data: %s\n\n", events[i].Data)
		}
		s := newStream(api)
		s.HideUsage = true
		dst, n := make([]byte, 0, 4<<10), 0
		if allocs := testing.AllocsPerRun(200, func() {
			ev := events[n%len(events)]
			n++
			_, _ = s.Observe(ev)
			dst = s.AppendEvent(dst[:0], ev)
		}); allocs > 0 {
			t.Errorf("%s: %v allocations per event", kind, allocs)
		}
		if bytes.Contains(dst, []byte("usage")) {
			t.Errorf("%s: %s", kind, dst)
		}
	}
}

// FuzzHideUsage hides usage in arbitrary chunks: what is left is JSON, and has the other
// members.
func FuzzHideUsage(f *testing.F) {
	f.Add([]byte(`{"choices":[],"usage":null,"id":"a"}`), []byte(`{"usage" : {"a":[1]} , "x":1}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := newStream(spillway.APIChat)
		s.HideUsage = true
		for _, data := range [][]byte{first, second, first} {
			var want map[string]any
			if json.Unmarshal(data, &want) != nil || want == nil || bytes.ContainsAny(data, "\r\n\\") || bytes.Count(data, []byte("usage")) > 1 {
				return
			}
			ev := sse.Event{Data: data, Raw: fmt.Appendf(nil, "data: %s\n\n", data)}
			if _, err := s.Observe(ev); err != nil {
				return
			}
			delete(want, "usage")
			out := s.AppendEvent(nil, ev)
			var got map[string]any
			body := bytes.TrimSuffix(bytes.TrimPrefix(out, []byte("data: ")), []byte("\n\n"))
			if err := json.Unmarshal(body, &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%q became %q (%v)", data, out, err)
			}
		}
	})
}
