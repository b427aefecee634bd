package kql

import (
	"regexp"
	"strconv"
	"strings"
)

// textFunctions are further functions of strings, addresses and times. The
// table is constant.
var textFunctions = map[string]function{
	"trim": {params: "ss", build: trims("^(?:#)|(?:#)$")}, "trim_start": {params: "ss", build: trims("^(?:#)")}, "trim_end": {params: "ss", build: trims("(?:#)$")},
	"replace_regex": {params: "sss", build: buildReplaceRegex}, "replace": {params: "sss", build: buildReplace}, "replace_strings": {params: "sxx", build: buildReplaceStrings},
	"countof":     {params: "ss?s", build: buildCountOf},
	"extract_all": {params: "sa?s", build: buildExtractAll},
	"extractjson": {params: "ss?a", build: buildExtractJSON}, "extract_json": {params: "ss?a", build: buildExtractJSON},
	"url_decode": {params: "s", result: String, sql: "url_decode($1)"}, "url_encode": {params: "s", result: String, sql: "url_encode($1)"},
	"base64_encode_tostring": {params: "s", result: String, sql: "to_base64(encode($1))"},
	"base64_decode_tostring": {params: "s", result: String, sql: "coalesce(TRY(decode(from_base64($1))), '')"},
	"parse_url":              {params: "s", build: buildParseURL},
	"parseurl":               {params: "s", build: buildParseURL},
	"parse_urlquery":         {params: "s", build: buildParseURLQuery},
	"reverse":                {params: "a", build: buildReverse},
	"strrep":                 {params: "sl?s", build: buildStrrep},
	"strcat_delim":           {params: "sa*", build: buildStrcatDelim},
	"strcmp":                 {params: "ss", result: Long, sql: "CAST(CASE WHEN $1 < $2 THEN -1 WHEN $1 > $2 THEN 1 ELSE 0 END AS BIGINT)"},
	"string_size":            {params: "s", result: Long, sql: "strlen($1)"},
	"tohex":                  {params: "l", result: String, sql: "lower(to_hex($1))"},
	"hash_md5":               {params: "s", result: String, sql: "md5($1)"}, "hash_sha256": {params: "s", result: String, sql: "sha256($1)"}, "hash_sha1": {params: "s", result: String, sql: "sha1($1)"},
	"toguid": {params: "a", build: buildToString, keep: true}, "todecimal": {params: "a", build: buildToDouble, keep: true}, "toboolean": {params: "a", build: buildToBool, keep: true},
	"format_bytes": {params: "n?ls", build: buildFormatBytes},
	"new_guid":     {params: "", result: String, sql: "CAST(uuid() AS VARCHAR)"}, "rand": {params: "", result: Real, sql: "random()"}, "pi": {params: "", result: Real, sql: "pi()"},
	"column_ifexists": {params: "sa", build: buildColumnIfExists}, "columnifexists": {params: "sa", build: buildColumnIfExists},

	"ipv4_is_private": {params: "s", build: buildIPv4Private},
	"parse_ipv4":      {params: "s", result: Long, sql: ipv4("$1")},
	"ipv4_is_match":   {params: "ss", build: buildIPv4InRange}, "ipv4_is_in_range": {params: "ss", build: buildIPv4InRange},

	"binary_and": {params: "ll", result: Long, sql: "($1 & $2)"}, "binary_or": {params: "ll", result: Long, sql: "($1 | $2)"}, "binary_xor": {params: "ll", result: Long, sql: "xor($1, $2)"},

	"unixtime_seconds_todatetime":      {params: "n", result: Datetime, sql: "make_timestamp(CAST($1 * 1000000 AS BIGINT))"},
	"unixtime_milliseconds_todatetime": {params: "n", result: Datetime, sql: "make_timestamp(CAST($1 * 1000 AS BIGINT))"},
	"unixtime_microseconds_todatetime": {params: "n", result: Datetime, sql: "make_timestamp(CAST($1 AS BIGINT))"},
	"make_datetime":                    {params: "lll?lln", build: buildMakeDatetime},
	"make_timespan":                    {params: "ll?nn", build: buildMakeTimespan},
	"week_of_year":                     {params: "t", result: Long, sql: "week($1)"}, "weekofyear": {params: "t", result: Long, sql: "week($1)"},
	"bin_at":       {params: "aaa", build: buildBinAt, keep: true},
	"startofmin":   {params: "t", result: Datetime, sql: "date_trunc('minute', $1)"},
	"minuteofhour": {params: "t", result: Long, sql: "minute($1)"},
}

