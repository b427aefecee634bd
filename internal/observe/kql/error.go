package kql

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is what is wrong with a query, and where.
type Error struct {
	Line, Column int    // from 1; the column counts characters
	Message      string // without the place
	Source       string // the line itself, of a long one what is near
	Length       int    // characters that the caret underlines, at least 1
	caret        int    // characters of Source before it
}

// Error returns the message with its place, the line and a caret.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "query:%d:%d: %s\n  %s\n  ", e.Line, e.Column, e.Message, e.Source)
	for i, r := range []rune(e.Source) {
		if i == e.caret {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	b.WriteString(strings.Repeat("^", max(e.Length, 1)))
	return b.String()
}

// span is a part of the query's text, in bytes.
type span struct{ start, end int }

// newError places a message at a span of src; the caret stays on its first line.
func newError(src string, at span, message string) *Error {
	start := min(max(at.start, 0), len(src))
	from := strings.LastIndexByte(src[:start], '\n') + 1
	to := len(src)
	if i := strings.IndexByte(src[start:], '\n'); i >= 0 {
		to = start + i
	}
	left, right := max(from, start-maxShown), min(to, start+maxShown)
	before, length := shown(src[left:start]), utf8.RuneCountInString(shown(src[start:max(start, min(at.end, right))]))
	if left > from {
		before = "…" + before
	}
	after := shown(src[start:right])
	if right < to {
		after += "…"
	}
	return &Error{
		Line:    strings.Count(src[:from], "\n") + 1,
		Column:  utf8.RuneCountInString(src[from:start]) + 1,
		Message: message,
		Source:  strings.TrimRight(before+after, " "),
		Length:  length,
		caret:   utf8.RuneCountInString(before),
	}
}

// maxShown bounds the part of a line that an error shows on either side of
// its place, in bytes.
const maxShown = 100

// shown is text as a terminal may get it.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) { // the latter turn the text's direction
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// suggest returns "; did you mean …?" with the name nearest to wrong, or ""
// when none is near.
func suggest(wrong string, names []string) string {
	best, least := "", 1+len(wrong)/3
	for _, name := range slices.Sorted(slices.Values(names)) {
		if d := distance(strings.ToLower(wrong), strings.ToLower(name)); d < least || d == least && best == "" {
			best, least = name, d
		}
	}
	if best == "" {
		for _, name := range names {
			if len(wrong) >= 3 && strings.Contains(name, strings.ToLower(wrong)) {
				best = name
				break
			}
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbors that turn a into b (Damerau and Levenshtein, restricted).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
