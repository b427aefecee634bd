package kql

import "strings"

// stepColumn is the hidden column that counts the steps of the axis.
const stepColumn = `"step^^"`

// apply makes an array of each aggregate, with a value for each step of the
// axis, and one of the axis itself.
func (o *seriesOp) apply(c *compiler, in relation) relation {
	axis := c.expr(o.axis.expr, scope{columns: in.columns})
	step := c.expr(o.step, scope{})
	if ok := axis.typ == Datetime && step.typ == Timespan || axis.typ == Timespan && step.typ == Timespan || axis.typ.numeric() && step.typ.numeric(); !ok {
		c.fail(o.step.span, "make-series cannot step along a %s by a %s", axis.typ, step.typ)
	}
	from, size := o.start(c, axis), step.sql
	keys := &output{c: c}
	for _, n := range o.by {
		c.oneName(n)
		v := c.expr(n.expr, scope{columns: in.columns})
		if v.typ == Dynamic {
			c.fail(v.at, "a dynamic value cannot be a group key: use tostring(…) or tolong(…)")
		}
		keys.add(n.name, v, n.chosen())
	}
	bins, aggregates := o.bins(c, in, keys, "CAST(floor((("+onAxis(axis)+") - "+from+") / "+size+") AS BIGINT)")
	first, last := "min("+stepColumn+")", "max("+stepColumn+")"
	if o.from != nil {
		first = "0"
	}
	if o.to != nil {
		last = "CAST(ceil((" + onAxis(c.axisEnd(o.to, axis)) + " - " + from + ") / CAST(" + size + " AS DOUBLE)) AS BIGINT) - 1"
	}
	names := columnList(keys.columns)
	grouped, by := "", ""
	if len(keys.columns) > 0 {
		grouped, by = names+", ", " GROUP BY "+names
	}
	steps := c.step(keys.columns, "SELECT "+grouped+"unnest(range("+first+", "+last+" + 1)) AS "+stepColumn+" FROM "+bins.from+by+" HAVING count(*) > 0")
	var on strings.Builder
	on.WriteString("l." + stepColumn + " = r." + stepColumn)
	var left []string
	for _, col := range keys.columns {
		on.WriteString(" AND l." + ident(col.Name) + " IS NOT DISTINCT FROM r." + ident(col.Name))
		left = append(left, "l."+ident(col.Name))
	}
	at := from + " + l." + stepColumn + " * " + size
	if axis.typ == Datetime {
		at = "make_timestamp(CAST(" + at + " AS BIGINT))"
	}
	out := &output{c: c}
	for _, col := range keys.columns {
		out.add(col.Name, value{sql: "l." + ident(col.Name), typ: col.Type}, true)
	}
	for i, a := range aggregates {
		one := toDynamic(value{sql: "coalesce(r." + ident(a.name) + ", " + o.filler(c, i, a) + ")", typ: a.typ})
		one.sql = "to_json(list(" + one.sql + " ORDER BY l." + stepColumn + "))"
		one.at = a.at
		out.add(a.name, one, true)
	}
	name := o.axis.name
	if name == "" {
		name = axis.name
	}
	times := toDynamic(value{sql: at, typ: axis.typ})
	out.add(name, value{sql: "to_json(list(" + times.sql + " ORDER BY l." + stepColumn + "))", typ: Dynamic, name: "Column", at: o.axis.span}, name != "")
	behind := " FROM " + steps.from + " AS l LEFT JOIN " + bins.from + " AS r ON " + on.String()
	if len(left) > 0 {
		return out.step(behind + " GROUP BY " + strings.Join(left, ", "))
	}
	return out.step(behind + " HAVING count(*) > 0")
}

// onAxis is a place on the axis as a number.
func onAxis(v value) string {
	if v.typ == Datetime {
		return "epoch_us(" + v.sql + ")"
	}
	return v.sql
}

// start is where the steps are counted from, as a number.
func (o *seriesOp) start(c *compiler, axis value) string {
	switch {
	case o.from != nil:
		return onAxis(c.axisEnd(o.from, axis))
	case axis.typ == Datetime:
		return "-" + sinceYearOne
	}
	return "0"
}

// axisEnd is an end of the axis: a constant of the axis's type.
func (c *compiler) axisEnd(e *expr, axis value) value {
	v := c.expr(e, scope{})
	if v.typ != axis.typ && (!v.typ.numeric() || !axis.typ.numeric()) {
		c.fail(e.span, "the axis is a %s, and its end a %s", axis.typ, v.typ)
	}
	return v
}

// bins aggregates the rows of each step of the axis.
func (o *seriesOp) bins(c *compiler, in relation, keys *output, bin string) (relation, []value) {
	where := ""
	axis := c.expr(o.axis.expr, scope{columns: in.columns})
	if o.from != nil {
		where += " AND " + axis.sql + " >= " + c.axisEnd(o.from, axis).sql
	}
	if o.to != nil {
		where += " AND " + axis.sql + " < " + c.axisEnd(o.to, axis).sql
	}
	out := &output{c: c, columns: append([]Column(nil), keys.columns...), sql: append([]string(nil), keys.sql...)}
	var all []value
	s := scope{summarize: true, all: in.columns, order: in.order}
	for _, a := range o.aggregates {
		c.oneName(a.named)
		v := c.expr(a.expr, s)
		if !v.typ.numeric() && v.typ != Timespan && v.typ != Datetime {
			c.fail(v.at, "make-series needs numbers, not a %s", v.typ)
		}
		out.add(a.name, v, a.name != "")
		v.name = out.columns[len(out.columns)-1].Name
		all = append(all, v)
	}
	columns := out.columns
	groups := make([]string, len(keys.columns), len(keys.columns)+1)
	for i := range keys.columns {
		groups[i] = itoa(i + 1)
	}
	groups = append(groups, itoa(len(columns)+1))
	sql := "SELECT " + strings.Join(append(out.sql, bin+" AS "+stepColumn), ", ") + " FROM " + in.from + " WHERE " + axis.sql + " IS NOT NULL" + where + " GROUP BY " + strings.Join(groups, ", ")
	return c.step(columns, sql), all
}

// filler is the value of a step without rows.
func (o *seriesOp) filler(c *compiler, i int, a value) string {
	missing := o.aggregates[i].missing
	if missing == nil {
		if a.typ == Datetime {
			return "NULL"
		}
		return "0"
	}
	v := c.expr(missing, scope{})
	if v.typ != a.typ && (!v.typ.numeric() || !a.typ.numeric()) {
		c.fail(missing.span, "the default is a %s, and the aggregate a %s", v.typ, a.typ)
	}
	return v.sql
}
