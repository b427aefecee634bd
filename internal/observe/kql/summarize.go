package kql

import (
	"strconv"
	"strings"
)

// aggregate is an aggregate function; params as of a function. $1 stands for
// the argument. A column of it is called prefix_ARGUMENT.
type aggregate struct {
	params string
	result Type // 0: as the argument
	sql    string
	prefix string
}

// aggregates are all aggregate functions but those with a build of their own,
// which have no SQL. The table is constant.
var aggregates = map[string]aggregate{
	"count": {params: "?a", result: Long, sql: "count(*)", prefix: "count"}, "countif": {params: "b", result: Long, sql: "count(*) FILTER (WHERE $1)", prefix: "countif"},
	"dcount": {params: "a?l", result: Long, sql: "count(DISTINCT $1)", prefix: "dcount"}, "dcountif": {params: "ab?l", result: Long, sql: "count(DISTINCT $1) FILTER (WHERE $2)", prefix: "dcountif"},
	"count_distinct": {params: "a", result: Long, sql: "count(DISTINCT $1)", prefix: "count_distinct"}, "count_distinctif": {params: "ab", result: Long, sql: "count(DISTINCT $1) FILTER (WHERE $2)", prefix: "count_distinctif"},
	"sum": {params: "a", sql: "coalesce(sum($1), 0)", prefix: "sum"}, "sumif": {params: "ab", sql: "coalesce(sum($1) FILTER (WHERE $2), 0)", prefix: "sumif"},
	"avg": {params: "a", sql: "avg($1)", prefix: "avg"}, "avgif": {params: "ab", sql: "avg($1) FILTER (WHERE $2)", prefix: "avgif"},
	"min": {params: "a", sql: "min($1)", prefix: "min"}, "minif": {params: "ab", sql: "min($1) FILTER (WHERE $2)", prefix: "minif"},
	"max": {params: "a", sql: "max($1)", prefix: "max"}, "maxif": {params: "ab", sql: "max($1) FILTER (WHERE $2)", prefix: "maxif"},
	"variance": {params: "n", result: Real, sql: "coalesce(var_samp($1), 0)", prefix: "variance"}, "varianceif": {params: "nb", result: Real, sql: "coalesce(var_samp($1) FILTER (WHERE $2), 0)", prefix: "varianceif"},
	"stdev": {params: "n", result: Real, sql: "coalesce(stddev_samp($1), 0)", prefix: "stdev"}, "stdevif": {params: "nb", result: Real, sql: "coalesce(stddev_samp($1) FILTER (WHERE $2), 0)", prefix: "stdevif"},
	"variancep": {params: "n", result: Real, sql: "coalesce(var_pop($1), 0)", prefix: "variancep"}, "stdevp": {params: "n", result: Real, sql: "coalesce(stddev_pop($1), 0)", prefix: "stdevp"},
	"percentile": {params: "an", prefix: "percentile"}, "percentiles": {params: "an*", prefix: "percentile"}, "percentileif": {params: "anb", prefix: "percentile"},
	"make_list": {params: "a?l", result: Dynamic, sql: "list($1) FILTER (WHERE $1 IS NOT NULL)", prefix: "list"}, "make_list_if": {params: "ab?l", result: Dynamic, sql: "list($1) FILTER (WHERE $1 IS NOT NULL AND $2)", prefix: "list"},
	"make_list_with_nulls": {params: "a", result: Dynamic, sql: "list($1)", prefix: "list"},
	"make_set":             {params: "a?l", result: Dynamic, sql: "list_sort(list(DISTINCT $1) FILTER (WHERE $1 IS NOT NULL))", prefix: "set"},
	"make_set_if":          {params: "ab?l", result: Dynamic, sql: "list_sort(list(DISTINCT $1) FILTER (WHERE $1 IS NOT NULL AND $2))", prefix: "set"},
	"take_anyif":           {params: "ab", sql: "first($1) FILTER (WHERE $2)", prefix: "take_anyif"}, "anyif": {params: "ab", sql: "first($1) FILTER (WHERE $2)", prefix: "anyif"},
	"arg_max": {}, "arg_min": {}, "take_any": {}, "any": {},
}