// pattern checks the argument, which is a regular expression.
func (k *called) pattern(i int) string {
	k.c.checkPattern(k.args[i])
	return k.args[i].literal.text
}

// trims removes what a regular expression matches at the ends.
func trims(pattern string) func(k *called) value {
	return func(k *called) value {
		all := strings.ReplaceAll(pattern, "#", k.pattern(0))
		return value{sql: "regexp_replace(" + k.args[1].sql + ", " + quoteString(all) + ", '', 'g')", typ: String}
	}
}

// rewriting is a replacement, in which $1 and \1 are the first group.
func (k *called) rewriting(i int) string {
	l := k.args[i].literal
	if l == nil {
		return k.args[i].sql
	}
	return quoteString(dollarGroup.ReplaceAllString(l.text, `\$1`))
}

var dollarGroup = regexp.MustCompile(`\$(\d)`)

func buildReplaceRegex(k *called) value {
	k.pattern(1)
	return value{sql: "regexp_replace(" + k.args[0].sql + ", " + k.args[1].sql + ", " + k.rewriting(2) + ", 'g')", typ: String}
}

func buildReplace(k *called) value {
	k.pattern(0)
	return value{sql: "regexp_replace(" + k.args[2].sql + ", " + k.args[0].sql + ", " + k.rewriting(1) + ", 'g')", typ: String}
}

func buildReplaceStrings(k *called) value {
	from, to := k.args[1].literal, k.args[2].literal
	if from == nil || to == nil || len(from.items) != len(to.items) {
		k.c.fail(k.e.span, "replace_strings needs two literal arrays of one length")
	}
	sql := k.args[0].sql
	for i := range from.items {
		sql = "replace(" + sql + ", " + quoteString(from.items[i].text) + ", " + quoteString(to.items[i].text) + ")"
	}
	return value{sql: sql, typ: String}
}

func buildCountOf(k *called) value {
	if len(k.args) == 3 {
		if l := k.args[2].literal; l == nil || l.text != "normal" && l.text != "regex" {
			k.fail(2, "countof needs 'normal' or 'regex' here")
		} else if l.text == "regex" {
			k.pattern(1)
			return value{sql: fill("CAST(len(regexp_extract_all($1, $2)) AS BIGINT)", k.args), typ: Long}
		}
	}
	// Occurrences may overlap, so every place is looked at.
	return value{sql: fill("CAST(len(list_filter(range(1, length($1) + 1), lambda i: starts_with(substring($1, CAST(i AS BIGINT)), $2) AND $2 <> '')) AS BIGINT)", k.args), typ: Long}
}

func buildExtractAll(k *called) value {
	compiled := regexp.MustCompile(k.pattern(0))
	text := k.args[len(k.args)-1]
	if text = scalar(text, String); text.typ != String {
		k.fail(len(k.args)-1, "extract_all needs a string, not a %s", text.typ)
	}
	groups := make([]int, 0, 4)
	if len(k.args) == 3 {
		l := k.args[1].literal
		if l == nil || !l.array {
			k.fail(1, "the groups must be a literal array, such as dynamic([1])")
		}
		for _, item := range l.items {
			n, err := strconv.Atoi(item.text)
			if err != nil || n < 0 || n > compiled.NumSubexp() {
				k.fail(1, "the pattern has no group %s", item.text)
			}
			groups = append(groups, n)
		}
	} else {
		for n := range compiled.NumSubexp() {
			groups = append(groups, n+1)
		}
	}
	switch len(groups) {
	case 0:
		k.fail(0, "the pattern needs a group in parentheses")
	case 1:
		return value{sql: "to_json(regexp_extract_all(" + text.sql + ", " + k.args[0].sql + ", " + itoa(groups[0]) + "))", typ: Dynamic}
	}
	all := make([]string, len(groups))
	for i, n := range groups {
		all[i] = "regexp_extract(x, " + k.args[0].sql + ", " + itoa(n) + ")"
	}
	return value{sql: "to_json(list_transform(regexp_extract_all(" + text.sql + ", " + k.args[0].sql + "), lambda x: [" + strings.Join(all, ", ") + "]))", typ: Dynamic}
}

