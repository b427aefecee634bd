package kql

import (
	"maps"
	"slices"
)

// define binds a function with the names that it may use.
func (c *compiler) define(s statement) {
	f := *s.function
	f.lets = maps.Clone(c.lets)
	for i, p := range f.params {
		if slices.ContainsFunc(f.params[:i], func(o param) bool { return o.name == p.name }) {
			c.fail(p.span, "the function has two parameters named %q", p.name)
		}
	}
	c.lets[s.name] = binding{function: &f}
}

// with binds the arguments of a call of a let's function, and runs body with
// the names that the function knows.
func (c *compiler) with(e *expr, f *userFunction, s scope, first *relation, body func(last statement)) {
	if c.calls++; c.calls > maxCalls {
		c.fail(e.span, "the query calls its functions more than %d times", maxCalls)
	}
	args := e.args
	lets := maps.Clone(f.lets)
	params := f.params
	if first != nil {
		if len(params) == 0 || !params[0].table {
			c.fail(e.span, "invoke needs a function whose first parameter is a table")
		}
		lets[params[0].name] = binding{relation: first}
		params = params[1:]
	}
	if len(args) > len(params) {
		c.fail(e.span, "%s takes %d arguments, got %d", e.text, len(params), len(args))
	}
	for i, p := range params {
		arg := p.missing
		if i < len(args) {
			arg = args[i]
		}
		if arg == nil {
			c.fail(e.span, "%s needs the argument %q", e.text, p.name)
		}
		lets[p.name] = c.bind(arg, p, s)
	}
	outer := c.lets
	c.lets = lets
	defer func() { c.lets = outer }()
	last := len(f.body) - 1
	for _, one := range f.body[:last] {
		c.let(one)
	}
	body(f.body[last])
}

// bind is an argument as what a parameter names.
func (c *compiler) bind(arg *expr, p param, s scope) binding {
	if p.table {
		var r relation
		switch {
		case arg.kind == exprTable:
			r = c.pipeline(arg.query)
		case arg.kind == exprName:
			r = c.pipeline(&pipeline{source: arg.text, span: arg.span})
		case arg.kind == exprCall:
			r = c.pipeline(&pipeline{call: arg, span: arg.span})
		default:
			c.fail(arg.span, "the parameter %q is a table", p.name)
		}
		for _, want := range p.columns {
			if got, ok := r.column(want.Name); !ok || got.Type != want.Type {
				c.fail(arg.span, "the table needs a column %q that is a %s", want.Name, want.Type)
			}
		}
		return binding{relation: &r}
	}
	v := scalar(c.expr(arg, s), p.typ)
	switch {
	case v.typ == p.typ:
	case v.typ.numeric() && p.typ.numeric():
		v = value{sql: "CAST(" + v.sql + " AS " + sqlTypes[p.typ] + ")", typ: p.typ, literal: nil}
	case p.typ == Dynamic:
		v = toDynamic(v)
	default:
		c.fail(arg.span, "the parameter %q is a %s, not a %s", p.name, p.typ, v.typ)
	}
	v.name = ""
	return binding{value: &v}
}

// userScalar is the value of a let's function.
func (c *compiler) userScalar(e *expr, f *userFunction, s scope) value {
	var v value
	c.with(e, f, s, nil, func(last statement) {
		if last.query != nil || last.value.kind == exprName && c.isRelation(last.value.text) {
			c.fail(e.span, "%s gives a table, not a value", e.text)
		}
		v = c.expr(last.value, scope{windows: s.windows})
	})
	v.name = ""
	return v
}

// tabular is the table that a let's function gives.
func (c *compiler) tabular(e *expr, first *relation) relation {
	if c.depth++; c.depth > 4*maxDepth {
		c.fail(e.span, "the query nests too deep")
	}
	defer func() { c.depth-- }()
	f := c.lets[e.text].function
	if f == nil {
		names := []string{}
		for name, b := range c.lets {
			if b.function != nil {
				names = append(names, name)
			}
		}
		c.fail(e.span, "unknown function %q: a query starts with a table, or a function that a let defines%s", e.text, suggest(e.text, names))
	}
	var r relation
	c.with(e, f, scope{}, first, func(last statement) {
		switch {
		case last.query != nil:
			r = c.pipeline(last.query)
		case last.value.kind == exprName:
			r = c.pipeline(&pipeline{source: last.value.text, span: last.value.span})
		case last.value.kind == exprCall:
			r = c.tabular(last.value, nil)
		default:
			c.fail(e.span, "%s gives a value, not a table", e.text)
		}
	})
	return r
}

// givesTable reports whether a function gives a table rather than a value.
func (c *compiler) givesTable(f *userFunction) bool {
	last := f.body[len(f.body)-1]
	if last.query != nil {
		return true
	}
	switch name := last.value.text; last.value.kind {
	case exprName:
		return slices.ContainsFunc(c.tables, func(t Table) bool { return t.Name == name }) || f.lets[name].relation != nil ||
			slices.ContainsFunc(f.params, func(p param) bool { return p.table && p.name == name }) ||
			slices.ContainsFunc(f.body, func(s statement) bool { return s.name == name && s.query != nil })
	case exprCall:
		inner := f.lets[name].function
		return inner != nil && c.givesTable(inner)
	}
	return false
}