// aggregate translates one that gives one value.
func (c *compiler) aggregate(e *expr, a aggregate, s scope) value {
	if !s.summarize {
		c.fail(e.span, "%s is an aggregate function: use it in summarize, not inside another aggregate", e.text)
	}
	if a.prefix == "" || e.text == "percentiles" && len(e.args) > 2 {
		c.fail(e.span, "%s returns several columns: it cannot be part of an expression", e.text)
	}
	inner := scope{columns: s.all}
	args := make([]value, len(e.args))
	for i, arg := range e.args {
		args[i] = c.expr(arg, inner)
	}
	c.checkArguments(e, a.params, args)
	name := a.prefix + "_"
	if len(args) > 0 {
		name += args[0].name
	}
	if a.prefix == "percentile" {
		return c.percentile(e, args)
	}
	if a.result == Dynamic {
		args[0] = listed(e.text, args[0])
	}
	v := value{sql: fill(a.sql, args), typ: a.result, name: name}
	if strings.HasPrefix(e.text, "make_list") && len(s.order) > 0 {
		v.sql = strings.Replace(v.sql, "list("+args[0].sql, "list("+args[0].sql+" ORDER BY "+orderOf(s.order), 1)
	}
	if v.typ == 0 {
		v.typ = args[0].typ
		c.numericAggregate(e, &v)
	}
	if a.result == Dynamic {
		return c.gathered(e, a, v, args)
	}
	return v
}

// gathered makes a list a dynamic value. A set has the elements of arrays.
func (c *compiler) gathered(e *expr, a aggregate, v value, args []value) value {
	if required := strings.Index(a.params, "?"); required >= 0 && len(args) > required {
		v.sql = "(" + v.sql + ")[1:" + c.rows(e.args[required]) + "]"
	}
	v.sql = "coalesce(to_json(" + v.sql + "), CAST('[]' AS JSON))"
	return v
}

// listed is what a list holds of an argument: JSON has no times.
func listed(text string, v value) value {
	switch {
	case v.typ == Datetime, v.typ == Timespan:
		v.sql = "nullif(" + textOf(v) + ", '')"
	case v.typ == Real:
		v.sql = "(CASE WHEN isfinite(" + v.sql + ") THEN " + v.sql + " END)"
	case v.typ == Dynamic && strings.HasPrefix(text, "make_set"):
		v.sql = "json_extract_string(" + v.sql + ", '$')"
	}
	return v
}

// orderOf is the order in SQL.
func orderOf(by []sortedBy) string {
	all := make([]string, len(by))
	for i, k := range by {
		all[i] = ident(k.column) + k.how
	}
	return strings.Join(all, ", ")
}

// numericAggregate gives sums, means and extremes their type.
func (c *compiler) numericAggregate(e *expr, v *value) {
	t := v.typ
	extreme := strings.HasPrefix(e.text, "m")
	mean := strings.HasPrefix(e.text, "avg")
	if strings.HasSuffix(e.text, "anyif") {
		v.sql = notNull(v.sql, t)
		return
	}
	if t == Dynamic || !extreme && !t.numeric() && t != Timespan && (t != Datetime || !mean) {
		hint := ""
		if t == Dynamic {
			hint = ": use tolong(…), todouble(…) or tostring(…)"
		}
		c.fail(e.span, "%s does not accept a %s value%s", e.text, t, hint)
	}
	switch {
	case extreme:
		v.sql = notNull(v.sql, t)
	case mean && t == Long:
		v.typ = Real
	case t == Long, t == Timespan:
		v.sql = "CAST(" + v.sql + " AS BIGINT)"
	}
}

// percentile is the value of the nearest rank.
func (c *compiler) percentile(e *expr, args []value) value {
	l := args[1].literal
	if l == nil || l.null {
		c.fail(args[1].at, "a percentile must be a literal number from 0 to 100")
	}
	rank, err := strconv.ParseFloat(l.text, 64)
	if err != nil || rank < 0 || rank > 100 {
		c.fail(args[1].at, "a percentile must be a number from 0 to 100")
	}
	if t := args[0].typ; !t.numeric() && t != Timespan && t != Datetime {
		c.fail(args[0].at, "%s does not accept a %s", e.text, t)
	}
	name := strings.ReplaceAll(strconv.FormatFloat(rank, 'f', -1, 64), ".", "_")
	share := strconv.FormatFloat(rank/100, 'f', -1, 64)
	sql := "quantile_disc(" + args[0].sql + ", " + share + ")"
	if e.text == "percentileif" {
		sql += " FILTER (WHERE " + args[2].sql + ")"
	}
	return value{sql: sql, typ: args[0].typ, name: "percentile_" + args[0].name + "_" + name}
}

