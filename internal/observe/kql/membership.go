package kql

import (
	"slices"
	"strings"
)

// membership is in, has_any and has_all: of a list of values, of an array, or
// of a query's first column.
func (c *compiler) membership(e *expr, s scope) value {
	v := c.expr(e.args[0], s)
	if v.typ == Dynamic {
		v = scalar(v, String)
	}
	terms := e.text == "has_any" || e.text == "has_all"
	folded := strings.HasSuffix(e.text, "~")
	if (folded || terms) && v.typ != String {
		c.fail(e.span, "%s needs a string, not a %s", e.text, v.typ)
	}
	var list []string
	if query := c.queried(e, s); query != nil {
		r := c.pipeline(query)
		col := r.columns[0]
		if terms {
			c.fail(e.span, "%s needs a list of strings", e.text)
		}
		c.comparable(e, v, value{typ: col.Type, at: e.span})
		list = []string{"SELECT " + fold(ident(col.Name), folded) + " FROM " + r.from + " WHERE " + ident(col.Name) + " IS NOT NULL"}
		return in(e, v, list)
	}
	for _, arg := range e.args[1:] {
		for _, one := range c.elements(arg, s) {
			if one.typ == Dynamic {
				return c.within(e, v, one)
			}
			if v.typ == String && one.literal != nil && (one.typ.numeric() || one.typ == Bool) {
				one = literalValue(literal{typ: String, text: one.literal.text})
			} else if v.typ.numeric() && one.typ == String {
				one, _ = equalTypes(one, v)
			}
			c.comparable(e, v, one)
			if terms {
				list = append(list, hasTerm("has", v, one, false))
				continue
			}
			list = append(list, fold(one.sql, folded))
		}
	}
	switch {
	case e.text == "has_any" && len(list) > 0:
		return value{sql: "(" + strings.Join(list, " OR ") + ")", typ: Bool}
	case e.text == "has_all" && len(list) > 0:
		return value{sql: "(" + strings.Join(list, " AND ") + ")", typ: Bool}
	case len(list) == 0: // an array without elements
		return value{sql: map[bool]string{true: "true", false: "false"}[e.text == "has_all" || strings.HasPrefix(e.text, "!")], typ: Bool}
	}
	return in(e, v, list)
}

// queried is the query behind in, if there is one.
func (c *compiler) queried(e *expr, s scope) *pipeline {
	if e.query != nil || len(e.args) != 2 || e.args[1].kind != exprName {
		return e.query
	}
	name := e.args[1]
	if c.isRelation(name.text) && !slices.Contains(relation{columns: s.columns}.names(), name.text) {
		return &pipeline{source: name.text, span: name.span}
	}
	return nil
}

// elements are the values that an argument of in stands for: those of an array
// that is spelled out.
func (c *compiler) elements(arg *expr, s scope) []value {
	v := c.expr(arg, s)
	if v.typ != Dynamic || v.literal == nil || !v.literal.array {
		return []value{v}
	}
	all := []value{}
	for _, item := range v.literal.items {
		if item.typ == Dynamic {
			if item.null {
				continue
			}
			c.fail(arg.span, "the array holds arrays or bags, which are equal to nothing")
		}
		one := literalValue(item)
		one.at = arg.span
		all = append(all, one)
	}
	return all
}

// within looks for a value in an array that only the rows have.
func (c *compiler) within(e *expr, v, array value) value {
	text := fold(textOf(v), strings.HasSuffix(e.text, "~"))
	list := texts(array.sql)
	if strings.HasSuffix(e.text, "~") {
		list = "list_transform(" + list + ", lambda x: lower(x))"
	}
	sql := ""
	switch e.text {
	case "has_any", "has_all":
		matches := "len(list_filter(" + list + ", lambda x: " + hasTerm("has", v, value{sql: "x", typ: String}, false) + "))"
		if sql = "(" + matches + " > 0)"; e.text == "has_all" {
			sql = "(" + matches + " = len(" + list + "))"
		}
	default:
		sql = "coalesce(list_contains(" + list + ", " + text + "), false)"
		if v.typ.numeric() {
			sql = "coalesce(list_contains(" + numbers(array.sql) + ", CAST(" + v.sql + " AS DOUBLE)), false)"
		}
	}
	if strings.HasPrefix(e.text, "!") {
		sql = "(NOT " + sql + ")"
	}
	return value{sql: sql, typ: Bool}
}

// in is membership in a list of SQL.
func in(e *expr, v value, list []string) value {
	sql := fold(v.sql, strings.HasSuffix(e.text, "~")) + " IN (" + strings.Join(list, ", ") + ")"
	if v.typ != String { // of a null, in is false
		sql = "coalesce(" + sql + ", false)"
	}
	if strings.HasPrefix(e.text, "!") {
		return value{sql: "(NOT " + sql + ")", typ: Bool}
	}
	return value{sql: "(" + sql + ")", typ: Bool}
}

// fold makes a comparison ignore case.
func fold(sql string, folded bool) string {
	if folded {
		return "lower(" + sql + ")"
	}
	return sql
}
