package kql

import (
	"strconv"
	"strings"
)

// function is a scalar function. params has a letter for each argument: s
// string, l long, n number, t datetime, d timespan, b bool, x array, a any.
// Those behind a ? may be left away; a final * repeats the one before it. In
// sql $1, $2 … stand for the arguments.
type function struct {
	params string
	result Type
	sql    string
	build  func(k *called) value // instead of sql
	keep   bool                  // a column of it is called as its first argument
}

// called is one call of a function.
type called struct {
	c    *compiler
	e    *expr
	args []value
}

func (k *called) fail(i int, format string, args ...any) { k.c.fail(k.args[i].at, format, args...) }

// functions are all scalar functions. The table is constant.
var functions = map[string]function{
	"not": {params: "b", result: Bool, sql: "(NOT $1)"},
	"iff": {params: "baa", build: buildIff}, "iif": {params: "baa", build: buildIff},
	"case": {params: "baa*", build: buildCase}, "coalesce": {params: "aa*", build: buildCoalesce},
	"isnull": {params: "a", build: buildIsNull}, "isnotnull": {params: "a", build: buildIsNotNull},
	"isempty": {params: "a", build: buildIsEmpty}, "isnotempty": {params: "a", build: buildIsNotEmpty},
	"min_of": {params: "aa*", build: buildLeast}, "max_of": {params: "aa*", build: buildGreatest},

	"tostring": {params: "a", build: buildToString, keep: true},
	"toint":    {params: "a", build: buildToLong, keep: true}, "tolong": {params: "a", build: buildToLong, keep: true},
	"todouble": {params: "a", build: buildToDouble, keep: true}, "toreal": {params: "a", build: buildToDouble, keep: true},
	"todatetime": {params: "a", build: buildToDatetime, keep: true},
	"tobool":     {params: "a", build: buildToBool, keep: true},

	"strcat":         {params: "a*", build: buildStrcat},
	"strlen":         {params: "s", result: Long, sql: "length($1)"},
	"tolower":        {params: "s", result: String, sql: "lower($1)"},
	"toupper":        {params: "s", result: String, sql: "upper($1)"},
	"substring":      {params: "sl?l", build: buildSubstring},
	"indexof":        {params: "ss", result: Long, sql: "(instr($1, $2) - 1)"},
	"replace_string": {params: "sss", result: String, sql: "replace($1, $2, $3)"},
	"split":          {params: "ss", build: buildSplit, keep: true},
	"extract":        {params: "sls", build: buildExtract},
	"array_length":   {params: "x", result: Long, sql: "len($1)"},
	"strcat_array":   {params: "xs", result: String, sql: "coalesce(array_to_string($1, $2), '')"},

	"abs": {params: "a", build: buildAbs, keep: true}, "sign": {params: "n", result: Real, sql: "CAST(sign($1) AS DOUBLE)"},
	"round": {params: "n?l", build: buildRound, keep: true}, "ceiling": {params: "n", build: buildCeiling, keep: true},
	"exp": {params: "n", result: Real, sql: "exp($1)", keep: true}, "pow": {params: "nn", result: Real, sql: "pow($1, $2)", keep: true},
	"log":      {params: "n", result: Real, sql: "CASE WHEN $1 > 0 THEN ln($1) END", keep: true},
	"log2":     {params: "n", result: Real, sql: "CASE WHEN $1 > 0 THEN log2($1) END", keep: true},
	"log10":    {params: "n", result: Real, sql: "CASE WHEN $1 > 0 THEN log10($1) END", keep: true},
	"sqrt":     {params: "n", result: Real, sql: "CASE WHEN $1 >= 0 THEN sqrt($1) END", keep: true},
	"isnan":    {params: "n", result: Bool, sql: "isnan(CAST($1 AS DOUBLE))"},
	"isinf":    {params: "n", result: Bool, sql: "isinf(CAST($1 AS DOUBLE))"},
	"isfinite": {params: "n", result: Bool, sql: "isfinite(CAST($1 AS DOUBLE))"},

	"now": {params: "?d", build: buildNow}, "ago": {params: "d", build: buildAgo},
	"bin": {params: "aa", build: buildBin, keep: true}, "floor": {params: "aa", build: buildBin, keep: true},
	"startofhour":     {params: "t", result: Datetime, sql: "date_trunc('hour', $1)"},
	"startofday":      {params: "t?l", build: edgeOf("day", 0), keep: true},
	"startofweek":     {params: "t?l", build: edgeOf("week", 0)},
	"startofmonth":    {params: "t?l", build: edgeOf("month", 0)},
	"startofyear":     {params: "t?l", build: edgeOf("year", 0)},
	"endofday":        {params: "t?l", build: edgeOf("day", 1)},
	"endofweek":       {params: "t?l", build: edgeOf("week", 1)},
	"endofmonth":      {params: "t?l", build: edgeOf("month", 1)},
	"endofyear":       {params: "t?l", build: edgeOf("year", 1)},
	"datetime_add":    {params: "slt", build: buildDatetimeAdd},
	"datetime_part":   {params: "st", build: buildDatetimePart},
	"dayofyear":       {params: "t", result: Long, sql: "dayofyear($1)"},
	"monthofyear":     {params: "t", result: Long, sql: "month($1)"},
	"getmonth":        {params: "t", result: Long, sql: "month($1)"},
	"getyear":         {params: "t", result: Long, sql: "year($1)"},
	"format_timespan": {params: "ds", build: buildFormatTimespan},
	"totimespan":      {params: "a", build: buildToTimespan, keep: true},
	"hourofday":       {params: "t", result: Long, sql: "hour($1)"},
	"dayofweek":       {params: "t", result: Timespan, sql: "(dayofweek($1) * 86400000000)"},
	"dayofmonth":      {params: "t", result: Long, sql: "day($1)"},
	"format_datetime": {params: "ts", build: buildFormatDatetime, keep: true},
	"datetime_diff":   {params: "stt", build: buildDatetimeDiff},
}