func buildExtractJSON(k *called) value {
	path := k.args[0].literal
	if path == nil || !strings.HasPrefix(path.text, "$") || len(k.args) == 3 {
		k.fail(0, "the path must be a literal, such as \"$.usage.prompt_tokens\"; tolong(…) converts the result")
	}
	return value{sql: "coalesce(json_extract_string(TRY_CAST(" + k.args[1].sql + " AS JSON), " + quoteString(path.text) + "), '')", typ: String}
}

func buildReverse(k *called) value {
	return value{sql: "reverse(" + k.text(0) + ")", typ: String}
}

func buildStrrep(k *called) value {
	sql := "repeat($1, CAST(least(greatest($2, 0), 1024) AS BIGINT))"
	if len(k.args) == 3 {
		sql = "array_to_string(list_transform(range(0, least(greatest($2, 0), 1024)), lambda x: $1), $3)"
	}
	return value{sql: "coalesce(" + fill(sql, k.args) + ", '')", typ: String}
}

func buildStrcatDelim(k *called) value {
	all := make([]string, 0, 2*len(k.args))
	for i := range k.args[1:] {
		if i > 0 {
			all = append(all, k.args[0].sql)
		}
		all = append(all, k.text(i+1))
	}
	return value{sql: "concat(" + strings.Join(all, ", ") + ")", typ: String}
}

// buildFormatBytes writes a number of bytes with a unit.
func buildFormatBytes(k *called) value {
	digits := "0"
	if len(k.args) > 1 {
		digits = k.count(1)
	}
	if len(k.args) > 2 {
		k.fail(2, "format_bytes picks the unit itself here")
	}
	v := "CAST(" + k.args[0].sql + " AS DOUBLE)"
	var b strings.Builder
	b.WriteString("CASE")
	for i, unit := range []string{"Bytes", "KB", "MB", "GB", "TB"} {
		scale := strconv.FormatInt(1<<(10*i), 10)
		if unit == "TB" {
			b.WriteString(" ELSE")
		} else {
			b.WriteString(" WHEN abs(" + v + ") < " + strconv.FormatInt(1<<(10*(i+1)), 10) + " THEN")
		}
		b.WriteString(" concat(regexp_replace(CAST(round(" + v + " / " + scale + ", " + digits + ") AS VARCHAR), '\\.0\\z', ''), ' " + unit + "')")
	}
	return value{sql: "coalesce(" + b.String() + " END, '')", typ: String}
}

// buildColumnIfExists is the column of that name, or the other value.
func buildColumnIfExists(k *called) value {
	l := k.args[0].literal
	if l == nil {
		k.fail(0, "the name of the column must be a literal string")
	}
	for _, col := range k.scope.columns {
		if col.Name == l.text {
			return value{sql: ident(col.Name), typ: col.Type, name: col.Name}
		}
	}
	return value{sql: k.args[1].sql, typ: k.args[1].typ}
}

// urlPattern has the scheme, the user, the host, the port, the path, the query
// and the fragment of an address.
const urlPattern = `^(?:([a-zA-Z][-+.a-zA-Z0-9]*)://)?(?:([^@/?#]*)@)?([^:/?#]*)(?::(\d+))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?`

func buildParseURL(k *called) value {
	part := func(group int) string {
		return "regexp_extract(" + k.args[0].sql + ", " + quoteString(urlPattern) + ", " + itoa(group) + ")"
	}
	return value{sql: "CAST(json_object('Scheme', " + part(1) + ", 'Host', " + part(3) + ", 'Port', " + part(4) + ", 'Path', " + part(5) +
		", 'Username', regexp_extract(" + part(2) + ", '^[^:]*'), 'Password', regexp_extract(" + part(2) + ", ':(.*)', 1), 'Query Parameters', " + queryBag(part(6)) + ", 'Fragment', " + part(7) + ") AS JSON)", typ: Dynamic}
}

func buildParseURLQuery(k *called) value {
	return value{sql: "CAST(json_object('Query Parameters', " + queryBag("regexp_replace("+k.args[0].sql+", '^[?]', '')") + ") AS JSON)", typ: Dynamic}
}

