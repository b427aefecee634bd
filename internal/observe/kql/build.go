package kql

import (
	"regexp"
	"strconv"
	"strings"
)

func buildIff(k *called) value {
	t := k.unify(1, 2)
	return value{sql: fill("CASE WHEN $1 THEN $2 ELSE $3 END", k.args), typ: t}
}

func buildCase(k *called) value {
	n := len(k.args)
	if n%2 == 0 {
		k.c.fail(k.e.span, "case needs pairs of condition and value, and a last value for the rest")
	}
	results := []int{n - 1}
	for i := 1; i < n; i += 2 {
		results = append(results, i)
	}
	t := k.unify(results...)
	var b strings.Builder
	b.WriteString("CASE")
	for i := 0; i+1 < n; i += 2 {
		if k.args[i] = scalar(k.args[i], Bool); k.args[i].typ != Bool {
			k.fail(i, "case needs a condition here, not a %s", k.args[i].typ)
		}
		b.WriteString(" WHEN " + k.args[i].sql + " THEN " + k.args[i+1].sql)
	}
	return value{sql: b.String() + " ELSE " + k.args[n-1].sql + " END", typ: t}
}

func buildCoalesce(k *called) value {
	t := k.unify(every(k.args)...)
	if t != String {
		return value{sql: "coalesce(" + join(k.args) + ")", typ: t}
	}
	var all []string
	for _, v := range k.args {
		all = append(all, "nullif("+v.sql+", '')")
	}
	return value{sql: "coalesce(" + strings.Join(all, ", ") + ", '')", typ: String}
}

func buildIsNull(k *called) value    { return isNull(k.args[0], "false", " IS NULL") }
func buildIsNotNull(k *called) value { return isNull(k.args[0], "true", " IS NOT NULL") }

func isNull(v value, ofString, test string) value {
	if v.typ == String {
		return value{sql: ofString, typ: Bool}
	}
	return value{sql: "(" + v.sql + test + ")", typ: Bool}
}

func buildIsEmpty(k *called) value    { return isEmpty(k.args[0], " = ''", " IS NULL") }
func buildIsNotEmpty(k *called) value { return isEmpty(k.args[0], " <> ''", " IS NOT NULL") }

func isEmpty(v value, ofString, test string) value {
	if v.typ == String {
		return value{sql: "(" + v.sql + ofString + ")", typ: Bool}
	}
	if v.typ == Dynamic {
		return value{sql: "(" + textOf(v) + ofString + ")", typ: Bool}
	}
	return value{sql: "(" + v.sql + test + ")", typ: Bool}
}

func buildLeast(k *called) value {
	t := k.unify(every(k.args)...)
	return value{sql: "least(" + join(k.args) + ")", typ: t}
}

func buildGreatest(k *called) value {
	t := k.unify(every(k.args)...)
	return value{sql: "greatest(" + join(k.args) + ")", typ: t}
}

// text is an argument as a string, never null.
func (k *called) text(i int) string { return textOf(k.args[i]) }

func buildToString(k *called) value { return value{sql: k.text(0), typ: String} }

func buildStrcat(k *called) value {
	all := make([]string, len(k.args))
	for i := range k.args {
		all[i] = k.text(i)
	}
	return value{sql: "concat(" + strings.Join(all, ", ") + ")", typ: String}
}

func buildToLong(k *called) value {
	v := k.args[0]
	switch v.typ {
	case Datetime, Timespan:
		k.fail(0, "%s does not accept a %s; divide a timespan by 1ms for a number", k.e.text, v.typ)
	case Dynamic:
		return scalar(v, Long)
	case Real:
		return value{sql: "TRY_CAST(trunc(" + v.sql + ") AS BIGINT)", typ: Long}
	}
	return value{sql: "TRY_CAST(" + v.sql + " AS BIGINT)", typ: Long}
}

func buildToDouble(k *called) value {
	v := scalar(k.args[0], Real)
	if v.typ == Datetime || v.typ == Timespan {
		k.fail(0, "%s does not accept a %s; divide a timespan by 1ms for a number", k.e.text, v.typ)
	}
	return value{sql: "TRY_CAST(" + v.sql + " AS DOUBLE)", typ: Real}
}

func buildToDatetime(k *called) value {
	switch v := k.args[0]; v.typ {
	case Datetime:
		return v
	case Dynamic:
		return scalar(v, Datetime)
	case String:
		return value{sql: "CAST(TRY_CAST(" + v.sql + " AS TIMESTAMPTZ) AS TIMESTAMP)", typ: Datetime}
	default:
		k.fail(0, "todatetime needs a string, not a %s", v.typ)
	}
	return value{}
}

func buildToBool(k *called) value {
	v := scalar(k.args[0], Bool)
	if v.typ == Datetime || v.typ == Timespan {
		k.fail(0, "tobool does not accept a %s", v.typ)
	}
	return value{sql: "TRY_CAST(" + v.sql + " AS BOOLEAN)", typ: Bool}
}

func buildSubstring(k *called) value {
	start := "CASE WHEN $2 < 0 THEN greatest($2, -length($1)) ELSE least($2, 2147483646) + 1 END" // from the end, or from 1
	sql := "substring($1, " + start + ")"
	if len(k.args) == 3 {
		sql = "substring($1, " + start + ", least(greatest($3, 0), 2147483647))"
	}
	return value{sql: "coalesce(" + fill(sql, k.args) + ", '')", typ: String}
}