// paramTypes are the types that a letter of params admits.
func admits(letter byte, t Type) bool {
	switch letter {
	case 's':
		return t == String
	case 'l':
		return t == Long
	case 'n':
		return t.numeric()
	case 't':
		return t == Datetime
	case 'd':
		return t == Timespan
	case 'b':
		return t == Bool
	case 'x':
		return t == Dynamic
	}
	return true
}

// paramName names what a letter of params admits.
func paramName(letter byte) string {
	switch letter {
	case 's':
		return "a string"
	case 'l':
		return "a long"
	case 'n':
		return "a number"
	case 't':
		return "a datetime"
	case 'd':
		return "a timespan"
	case 'b':
		return "a bool"
	case 'x':
		return "an array"
	}
	return "a value"
}

// call translates the call of a scalar function or an aggregate.
func (c *compiler) call(e *expr, s scope) value {
	if a, ok := aggregates[e.text]; ok {
		return c.aggregate(e, a, s)
	}
	f, ok := functions[e.text]
	if !ok {
		names := make([]string, 0, len(functions)+len(aggregates))
		for name := range functions {
			names = append(names, name)
		}
		for name := range aggregates {
			names = append(names, name)
		}
		c.fail(e.span, "unknown function %q%s", e.text, suggest(e.text, names))
	}
	args := make([]value, len(e.args))
	for i, a := range e.args {
		args[i] = c.expr(a, s)
	}
	c.checkArguments(e, f.params, args)
	k := &called{c, e, args}
	v := value{typ: f.result}
	if f.build != nil {
		v = f.build(k)
	} else {
		v.sql = fill(f.sql, args)
	}
	if v.typ != Datetime { // of which now and ago make one that is spelt out
		v.literal = nil
	}
	switch v.name = ""; {
	case f.keep:
		v.name = args[0].name
	case e.text == "strlen" && args[0].name != "":
		v.name = "strlen_" + args[0].name
	}
	return v
}

func isFunction(name string) bool {
	_, scalar := functions[name]
	_, aggregate := aggregates[name]
	return scalar || aggregate
}

func (c *compiler) checkArguments(e *expr, params string, args []value) {
	required, optional, _ := strings.Cut(params, "?")
	letters, repeats := strings.CutSuffix(required, "*")
	least, most := len(letters), len(letters)+len(optional)
	letters += optional
	if len(args) < least || len(args) > most && !repeats {
		want := strconv.Itoa(least)
		if most > least {
			want += " or " + strconv.Itoa(most)
		} else if repeats {
			want = "at least " + want
		}
		c.fail(e.span, "%s needs %s arguments, got %d", e.text, want, len(args))
	}
	for i, v := range args {
		letter := letters[min(i, len(letters)-1)]
		if !admits(letter, v.typ) {
			c.fail(v.at, "%s needs %s here, not a %s", e.text, paramName(letter), v.typ)
		}
	}
}

// fill puts arguments into a function's SQL.
func fill(sql string, args []value) string {
	var b strings.Builder
	for i := 0; i < len(sql); i++ {
		if sql[i] == '$' {
			i++
			b.WriteString(args[sql[i]-'1'].sql)
			continue
		}
		b.WriteByte(sql[i])
	}
	return b.String()
}

// unify finds the type that holds all values from the i-th on, every step-th.
func (k *called) unify(values ...value) (t, elem Type) {
	t, elem = values[0].typ, values[0].elem
	for _, v := range values[1:] {
		switch {
		case v.typ == t:
		case v.typ.numeric() && t.numeric():
			t = Real
		default:
			k.c.fail(v.at, "%s has both a %s and a %s: all its values need one type", k.e.text, t, v.typ)
		}
	}
	return t, elem
}

func join(values []value) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.sql
	}
	return strings.Join(all, ", ")
}
