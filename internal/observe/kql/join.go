package kql

import (
	"slices"
	"strings"
)

// apply joins in with the right side.
func (o *joinOp) apply(c *compiler, in relation) relation {
	right := c.pipeline(o.right)
	var on, leftKeys []string
	for _, k := range o.on {
		l := c.nameValue(&expr{text: k.left, span: k.span}, scope{columns: in.columns, bare: true})
		r := c.nameValue(&expr{text: k.right, span: k.span}, scope{columns: right.columns, bare: true})
		if l.typ == Dynamic || r.typ == Dynamic {
			c.fail(k.span, "a dynamic column cannot be a key of a join: extend one with tostring(…) or tolong(…)")
		}
		if c.comparable(&expr{text: "join", span: k.span}, l, r); l.typ != r.typ {
			c.fail(k.span, "join cannot compare a %s with a %s: convert one with todouble or tolong", l.typ, r.typ)
		}
		on = append(on, "l."+l.sql+" = r."+r.sql)
		leftKeys = append(leftKeys, l.sql)
	}
	if o.kind == "innerunique" { // of each key one row of the left
		in = c.step(in.columns, "SELECT DISTINCT ON ("+strings.Join(leftKeys, ", ")+") "+columnList(in.columns)+" FROM "+in.from)
	}
	sql, condition := joinKinds[o.kind], " ON "+strings.Join(on, " AND ")
	if sql == "SEMI" || sql == "ANTI" {
		kept, other := in, right
		kind := sql
		if strings.HasPrefix(o.kind, "right") {
			kept, other = right, in
			condition = strings.NewReplacer("l.", "r.", "r.", "l.").Replace(" ON ")
			var turned []string
			for _, k := range o.on {
				turned = append(turned, "l."+ident(k.right)+" = r."+ident(k.left))
			}
			condition += strings.Join(turned, " AND ")
		}
		list := make([]string, len(kept.columns))
		for i, col := range kept.columns {
			list[i] = "l." + ident(col.Name) + " AS " + ident(col.Name)
		}
		return c.step(kept.columns, "SELECT "+strings.Join(list, ", ")+" FROM "+kept.from+" AS l "+kind+" JOIN "+other.from+" AS r"+condition)
	}
	out := o.output(c, in, right)
	return out.step(" FROM " + in.from + " AS l " + sql + " JOIN " + right.from + " AS r" + condition)
}

// output are the columns of both sides; a lookup has the keys once.
func (o *joinOp) output(c *compiler, in, right relation) *output {
	sql := joinKinds[o.kind]
	out := &output{c: c}
	for _, col := range in.columns {
		text := "l." + ident(col.Name)
		if sql == "RIGHT" || sql == "FULL" {
			text = notNull(text, col.Type)
		}
		out.add(col.Name, value{sql: text, typ: col.Type, at: o.span}, true)
	}
	for _, col := range right.columns {
		if o.lookup && slices.ContainsFunc(o.on, func(k joinKey) bool { return k.right == col.Name }) {
			continue
		}
		text := "r." + ident(col.Name)
		if sql == "LEFT" || sql == "FULL" {
			text = notNull(text, col.Type)
		}
		out.add("", value{sql: text, typ: col.Type, name: col.Name, at: o.span}, false)
	}
	return out
}

// columnList names columns in SQL.
func columnList(columns []Column) string {
	all := make([]string, len(columns))
	for i, col := range columns {
		all[i] = ident(col.Name)
	}
	return strings.Join(all, ", ")
}