func (o *summarizeOp) apply(c *compiler, in relation) relation {
	out := &output{c: c}
	s := scope{summarize: true, all: in.columns, order: in.order}
	var groups []string
	for i, n := range o.by {
		c.oneName(n)
		v := c.expr(n.expr, scope{columns: in.columns})
		if v.typ == Dynamic {
			c.fail(v.at, "a dynamic value cannot be a group key: use tostring(…) or tolong(…)")
		}
		out.add(n.name, v, n.chosen())
		groups = append(groups, strconv.Itoa(i+1))
	}
	for _, n := range o.aggregates {
		if v, ok := c.several(n, s, o.by); ok {
			for i, one := range v {
				name := ""
				if i == 0 {
					name = n.name
				} else if i <= len(n.more) {
					name = n.more[i-1]
				}
				out.add(name, one, name != "")
			}
			if len(n.more) >= len(v) {
				c.fail(n.span, "%s returns %d columns, but %d are named", n.expr.text, len(v), len(n.more)+1)
			}
			continue
		}
		c.oneName(n)
		v := c.expr(n.expr, s)
		out.add(n.name, v, n.name != "")
	}
	if len(out.columns) == 0 {
		c.fail(o.span, "summarize needs an aggregate, such as count(), or by")
	}
	behind := " FROM " + in.from
	if len(groups) > 0 {
		behind += " GROUP BY " + strings.Join(groups, ", ")
	}
	return out.step(behind)
}

// oneName fails on several names for what gives one column.
func (c *compiler) oneName(n named) {
	if len(n.more) > 0 {
		c.fail(n.span, "this returns one column: use one name, without parentheses")
	}
}

// several translates the aggregates that give several columns.
func (c *compiler) several(n named, s scope, by []named) ([]value, bool) {
	e := n.expr
	if e.kind != exprCall {
		return nil, false
	}
	switch {
	case e.text == "percentiles" && len(e.args) > 2:
		var all []value
		for i := range e.args[1:] {
			one := *e
			one.args = []*expr{e.args[0], e.args[i+1]}
			all = append(all, c.expr(&one, s))
		}
		return together(all), true
	case e.text == "arg_max", e.text == "arg_min":
		if len(e.args) == 0 {
			c.fail(e.span, "%s needs an expression to maximize, and columns or *", e.text)
		}
		key := c.expr(e.args[0], scope{columns: s.all})
		rest := c.picked(e.args[1:], s, by)
		best := strings.TrimPrefix(e.text, "arg_") + "(" + key.sql + ")"
		row := "coalesce(" + e.text + "(" + packed(rest) + ", " + key.sql + "), first(" + packed(rest) + "))" // the latter where all keys are null
		first := value{sql: notNull(best, key.typ), typ: key.typ, name: key.name, at: key.at}
		if first.name == "" {
			first.name = best[:3] + "_"
		}
		except := ""
		if e.args[0].kind == exprName {
			except = key.name
		}
		return append([]value{first}, unpacked(row, rest, except)...), true
	case e.text == "take_any", e.text == "any":
		rest := c.picked(e.args, s, by)
		if len(rest) == 0 {
			c.fail(e.span, "%s needs columns or *", e.text)
		}
		return unpacked("first("+packed(rest)+")", rest, ""), true
	}
	return nil, false
}

// together computes the quantiles of one expression from one sorting of its
// values.
func together(quantiles []value) []value {
	shares := make([]string, len(quantiles))
	of := ""
	for i, v := range quantiles {
		last := strings.LastIndex(v.sql, ", ")
		of, shares[i] = v.sql[:last], v.sql[last+2:len(v.sql)-1]
	}
	list := of + ", [" + strings.Join(shares, ", ") + "])"
	for i := range quantiles {
		quantiles[i].sql = list + "[" + strconv.Itoa(i+1) + "]"
	}
	return quantiles
}

// picked are the columns that arguments name; * is all but those of by.
func (c *compiler) picked(args []*expr, s scope, by []named) []value {
	var all []value
	for _, arg := range args {
		if arg.kind != exprStar {
			all = append(all, c.expr(arg, scope{columns: s.all}))
			continue
		}
	columns:
		for _, col := range s.all {
			for _, b := range by {
				if b.expr.kind == exprName && b.expr.text == col.Name {
					continue columns
				}
			}
			all = append(all, value{sql: ident(col.Name), typ: col.Type, name: col.Name, at: arg.span})
		}
	}
	return all
}

// packed is one value that holds all, so that they come from one row.
func packed(values []value) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = "'c" + strconv.Itoa(i) + "': " + v.sql
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// unpacked takes a packed row apart; the column except is there already.
func unpacked(row string, values []value, except string) []value {
	var all []value
	for i, v := range values {
		if v.name != "" && v.name == except {
			continue
		}
		sql := "struct_extract(" + row + ", 'c" + strconv.Itoa(i) + "')"
		all = append(all, value{sql: notNull(sql, v.typ), typ: v.typ, name: v.name, at: v.at})
	}
	return all
}
