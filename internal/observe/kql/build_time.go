package kql

import (
	"strconv"
	"strings"
)

// formats are the parts of a datetime's format, longest first, and SQL's own.
var formats = [...][2]string{
	{"yyyy", "%Y"},
	{"ffffff", "%f"},
	{"fff", "%g"},
	{"yy", "%y"},
	{"MM", "%m"},
	{"dd", "%d"},
	{"HH", "%H"},
	{"hh", "%I"},
	{"mm", "%M"},
	{"ss", "%S"},
	{"tt", "%p"},
	{"M", "%-m"},
	{"d", "%-d"},
	{"H", "%-H"},
	{"h", "%-I"},
	{"m", "%-M"},
	{"s", "%-S"},
}

func buildFormatDatetime(k *called) value {
	format := k.args[1].literal
	if format == nil {
		k.fail(1, "the format must be a literal string")
	}
	var b strings.Builder
next:
	for rest := format.text; rest != ""; {
		for _, f := range formats {
			if strings.HasPrefix(rest, f[0]) {
				b.WriteString(f[1])
				rest = rest[len(f[0]):]
				continue next
			}
		}
		if strings.IndexByte(" /-:,._[]", rest[0]) < 0 {
			k.fail(1, "unexpected %q in the format: use yyyy yy MM M dd d HH H hh h mm m ss s fff ffffff tt, separated by / - : , . _ [ ]", rest[:1])
		}
		b.WriteByte(rest[0])
		rest = rest[1:]
	}
	return value{sql: "coalesce(strftime(" + k.args[0].sql + ", " + quoteString(b.String()) + "), '')", typ: String}
}

func buildDatetimeDiff(k *called) value {
	switch part := k.part("year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond"); part {
	case "week": // from Sunday to Sunday; SQL's begins on Monday
		return value{sql: fill("(date_diff('day', date_trunc('week', $3 + to_days(1)), date_trunc('week', $2 + to_days(1))) // 7)", k.args), typ: Long}
	default:
		return value{sql: fill("date_diff('"+part+"', $3, $2)", k.args), typ: Long}
	}
}

// part is the first argument, which must spell out one of the names.
func (k *called) part(names ...string) string {
	if l := k.args[0].literal; l != nil {
		for _, name := range names {
			if strings.EqualFold(name, l.text) {
				return name
			}
		}
	}
	k.fail(0, "%s needs one of %s here", k.e.text, strings.Join(names, ", "))
	return ""
}

func buildDatetimeAdd(k *called) value {
	part := k.part("year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond")
	// a month has no fixed length, so SQL counts months and microseconds apart
	months := map[string]string{"year": "12", "quarter": "3", "month": "1"}[part]
	if months != "" {
		return value{sql: fill("($3 + to_months(CAST($2 * "+months+" AS INTEGER)))", k.args), typ: Datetime}
	}
	micros := map[string]float64{"week": 7 * units["d"]}
	if micros[part] == 0 {
		micros[part] = units[part]
	}
	return value{sql: fill("($3 + to_microseconds($2 * "+strconv.FormatInt(int64(micros[part]), 10)+"))", k.args), typ: Datetime}
}

func buildDatetimePart(k *called) value {
	part := k.part("year", "quarter", "month", "week_of_year", "day", "dayofyear", "hour", "minute", "second", "millisecond", "microsecond")
	sql := part + "($2)"
	switch part {
	case "week_of_year":
		sql = "week($2)"
	case "millisecond":
		sql = "(millisecond($2) % 1000)"
	case "microsecond":
		sql = "(microsecond($2) % 1000000)"
	}
	return value{sql: fill(sql, k.args), typ: Long}
}

// edgeOf rounds a datetime to the start of a part, as many parts later as a
// second argument says, or to the last microsecond before that of the next.
func edgeOf(part string, more int) func(k *called) value {
	return func(k *called) value {
		t, offset := k.args[0].sql, "0"
		if len(k.args) == 2 {
			offset = k.args[1].sql
		}
		sql := "date_trunc('" + part + "', " + t + ")"
		if part == "week" { // SQL's begins on Monday
			sql = "(date_trunc('week', " + t + " + to_days(1)) - to_days(1))"
		}
		if more > 0 || len(k.args) == 2 {
			sql = "(" + sql + " + to_" + part + "s(CAST(" + offset + " + " + strconv.Itoa(more) + " AS INTEGER)))"
		}
		if more > 0 {
			sql = "(" + sql + " - to_microseconds(1))"
		}
		return value{sql: sql, typ: Datetime}
	}
}

