package sse

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// reference parses a whole stream as section 9.2.6 of the HTML standard words it, one
// step after the other and without a thought for speed. It shares no code with Scanner.
type reference struct {
	events   []string // name|data
	tail     []string // what the open event at the end would have been
	hasIDs   bool
	data     string
	event    string
	hasLines bool // data has a line
}

func parseReference(stream string) *reference {
	r := new(reference)
	stream = strings.TrimPrefix(stream, "\ufeff")
	line := ""
	for i := 0; i < len(stream); i++ {
		switch stream[i] {
		case '\r':
			if i+1 < len(stream) && stream[i+1] == '\n' {
				i++
			}
			r.line(line)
			line = ""
		case '\n':
			r.line(line)
			line = ""
		default:
			line += string(stream[i : i+1])
		}
	}
	// The standard drops what is open here; Scanner.Finish returns it.
	done := len(r.events)
	r.line(line)
	r.dispatch()
	r.events, r.tail = r.events[:done], r.events[done:]
	return r
}

func (r *reference) line(line string) {
	if line == "" {
		r.dispatch()
		return
	}
	switch colon := strings.Index(line, ":"); colon {
	case 0: // a comment
	case -1:
		r.field(line, "")
	default:
		r.field(line[:colon], strings.TrimPrefix(line[colon+1:], " "))
	}
}

func (r *reference) field(name, value string) {
	switch name {
	case "event":
		r.event = value
	case "data":
		r.data += value + "\n"
		r.hasLines = true
	case "id":
		if !strings.Contains(value, "\x00") {
			r.hasIDs = true
		}
	}
}

func (r *reference) dispatch() {
	if r.hasLines {
		r.events = append(r.events, fmt.Sprintf("%s|%s", r.event, strings.TrimSuffix(r.data, "\n")))
	}
	r.data, r.event, r.hasLines = "", "", false
}

// checkReference holds what a Scanner finds in the pieces of a stream equal to what the
// standard finds in all of it.
func checkReference(t *testing.T, stream string, piece func(left int) int) {
	t.Helper()
	s := Scanner{MaxEvent: len(stream) + 1}
	got, raw := scan(t, &s, stream, piece)
	want := parseReference(stream)
	if all := append(want.events, want.tail...); !reflect.DeepEqual(got, all) && len(got)+len(all) > 0 {
		t.Fatalf("%q:\n%q\nwant\n%q", stream, got, all)
	}
	if raw != stream {
		t.Fatalf("%q: raw %q", stream, raw)
	}
	if s.HasIDs != want.hasIDs {
		t.Fatalf("%q: ids %v, want %v", stream, s.HasIDs, want.hasIDs)
	}
}

// grammarParts are what streams are made of, in one form or another.
func grammarParts() []string {
	return []string{
		"\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", "\n\r", ":", " ", "\t", "\x00", "\ufeff", "\v", "\u2028", "\u0085", "é", "\xff", "a",
		"data", "data:", "data: ", "data:x\n", "data: y\r\n", "Data: z\n", " data: z\n", "data : z\n", "event", "event: ", "event:\n", "id", "id: 1\n", "id: \x00\n",
		"retry: 5\n", "unknown: 1\n", ": comment\n", ":\n", "[DONE]", "data: [DONE]", "data: [DONE]\n\n", `{"a":"\ud83d"}`,
	}
}

// TestScannerReference holds random streams in random pieces against the standard.
func TestScannerReference(t *testing.T) {
	parts := grammarParts()
	rapid.Check(t, func(rt *rapid.T) {
		stream := strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 24).Draw(rt, "parts"), "")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 7), 1, 8).Draw(rt, "sizes")
		k := 0
		checkReference(t, stream, func(left int) int {
			k++
			return min(left, sizes[k%len(sizes)])
		})
	})
}

