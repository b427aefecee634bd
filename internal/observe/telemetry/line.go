package telemetry

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxStringBytes bounds every string of a line: some of them come from
// clients.
const maxStringBytes = 256

// line appends the members of JSON objects to a buffer. Members whose value is
// empty are left out, except where a method says otherwise.
type line struct {
	b []byte
}

// key starts a member. A comma goes first unless the object is just opened.
func (l *line) key(name string) {
	if last := l.b[len(l.b)-1]; last != '{' && last != '[' {
		l.b = append(l.b, ',')
	}
	l.b = append(l.b, '"')
	l.b = append(l.b, name...)
	l.b = append(l.b, '"', ':')
}

// open starts an object that is an array's element.
func (l *line) open() {
	if l.b[len(l.b)-1] != '[' {
		l.b = append(l.b, ',')
	}
	l.b = append(l.b, '{')
}

func (l *line) str(name, value string) {
	if value == "" {
		return
	}
	l.key(name)
	l.b = appendString(l.b, value)
}

func (l *line) integer(name string, value int) {
	if value != 0 {
		l.integerAlways(name, value)
	}
}

func (l *line) integerAlways(name string, value int) {
	l.key(name)
	l.b = strconv.AppendInt(l.b, int64(value), 10)
}

func (l *line) flag(name string, value bool) {
	if value {
		l.key(name)
		l.b = append(l.b, "true"...)
	}
}

// ms writes a duration in milliseconds with three decimals; zero and less are
// left out.
func (l *line) ms(name string, d time.Duration) {
	if d > 0 {
		l.msAlways(name, d)
	}
}

func (l *line) msAlways(name string, d time.Duration) {
	l.key(name)
	us := d.Microseconds()
	if us < 0 {
		l.b = append(l.b, '-')
		us = -us
	}
	l.b = strconv.AppendInt(l.b, us/1000, 10)
	l.b = append(l.b, '.', byte('0'+us/100%10), byte('0'+us/10%10), byte('0'+us%10))
}

// ratio writes a share with four decimals; negative ones mean unknown and are
// left out.
func (l *line) ratio(name string, value float64) {
	if value >= 0 { // false for NaN
		l.key(name)
		l.b = strconv.AppendFloat(l.b, min(value, 1e6), 'f', 4, 64)
	}
}

// usd writes an amount of money to the billionth; negative ones mean unknown
// and are left out.
func (l *line) usd(name string, value float64) {
	if value >= 0 {
		l.key(name)
		l.b = strconv.AppendFloat(l.b, math.Round(value*1e9)/1e9, 'f', -1, 64)
	}
}

// time writes an instant in UTC with microseconds.
func (l *line) time(name string, t time.Time) {
	l.key(name)
	l.b = append(l.b, '"')
	l.b = t.UTC().AppendFormat(l.b, "2006-01-02T15:04:05.000000Z")
	l.b = append(l.b, '"')
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string, cut at maxStringBytes. Bytes that
// are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	if len(s) > maxStringBytes {
		end := maxStringBytes
		for end > maxStringBytes-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		dst = appendEscape(dst, c)
		i += size
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// appendEscape appends the escape of a quote, a backslash, a control character
// or a byte that is not UTF-8.
func appendEscape(dst []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, '\\', 'n')
	case c == '\t':
		return append(dst, '\\', 't')
	case c >= utf8.RuneSelf:
		return append(dst, `\ufffd`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
