package main

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

// generator makes queries of the language at random: each operator is chosen
// for the columns that the query has so far.
type generator struct {
	random  *rand.Rand
	columns []kql.Column
	named   int // names given so far
}

func (g *generator) pick(choices ...string) string { return choices[g.random.IntN(len(choices))] }

func (g *generator) chance(n int) bool { return g.random.IntN(n) == 0 }

// query is a source and up to five operators; those that the translator does
// not take are told to refused and left away.
func (g *generator) query(refused func(query string, err error)) string {
	q := g.pick("requests", "requests", "attempts", "(requests | where stream)", "union requests, (attempts | take 3)", "let few = 3; let a = requests | take few; a",
		"let n = toscalar(requests | summarize max(e2e_ms)); requests | where e2e_ms <= n")
	g.columns = columnsOf(q)
	for range g.random.IntN(6) {
		longer := q + " | " + g.operator()
		if columns, err := translated(longer); err != nil {
			refused(longer, err)
		} else {
			q, g.columns = longer, columns
		}
	}
	return q
}

func translated(q string) ([]kql.Column, error) {
	t, err := kql.Translate(instant, q, kql.Records())
	return t.Columns, err
}

func columnsOf(q string) []kql.Column {
	columns, err := translated(q)
	if err != nil {
		panic(err)
	}
	return columns
}

