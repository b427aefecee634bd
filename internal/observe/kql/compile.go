package kql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a query may grow to. A let that is used twice is read twice, so that
// tables doubled in a row of lets would be read without end.
const (
	maxSQL     = 256 << 10 // of one expression, in bytes
	maxAll     = 4 << 20   // of all, in bytes
	maxColumns = 500       // of a step
	maxSteps   = 300
	maxCalls   = 2000
	maxReads   = 64 // of tables, by one step and those that it reads
)

// Translate turns a query into SQL that reads the tables. now is what now()
// and ago() mean. The error is an *Error.
//
// Where the columns of the answer depend on the rows, as of evaluate pivot, the
// result has only Names, the SQL that finds the names of columns: translate
// the query again with its answer behind those found before.
func Translate(now time.Time, query string, tables []Table, found ...[]Name) (result Query, err error) {
	var c *compiler
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			err = r
		case unknown:
			result, err = Query{Names: r.sql, Tables: c.read}, nil
			if c.wanted != nil {
				result.From, result.To = c.wanted.times()
			}
		default:
			panic(r)
		}
	}()
	statements, p := parse(query)
	c = &compiler{src: query, now: now, tables: tables, lets: map[string]binding{}, found: found, windowed: windowed(p.tokens)}
	last := len(statements) - 1
	for _, s := range statements[:last] {
		c.let(s)
	}
	out := c.pipeline(statements[last].query)
	for _, name := range p.render.YColumns {
		if col, ok := out.column(name); !ok {
			c.fail(p.drawn, "unknown column %q%s", name, suggest(name, out.names()))
		} else if !col.Type.numeric() && col.Type != Dynamic {
			c.fail(p.drawn, "column %q is a %s, which is not drawn", name, col.Type)
		}
	}
	names := make([]string, len(out.columns))
	for i, col := range out.columns {
		names[i] = ident(col.Name)
	}
	sql := "WITH " + strings.Join(c.steps, ",\n") + "\nSELECT " + strings.Join(names, ", ") + " FROM " + out.from
	if out.numbered {
		sql += " ORDER BY " + rowName
	}
	result = Query{SQL: sql, Columns: out.columns, Tables: c.read, Render: p.render}
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
	reads  []int // by each step, of tables
	size   int   // of the steps, in bytes
	read   []string
	wanted *bounds // of all that is read; nil while nothing is
	depth  int

	found         [][]Name // answers to what is unknown, in the order of the query
	windowed      bool     // the query has window functions
	hiddenColumns int      // made for them so far
	calls         int      // of the query's own functions
}

// binding is what a let names: a value, a relation or a function.
type binding struct {
	value    *value
	relation *relation
	function *userFunction
}

// relation is a step's name, quoted, and its columns.
type relation struct {
	from    string
	columns []Column
	order   []sortedBy // of the rows; none when nothing is known of it
	// numbered is set where the hidden column rowName has the rows' order.
	numbered bool
}

// sortedBy is a column that rows are sorted by, and how SQL says so.
type sortedBy struct{ column, how string }

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
	reads := max(c.readsOf(sql), 1)
	c.reads = append(c.reads, reads)
	r := relation{from: quote(stepName + strconv.Itoa(len(c.steps))), columns: columns}
	c.steps = append(c.steps, r.from+" AS NOT MATERIALIZED ("+sql+")")
	c.size += len(sql)
	switch {
	case reads > maxReads:
		c.fail(span{}, "the query reads its tables more than %d times: a let that is used twice is read twice", maxReads)
	case len(columns) > maxColumns:
		c.fail(span{}, "there are more than %d columns", maxColumns)
	case len(c.steps) > maxSteps:
		c.fail(span{}, "the query has more than %d operators", maxSteps)
	case c.size > maxAll:
		c.fail(span{}, "the query is too large")
	}
	return r
}

// stepName begins the names of steps; they are counted from 0.
const stepName = "kql_"

// readsOf is how often SQL reads a table, in the steps that it names and in
// those that they name.
func (c *compiler) readsOf(sql string) int {
	reads := 0
	for _, part := range strings.Split(sql, `"`+stepName)[1:] {
		digits, _, _ := strings.Cut(part, `"`)
		if n, err := strconv.Atoi(digits); err == nil && n < len(c.reads) {
			reads += c.reads[n]
		}
	}
	return reads
}

func (c *compiler) let(s statement) {
	if s.function != nil {
		c.define(s)
		return
	}
	if s.query == nil && s.value.kind == exprCall && c.lets[s.value.text].function != nil && c.givesTable(c.lets[s.value.text].function) {
		s.query = &pipeline{call: s.value, span: s.value.span}
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
	case q.call != nil:
		r = c.tabular(q.call, nil)
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
		if b.function != nil { // a view
			return c.tabular(&expr{kind: exprCall, text: q.source, span: q.span}, nil)
		}
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
	c.fail(q.span, "unknown table %q%s", q.source, hint)
	return relation{}
}

// sqlTypes are the types of SQL that hold those of the language.
var sqlTypes = [...]string{"VARCHAR", "BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR", "TIMESTAMP", "BIGINT", "JSON"}

func readColumns(columns []Column) string {
	all := make([]string, len(columns))
	for i, col := range columns {
		name := quote(col.Name)
		switch col.Type {
		case Dynamic:
			name = jsonOf("CAST(" + name + " AS VARCHAR)")
		case String:
			name = "coalesce(CAST(" + name + " AS VARCHAR), '')"
		case Datetime: // a cast from a time with a zone looks the zone up for every row
			name = "make_timestamp(epoch_us(" + name + "))"
		default:
			name = "CAST(" + name + " AS " + sqlTypes[col.Type] + ")"
		}
		all[i] = name + " AS " + ident(col.Name)
	}
	return strings.Join(all, ", ")
}

// ident is what SQL calls a column. Names that differ by their case alone are
// one name to SQL, so those with capitals say which letters those are.
func ident(name string) string {
	var capitals []string
	for i := range len(name) {
		if name[i] >= 'A' && name[i] <= 'Z' {
			capitals = append(capitals, strconv.Itoa(i))
		}
	}
	if len(capitals) > 0 || strings.Contains(name, "^") {
		name += "^" + strings.Join(capitals, " ")
	}
	return quote(name)
}

// quote writes a name as an identifier of SQL.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteString writes a string literal of SQL.
func quoteString(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
