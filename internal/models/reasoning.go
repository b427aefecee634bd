package models

import "strings"

// Reasons reports whether a model of that name spends hidden tokens and takes its
// chat limit only as max_completion_tokens: the o series, the GPT family from 5 on,
// and codex models. The chat variants of GPT, such as gpt-5-chat, do not reason. A
// provider before the name, as in openai/gpt-5, does not matter.
func Reasons(model string) bool {
	model = strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	if rest, ok := strings.CutPrefix(model, "o"); ok {
		generation, rest := leadingNumber(rest)
		return generation > 0 && (rest == "" || rest[0] == '-')
	}
	if strings.HasPrefix(model, "codex") {
		return true
	}
	rest, ok := strings.CutPrefix(model, "gpt-")
	if !ok {
		return false
	}
	generation, rest := leadingNumber(rest)
	if minor, isMinor := strings.CutPrefix(rest, "."); isMinor {
		_, rest = leadingNumber(minor)
	}
	const turbo = 35 // Azure's spelling of 3.5
	return generation >= 5 && generation != turbo && (rest == "" || rest[0] == '-') && !strings.HasPrefix(rest, "-chat")
}

// leadingNumber returns the number of at most two digits that s begins with, 0 for
// none, and the rest.
func leadingNumber(s string) (n int, rest string) {
	i := 0
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		n = n*10 + int(s[i]-'0')
	}
	if i > 2 {
		return 0, s
	}
	return n, s[i:]
}