// count is an argument that spells out a number, not a negative one.
func (k *called) count(i int) string {
	l := k.args[i].literal
	if l == nil || l.null || l.typ != Long || strings.HasPrefix(l.text, "-") {
		k.fail(i, "this must be a literal number")
	}
	return l.text
}

// buildIndexOf finds the n-th occurrence from a place, within so many letters.
func buildIndexOf(k *called) value {
	if len(k.args) == 2 {
		return value{sql: fill("(instr($1, $2) - 1)", k.args), typ: Long}
	}
	text, offset, nth := "substring($1, $3 + 1)", "$3", "1"
	if len(k.args) > 3 {
		text = "substring($1, $3 + 1, CASE WHEN $4 < 0 THEN length($1) ELSE $4 END)"
	}
	if len(k.args) > 4 {
		nth = k.count(4)
	}
	places := "list_filter(range(1, length(" + text + ") + 1), lambda i: starts_with(substring(" + text + ", CAST(i AS BIGINT)), $2))"
	return value{sql: fill("coalesce("+places+"["+nth+"] - 1 + "+offset+", -1)", k.args), typ: Long}
}

func buildSplit(k *called) value {
	list := "string_split($1, $2)"
	if len(k.args) == 3 {
		list = "[" + list + "[greatest(CAST($3 AS BIGINT), -1) + 1]]"
	}
	return value{sql: fill("to_json("+list+")", k.args), typ: Dynamic}
}

func buildExtract(k *called) value {
	k.c.checkPattern(k.args[0])
	group := k.args[1].literal
	if group == nil || group.null {
		k.fail(1, "the group must be a literal number")
	}
	if n, err := strconv.Atoi(group.text); err != nil || n < 0 || n > regexp.MustCompile(k.args[0].literal.text).NumSubexp() {
		k.fail(1, "the pattern has no group %s", group.text)
	}
	sql := fill("regexp_extract($3, $1, "+group.text+")", k.args)
	if len(k.args) < 4 {
		return value{sql: "coalesce(" + sql + ", '')", typ: String}
	}
	if k.args[3].name != "typeof" {
		k.fail(3, "extract needs a type here, such as typeof(long)")
	}
	return scalar(value{sql: "to_json(" + sql + ")", typ: Dynamic}, k.args[3].typ)
}

func buildAbs(k *called) value {
	if t := k.args[0].typ; !t.numeric() && t != Timespan {
		k.fail(0, "abs needs a number or a timespan, not a %s", t)
	}
	return value{sql: "abs(" + k.args[0].sql + ")", typ: k.args[0].typ}
}

func buildRound(k *called) value {
	digits := "0"
	if len(k.args) == 2 {
		l := k.args[1].literal
		if l == nil || l.null || len(l.text) > 2 {
			k.fail(1, "the number of digits must be a literal number")
		}
		digits = l.text
	}
	if k.args[0].typ == Long {
		return value{sql: "CAST(round(" + k.args[0].sql + ", " + digits + ") AS BIGINT)", typ: Long}
	}
	return value{sql: "round(" + k.args[0].sql + ", " + digits + ")", typ: Real}
}

func buildCeiling(k *called) value {
	if k.args[0].typ == Long {
		return k.args[0]
	}
	return value{sql: "ceil(" + k.args[0].sql + ")", typ: Real}
}

func buildNow(k *called) value {
	v := literalValue(datetimeLiteral(k.c.now))
	if len(k.args) == 1 {
		return k.c.addition("+", v, k.args[0], k.e.span)
	}
	return v
}

func buildAgo(k *called) value {
	return k.c.addition("-", literalValue(datetimeLiteral(k.c.now)), k.args[0], k.e.span)
}

// sinceYearOne is 1970-01-01 counted from 0001-01-01, in microseconds: bins of
// a datetime begin there.
const sinceYearOne = "62135596800000000"

// buildBin rounds down to a multiple of the second argument.
func buildBin(k *called) value {
	v, size := k.args[0], k.args[1]
	if l := size.literal; l != nil && !l.null {
		if f, err := strconv.ParseFloat(l.text, 64); err == nil && f <= 0 {
			k.fail(1, "the size of a bin must be positive")
		}
	}
	switch {
	case v.typ == Datetime && size.typ == Timespan:
		// time_bucket does the same in eight times the time.
		sql := "make_timestamp((epoch_us($1) + " + sinceYearOne + ") // nullif(greatest($2, 0), 0) * $2 - " + sinceYearOne + ")"
		return value{sql: fill(sql, k.args), typ: Datetime}
	case v.typ == Long && size.typ == Long, v.typ == Timespan && size.typ == Timespan:
		return value{sql: fill("($1 - (($1 % nullif(greatest($2, 0), 0)) + $2) % $2)", k.args), typ: v.typ}
	case v.typ.numeric() && size.typ.numeric():
		return value{sql: fill("(floor($1 / nullif(greatest(CAST($2 AS DOUBLE), 0), 0)) * $2)", k.args), typ: Real}
	}
	k.fail(1, "%s cannot round a %s down to a %s", k.e.text, v.typ, size.typ)
	return value{}
}
