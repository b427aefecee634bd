package wire

import (
	"fmt"
	"testing"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

// benchChunks are the events of a long response, without its beginning and end.
func benchChunks(kind string) (api spillway.API, events []sse.Event) {
	words := [...]string{" the", " of", "token", `\n\n`, " 😀", "s", " a", ","}
	for n := range 64 {
		word := words[n%len(words)]
		pad := "aBcDeFgHiJ"[:n%10]
		var data string
		switch kind {
		case "responses":
			api = spillway.APIResponses
			data = fmt.Sprintf(`{"type":"response.output_text.delta","sequence_number":%d,"item_id":"msg_0123456789abcdef0123456789abcdef","output_index":0,"content_index":0,"delta":"%s","logprobs":[],"obfuscation":"%s"}`, n+4, word, pad)
		case "chat":
			api = spillway.APIChat
			data = fmt.Sprintf(`{"choices":[{"content_filter_results":{},"delta":{"content":"%s"},"finish_reason":null,"index":0,"logprobs":null}],"created":1760000000,"id":"chatcmpl-0123456789abcdef","model":"gpt-4o-mini-2024-07-18","obfuscation":"%s","object":"chat.completion.chunk","service_tier":"default","system_fingerprint":"fp_b705f0c291","usage":null}`, word, pad)
		case "two": // choices take turns, so that no chunk has the shape of the last
			api = spillway.APIChat
			data = fmt.Sprintf(`{"choices":[{"content_filter_results":{},"delta":{"content":"%s"},"finish_reason":null,"index":%d,"logprobs":null}],"created":1760000000,"id":"chatcmpl-0123456789abcdef","model":"gpt-4o-mini-2024-07-18","obfuscation":"%s","object":"chat.completion.chunk","service_tier":"default","system_fingerprint":"fp_b705f0c291","usage":null}`, word, n%2, pad)
		}
		events = append(events, sse.Event{Data: []byte(data)})
	}
	return api, events
}

func BenchmarkObserve(b *testing.B) {
	for _, kind := range []string{"chat", "two", "responses"} {
		b.Run(kind, func(b *testing.B) {
			api, events := benchChunks(kind)
			s := newStream(api)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				sig, err := s.Observe(events[n%len(events)])
				if err != nil || sig.Tokens != 1 {
					b.Fatal(sig, err)
				}
				if n++; n%4096 == 0 {
					s.Reset(api)
				}
			}
		})
	}
}

func BenchmarkAssemble(b *testing.B) {
	for _, kind := range []string{"chat", "two", "responses"} {
		b.Run(kind, func(b *testing.B) {
			api, events := benchChunks(kind)
			var a Assembler
			a.Reset(api)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if err := a.Add(events[n%len(events)].Data); err != nil {
					b.Fatal(err)
				}
				if n++; n%4096 == 0 {
					a.Reset(api)
				}
			}
		})
	}
}

// TestObserveAllocates holds the path of a typical chunk free of allocation.
func TestObserveAllocates(t *testing.T) {
	for _, kind := range []string{"chat", "two", "responses"} {
		api, events := benchChunks(kind)
		s := newStream(api)
		var a Assembler
		a.Reset(api)
		pass := func() {
			s.Reset(api)
			a.Reset(api)
			for _, ev := range events {
				if _, err := s.Observe(ev); err != nil {
					t.Fatal(err)
				}
				if err := a.Add(ev.Data); err != nil {
					t.Fatal(err)
				}
			}
		}
		pass()
		if n := testing.AllocsPerRun(10, pass); n > 0 {
			t.Errorf("%s: %v allocations in %d events", kind, n, len(events))
		}
	}
}
