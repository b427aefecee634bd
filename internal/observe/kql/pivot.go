package kql

import (
	"slices"
	"strings"
)

// Name is the name of a column that rows have, and for members of a bag their
// type in JSON: a row of the answer to Query.Names.
type Name struct{ Name, Type string }

// maxPivot bounds the columns that rows make.
const maxPivot = 200

// known returns the names that the caller has found, or stops the translation
// with the SQL that finds them.
func (c *compiler) known(sql string, at span) []Name {
	if len(c.found) == 0 {
		panic(unknown{"WITH " + strings.Join(c.steps, ",\n") + "\n" + sql + " LIMIT " + itoa(maxPivot+1)})
	}
	names := c.found[0]
	c.found = c.found[1:]
	if len(names) > maxPivot {
		c.fail(at, "this makes more than %d columns: reduce the rows before", maxPivot)
	}
	return names
}

// unknown is what known panics with.
type unknown struct{ sql string }

// apply makes a column of each value of a column.
func (o *pivotOp) apply(c *compiler, in relation) relation {
	on := c.expr(o.on, scope{columns: in.columns})
	if o.on.kind != exprName || on.typ == Dynamic {
		c.fail(o.on.span, "pivot needs the name of a column that is not dynamic")
	}
	aggregate := o.aggregate
	if aggregate == nil {
		aggregate = &expr{kind: exprCall, text: "count", span: o.span}
	}
	if aggregate.kind != exprCall || !isAggregate(aggregate.text) {
		c.fail(aggregate.span, "the second argument of pivot is an aggregate, such as sum(tokens) or count()")
	}
	used := map[string]bool{on.name: true}
	for _, arg := range aggregate.args {
		if arg.kind == exprName {
			used[arg.text] = true
		}
	}
	var keys []Column
	for _, by := range o.by {
		v := c.nameValue(by, scope{columns: in.columns, bare: true})
		keys = append(keys, Column{v.name, v.typ})
	}
	if len(o.by) == 0 {
		keys = slices.DeleteFunc(slices.Clone(in.columns), func(col Column) bool { return used[col.Name] })
	}
	for _, col := range keys {
		if col.Type == Dynamic {
			c.fail(o.span, "column %q is dynamic and cannot be a group key: name the columns of the groups after the aggregate", col.Name)
		}
	}
	text := textOf(on)
	found := c.known("SELECT DISTINCT "+text+" AS n FROM "+in.from+" WHERE "+on.sql+" IS NOT NULL ORDER BY n", o.span)
	groups := &output{c: c}
	for _, col := range keys {
		groups.add(col.Name, value{sql: ident(col.Name), typ: col.Type}, true)
	}
	v := c.expr(aggregate, scope{summarize: true, all: in.columns, order: in.order})
	const pivoted, result = `"pivot^^"`, `"value^^"`
	list := append(slices.Clone(groups.sql), text+" AS "+pivoted, v.sql+" AS "+result)
	by := make([]string, len(keys)+1)
	for i := range by {
		by[i] = itoa(i + 1)
	}
	cells := c.step(in.columns, "SELECT "+strings.Join(list, ", ")+" FROM "+in.from+" GROUP BY "+strings.Join(by, ", "))
	out := &output{c: c, columns: slices.Clone(groups.columns), sql: groups.sql}
	for _, one := range found {
		sql := "any_value(" + result + ") FILTER (WHERE " + pivoted + " = " + quoteString(one.Name) + ")"
		if strings.Contains(aggregate.text, "count") || strings.HasPrefix(aggregate.text, "sum") {
			sql = "coalesce(" + sql + ", 0)"
		}
		out.add("", value{sql: notNull(sql, v.typ), typ: v.typ, name: one.Name}, false)
	}
	if len(out.columns) == 0 {
		c.fail(o.span, "there are no rows to make columns of")
	}
	behind := " FROM " + cells.from
	if len(keys) > 0 {
		behind += " GROUP BY " + columnList(keys)
	}
	return out.step(behind)
}

// apply makes columns of the members of a bag.
func (o *unpackOp) apply(c *compiler, in relation) relation {
	bag := c.expr(o.bag, scope{columns: in.columns})
	if o.bag.kind != exprName || bag.typ != Dynamic {
		c.fail(o.bag.span, "bag_unpack needs the name of a dynamic column")
	}
	member := "json_extract(" + bag.sql + ", " + pointer("k") + ")"
	found := c.known("SELECT k AS n, CASE WHEN count(DISTINCT t) = 1 THEN any_value(t) WHEN bool_and(t IN ('DOUBLE', 'BIGINT', 'UBIGINT')) THEN 'DOUBLE' ELSE 'JSON' END AS t FROM (SELECT k, json_type("+member+") AS t FROM (SELECT "+bag.sql+", unnest(json_keys("+bag.sql+")) AS k FROM "+in.from+" WHERE json_type("+bag.sql+") = 'OBJECT')) WHERE t <> 'NULL' GROUP BY k ORDER BY k", o.span)
	out := &output{c: c}
	for _, col := range in.columns {
		if col.Name != bag.name {
			out.add(col.Name, value{sql: ident(col.Name), typ: col.Type}, true)
		}
	}
	types := map[string]Type{"VARCHAR": String, "BIGINT": Long, "UBIGINT": Long, "DOUBLE": Real, "BOOLEAN": Bool}
	for _, one := range found {
		path := quoteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(one.Name))
		v := value{sql: noNull("json_extract(" + bag.sql + ", " + path + ")"), typ: Dynamic}
		if t, ok := types[one.Type]; ok {
			v = scalar(v, t)
		}
		v.name = o.prefix + one.Name
		out.add("", v, false)
	}
	if len(out.columns) == 0 {
		c.fail(o.span, "no column would be left")
	}
	return out.from(in)
}