// TestScannerGrammar holds the corners of the grammar against the standard, with the
// stream in two pieces that meet at each byte, and in pieces of one byte.
func TestScannerGrammar(t *testing.T) {
	big := strings.Repeat("x", 3<<20)
	for name, stream := range map[string]string{
		"byte order mark":                "\ufeffdata: a\n\n",
		"byte order mark before a name":  "\ufeffevent: x\ndata: a\n\n",
		"two byte order marks":           "\ufeff\ufeffdata: a\n\ndata: b\n\n",
		"byte order mark later":          "data: a\n\n\ufeffdata: b\n\ndata: c\n\n",
		"byte order mark, blank line":    "\ufeff\n\ufeffdata: a\n\n",
		"half a byte order mark":         "\xef\xbbdata: a\n\ndata: b\n\n",
		"LF":                             "event: e\ndata: a\ndata: b\n\ndata: c\n\n",
		"CR":                             "event: e\rdata: a\rdata: b\r\rdata: c\r\r",
		"CRLF":                           "event: e\r\ndata: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n",
		"mixed line ends":                "data: a\rdata: b\ndata: c\r\n\ndata: d\n\rdata: e\r\r\n",
		"CR, and a field":                "data: a\r\rdata: b\r\ndata: c\n\r\n",
		"comments":                       ": a\n\n:\n:data: x\ndata: a\n: b\ndata: c\n\n: d\n",
		"comments of OpenRouter":         ": OPENROUTER PROCESSING\r\n\r\ndata: a\r\n\r\n: OPENROUTER PROCESSING\n\n",
		"no space":                       "data:a\n\nevent:x\ndata:{}\n\n",
		"more spaces":                    "data:  a \n\ndata:\ta\n\n",
		"no colon":                       "data\n\ndata\ndata\n\nevent\ndata\n\n",
		"names that are close":           "DATA: a\ndata : b\n data: c\ndatax: d\ndat: e\n\ndata: f\n\n",
		"fields that are not ours":       "id: 1\nretry: 10\nfoo: bar\nbar\ndata: a\n\n",
		"an id with NUL":                 "id: a\x00b\ndata: a\n\n",
		"an id, and one with NUL":        "id: a\nid: \x00\ndata: a\n\n",
		"a name without data":            "event: x\n\ndata: a\n\n",
		"two names":                      "event: x\nevent: y\ndata: a\n\nevent: x\nevent\ndata: b\n\n",
		"no final blank line":            "data: a\n\ndata: b\n",
		"no final line end":              "data: a\n\ndata: b",
		"end mark without a line end":    "data: {}\n\ndata: [DONE]",
		"padded end mark":                "data:  [DONE] \r\n\r\n",
		"what follows the end mark":      "data: [DONE]\n\ntrailing garbage\n\n<html>\n\ndata: x\n\n",
		"a final CR":                     "data: a\n\ndata: b\r",
		"nothing":                        "",
		"blank lines":                    "\n\r\n\r\n\n\r",
		"separators that are none":       "data: a\u2028b\u2029c\u0085d\ve\f\n\n",
		"NUL, and bytes that are no UTF": "data: a\x00b\xff\xc3\n\n\x00\ndata: c\n\n",
		"not a stream":                   "HTTP/1.1 200 OK\r\n\r\n<html>\n</html>",
	} {
		t.Run(name, func(t *testing.T) {
			checkReference(t, stream, func(int) int { return 1 })
			for at := range len(stream) + 1 {
				first := true
				checkReference(t, stream, func(left int) int {
					if first && at > 0 && at < left {
						first = false
						return at
					}
					return left
				})
			}
		})
	}
	for name, stream := range map[string]string{
		"a long line":     "data: " + big + "\n\ndata: a\n\n",
		"a long line, CR": "data: " + big + "\r\rdata: a\r\r",
		"a long comment":  ": " + big + "\n\ndata: a\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := Scanner{MaxEvent: 8 << 20}
			got, _ := scan(t, &s, stream, func(left int) int { return min(left, 4093) })
			want := []string{"|a"}
			if !strings.HasPrefix(stream, ":") {
				want = []string{"|" + big, "|a"}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%d events, want %d", len(got), len(want))
			}
		})
	}
}

// FuzzScannerReference holds arbitrary streams against the standard.
func FuzzScannerReference(f *testing.F) {
	f.Add("\ufeffevent: x\ndata: a\r\n\r\n: c\ndata: b\rdata\n\nid: \x00\ndata: d", uint8(3))
	f.Fuzz(func(t *testing.T, stream string, size uint8) {
		if len(stream) > 1<<12 {
			return
		}
		checkReference(t, stream, func(left int) int { return min(left, int(size)+1) })
	})
}
