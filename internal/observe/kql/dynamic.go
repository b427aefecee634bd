package kql

import (
	"strconv"
	"strings"
	"time"
)

// A dynamic value is JSON in SQL. JSON's null is SQL's NULL.

// jsonOf reads a text as JSON; one that is none stays a string.
func jsonOf(sql string) string {
	return "coalesce(TRY_CAST(" + sql + " AS JSON), to_json(nullif(" + sql + ", '')))"
}

// toDynamic is a value as a dynamic one.
func toDynamic(v value) value {
	sql := "to_json(" + v.sql + ")"
	switch v.typ {
	case Dynamic:
		return v
	case Real: // JSON has no infinity
		sql = "to_json(CASE WHEN isfinite(" + v.sql + ") THEN " + v.sql + " END)"
	case Datetime, Timespan:
		sql = "to_json(nullif(" + textOf(v) + ", ''))"
	}
	return value{sql: sql, typ: Dynamic, name: v.name, at: v.at}
}

// scalar is a dynamic value as one of another type; null where it is none.
func scalar(v value, t Type) value {
	if v.typ != Dynamic || t == Dynamic {
		return v
	}
	text := "json_extract_string(" + v.sql + ", '$')"
	sql := ""
	switch t {
	case Bool:
		sql = "TRY_CAST(" + text + " AS BOOLEAN)"
	case Long:
		sql = "TRY_CAST(trunc(TRY_CAST(" + text + " AS DECIMAL(38, 9))) AS BIGINT)"
	case Real:
		sql = "TRY_CAST(" + text + " AS DOUBLE)"
	case String:
		sql = "coalesce(" + text + ", '')"
	case Datetime:
		sql = "CAST(TRY_CAST(" + text + " AS TIMESTAMPTZ) AS TIMESTAMP)"
	case Timespan:
		sql = parsedTimespan(text)
	}
	return value{sql: sql, typ: t, name: v.name, at: v.at}
}

// items is the list of an array's elements in SQL; empty for what is no array.
// A constant NULL would have another type.
func items(sql string) string {
	return "json_extract(coalesce(" + sql + ", CAST('[]' AS JSON)), '$[*]')"
}

// keys is the list of the names of a bag's members; empty for what is no bag.
func keys(sql string) string {
	return "coalesce(json_keys(coalesce(" + sql + ", CAST('{}' AS JSON))), [])"
}

// texts are the elements of an array as a list of texts.
func texts(sql string) string {
	return "list_transform(" + items(sql) + ", lambda x: json_extract_string(x, '$'))"
}

// numbers are the elements of an array as a list of numbers, null for what is
// none.
func numbers(sql string) string {
	return "list_transform(" + items(sql) + ", lambda x: TRY_CAST(json_extract_string(x, '$') AS DOUBLE))"
}

// noNull is JSON without the null that is not SQL's.
func noNull(sql string) string { return "nullif(" + sql + ", CAST('null' AS JSON))" }

// pointer is the path to a member, in SQL, from its name in SQL.
func pointer(name string) string {
	return "concat('/', replace(replace(" + name + ", '~', '~0'), '/', '~1'))"
}

// member is d.name.
func (c *compiler) member(e *expr, s scope) value {
	v := c.expr(e.args[0], s)
	if v.typ != Dynamic {
		c.fail(e.span, "only dynamic values have members, and this is a %s: parse_json(…) reads a string%s", v.typ, c.dotted(e, s))
	}
	path := quoteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(e.text))
	return value{sql: noNull("json_extract(" + v.sql + ", " + path + ")"), typ: Dynamic, name: joined(v.name, e.text)}
}

// dotted says how to name a column that has a dot in its name.
func (c *compiler) dotted(e *expr, s scope) string {
	if e.args[0].kind != exprName {
		return ""
	}
	name := e.args[0].text + "." + e.text
	if _, ok := (relation{columns: s.columns}).column(name); ok {
		return "; the column is ['" + name + "']"
	}
	return ""
}

// joined is what a column of a member is called.
func joined(name, member string) string {
	if name == "" {
		return ""
	}
	return name + "_" + member
}

// index is d[i]: an element of an array or, for a string, a member.
func (c *compiler) index(e *expr, s scope) value {
	v, i := c.expr(e.args[0], s), scalar(c.expr(e.args[1], s), String)
	switch {
	case v.typ != Dynamic:
		c.fail(e.span, "only dynamic values can be indexed, and this is a %s: parse_json(…) reads a string", v.typ)
	case i.typ == String && i.literal != nil:
		member := *e
		member.text = i.literal.text
		return c.member(&member, s)
	case i.typ == String:
		return value{sql: noNull("json_extract(" + v.sql + ", " + pointer(i.sql) + ")"), typ: Dynamic}
	case i.typ != Long:
		c.fail(i.at, "an index is a long or a string, not a %s", i.typ)
	case i.literal != nil && !i.literal.null:
		n, _ := strconv.ParseInt(i.literal.text, 10, 64) // it is a long
		path := "$[" + i.literal.text + "]"
		if n < 0 {
			path = "$[#" + i.literal.text + "]"
		}
		return value{sql: noNull("json_extract(" + v.sql + ", '" + path + "')"), typ: Dynamic, name: joined(v.name, i.literal.text)}
	}
	path := "CASE WHEN " + i.sql + " < 0 THEN '$[#' ELSE '$[' END || CAST(" + i.sql + " AS VARCHAR) || ']'"
	return value{sql: noNull("json_extract(" + v.sql + ", " + path + ")"), typ: Dynamic}
}

// textOf is a value as a string, never null.
func textOf(v value) string {
	switch v.typ {
	case String:
		return v.sql
	case Datetime:
		return "coalesce(strftime(" + v.sql + ", '%Y-%m-%dT%H:%M:%S.%f0Z'), '')"
	case Timespan:
		return "coalesce(" + timespanText(v.sql) + ", '')"
	case Dynamic:
		return scalar(v, String).sql
	}
	return "coalesce(CAST(" + v.sql + " AS VARCHAR), '')"
}

// datetimeText is a constant's text, as tostring writes it.
func datetimeText(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000000") + "0Z"
}

// microsText is a constant's text, as tostring writes it.
func microsText(micros int64) string {
	sign := ""
	if micros < 0 {
		sign, micros = "-", -micros
	}
	two := func(n int64) string { return strconv.FormatInt(100+n, 10)[1:] }
	const second, day = 1_000_000, 86_400_000_000
	text := sign
	if micros >= day {
		text += strconv.FormatInt(micros/day, 10) + "."
	}
	s := micros % day / second
	text += two(s/3600) + ":" + two(s/60%60) + ":" + two(s%60)
	if part := micros % second; part != 0 {
		text += "." + strconv.FormatInt(second+part, 10)[1:] + "0"
	}
	return text
}
