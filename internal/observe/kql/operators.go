package kql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func (o *whereOp) apply(c *compiler, in relation) relation {
	w := &windows{in}
	v := scalar(c.expr(o.pred, scope{columns: in.columns, windows: w}), Bool)
	if v.typ != Bool {
		c.fail(v.at, "where needs a condition, not a %s", v.typ)
	}
	return c.step(in.columns, "SELECT * FROM "+w.in.from+" WHERE "+v.sql).as(in)
}

// output gathers the columns of a step.
type output struct {
	c       *compiler
	columns []Column
	sql     []string
}

// add adds a column; a name of the query's own choice must be new.
func (o *output) add(name string, v value, own bool) {
	if name == "" {
		name = v.name
	}
	taken := relation{columns: o.columns}.names()
	if name == "" {
		name = fresh("Column", 1, taken)
	}
	if slices.Contains(taken, name) {
		if own {
			o.c.fail(v.at, "column %q already exists", name)
		}
		name = fresh(name, 1, taken)
	}
	o.columns = append(o.columns, Column{name, v.typ})
	o.sql = append(o.sql, v.sql+" AS "+ident(name))
}

// fresh numbers a name until it is not taken.
func fresh(name string, from int, taken []string) string {
	for n := from; ; n++ {
		if one := name + strconv.Itoa(n); !slices.Contains(taken, one) {
			return one
		}
	}
}

func (o *output) step(behind string) relation {
	return o.c.step(o.columns, "SELECT "+strings.Join(o.sql, ", ")+behind)
}

// from is a step that changes the columns and not the rows of in.
func (o *output) from(in relation) relation {
	if in.numbered {
		o.sql = append(o.sql, rowName)
	}
	r := o.step(" FROM " + in.from)
	r.numbered = in.numbered
	for _, k := range in.order {
		if !slices.Contains(o.sql, ident(k.column)+" AS "+ident(k.column)) {
			return r
		}
	}
	r.order = in.order
	return r
}

func (o *projectOp) apply(c *compiler, in relation) relation {
	out, w := &output{c: c}, &windows{in}
	for _, n := range o.list {
		c.oneName(n)
		out.add(n.name, c.expr(n.expr, scope{columns: in.columns, windows: w}), n.chosen())
	}
	return out.from(w.in)
}

func (o *printOp) apply(c *compiler, _ relation) relation {
	out := &output{c: c}
	for i, n := range o.list {
		c.oneName(n)
		v := c.expr(n.expr, scope{})
		v.name = "print_" + strconv.Itoa(i)
		out.add(n.name, v, n.name != "")
	}
	return out.step("")
}

func (o *extendOp) apply(c *compiler, in relation) relation {
	var values []value
	var names []string
	w := &windows{in}
	for _, n := range o.list {
		c.oneName(n)
		v := c.expr(n.expr, scope{columns: in.columns, windows: w})
		name := n.name
		if name == "" {
			if name = v.name; name == "" {
				name = fresh("Column", 1, append(in.names(), names...))
			}
		}
		if slices.Contains(names, name) {
			c.fail(n.span, "column %q already exists", name)
		}
		values, names = append(values, v), append(names, name)
	}
	out := &output{c: c}
	for _, col := range in.columns {
		v := value{sql: ident(col.Name), typ: col.Type}
		if i := slices.Index(names, col.Name); i >= 0 {
			v = values[i]
			names[i] = ""
		}
		out.add(col.Name, v, true)
	}
	for i, name := range names {
		if name != "" {
			out.add(name, values[i], true)
		}
	}
	return out.from(w.in)
}

func (o *dropOp) apply(c *compiler, in relation) relation {
	named := make([]bool, len(in.columns))
	for _, p := range o.patterns {
		found := false
		for i, col := range in.columns {
			if col.Name == p.text || p.star && strings.HasPrefix(col.Name, p.text) {
				named[i], found = true, true
			}
		}
		if !found && p.star {
			c.fail(p.span, "no column starts with %q", p.text)
		}
		if !found {
			c.nameValue(&expr{text: p.text, span: p.span}, scope{columns: in.columns, bare: true})
		}
	}
	out := &output{c: c}
	for i, col := range in.columns {
		if named[i] == o.keep {
			out.add(col.Name, value{sql: ident(col.Name), typ: col.Type}, true)
		}
	}
	if len(out.columns) == 0 {
		c.fail(o.patterns[0].span, "no column would be left")
	}
	return out.from(in)
}

func (o *renameOp) apply(c *compiler, in relation) relation {
	to := map[string]string{}
	for _, n := range o.list {
		if n.name == "" || n.expr.kind != exprName {
			c.fail(n.span, "project-rename needs NEW = OLD")
		}
		c.nameValue(n.expr, scope{columns: in.columns, bare: true})
		to[n.expr.text] = n.name
	}
	out := &output{c: c}
	for _, col := range in.columns {
		name := col.Name
		if renamed, ok := to[name]; ok {
			name = renamed
		}
		out.add(name, value{sql: ident(col.Name), typ: col.Type, at: o.list[0].span}, true)
	}
	return out.from(in)
}

