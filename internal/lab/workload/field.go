package workload

import (
	"bytes"
	"strconv"
	"time"
)

// Bounds of a plausible row.
const (
	maxTokens = 100_000_000
	maxOffset = 100 * 365 * 24 * time.Hour
)

// maxInterned bounds the strings that an interner remembers, so that a trace
// with a name of its own for every row stays bounded in memory.
const maxInterned = 1 << 16

// interner gives equal bytes the same string.
type interner struct {
	known map[string]string
}

func (t *interner) of(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := t.known[string(b)]; ok {
		return s
	}
	if t.known == nil || len(t.known) >= maxInterned {
		t.known = map[string]string{}
	}
	s := string(b)
	t.known[s] = s
	return s
}

// parseTokens reads a number of tokens: digits, or a decimal whose fraction
// is zero.
func parseTokens(name string, b []byte) (int, error) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > maxTokens {
			return looseTokens(name, b)
		}
		n = n*10 + int(c-'0')
	}
	if len(b) == 0 || n > maxTokens {
		return looseTokens(name, b)
	}
	return n, nil
}

// looseTokens reads what is not plain digits.
func looseTokens(name string, b []byte) (int, error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return 0, reasonf("%s is empty", name)
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f != f {
		return 0, reasonf("%s %q is not a number", name, b)
	}
	return wholeTokens(name, f)
}

// wholeTokens checks a number of tokens.
func wholeTokens(name string, f float64) (int, error) {
	switch {
	case f < 0:
		return 0, reasonf("%s %v is negative", name, f)
	case f > maxTokens:
		return 0, reasonf("%s %.0f is more than %d", name, f, maxTokens)
	case f != float64(int(f)):
		return 0, reasonf("%s %v is not a whole number", name, f)
	}
	return int(f), nil
}

// parseOffset reads a decimal number of units.
func parseOffset(name string, b []byte, unit time.Duration) (time.Duration, error) {
	n, i := int64(0), 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9' && i < 15; i++ {
		n = n*10 + int64(b[i]-'0')
	}
	if i == 0 || n > int64(maxOffset/unit) {
		return looseOffset(name, b, unit)
	}
	d := time.Duration(n) * unit
	if i == len(b) {
		return d, nil
	}
	if b[i] != '.' {
		return looseOffset(name, b, unit)
	}
	scale := unit
	for _, c := range b[i+1:] {
		if c < '0' || c > '9' {
			return looseOffset(name, b, unit)
		}
		scale /= 10
		d += time.Duration(c-'0') * scale
	}
	return d, nil
}

// looseOffset reads what is not plain decimal.
func looseOffset(name string, b []byte, unit time.Duration) (time.Duration, error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return 0, reasonf("%s is empty", name)
	}
	f, err := strconv.ParseFloat(string(b), 64)
	switch {
	case err != nil || f != f:
		return 0, reasonf("%s %q is not a number", name, b)
	case f < 0:
		return 0, reasonf("%s %s is negative", name, b)
	case f*float64(unit) > float64(maxOffset):
		return 0, reasonf("%s %s is more than a hundred years", name, b)
	}
	return time.Duration(f * float64(unit)), nil
}

// parseFlag reads a truth value; an empty one is false.
func parseFlag(name string, b []byte) (bool, error) {
	if len(b) == 1 {
		switch b[0] {
		case '1', 't', 'y':
			return true, nil
		case '0', 'f', 'n':
			return false, nil
		}
	}
	switch string(bytes.ToLower(bytes.TrimSpace(b))) {
	case "", "0", "false", "no", "f", "n":
		return false, nil
	case "1", "true", "yes", "t", "y":
		return true, nil
	}
	return false, reasonf("%s %q is neither true nor false", name, b)
}

// parseInstant reads "2006-01-02 15:04:05.999999999", with a T for the space
// and a zone behind it where there is one, as the time since 1970 in UTC.
func parseInstant(name string, b []byte) (time.Duration, error) {
	b = bytes.TrimSpace(b)
	var n [6]int
	at := 0
	for i, want := range [...]struct {
		width int
		end   string
		most  int
	}{{4, "-", 2200}, {2, "-", 12}, {2, " T", 31}, {2, ":", 23}, {2, ":", 59}, {2, "", 60}} {
		if at+want.width > len(b) {
			return 0, badInstant(name, b)
		}
		for _, c := range b[at : at+want.width] {
			if c < '0' || c > '9' {
				return 0, badInstant(name, b)
			}
			n[i] = n[i]*10 + int(c-'0')
		}
		at += want.width
		if n[i] > want.most {
			return 0, badInstant(name, b)
		}
		if want.end != "" {
			if at == len(b) || bytes.IndexByte([]byte(want.end), b[at]) < 0 {
				return 0, badInstant(name, b)
			}
			at++
		}
	}
	if n[0] < 1970 || n[1] == 0 || n[2] == 0 {
		return 0, badInstant(name, b)
	}
	seconds := (daysSince1970(n[0], n[1], n[2])*24+n[3])*3600 + n[4]*60 + n[5]
	d := time.Duration(seconds) * time.Second
	if at < len(b) && b[at] == '.' {
		scale := time.Second
		for at++; at < len(b) && b[at] >= '0' && b[at] <= '9'; at++ {
			scale /= 10
			d += time.Duration(b[at]-'0') * scale
		}
	}
	zone, ok := parseZone(b[at:])
	if !ok {
		return 0, badInstant(name, b)
	}
	return d - zone, nil
}

func badInstant(name string, b []byte) error {
	return reasonf("%s %q is not a time such as 2006-01-02 15:04:05.000", name, b)
}

// parseZone reads nothing, Z, +hh, +hhmm or +hh:mm.
func parseZone(b []byte) (time.Duration, bool) {
	switch string(b) {
	case "", "Z", "z", "+00:00": // the last one needs nothing allocated
		return 0, true
	}
	if b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	digits := bytes.Replace(b[1:], []byte(":"), nil, 1)
	if len(digits) == 2 {
		digits = append(digits[:2:2], "00"...)
	}
	n, err := strconv.ParseUint(string(digits), 10, 16)
	if err != nil || len(digits) != 4 || n > 1500 || n%100 > 59 {
		return 0, false
	}
	d := time.Duration(n/100)*time.Hour + time.Duration(n%100)*time.Minute
	if b[0] == '-' {
		d = -d
	}
	return d, true
}

// daysSince1970 counts the days of the Gregorian calendar. Years start in
// March, so that the leap day is their last.
func daysSince1970(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
}
