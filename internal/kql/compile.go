package kql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxSQL bounds the SQL of one expression, in bytes.
const maxSQL = 256 << 10

// Translate turns a query into SQL that reads the tables. now is what now()
// and ago() mean. The error is an *Error.
func Translate(now time.Time, query string, tables []Table) (result Query, err error) {
	defer func() {
		if r := recover(); r != nil {
			problem, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			err = problem
		}
	}()
	statements, render := parse(query)
	c := &compiler{src: query, now: now, tables: tables, lets: map[string]binding{}}
	last := len(statements) - 1
	for _, s := range statements[:last] {
		c.let(s)
	}
	out := c.pipeline(statements[last].query)
	names := make([]string, len(out.columns))
	for i, col := range out.columns {
		names[i] = quote(col.Name)
	}
	sql := "WITH " + strings.Join(c.steps, ",\n") + "\nSELECT " + strings.Join(names, ", ") + " FROM " + out.from
	result = Query{SQL: sql, Columns: out.columns, Tables: c.read, Render: render}
	if c.wanted != nil {
		result.From, result.To = c.wanted.times()
	}
	return result, nil
}

// compiler checks and translates a query; each operator becomes one step, a
// common table expression that reads the step before.
type compiler struct {
	src    string
	now    time.Time
	tables []Table
	lets   map[string]binding
	steps  []string
	read   []string
	wanted *bounds // of all that is read; nil while nothing is
	depth  int
}

// binding is what a let names: a value or a relation.
type binding struct {
	value    *value
	relation *relation
}

// relation is a step's name, quoted, and its columns.
type relation struct {
	from    string
	columns []Column
}

func (r relation) column(name string) (Column, bool) {
	for _, col := range r.columns {
		if col.Name == name {
			return col, true
		}
	}
	return Column{}, false
}

func (r relation) names() []string {
	all := make([]string, len(r.columns))
	for i, col := range r.columns {
		all[i] = col.Name
	}
	return all
}

func (c *compiler) fail(at span, format string, args ...any) {
	panic(newError(c.src, at, fmt.Sprintf(format, args...)))
}

// step adds a step and returns its relation. Steps are not materialized, so
// that filters reach the files.
func (c *compiler) step(columns []Column, sql string) relation {
	name := quote("kql_" + strconv.Itoa(len(c.steps)+1))
	c.steps = append(c.steps, name+" AS NOT MATERIALIZED ("+sql+")")
	return relation{name, columns}
}

func (c *compiler) let(s statement) {
	if slices.ContainsFunc(c.tables, func(t Table) bool { return t.Name == s.name }) {
		c.fail(s.span, "%q is a table: let needs another name", s.name)
	}
	if s.query == nil && s.value.kind == exprName && c.isRelation(s.value.text) {
		s.query = &pipeline{source: s.value.text, span: s.value.span}
	}
	if s.query != nil {
		r := c.pipeline(s.query)
		c.lets[s.name] = binding{relation: &r}
		return
	}
	v := c.expr(s.value, scope{})
	v.name = ""
	c.lets[s.name] = binding{value: &v}
}

func (c *compiler) isRelation(name string) bool {
	return c.lets[name].relation != nil || slices.ContainsFunc(c.tables, func(t Table) bool { return t.Name == name })
}

func (c *compiler) pipeline(q *pipeline) relation {
	var r relation
	switch {
	case q.inner != nil:
		r = c.pipeline(q.inner)
	case q.source != "":
		r = c.source(q)
	}
	for _, op := range q.operators {
		r = op.apply(c, r)
	}
	return r
}

// source is a let or a table. Of a table it reads the columns of the schema,
// in the types of the language.
func (c *compiler) source(q *pipeline) relation {
	if b, ok := c.lets[q.source]; ok {
		if b.relation == nil {
			c.fail(q.span, "%q is a value, not a table", q.source)
		}
		return *b.relation
	}
	var names []string
	for _, t := range c.tables {
		if t.Name == q.source {
			if !slices.Contains(c.read, t.Name) {
				c.read = append(c.read, t.Name)
			}
			c.bound(t, q.operators)
			return c.step(t.Columns, "SELECT "+readColumns(t.Columns)+" FROM "+quote(t.Name))
		}
		names = append(names, t.Name)
	}
	for name, b := range c.lets {
		if b.relation != nil {
			names = append(names, name)
		}
	}
	hint := suggest(q.source, names)
	if hint == "" {
		hint = "; there are " + strings.Join(names, ", ")
	}
	c.fail(q.span, "table %q is not known%s", q.source, hint)
	return relation{}
}

// sqlTypes are the types of SQL that hold those of the language.
var sqlTypes = [...]string{"VARCHAR", "BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR", "TIMESTAMP", "BIGINT", "VARCHAR[]"}

func readColumns(columns []Column) string {
	all := make([]string, len(columns))
	for i, col := range columns {
		name := quote(col.Name)
		switch col.Type {
		case Dynamic:
			all[i] = name
		case String:
			all[i] = "coalesce(CAST(" + name + " AS VARCHAR), '') AS " + name
		case Datetime: // a cast from a time with a zone looks the zone up for every row
			all[i] = "make_timestamp(epoch_us(" + name + ")) AS " + name
		default:
			all[i] = "CAST(" + name + " AS " + sqlTypes[col.Type] + ") AS " + name
		}
	}
	return strings.Join(all, ", ")
}

// quote writes a name as an identifier of SQL.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteString writes a string literal of SQL.
func quoteString(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
