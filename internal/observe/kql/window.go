package kql

import (
	"slices"
	"strconv"
	"strings"
)

// rowName is the hidden column that numbers the rows of a relation in order,
// which the window functions go by. No column of a query has such a name.
const rowName = `"row^^"`

// windowNames are the functions that see other rows.
var windowNames = []string{"row_number", "row_cumsum", "row_rank_dense", "row_rank_min", "prev", "next"}

// windowed reports whether a query calls one of them.
func windowed(tokens []token) bool {
	for i, t := range tokens[:len(tokens)-1] {
		if t.kind == tokenName && tokens[i+1].is("(") && slices.Contains(windowNames, t.text) {
			return true
		}
	}
	return false
}

// windows are the rows that the window functions of one operator see. Each call
// adds a step with one more hidden column, so that calls can nest.
type windows struct{ in relation }

// window translates a call of a window function.
func (c *compiler) window(e *expr, s scope) value {
	if s.windows == nil {
		c.fail(e.span, "%s belongs in extend, project, where or serialize", e.text)
	}
	if !s.windows.in.numbered {
		c.fail(e.span, "%s needs rows in order: put sort by or serialize before it", e.text)
	}
	args := make([]value, len(e.args))
	for i, arg := range e.args {
		args[i] = c.expr(arg, s)
	}
	params := map[string]string{"row_number": "?lb", "row_cumsum": "a?b", "row_rank_dense": "a?b", "row_rank_min": "a?b", "prev": "a?la", "next": "a?la"}[e.text]
	c.checkArguments(e, params, args)
	v := value{typ: Long}
	of := ""
	switch e.text {
	case "prev", "next":
		v.typ = args[0].typ
		of = c.neighbor(e, args)
	case "row_number":
		of = "row_number()"
	case "row_rank_dense":
		of = "dense_rank()"
	case "row_rank_min":
		of = "rank()"
	case "row_cumsum":
		v.typ = args[0].typ
		if !v.typ.numeric() && v.typ != Timespan {
			c.fail(args[0].at, "row_cumsum needs a number or a timespan, not a %s", v.typ)
		}
		of = "sum(" + args[0].sql + ")"
	}
	over := " OVER ("
	if restart := slices.IndexFunc(args, func(a value) bool { return a.typ == Bool }); restart >= 0 && strings.HasPrefix(e.text, "row_") {
		part := c.hidden(s.windows, "sum(CASE WHEN "+args[restart].sql+" THEN 1 ELSE 0 END) OVER (ORDER BY "+rowName+" ROWS UNBOUNDED PRECEDING)")
		over += "PARTITION BY " + part + " "
	}
	switch e.text {
	case "row_rank_dense", "row_rank_min":
		over += "ORDER BY " + args[0].sql + ")"
	case "row_cumsum":
		over += "ORDER BY " + rowName + " ROWS UNBOUNDED PRECEDING)"
	default:
		over += "ORDER BY " + rowName + ")"
	}
	sql := of + over
	switch {
	case e.text == "row_number" && len(args) > 0:
		sql = "(" + sql + " + " + args[0].sql + " - 1)"
	case e.text == "row_cumsum" && v.typ != Real:
		sql = "CAST(coalesce(" + sql + ", 0) AS BIGINT)"
	case e.text == "row_cumsum":
		sql = "coalesce(" + sql + ", 0.0)"
	case v.typ == String:
		sql = "coalesce(" + sql + ", '')"
	}
	v.sql = c.hidden(s.windows, sql)
	return v
}

// neighbor is a value of a row before or after.
func (c *compiler) neighbor(e *expr, args []value) string {
	if e.args[0].kind != exprName {
		c.fail(args[0].at, "%s needs the name of a column: extend it before", e.text)
	}
	name := map[string]string{"prev": "lag", "next": "lead"}[e.text]
	offset, missing := "1", ""
	if len(args) > 1 {
		l := args[1].literal
		if l == nil || l.null {
			c.fail(args[1].at, "the number of rows must be a literal number")
		}
		offset = l.text
	}
	if len(args) > 2 {
		if args[2].typ != args[0].typ && (!args[2].typ.numeric() || !args[0].typ.numeric()) {
			c.fail(args[2].at, "the default is a %s, and the column is a %s", args[2].typ, args[0].typ)
		}
		missing = ", CAST(" + args[2].sql + " AS " + sqlTypes[args[0].typ] + ")"
	}
	return name + "(" + args[0].sql + ", " + offset + missing + ")"
}

// hidden adds a step with a hidden column and returns the column's name.
func (c *compiler) hidden(w *windows, sql string) string {
	c.hiddenColumns++
	name := `"window^^` + strconv.Itoa(c.hiddenColumns) + `"`
	w.in = c.step(w.in.columns, "SELECT *, "+sql+" AS "+name+" FROM "+w.in.from).as(w.in)
	return name
}

// as is a relation whose rows are in the order of another's.
func (r relation) as(o relation) relation {
	r.order, r.numbered = o.order, o.numbered
	return r
}

// apply numbers the rows as they come, and adds columns.
func (o *serializeOp) apply(c *compiler, in relation) relation {
	if !in.numbered {
		order := in.order
		in = c.step(in.columns, "SELECT *, row_number() OVER () AS "+rowName+" FROM "+in.from)
		in.order, in.numbered = order, true
	}
	if len(o.list) == 0 {
		return in
	}
	return (&extendOp{o.list}).apply(c, in)
}
