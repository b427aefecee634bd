package wire

import "net/http"

// HeaderTraceParent is the W3C trace context of the client. It goes upstream as
// it came.
const HeaderTraceParent = "Traceparent"

// traceParentBytes is the length of 00-{trace id}-{span id}-{flags}.
const traceParentBytes = 2 + 1 + 32 + 1 + 16 + 1 + 2

// TraceParent returns the client's trace context; "" where it sent none, or
// what is none (W3C Trace Context, section 3.2). Of later versions it returns
// the part that is like this one's.
func TraceParent(h http.Header) string {
	text := get(h, HeaderTraceParent)
	if len(text) > traceParentBytes && text[:2] != "00" && text[traceParentBytes] == '-' {
		text = text[:traceParentBytes]
	}
	if len(text) != traceParentBytes || text[2] != '-' || text[35] != '-' || text[52] != '-' || text[:2] == "ff" {
		return ""
	}
	if !lowerHex(text[:2]) || !lowerHex(text[53:]) || !identifier(text[3:35]) || !identifier(text[36:52]) {
		return ""
	}
	return text
}

// identifier reports whether s is hexadecimal and not only zeros.
func identifier(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return lowerHex(s)
		}
	}
	return false
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
