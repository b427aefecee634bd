package azuresim

import "testing"

// The output length that a sentence in any message asks for, which comes after a
// directive and before the header.
func TestLengthRequest(t *testing.T) {
	const ask = "Write about 150 words (200 tokens)"
	for _, tc := range []struct {
		name   string
		texts  []string
		header string
		want   int
	}{
		{"end of the prompt", []string{"the cat " + ask + " on any topic."}, "", 200},
		{"another message follows", []string{ask, "assistant", "go on"}, "", 200},
		{"the last one counts", []string{ask, "Write about 1 words (7 tokens)"}, "", 7},
		{"two in one message", []string{ask + ", no: Write about 2 words (3 tokens)."}, "", 3},
		{"white space", []string{"Write\nabout  150 words\t(200\r\ntokens)"}, "", 200},
		{"before the header", []string{ask}, "9", 200},
		{"header alone", []string{"Write about this."}, "9", 9},
		{"words alone", []string{"Write about 150 words"}, "", -1},
		{"tokens alone", []string{"Write about cats (200 tokens)"}, "", -1},
		{"none", []string{"Write about 0 words (0 tokens)"}, "", -1},
		{"too many digits", []string{"Write about 1 words (12345678901234567890 tokens)"}, "", -1},
		{"across messages", []string{"Write about 150 words", "(200 tokens)"}, "", -1},
		{"nothing", nil, "", -1},
	} {
		var p prompt
		for _, text := range tc.texts {
			p.add(text)
			p.last = text
		}
		if got := p.length(tc.header); got != tc.want {
			t.Errorf("%s: length %d, want %d", tc.name, got, tc.want)
		}
	}
	p := prompt{last: "[[tokens=5]]"}
	p.add(ask)
	if got := p.length("9"); got != 5 {
		t.Errorf("with a directive: length %d, want 5", got)
	}
}