// column is the name of a column of the type, or "" when there is none.
func (g *generator) column(t kql.Type) string {
	var names []string
	for _, c := range g.columns {
		if c.Type == t {
			names = append(names, bracketed(c.Name))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return g.pick(names...)
}

func (g *generator) any() string {
	return bracketed(g.columns[g.random.IntN(len(g.columns))].Name)
}

func bracketed(name string) string { return `["` + strings.ReplaceAll(name, `"`, `\"`) + `"]` }

func (g *generator) scalarType() kql.Type {
	return [...]kql.Type{kql.Bool, kql.Long, kql.Real, kql.String, kql.Datetime, kql.Timespan}[g.random.IntN(6)]
}

// name is a new name, now and then one that differs from another by its case.
func (g *generator) name() string {
	g.named++
	if g.chance(4) {
		return g.pick("ID", "Status", "['a b']", `['q"x']`, "['it\\'s']", "kql_1", "l", "r", "Tenant", "rowid")
	}
	return fmt.Sprintf("x%d", g.named)
}

func (g *generator) list(n int, one func() string) string {
	var all []string
	for range 1 + g.random.IntN(n) {
		all = append(all, one())
	}
	return strings.Join(all, ", ")
}

func (g *generator) assigned() string { return g.name() + " = " + g.expr(g.scalarType(), 3) }

func (g *generator) operator() string {
	switch g.random.IntN(18) {
	case 0, 1:
		return "where " + g.expr(kql.Bool, 3)
	case 2:
		return "project " + g.list(4, func() string {
			if g.chance(2) {
				return g.any()
			}
			return g.assigned()
		})
	case 3:
		return "extend " + g.list(2, g.assigned)
	case 4, 5, 6:
		return "summarize " + g.list(3, g.aggregate) + g.by()
	case 7:
		return g.pick("order by ", "sort by ") + g.list(2, g.key)
	case 8:
		return fmt.Sprintf("top %d by %s", g.random.IntN(5), g.key())
	case 9:
		return fmt.Sprintf("take %d", g.random.IntN(9))
	case 10:
		return g.pick("distinct *", "count", "distinct "+g.any(), "project-away "+g.any(), "project-rename "+g.name()+" = "+g.any(), "project-keep "+g.any()+", t*")
	case 11:
		key := g.any()
		return g.pick("join ", "join kind=innerunique ", "join kind=inner ", "join kind=leftouter ", "join kind=rightouter ", "join kind=fullouter ", "join kind=leftsemi ", "join kind=rightsemi ", "join kind=leftanti ", "join kind=rightanti ", "lookup ") + "(requests | summarize arg_max(e2e_ms, *) by " + g.pick("id", "stream, status", "deployment") + ") on " +
			g.pick("id", "status", "$left."+key+" == $right."+g.pick("id", "status", "stream", "['time']"))
	case 12:
		return "mv-expand " + g.pick("", "with_itemindex=i"+g.name()+" ") + g.name() + " = " + g.dynamic(2) + g.pick("", " to typeof(string)", " to typeof(long)") + g.pick("", " limit 3")
	case 13:
		return "make-series " + g.name() + " = " + g.pick("count()", "avg("+g.expr(kql.Real, 1)+")", "max("+g.expr(kql.Long, 1)+")") + g.pick("", " default = 0") +
			" on " + g.pick("bin(datetime(2026-11-22 11:05), 1m)", g.expr(kql.Datetime, 0)) + g.pick(" from ago(1h) to now()", " from datetime(2026-11-22 11:00) to now()") + " step 7m" + g.pick("", " by "+g.name()+" = "+g.expr(g.scalarType(), 1))
	case 14:
		return "sort by " + g.key() + " | extend " + g.name() + " = " + g.pick("row_number()", "prev("+g.any()+")", "next("+g.any()+", 2)", "row_cumsum("+g.expr(kql.Long, 1)+")", "row_number(1, "+g.expr(kql.Bool, 1)+")", "row_cumsum("+g.expr(kql.Real, 1)+", "+g.expr(kql.Bool, 1)+")")
	case 15:
		return "extend " + g.name() + " = " + g.dynamic(2)
	case 16:
		return g.pick("parse ", "parse-where ") + g.expr(kql.String, 1) + " with * " + g.pick("'-'", "'_'", "'a'") + " " + g.name() + g.pick("", ": long *", ": real *", ": long")
	default:
		return "union " + g.pick("requests", "(attempts | project status, deployment)", "withsource="+g.name()+" requests, attempts")
	}
}

// dynamic is an array, a bag, or a part of one. Microsoft's parser knows arrays
// from bags where it can.
func (g *generator) dynamic(depth int) string {
	if c := g.column(kql.Dynamic); c != "" && g.chance(2) {
		return c
	}
	return g.pick(g.array(depth), g.bag(depth), "dynamic(null)", g.array(depth)+"[0]", g.array(depth)+"[-1]", g.bag(depth)+".a", g.bag(depth)+"['b']",
		"parse_json("+g.expr(kql.String, 1)+")", "parse_json("+g.expr(kql.String, 1)+").x[0]", "parse_url("+g.expr(kql.String, 1)+")")
}

func (g *generator) array(depth int) string {
	if depth <= 0 {
		return "dynamic([1, 'a', null, {\"b\": 2.5}])"
	}
	a, e := func() string { return g.array(depth - 1) }, func() string { return g.expr(g.scalarType(), 1) }
	return g.pick("pack_array("+e()+", "+e()+")", "split("+g.expr(kql.String, 1)+", '-')", "array_concat("+a()+", "+a()+")", "array_slice("+a()+", 0, 1)", "bag_keys("+g.bag(depth-1)+")",
		"set_union("+a()+", "+a()+")", "array_sort_asc("+a()+")", "extract_all('([a-z]+)', "+g.expr(kql.String, 1)+")", "series_fill_forward("+a()+")", "array_reverse("+a()+")")
}

func (g *generator) bag(depth int) string {
	if depth <= 0 {
		return "dynamic({\"a\": [1, 2], \"it's\": true})"
	}
	return g.pick("bag_pack('a', "+g.expr(g.scalarType(), 1)+", 'b\"c', "+g.array(depth-1)+")", "bag_merge("+g.bag(depth-1)+", "+g.bag(depth-1)+")", g.bag(depth-1))
}

func (g *generator) key() string {
	return g.expr(g.scalarType(), 1) + g.pick("", " asc", " desc", " asc nulls last", " desc nulls first")
}

func (g *generator) by() string {
	switch g.random.IntN(4) {
	case 0:
		return ""
	case 1:
		return " by " + g.any()
	case 2:
		return " by " + g.name() + " = " + g.expr(g.scalarType(), 2)
	}
	return " by " + g.expr(g.scalarType(), 2) + ", " + g.any()
}

func (g *generator) aggregate() string {
	e := func(t kql.Type) string { return g.expr(t, 2) }
	number := e([...]kql.Type{kql.Long, kql.Real, kql.Timespan}[g.random.IntN(3)])
	text := g.pick("count()", "countif("+e(kql.Bool)+")", "dcount("+e(g.scalarType())+")", "dcountif("+e(kql.String)+", "+e(kql.Bool)+")",
		"sum("+number+")", "sumif("+number+", "+e(kql.Bool)+")", "avg("+number+")", "avgif("+number+", "+e(kql.Bool)+")",
		"min("+e(g.scalarType())+")", "max("+e(g.scalarType())+")", "maxif("+e(g.scalarType())+", "+e(kql.Bool)+")",
		"percentile("+number+", "+g.pick("0", "50", "99.9", "100")+")", "percentiles("+number+", 50, 99.9)", "stdev("+e(kql.Real)+")", "variance("+e(kql.Long)+")",
		"make_list("+e(g.scalarType())+")", "make_set("+e(g.scalarType())+", 3)", "arg_max("+e(g.scalarType())+", *)", "arg_min("+e(g.scalarType())+", "+g.any()+", "+g.any()+")",
		"take_any("+g.any()+")", "sum("+e(kql.Long)+") / count()", "1.0 * countif("+e(kql.Bool)+") / count()", "max("+e(kql.Datetime)+") - min("+e(kql.Datetime)+")",
		"iff(count() > 1, max("+e(kql.String)+"), 'none')", "take_any(*)")
	if g.chance(3) {
		return g.name() + " = " + text
	}
	return text
}

// expr is an expression of a type.
func (g *generator) expr(t kql.Type, depth int) string {
	if c := g.column(t); c != "" && (depth <= 0 || g.chance(2)) {
		return c
	}
	if depth <= 0 || g.chance(6) {
		return g.literal(t)
	}
	e := func(t kql.Type) string { return g.expr(t, depth-1) }
	if g.chance(8) {
		return g.pick("iff("+e(kql.Bool)+", "+e(t)+", "+e(t)+")", "coalesce("+e(t)+", "+e(t)+")", "case("+e(kql.Bool)+", "+e(t)+", "+e(kql.Bool)+", "+e(t)+", "+e(t)+")")
	}
	switch t {
	case kql.Bool:
		return g.condition(e)
	case kql.Long, kql.Real:
		return g.number(t, e)
	case kql.String:
		return g.text(e)
	case kql.Datetime:
		return g.pick("bin("+e(t)+", "+e(kql.Timespan)+")", "startofday("+e(t)+")", "startofweek("+e(t)+")", "startofmonth("+e(t)+", 1)", "endofday("+e(t)+")", "endofweek("+e(t)+", -1)",
			e(t)+" + "+e(kql.Timespan), e(t)+" - "+e(kql.Timespan), "ago(1h)", "now()", "todatetime("+e(kql.String)+")", "startofyear("+e(t)+")",
			"max_of("+e(t)+", "+e(t)+")", "datetime_add('month', "+g.pick("1", "-1", e(kql.Long))+", "+e(t)+")", "endofmonth("+e(t)+")", "endofyear("+e(t)+", 1)")
	}
	return g.pick("("+e(kql.Datetime)+" - "+e(kql.Datetime)+")", "bin("+e(t)+", 1m)", e(kql.Real)+" * 1ms", "("+e(t)+" + "+e(t)+")", "(-("+e(t)+"))", "2 * "+e(t), "("+e(t)+" / "+e(kql.Long)+")", "dayofweek("+e(kql.Datetime)+")", "totimespan("+e(kql.String)+")", "abs("+e(t)+")")
}

func (g *generator) condition(e func(kql.Type) string) string {
	t := g.scalarType()
	ordered := [...]kql.Type{kql.Long, kql.Real, kql.Datetime, kql.Timespan}[g.random.IntN(4)]
	s := e(kql.String)
	switch g.random.IntN(9) {
	case 0:
		return "(" + e(t) + g.pick(" == ", " != ") + e(t) + ")"
	case 1:
		return "(" + e(ordered) + g.pick(" < ", " <= ", " > ", " >= ") + e(ordered) + ")"
	case 2:
		return "(" + s + " " + g.pick("has", "!has", "has_cs", "contains", "!contains", "contains_cs", "startswith", "!endswith", "endswith_cs", "=~", "!~", "==", "!=", "hasprefix", "!hassuffix") + " " + g.pick(e(kql.String), g.literal(kql.String)) + ")"
	case 3:
		return "(" + e(t) + g.pick(" in ", " !in ") + "(" + e(t) + ", " + e(t) + "))"
	case 4:
		return "(" + s + g.pick(" in~ ", " !in~ ", " has_any ", " has_all ") + "(" + e(kql.String) + ", " + g.literal(kql.String) + "))"
	case 5:
		return "(" + e(ordered) + g.pick(" between ", " !between ") + "(" + e(ordered) + " .. " + e(ordered) + "))"
	case 6:
		return "(" + e(kql.Bool) + g.pick(" and ", " or ") + e(kql.Bool) + ")"
	case 7:
		if g.chance(3) {
			return g.pick("("+s+" in ("+g.dynamic(1)+"))", "("+g.dynamic(1)+" == "+s+")", "(tostring("+g.dynamic(1)+") has 'a')", "("+s+" has_any (dynamic(['a', 'b'])))", "set_has_element("+g.array(1)+", "+s+")", "isempty("+g.dynamic(1)+")", "(toint("+g.dynamic(1)+") > 1)")
		}
		return g.pick("not("+e(kql.Bool)+")", "isnull("+e(t)+")", "isnotnull("+e(t)+")", "isempty("+e(t)+")", "isnotempty("+s+")", "isnan("+e(kql.Real)+")", "isfinite("+e(kql.Real)+")", "tobool("+s+")", "("+s+" matches regex '^(a|b).*[0-9]+$')")
	default:
		return g.pick("("+s+" in (requests | where stream | project id))", "("+e(kql.Real)+" > toscalar(requests | summarize avg(e2e_ms)))", "("+s+" !in~ ((requests | distinct id)))")
	}
}

func (g *generator) number(t kql.Type, e func(kql.Type) string) string {
	binary := "(" + e(t) + g.pick(" + ", " - ", " * ", " / ", " % ") + e(t) + ")"
	if t == kql.Long {
		return g.pick(binary, binary, "bin("+e(t)+", "+e(t)+")", "strlen("+e(kql.String)+")", "indexof("+e(kql.String)+", "+e(kql.String)+")", "tolong("+e(g.scalarType())+")", "(-("+e(t)+"))",
			"hourofday("+e(kql.Datetime)+")", "datetime_diff("+g.pick("'day'", "'hour'", "'week'", "'month'")+", "+e(kql.Datetime)+", "+e(kql.Datetime)+")", "abs("+e(t)+")", "sign("+e(t)+")",
			"min_of("+e(t)+", "+e(t)+")", "array_length(split("+e(kql.String)+", '_'))", "toint("+e(kql.Real)+")", "datetime_part('hour', "+e(kql.Datetime)+")", "dayofyear("+e(kql.Datetime)+")")
	}
	return g.pick(binary, binary, "bin("+e(t)+", "+e(t)+")", "round("+e(t)+", 2)", "round("+e(t)+")", "sqrt("+e(t)+")", "log10("+e(t)+")", "exp("+e(t)+")", "pow("+e(t)+", "+e(kql.Long)+")", "todouble("+e(g.scalarType())+")",
		"("+e(kql.Timespan)+" / "+e(kql.Timespan)+")", "ceiling("+e(t)+")", "max_of("+e(t)+", "+e(t)+")", "(-("+e(t)+"))")
}

func (g *generator) text(e func(kql.Type) string) string {
	s := e(kql.String)
	return g.pick("tostring("+e(g.scalarType())+")", "strcat("+s+", "+e(g.scalarType())+")", "tolower("+s+")", "substring("+s+", "+e(kql.Long)+", "+e(kql.Long)+")", "substring("+s+", "+e(kql.Long)+")",
		"replace_string("+s+", "+e(kql.String)+", "+e(kql.String)+")", "extract('([a-z]+)', 1, "+s+")", "strcat_array(split("+s+", "+e(kql.String)+"), '/')",
		"format_datetime("+e(kql.Datetime)+", 'yyyy-MM-dd HH:mm:ss.fff')", "format_timespan("+e(kql.Timespan)+", 'd.hh:mm:ss.fff')", "strcat(split("+s+", '-')["+g.pick("0", "-1", "7", e(kql.Long))+"], '')")
}

func (g *generator) literal(t kql.Type) string {
	switch t {
	case kql.Bool:
		return g.pick("true", "false", "bool(null)")
	case kql.Long:
		return g.pick("0", "1", "-1", "7", "100000", "3000000000", "long(null)")
	case kql.Real:
		return g.pick("0.0", "1.5", "-2.25", "1e3", "1e300", "real(null)")
	case kql.String:
		return g.pick("''", "'a'", `"it's"`, "'é%_'", `'\\'`, "'ptu-eastus'", "'-e'", "'--'", "'\"'", "@'\\d'", "'ß'", "' '")
	case kql.Datetime:
		return g.pick("datetime(2026-11-22 11:05)", "datetime(1969-12-31T23:59:59.999)", "datetime(null)", "now()", "datetime(0001-01-01)")
	}
	return g.pick("1m", "90s", "0s", "-1h", "1.5d", "timespan(null)")
}
