package kql

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// function is a scalar function. params has a letter for each argument: s
// string, l long, n number, t datetime, d timespan, b bool, x dynamic, a any. A
// dynamic argument is converted.
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
	c     *compiler
	e     *expr
	args  []value
	scope scope
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
	"indexof":        {params: "ss?lll", build: buildIndexOf},
	"replace_string": {params: "sss", result: String, sql: "replace($1, $2, $3)"},
	"split":          {params: "ss?l", build: buildSplit, keep: true},
	"extract":        {params: "sls?a", build: buildExtract},

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
	"format_timespan": {params: "ds", build: buildFormatTimespan, keep: true},
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

// accepted is a dynamic argument in the type that a letter of params admits.
func (c *compiler) accepted(letter byte, v value) value {
	if t, ok := map[byte]Type{'s': String, 'l': Long, 'n': Real, 't': Datetime, 'd': Timespan, 'b': Bool}[letter]; ok {
		return scalar(v, t)
	}
	return v
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
		return "a dynamic value"
	}
	return "a value"
}

// call translates the call of a scalar function or an aggregate.
func (c *compiler) call(e *expr, s scope) value {
	if a, ok := aggregates[e.text]; ok {
		return c.aggregate(e, a, s)
	}
	if b := c.lets[e.text]; b.function != nil {
		return c.userScalar(e, b.function, s)
	}
	if slices.Contains(windowNames, e.text) {
		return c.window(e, s)
	}
	f, ok := functionOf(e.text)
	if !ok {
		if hint, known := unsupported[e.text]; known {
			c.fail(e.span, "%s is not supported: %s", e.text, hint)
		}
		c.fail(e.span, "unknown function %q%s", e.text, suggest(e.text, c.functionNames()))
	}
	args := make([]value, len(e.args))
	for i, a := range e.args {
		if typ := typeArgument(a); typ != 0 {
			args[i] = value{typ: typ, at: a.span, name: "typeof"}
			continue
		}
		args[i] = c.expr(a, s)
	}
	c.checkArguments(e, f.params, args)
	k := &called{c, e, args, s}
	v := value{typ: f.result}
	if f.build != nil {
		v = f.build(k)
	} else {
		v.sql = fill(f.sql, args)
	}
	if v.typ != Datetime { // of which now and ago make one that is spelt out
		v.literal = nil
	}
	switch named := v.name; {
	case e.text == "column_ifexists" || e.text == "columnifexists":
		v.name = named

	case f.keep:
		v.name = args[0].name
	case e.text == "strlen" && args[0].name != "":
		v.name = "strlen_" + args[0].name
	default:
		v.name = ""
	}
	return v
}

// functionOf finds a scalar function.
func functionOf(name string) (function, bool) {
	for _, table := range []map[string]function{functions, dynamicFunctions, textFunctions} {
		if f, ok := table[name]; ok {
			return f, true
		}
	}
	return function{}, false
}

// functionNames are all functions that a query can call.
func (c *compiler) functionNames() []string {
	names := slices.Clone(windowNames)
	for _, table := range []map[string]function{functions, dynamicFunctions, textFunctions} {
		names = slices.AppendSeq(names, maps.Keys(table))
	}
	for name, b := range c.lets {
		if b.function != nil {
			names = append(names, name)
		}
	}
	return slices.AppendSeq(names, maps.Keys(aggregates))
}

// typeArgument is the type that typeof(…) names, or 0.
func typeArgument(e *expr) Type {
	if e.kind == exprCall && e.text == "typeof" && len(e.args) == 1 {
		return typeOf[e.args[0].text]
	}
	return 0
}

// unsupported are functions of the language that have no equivalent here, and
// what to do instead.
var unsupported = map[string]string{
	"series_decompose_anomalies": "compare each value with series_stats_dynamic(…), or draw the series with render timechart",
	"series_decompose":           "draw the series with render timechart",
	"series_decompose_forecast":  "spillway plan predicts load",
	"series_periods_detect":      "group by hourofday(…) or dayofweek(…)",
	"row_window_session":         "start a session where the time since prev(…) is long, and count the starts with row_cumsum(…)",
	"geo_info_from_ip_address":   "there is no database of addresses here",
	"hll":                        "dcount(…) is exact here",
	"tdigest":                    "percentile(…) is exact here",
	"current_principal":          "there are no principals here",
}

func isAggregate(name string) bool {
	_, ok := aggregates[name]
	return ok
}

func isFunction(name string) bool {
	_, scalar := functionOf(name)
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
		v = c.accepted(letter, v)
		args[i] = v
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

// unify finds the type that holds the arguments with those numbers, and makes
// them be of it: a dynamic one takes the type of the others, and others that
// differ become dynamic where the function may give that.
func (k *called) unify(of ...int) Type {
	var t Type
	for _, i := range of {
		switch v := k.args[i]; {
		case v.typ == t || v.typ == Dynamic:
		case t == 0:
			t = v.typ
		case v.typ.numeric() && t.numeric():
			t = Real
		case k.e.text == "iff" || k.e.text == "iif" || k.e.text == "case":
			for _, i := range of {
				k.args[i] = toDynamic(k.args[i])
			}
			return Dynamic
		default:
			k.c.fail(v.at, "%s has both a %s and a %s: all its values need one type", k.e.text, t, v.typ)
		}
	}
	if t == 0 {
		return Dynamic
	}
	for _, i := range of {
		k.args[i] = scalar(k.args[i], t)
	}
	return t
}

// every counts the values.
func every(values []value) []int {
	all := make([]int, len(values))
	for i := range all {
		all[i] = i
	}
	return all
}

func join(values []value) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.sql
	}
	return strings.Join(all, ", ")
}