func (o *sortOp) apply(c *compiler, in relation) relation {
	var keys []string
	var sorted []sortedBy
	for _, k := range o.keys {
		v := c.expr(k.expr, scope{columns: in.columns})
		if v.typ == Dynamic {
			c.fail(v.at, "a dynamic value cannot be sorted by: use tostring(…) or tolong(…)")
		}
		if v.literal != nil {
			c.fail(v.at, "a constant is not a sort order")
		}
		order := " DESC NULLS LAST"
		if k.ascending {
			order = " ASC NULLS FIRST"
		}
		if k.isNulls {
			order = strings.TrimSuffix(strings.TrimSuffix(order, "LAST"), "FIRST") + "LAST"
			if k.nullsFirst {
				order = strings.TrimSuffix(order, "LAST") + "FIRST"
			}
		}
		keys = append(keys, v.sql+order)
		if k.expr.kind == exprName && v.name != "" {
			sorted = append(sorted, sortedBy{v.name, order})
		}
	}
	if len(sorted) < len(keys) {
		sorted = nil
	}
	by := "ORDER BY " + strings.Join(keys, ", ")
	if in.numbered { // equal rows stay in their order
		by += ", " + rowName
	}
	sql := "SELECT * FROM " + in.from + " " + by
	switch {
	case in.numbered:
		sql = "SELECT * REPLACE (row_number() OVER (" + by + ") AS " + rowName + ") FROM " + in.from + " " + by
	case c.windowed:
		sql = "SELECT *, row_number() OVER (" + by + ") AS " + rowName + " FROM " + in.from + " " + by
	}
	if o.limit != nil {
		sql += " LIMIT " + c.rows(o.limit)
	}
	r := c.step(in.columns, sql)
	r.order, r.numbered = sorted, c.windowed
	return r
}

// rows is a number of rows: a literal, or SQL that depends on no row.
func (c *compiler) rows(e *expr) string {
	v := scalar(c.expr(e, scope{}), Long)
	if v.typ == Long && v.literal == nil {
		return "(" + v.sql + ")"
	}
	if v.typ != Long || v.literal == nil || v.literal.null || strings.HasPrefix(v.literal.text, "-") {
		c.fail(e.span, "expected a number of rows")
	}
	return v.literal.text
}

func (o *takeOp) apply(c *compiler, in relation) relation {
	by := ""
	if in.numbered {
		by = " ORDER BY " + rowName
	}
	return c.step(in.columns, "SELECT * FROM "+in.from+by+" LIMIT "+c.rows(o.n)).as(in)
}

func (o *distinctOp) apply(c *compiler, in relation) relation {
	if o.list == nil {
		for _, col := range in.columns {
			if col.Type == Dynamic {
				c.fail(o.span, "column %q is dynamic, and dynamic values cannot be compared: name the other columns", col.Name)
			}
		}
		return c.step(in.columns, "SELECT DISTINCT "+columnList(in.columns)+" FROM "+in.from)
	}
	out := &output{c: c}
	for _, n := range o.list {
		c.oneName(n)
		v := c.expr(n.expr, scope{columns: in.columns})
		if v.typ == Dynamic {
			c.fail(v.at, "dynamic values cannot be compared: use tostring(…) or tolong(…)")
		}
		out.add(n.name, v, n.chosen())
	}
	out.sql[0] = "DISTINCT " + out.sql[0]
	return out.step(" FROM " + in.from)
}

func (o *countOp) apply(c *compiler, in relation) relation {
	return c.step([]Column{{Name: o.name, Type: Long}}, "SELECT count(*) AS "+ident(o.name)+" FROM "+in.from)
}

// apply puts relations one behind the other, matching columns by name.
func (o *unionOp) apply(c *compiler, in relation) relation {
	var parts []relation
	var sources []string
	if in.from != "" {
		parts, sources = append(parts, in), append(sources, "union_arg0")
	}
	for _, q := range o.with {
		if o.fuzzy && q.source != "" && !c.isRelation(q.source) {
			continue
		}
		source := q.source
		if source == "" || len(q.operators) > 0 {
			source = fmt.Sprintf("union_arg%d", len(parts))
		}
		parts, sources = append(parts, c.pipeline(q)), append(sources, source)
	}
	columns := o.columns(c, parts)
	if len(columns) == 0 {
		c.fail(o.span, "the parts of the union have no column in common")
	}
	var selects []string
	for i, part := range parts {
		var list []string
		for _, col := range columns {
			sql := "CAST(NULL AS " + sqlTypes[col.Type] + ")"
			if _, ok := part.column(col.Name); ok {
				sql = ident(col.Name)
			} else if col.Type == String {
				sql = "''"
			} else if col.Type == Dynamic {
				sql = "NULL"
			}
			list = append(list, sql+" AS "+ident(col.Name))
		}
		if o.source != "" {
			list = append([]string{quoteString(sources[i]) + " AS " + ident(o.source)}, list...)
		}
		selects = append(selects, "SELECT "+strings.Join(list, ", ")+" FROM "+part.from)
	}
	if o.source != "" {
		columns = append([]Column{{Name: o.source, Type: String}}, columns...)
	}
	return c.step(columns, strings.Join(selects, " UNION ALL "))
}

// columns are those of all parts, or with kind=inner those that all have.
func (o *unionOp) columns(c *compiler, parts []relation) []Column {
	var all []Column
	for _, part := range parts {
		for _, col := range part.columns {
			known, ok := relation{columns: all}.column(col.Name)
			if ok && known.Type != col.Type {
				c.fail(o.span, "column %q is a %s in one part of the union and a %s in another", col.Name, known.Type, col.Type)
			}
			if !ok && col.Name != o.source {
				all = append(all, col)
			}
		}
	}
	if !o.inner {
		return all
	}
	return slices.DeleteFunc(all, func(col Column) bool {
		return slices.ContainsFunc(parts, func(r relation) bool { _, ok := r.column(col.Name); return !ok })
	})
}
