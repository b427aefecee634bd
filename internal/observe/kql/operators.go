package kql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func (o *whereOp) apply(c *compiler, in relation) relation {
	v := c.expr(o.pred, scope{columns: in.columns})
	if v.typ != Bool {
		c.fail(v.at, "where needs a condition, not a %s", v.typ)
	}
	return c.step(in.columns, "SELECT * FROM "+in.from+" WHERE "+v.sql).sorted(in.order)
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
	o.columns = append(o.columns, Column{name, v.typ, v.elem})
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
	r := o.step(" FROM " + in.from)
	for _, k := range in.order {
		if !slices.Contains(o.sql, ident(k.column)+" AS "+ident(k.column)) {
			return r
		}
	}
	return r.sorted(in.order)
}

func (o *projectOp) apply(c *compiler, in relation) relation {
	out := &output{c: c}
	for _, n := range o.list {
		c.oneName(n)
		out.add(n.name, c.expr(n.expr, scope{columns: in.columns}), n.chosen())
	}
	return out.from(in)
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
	for _, n := range o.list {
		c.oneName(n)
		v := c.expr(n.expr, scope{columns: in.columns})
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
		v := value{sql: ident(col.Name), typ: col.Type, elem: col.Elem}
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
	return out.from(in)
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
			out.add(col.Name, value{sql: ident(col.Name), typ: col.Type, elem: col.Elem}, true)
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
		out.add(name, value{sql: ident(col.Name), typ: col.Type, elem: col.Elem, at: o.list[0].span}, true)
	}
	return out.from(in)
}

func (o *sortOp) apply(c *compiler, in relation) relation {
	var keys []string
	var sorted []sortedBy
	for _, k := range o.keys {
		v := c.expr(k.expr, scope{columns: in.columns})
		if v.typ == Dynamic {
			c.fail(v.at, "arrays cannot be sorted")
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
	sql := "SELECT * FROM " + in.from + " ORDER BY " + strings.Join(keys, ", ")
	if o.limit != nil {
		sql += " LIMIT " + c.rows(o.limit)
	}
	return c.step(in.columns, sql).sorted(sorted)
}

// rows is a number of rows: a constant.
func (c *compiler) rows(e *expr) string {
	v := c.expr(e, scope{})
	if v.typ != Long || v.literal == nil || v.literal.null || strings.HasPrefix(v.literal.text, "-") {
		c.fail(e.span, "expected a number of rows")
	}
	return v.literal.text
}

func (o *takeOp) apply(c *compiler, in relation) relation {
	return c.step(in.columns, "SELECT * FROM "+in.from+" LIMIT "+c.rows(o.n)).sorted(in.order)
}

func (o *distinctOp) apply(c *compiler, in relation) relation {
	if o.list == nil {
		for _, col := range in.columns {
			if col.Type == Dynamic {
				c.fail(o.span, "column %q is an array, and arrays cannot be compared: name the other columns", col.Name)
			}
		}
		return c.step(in.columns, "SELECT DISTINCT * FROM "+in.from)
	}
	out := &output{c: c}
	for _, n := range o.list {
		c.oneName(n)
		out.add(n.name, c.expr(n.expr, scope{columns: in.columns}), n.chosen())
	}
	out.sql[0] = "DISTINCT " + out.sql[0]
	return out.step(" FROM " + in.from)
}

func (o *countOp) apply(c *compiler, in relation) relation {
	return c.step([]Column{{Name: "Count", Type: Long}}, "SELECT count(*) AS "+ident("Count")+" FROM "+in.from)
}

func (o *joinOp) apply(c *compiler, in relation) relation {
	right := c.pipeline(o.right)
	var on []string
	for _, k := range o.on {
		l := c.nameValue(&expr{text: k.left, span: k.span}, scope{columns: in.columns, bare: true})
		r := c.nameValue(&expr{text: k.right, span: k.span}, scope{columns: right.columns, bare: true})
		if c.comparable(&expr{text: "join", span: k.span}, l, r); l.typ != r.typ {
			c.fail(k.span, "join cannot compare a %s with a %s: convert one with todouble or tolong", l.typ, r.typ)
		}
		on = append(on, "l."+l.sql+" = r."+r.sql)
	}
	out := &output{c: c}
	for _, col := range in.columns {
		out.add(col.Name, value{sql: "l." + ident(col.Name), typ: col.Type, elem: col.Elem}, true)
	}
	for _, col := range right.columns {
		sql := "r." + ident(col.Name)
		if o.outer {
			sql = notNull(sql, col.Type)
		}
		out.add("", value{sql: sql, typ: col.Type, elem: col.Elem, name: col.Name}, false)
	}
	kind := " INNER JOIN "
	if o.outer {
		kind = " LEFT JOIN "
	}
	return out.step(" FROM " + in.from + " AS l" + kind + right.from + " AS r ON " + strings.Join(on, " AND "))
}

// apply puts relations one behind the other, matching columns by name.
func (o *unionOp) apply(c *compiler, in relation) relation {
	var parts []relation
	var sources []string
	if in.from != "" {
		parts, sources = append(parts, in), append(sources, "union_arg0")
	}
	for _, q := range o.with {
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
