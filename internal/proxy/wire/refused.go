package wire

import (
	"bytes"
	"net/http"
)

// Members that the gateway adds to requests and deployments refuse.
const (
	MemberStream        = "stream"
	MemberStreamOptions = "stream_options"
)

// MayRefuseMember reports whether an error of that status can refuse a member of the
// request: 422 is what FastAPI's validation returns, and 403 what a permission does.
func MayRefuseMember(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// RefusedMember returns which of MemberStream and MemberStreamOptions an error's body
// names, as its param, in the place that a validator reports, or in its message; "" for
// none. An error that names both is about the options: without them the other one is
// reported again.
func RefusedMember(body []byte) string {
	if bytes.Contains(body, []byte(MemberStreamOptions)) {
		return MemberStreamOptions
	}
	lower := bytes.ToLower(body)
	for _, word := range [...]string{MemberStream, "streaming", "streamed"} {
		if containsWord(lower, word) {
			return MemberStream
		}
	}
	return ""
}

// containsWord reports whether text has the word, not as a part of a longer name.
func containsWord(text []byte, word string) bool {
	for {
		i := bytes.Index(text, []byte(word))
		if i < 0 {
			return false
		}
		end := i + len(word)
		if (i == 0 || !isNameByte(text[i-1])) && (end == len(text) || !isNameByte(text[end])) {
			return true
		}
		text = text[end:]
	}
}

// isNameByte reports whether names of members and tools have the byte in them.
func isNameByte(b byte) bool {
	return b == '_' || b == '-' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z'
}
