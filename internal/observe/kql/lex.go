package kql

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenNumber
	tokenTimespan // a number with a unit
	tokenString
	tokenPunctuation
	tokenDatetimeText // what stands in datetime(…)
	tokenTimespanText // what stands in timespan(…) or time(…)
	tokenGUIDText     // what stands in guid(…)
)

// token is one word of a query. The text of a string is its value; of all
// others what the query says.
type token struct {
	kind tokenKind
	text string
	span
}

func (t token) is(text string) bool {
	return (t.kind == tokenPunctuation || t.kind == tokenName) && t.text == text
}

// describe names a token in a message.
func (t token) describe() string {
	switch t.kind {
	case tokenEnd:
		return "the end of the query"
	case tokenString:
		return fmt.Sprintf("string %q", t.text)
	default:
		return fmt.Sprintf("%q", t.text)
	}
}

// maxQuery bounds a query's text, in bytes.
const maxQuery = 64 << 10

// punctuation, longer ones first. A word after "!" makes one operator with it.
var punctuation = [...]string{
	"==", "!=", "=~", "!~", "<=", ">=", "<>", "..", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", ",", ";", "|", ".", ":",
}

type lexer struct {
	src    string
	at     int
	tokens []token
}

// lex splits a query; the last token is tokenEnd.
func lex(src string) []token {
	if len(src) > maxQuery {
		panic(newError(src, span{}, fmt.Sprintf("the query is longer than %d bytes", maxQuery)))
	}
	l := &lexer{src: src}
	for l.skip(); l.at < len(src); l.skip() {
		l.next()
	}
	l.tokens = append(l.tokens, token{kind: tokenEnd, span: span{len(src), len(src)}})
	return l.tokens
}

func (l *lexer) fail(from int, format string, args ...any) {
	panic(newError(l.src, span{from, l.at}, fmt.Sprintf(format, args...)))
}

// skip passes white space and comments.
func (l *lexer) skip() {
	for l.at < len(l.src) {
		switch {
		case strings.IndexByte(" \t\r\n", l.src[l.at]) >= 0:
			l.at++
		case l.src[l.at] >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(l.src[l.at:])
			if !unicode.IsSpace(r) && r != '\u200b' && r != '\ufeff' { // pages have such spaces
				return
			}
			l.at += size
		case strings.HasPrefix(l.src[l.at:], "//"):
			if i := strings.IndexByte(l.src[l.at:], '\n'); i >= 0 {
				l.at += i
			} else {
				l.at = len(l.src)
			}
		default:
			return
		}
	}
}

func (l *lexer) add(kind tokenKind, from int, text string) {
	l.tokens = append(l.tokens, token{kind, text, span{from, l.at}})
}

func (l *lexer) next() {
	from, c := l.at, l.src[l.at]
	switch {
	case l.hidden(c):
		l.at++
		l.str(l.at)
	case strings.HasPrefix(l.src[from:], "```"), strings.HasPrefix(l.src[from:], "~~~"):
		l.lines(from)
	case isLetter(c) || c == '$' && from+1 < len(l.src) && isLetter(l.src[from+1]):
		l.at++
		l.name(from)
	case isDigit(c):
		l.number(from)
	case c == '"' || c == '\'' || c == '@' && from+1 < len(l.src) && (l.src[from+1] == '"' || l.src[from+1] == '\''):
		l.str(from)
	case c == '!' && from+1 < len(l.src) && isLetter(l.src[from+1]):
		l.at++
		l.word()
		if strings.HasPrefix(l.src[l.at:], "~") {
			l.at++
		}
		l.add(tokenPunctuation, from, l.src[from:l.at])
	default:
		for _, p := range punctuation {
			if strings.HasPrefix(l.src[from:], p) {
				l.at += len(p)
				l.add(tokenPunctuation, from, p)
				return
			}
		}
		for sign, word := range map[string]string{"&&": "and", "||": "or", "!": "not(…)"} {
			if strings.HasPrefix(l.src[from:], sign) {
				l.at += len(sign)
				l.fail(from, "unexpected %q; did you mean %s?", sign, word)
			}
		}
		r, size := utf8.DecodeRuneInString(l.src[from:])
		l.at += size
		l.fail(from, "unexpected %q", r)
	}
}

// name reads a name, and what a datetime or timespan literal holds.
func (l *lexer) name(from int) {
	l.word()
	text := l.src[from:l.at]
	if strings.HasPrefix(l.src[l.at:], "~") && text == "in" {
		l.at++
		l.add(tokenPunctuation, from, "in~")
		return
	}
	kind := tokenDatetimeText
	switch text {
	case "datetime", "date":
	case "timespan", "time":
		kind = tokenTimespanText
	case "guid":
		kind = tokenGUIDText
	default:
		l.add(tokenName, from, text)
		return
	}
	rest := l.src[l.at:]
	end := strings.IndexByte(rest, ')')
	if !strings.HasPrefix(rest, "(") || end < 0 {
		l.add(tokenName, from, text)
		return
	}
	l.at += end + 1
	l.add(kind, from, strings.TrimSpace(rest[1:end]))
}