// queryBag is a bag of a query's parameters; of one that occurs twice the last
// counts.
func queryBag(query string) string {
	pairs := "list_filter(string_split(" + query + ", '&'), lambda x: x <> '')"
	one := "json_object(regexp_extract(x, '^[^=]*'), regexp_extract(x, '=(.*)', 1))"
	return "CAST(list_reduce(list_concat(['{}'], list_transform(" + pairs + ", lambda x: CAST(" + one + " AS VARCHAR))), lambda a, b: CAST(json_merge_patch(a, b) AS VARCHAR)) AS JSON)"
}

// ipv4 is an address as a number, null for what is none.
func ipv4(text string) string {
	part := func(group int) string {
		return "TRY_CAST(regexp_extract(" + text + ", '" + ipv4Pattern + "', " + itoa(group) + ") AS BIGINT)"
	}
	return "CASE WHEN greatest(" + part(1) + ", " + part(2) + ", " + part(3) + ", " + part(4) + ") < 256 THEN " +
		part(1) + " * 16777216 + " + part(2) + " * 65536 + " + part(3) + " * 256 + " + part(4) + " END"
}

const ipv4Pattern = `^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:/\d{1,2})?\z`

func buildIPv4Private(k *called) value {
	n := ipv4(k.args[0].sql)
	return value{sql: "(" + n + " // 16777216 = 10 OR " + n + " // 1048576 = 2753 OR " + n + " // 65536 = 49320)", typ: Bool}
}

// buildIPv4InRange compares the bits of two addresses that the shorter prefix
// leaves.
func buildIPv4InRange(k *called) value {
	prefix := func(i int) string {
		return "coalesce(TRY_CAST(regexp_extract(" + k.args[i].sql + ", '/(\\d{1,2})\\z', 1) AS BIGINT), 32)"
	}
	bits := "CAST(pow(2, 32 - least(" + prefix(0) + ", " + prefix(1) + ")) AS BIGINT)"
	return value{sql: "(" + ipv4(k.args[0].sql) + " // " + bits + " = " + ipv4(k.args[1].sql) + " // " + bits + ")", typ: Bool}
}

func buildMakeDatetime(k *called) value {
	all := make([]string, 0, 6)
	for i, v := range k.args {
		typ := "BIGINT"
		if i == 5 {
			typ = "DOUBLE"
		}
		all = append(all, "CAST("+v.sql+" AS "+typ+")")
	}
	for len(all) < 6 {
		all = append(all, "0")
	}
	return value{sql: "TRY(make_timestamp(" + strings.Join(all, ", ") + "))", typ: Datetime}
}

// buildMakeTimespan adds days, hours, minutes and seconds; with two or three
// arguments there are no days.
func buildMakeTimespan(k *called) value {
	weights := []string{"86400000000", "3600000000", "60000000", "1000000"}
	if len(k.args) < 4 {
		weights = weights[1:]
	}
	all := make([]string, len(k.args))
	for i, v := range k.args {
		all[i] = "CAST(" + v.sql + " AS DOUBLE) * " + weights[i]
	}
	return value{sql: "CAST(round(" + strings.Join(all, " + ") + ") AS BIGINT)", typ: Timespan}
}

// buildBinAt rounds down to a bin that begins at, or so many bins from, the
// third argument.
func buildBinAt(k *called) value {
	v, size, at := k.args[0], k.args[1], k.args[2]
	switch {
	case v.typ == Datetime && size.typ == Timespan && at.typ == Datetime:
		return value{sql: fill("make_timestamp(CAST(floor((epoch_us($1) - epoch_us($3)) / nullif(greatest($2, 0), 0)) AS BIGINT) * $2 + epoch_us($3))", k.args), typ: Datetime}
	case v.typ == size.typ && v.typ == at.typ && (v.typ == Long || v.typ == Timespan):
		return value{sql: fill("(CAST(floor(($1 - $3) / nullif(greatest($2, 0), 0)) AS BIGINT) * $2 + $3)", k.args), typ: v.typ}
	case v.typ.numeric() && size.typ.numeric() && at.typ.numeric():
		return value{sql: fill("(floor(($1 - $3) / nullif(greatest(CAST($2 AS DOUBLE), 0), 0)) * $2 + $3)", k.args), typ: Real}
	}
	k.fail(1, "bin_at cannot round a %s down to a %s from a %s", v.typ, size.typ, at.typ)
	return value{}
}
