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
