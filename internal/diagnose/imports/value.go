package imports

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// badRow is why a row cannot be read, while the next may be.
type badRow string

// Error says what is wrong with the row.
func (b badRow) Error() string { return string(b) }

// maxNumber bounds what counts of tokens and milliseconds can be.
const maxNumber = 1 << 40

// number reads one that is not negative; -1 where the text says that there is
// none. A file that divides its columns with semicolons writes 1.234,5 for
// what others write 1,234.5.
func number(text string, semicolons bool) (float64, error) {
	if n, err := strconv.ParseUint(text, 10, 40); err == nil {
		return float64(n), nil // nearly all
	}
	s := strings.TrimSpace(text)
	switch strings.ToLower(s) {
	case "", "null", "nan", "(null)", "n/a", "-":
		return -1, nil
	}
	v, err := strconv.ParseFloat(western(strings.TrimSuffix(s, "%"), semicolons), 64)
	if err != nil || !(v >= 0) || v > maxNumber {
		return 0, badRow(quote(text) + " is not a valid number")
	}
	return v, nil
}

// western writes a number with a point and without what groups its digits.
func western(s string, semicolons bool) string {
	s = strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "", "'", "", "’", "").Replace(s)
	point, comma := strings.LastIndexByte(s, '.'), strings.LastIndexByte(s, ',')
	decimal := byte('.')
	switch {
	case point >= 0 && comma >= 0:
		decimal = s[max(point, comma)]
	case comma >= 0 && !(grouped(s, ',') && !semicolons):
		decimal = ','
	case point >= 0 && semicolons && grouped(s, '.'):
		decimal = ','
	}
	if decimal == ',' {
		return strings.ReplaceAll(strings.ReplaceAll(s, ".", ""), ",", ".")
	}
	return strings.ReplaceAll(s, ",", "")
}

// grouped reports whether a mark divides digits into threes.
func grouped(s string, mark byte) bool {
	parts := strings.Split(s, string(mark))
	if len(parts) < 2 || len(parts[0]) == 0 || len(parts[0]) > 3 || parts[0][0] == '0' {
		return false
	}
	for _, p := range parts[1:] {
		if len(p) != 3 {
			return false
		}
	}
	return true
}

// dateOrder is how dates such as 11/05/2026 are to be read.
type dateOrder uint8

const (
	orderUnknown dateOrder = iota // none such was seen
	orderEither                   // all seen could be either; month first, as Azure's portal writes
	orderMonth
	orderDay
)

// clock reads times in whichever form they come, and remembers the one that
// fitted last.
type clock struct {
	order dateOrder
	last  string
	// zoned says that some times said their zone, plain that some did not.
	zoned, plain bool
}

// hours are the forms of a time behind a date.
var hours = [...]string{"15:04:05.999999999", "3:04:05.999999999 PM", "15:04", "3:04 PM"}

// parse reads a time; without a zone it is taken for UTC. An error that is not a
// badRow casts doubt on the times before.
func (c *clock) parse(text string) (time.Time, error) {
	if t, err := time.Parse(cmp.Or(c.last, time.RFC3339Nano), text); err == nil {
		if c.last == "" {
			c.last, c.zoned = time.RFC3339Nano, true
		}
		return t, nil
	}
	s := strings.TrimSpace(strings.NewReplacer("\u202f", " ", "\u00a0", " ").Replace(text))
	for _, date := range c.dates(s) {
		for _, between := range []string{"T", ", ", " "} {
			for _, hour := range hours {
				for _, zone := range []string{"", "Z07:00", " Z07:00", " -07:00", " -0700 MST", " MST"} {
					form := date + between + hour + zone
					if t, err := time.Parse(form, s); err == nil {
						c.last = form
						c.zoned, c.plain = c.zoned || zone != "", c.plain || zone == ""
						return t, nil
					}
				}
			}
		}
	}
	if c.contradicts(s) {
		return time.Time{}, fmt.Errorf("time %s: day and month are in a different order than in the first rows; export times as 2026-11-22T10:00:00Z", quote(text))
	}
	return time.Time{}, badRow("time " + quote(text) + " is not like 2026-11-22T10:00:00Z or 11/22/2026, 10:00:00.000 AM")
}

// dates are the forms that a date may have, given how the file writes them.
func (c *clock) dates(s string) []string {
	first := strings.IndexAny(s, "/-") // behind a year, and 7/28/2026 has another one there
	switch {
	case first == 4 && s[4] == '-':
		return []string{"2006-01-02"}
	case first == 4:
		return []string{"2006/1/2"}
	case strings.IndexByte(s, '.') > 0 && strings.IndexByte(s, '.') < 3:
		return []string{"2.1.2006"}
	case c.order == orderDay:
		return []string{"2/1/2006", "2-1-2006"}
	}
	return []string{"1/2/2006", "1-2-2006"}
}

// contradicts reports whether a date can only be of the other order than the
// file's. Then what was read before may be wrong.
func (c *clock) contradicts(s string) bool {
	first, second, ok := dayAndMonth(s)
	return ok && (first > 12 && second <= 12 && c.order != orderDay || second > 12 && first <= 12 && c.order == orderDay)
}

// see looks at a time before anything is read, to learn the order of day and
// month.
func (c *clock) see(text string) {
	first, second, ok := dayAndMonth(strings.TrimSpace(text))
	switch {
	case !ok:
	case first > 12:
		c.order = orderDay
	case second > 12:
		c.order = orderMonth
	case c.order == orderUnknown:
		c.order = orderEither
	}
}

// dayAndMonth are the first two numbers of a date that ends in its year.
func dayAndMonth(s string) (first, second int, ok bool) {
	a, rest, ok := strings.Cut(s, "/")
	if !ok {
		return 0, 0, false
	}
	b, _, ok := strings.Cut(rest, "/")
	first, err := strconv.Atoi(a)
	second, err2 := strconv.Atoi(b)
	return first, second, ok && err == nil && err2 == nil && first <= 31
}

// yes reads a flag.
func yes(s string) bool { return strings.EqualFold(s, "true") || s == "1" }

// quote is a text for a message, no longer than needed to find it.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}

// deploymentOf is the deployment that a URL names, "" where it names none.
func deploymentOf(address string) string {
	_, rest, ok := strings.Cut(address, "/deployments/")
	if !ok {
		return ""
	}
	name := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		name = rest[:i]
	}
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	return name
}

// accountOf is the Azure resource that a URL leads to: the first label of its
// host where that is Azure's, the host otherwise.
func accountOf(address string) string {
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		return ""
	}
	host := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host = rest[:i]
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(host)
	for _, suffix := range []string{".azure.com", ".azure.us", ".azure.cn"} {
		if strings.HasSuffix(host, suffix) {
			host, _, _ = strings.Cut(host, ".")
			break
		}
	}
	return host
}

// resourceOf is the last part of a resource's id, in small letters.
func resourceOf(id string) string { return strings.ToLower(id[strings.LastIndexByte(id, '/')+1:]) }

// aboutLLM reports whether an address is one of an LLM's operations.
func aboutLLM(address string) bool {
	for _, part := range []string{"/completions", "/responses", "/embeddings"} {
		if strings.Contains(address, part) {
			return true
		}
	}
	return false
}