// timespanText writes a timespan as [-][d.]hh:mm:ss[.fffffff].
func timespanText(v string) string {
	return "concat(CASE WHEN " + v + " < 0 THEN '-' ELSE '' END, CASE WHEN abs(" + v + ") >= 86400000000 THEN concat(abs(" + v + ") // 86400000000, '.') ELSE '' END, " +
		timePart(v, 3600000000, 24) + ", ':', " + timePart(v, 60000000, 60) + ", ':', " + timePart(v, 1000000, 60) +
		", CASE WHEN " + v + " % 1000000 = 0 THEN '' ELSE concat('.', lpad(CAST(abs(" + v + ") % 1000000 AS VARCHAR), 6, '0'), '0') END) || CASE WHEN " + v + " IS NULL THEN NULL ELSE '' END"
}

// timePart is one part of a timespan, in two digits.
func timePart(v string, micros int64, of int) string {
	return "lpad(CAST(abs(" + v + ") // " + strconv.FormatInt(micros, 10) + " % " + strconv.Itoa(of) + " AS VARCHAR), 2, '0')"
}

func buildFormatTimespan(k *called) value {
	format := k.args[1].literal
	if format == nil {
		k.fail(1, "the format must be a literal string")
	}
	v := k.args[0].sql
	all := []string{"''"}
	for rest := format.text; rest != ""; {
		n := len(rest) - len(strings.TrimLeft(rest, rest[:1]))
		number := func(micros int64, of int) string {
			if n == 1 {
				return "CAST(abs(" + v + ") // " + strconv.FormatInt(micros, 10) + " % " + strconv.Itoa(of) + " AS VARCHAR)"
			}
			return timePart(v, micros, of)
		}
		switch c := rest[0]; {
		case c == 'd' && n <= 8:
			days := "CAST(abs(" + v + ") // 86400000000 AS VARCHAR)"
			all = append(all, "lpad("+days+", CAST(greatest(length("+days+"), "+strconv.Itoa(n)+") AS INTEGER), '0')")
		case (c == 'h' || c == 'H') && n <= 2:
			all = append(all, number(3600000000, 24))
		case c == 'm' && n <= 2:
			all = append(all, number(60000000, 60))
		case c == 's' && n <= 2:
			all = append(all, number(1000000, 60))
		case c == 'f' && n <= 7:
			all = append(all, "substring(concat(lpad(CAST(abs("+v+") % 1000000 AS VARCHAR), 6, '0'), '0'), 1, "+strconv.Itoa(n)+")")
		case strings.IndexByte(" /-:,._[]", c) >= 0:
			all = append(all, quoteString(rest[:n]))
		default:
			k.fail(1, "unexpected %q in the format: use d to dddddddd, h hh, m mm, s ss, f to fffffff, separated by / - : , . _ [ ]", rest[:n])
		}
		rest = rest[n:]
	}
	return value{sql: "CASE WHEN " + v + " IS NULL THEN '' ELSE concat(" + strings.Join(all, ", ") + ") END", typ: String}
}

// buildToTimespan reads [-][d.]hh:mm[:ss[.f]].
func buildToTimespan(k *called) value {
	switch v := k.args[0]; v.typ {
	case Timespan:
		return v
	case Dynamic:
		return scalar(v, Timespan)
	case String:
		return value{sql: parsedTimespan(v.sql), typ: Timespan}
	default:
		k.fail(0, "totimespan needs a string, not a %s", v.typ)
	}
	return value{}
}

// parsedTimespan reads a text as a timespan.
func parsedTimespan(text string) string {
	part := func(group, micros string) string {
		return "coalesce(TRY_CAST(nullif(regexp_extract(" + text + ", '" + timespanPattern + "', " + group + "), '') AS DOUBLE), 0) * " + micros
	}
	return "CASE WHEN regexp_matches(" + text + ", '" + timespanPattern + "') THEN TRY_CAST(round((CASE WHEN starts_with(" + text + ", '-') THEN -1 ELSE 1 END) * (" +
		part("1", "864e8") + " + " + part("2", "36e8") + " + " + part("3", "6e7") + " + " + part("4", "1e6") + ")) AS BIGINT) END"
}

// timespanPattern has no dollar, which stands for an argument.
const timespanPattern = `^-?(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d{1,7})?))?\z`