func (l *lexer) word() {
	for l.at < len(l.src) && (isLetter(l.src[l.at]) || isDigit(l.src[l.at])) {
		l.at++
	}
}

// number reads a number; with a unit behind it, a timespan. A word that begins
// with a digit and is neither is a name, such as 90th_percentile.
func (l *lexer) number(from int) {
	l.digits()
	if rest := l.src[from:]; strings.HasPrefix(rest, "0x") || strings.HasPrefix(rest, "0X") {
		if l.word(); l.at > from+2 {
			l.add(tokenNumber, from, l.src[from:l.at])
			return
		}
	}
	if strings.HasPrefix(l.src[l.at:], ".") && l.at+1 < len(l.src) && isDigit(l.src[l.at+1]) {
		l.at++
		l.digits()
	}
	if l.at < len(l.src) && (l.src[l.at] == 'e' || l.src[l.at] == 'E') {
		mark := l.at
		l.at++
		if l.at < len(l.src) && (l.src[l.at] == '+' || l.src[l.at] == '-') {
			l.at++
		}
		if l.at < len(l.src) && isDigit(l.src[l.at]) {
			l.digits()
		} else {
			l.at = mark
		}
	}
	end := l.at
	l.word()
	if l.at == end {
		l.add(tokenNumber, from, l.src[from:end])
		return
	}
	if _, ok := units[l.src[end:l.at]]; ok {
		l.add(tokenTimespan, from, l.src[from:l.at])
		return
	}
	if strings.Contains(l.src[from:end], ".") {
		l.fail(from, "%q is neither a number nor a timespan: units are %s", l.src[from:l.at], unitNames)
	}
	l.add(tokenName, from, l.src[from:l.at])
}

// unitNames are the units that messages name.
const unitNames = "d, h, m, s, ms and microsecond"

// hidden reports whether a string begins here that logs would not show.
func (l *lexer) hidden(c byte) bool {
	rest := l.src[l.at+1:]
	return (c == 'h' || c == 'H') && (strings.HasPrefix(rest, `"`) || strings.HasPrefix(rest, "'") || strings.HasPrefix(rest, `@"`) || strings.HasPrefix(rest, "@'"))
}

// lines reads a string of several lines, as it stands.
func (l *lexer) lines(from int) {
	fence := l.src[from : from+3]
	end := strings.Index(l.src[from+3:], fence)
	if end < 0 {
		l.at += 3
		l.fail(from, "the string that starts here does not end: close it with %s", fence)
	}
	text := l.src[from+3 : from+3+end]
	l.at = from + 6 + end
	if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
		l.fail(from, "the string is not valid UTF-8")
	}
	l.add(tokenString, from, text)
}

func (l *lexer) digits() {
	for l.at < len(l.src) && isDigit(l.src[l.at]) {
		l.at++
	}
}

// str reads a string: quoted with escapes, or verbatim after @.
func (l *lexer) str(from int) {
	verbatim := l.src[l.at] == '@'
	if verbatim {
		l.at++
	}
	quote := l.src[l.at]
	l.at++
	var b strings.Builder
	for {
		if l.at >= len(l.src) || l.src[l.at] == '\n' {
			l.at = min(l.at, from+1)
			l.fail(from, "the string that starts here does not end on its line")
		}
		c := l.src[l.at]
		switch {
		case c == quote && verbatim && strings.HasPrefix(l.src[l.at+1:], string(quote)):
			l.at += 2
			b.WriteByte(quote)
		case c == quote:
			l.at++
			text := b.String()
			if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
				l.fail(from, "the string is not valid UTF-8")
			}
			l.add(tokenString, from, text)
			return
		case c == '\\' && !verbatim:
			l.escape(&b)
		default:
			l.at++
			b.WriteByte(c)
		}
	}
}

// escape reads a backslash and what follows it.
func (l *lexer) escape(b *strings.Builder) {
	from := l.at
	l.at += 2
	if l.at > len(l.src) {
		l.at = len(l.src)
		return
	}
	switch c := l.src[l.at-1]; c {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case '\\', '"', '\'', '/':
		b.WriteByte(c)
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case 'v':
		b.WriteByte('\v')
	case 'a':
		b.WriteByte('\a')
	case 'u':
		code, err := strconv.ParseUint(l.src[l.at:min(l.at+4, len(l.src))], 16, 16)
		if err != nil || l.at+4 > len(l.src) {
			l.fail(from, `\u needs four hexadecimal digits`)
		}
		l.at += 4
		b.WriteRune(rune(code))
	default:
		l.fail(from, `the escapes are \n \t \r \\ \" \' and \uXXXX; write @"…" for a string without escapes`)
	}
}

func isLetter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
