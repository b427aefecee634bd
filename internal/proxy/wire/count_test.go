package wire

import (
	"strings"
	"testing"
)

func TestTokensIn(t *testing.T) {
	for _, tt := range []struct {
		name, delta string
		want        int
	}{
		{"nothing", "", 0},
		{"a letter", "a", 1},
		{"a long word", " incremental", 1},
		{"a batch of forty bytes", strings.Repeat("word", 10), 10},
		{"a batch of a kilobyte", strings.Repeat("word", 250), 250},
		{"rounded to the nearest", strings.Repeat("x", 15), 4},
		{"two escaped characters", `\u4f60\u597d`, 1},
		{"six escaped characters", strings.Repeat(`\u4f60`, 6), 5},
		{"line ends", strings.Repeat(`\n`, 8), 1},
		{"escaped backslashes before a u", strings.Repeat(`\\u1234`, 4), 6},
		{"a lone backslash at the end", strings.Repeat("word", 10) + `\`, 10},
		{"half an escape at the end", strings.Repeat("word", 10) + `\u12`, 10},
		{"escaped ASCII", strings.Repeat(`\u003c`, 20), 5},
		{"escaped Cyrillic", strings.Repeat(`\u0436`, 10), 5},
		{"escaped emoji", strings.Repeat(`\ud83d\ude00`, 6), 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tokensIn([]byte(tt.delta)); got != tt.want {
				t.Errorf("tokensIn(%q) = %d, want %d", tt.delta, got, tt.want)
			}
		})
	}
}

func TestCountOutput(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       int
	}{
		{"chat", `{"id":"a long identifier of a response","choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("word", 10) + `"},"finish_reason":"stop"}]}`, 10},
		{"two choices", `{"choices":[{"message":{"content":"a"}},{"message":{"content":"b"}}]}`, 2},
		{"tool calls", `{"choices":[{"message":{"content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]}}]}`, 2},
		{"reasoning and refusal", `{"choices":[{"message":{"reasoning_content":"a","refusal":"b"}}]}`, 2},
		{"completions", `{"choices":[{"text":"a","logprobs":{"tokens":["a"]}}]}`, 1},
		{"responses", `{"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"a"}]},{"type":"message","content":[{"type":"output_text","text":"b"}]},{"type":"function_call","name":"f","arguments":"{}"}],"text":{"format":{"type":"text"}}}`, 4},
		{"embeddings", `{"data":[{"embedding":[0.1,0.2]}]}`, 0},
		{"not JSON", `<html>`, 0},
		{"deep", `{"choices":` + strings.Repeat("[", 100_000), 0},
	} {
		if got := CountOutput([]byte(tt.body)); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
