package wire

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway"
)

// sampleBody is a chat request of about size bytes, with text as it comes:
// quotes, line breaks, and some letters outside ASCII in every tenth message.
func sampleBody(size int) []byte {
	var b strings.Builder
	b.WriteString(`{"model":"gpt-4o-mini","temperature":0.7,"max_tokens":500,"stream":false,"messages":[{"role":"system","content":"You are a helpful assistant."}`)
	for i := 0; b.Len() < size-100; i++ {
		text := `Please summarise the \"contract\" in three bullet points.\nIt was signed by both of the parties and concerns the delivery of goods within ninety days of the order date, with a penalty for late delivery.`
		if i%10 == 9 {
			text += " Zürich, 東京."
		}
		fmt.Fprintf(&b, `,{"role":"user","content":"%s"}`, text)
	}
	b.WriteString(`],"user":"u1"}`)
	return []byte(b.String())
}

// sizes are the body sizes of the benchmarks.
func sizes() []int { return []int{1 << 10, 16 << 10, 1 << 20} }

func BenchmarkReadAsk(b *testing.B) {
	for _, size := range sizes() {
		body := sampleBody(size)
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ReadAsk(spillway.APIChat, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReference is the same text checked by jsontext alone.
func BenchmarkReference(b *testing.B) {
	for _, size := range sizes() {
		body := sampleBody(size)
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if !reference(body) {
					b.Fatal("invalid")
				}
			}
		})
	}
}

func BenchmarkPatch(b *testing.B) {
	for _, size := range sizes() {
		body := sampleBody(size)
		ask, err := ReadAsk(spillway.APIChat, body)
		if err != nil {
			b.Fatal(err)
		}
		p := Patch{Model: "chat", SetStream: true, Stream: true, TokenField: fieldMaxCompletion, Tokens: 100, IncludeUsage: true}
		buffer := make([]byte, 0, len(body)+256)
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				ask.Patch(buffer, body, p)
			}
		})
	}
}
