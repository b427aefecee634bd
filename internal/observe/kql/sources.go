package kql

import (
	"slices"
	"strings"
)

// apply makes a row for each value from the first to the last.
func (o *rangeOp) apply(c *compiler, _ relation) relation {
	from, to, step := c.expr(o.from, scope{}), c.expr(o.to, scope{}), c.expr(o.step, scope{})
	name := ident(o.name)
	typ := from.typ
	var sql string
	switch {
	case from.typ == Datetime && to.typ == Datetime && step.typ == Timespan:
		sql = "SELECT make_timestamp(i) AS " + name + " FROM (SELECT unnest(generate_series(epoch_us(" + from.sql + "), epoch_us(" + to.sql + "), " + step.sql + ")) AS i)"
	case from.typ == Long && to.typ == Long && step.typ == Long, from.typ == Timespan && to.typ == Timespan && step.typ == Timespan:
		sql = "SELECT unnest(generate_series(" + from.sql + ", " + to.sql + ", " + step.sql + ")) AS " + name
	case from.typ.numeric() && to.typ.numeric() && step.typ.numeric():
		typ = Real
		sql = "SELECT " + from.sql + " + i * " + step.sql + " AS " + name + " FROM (SELECT unnest(generate_series(0, CAST(floor((" + to.sql + " - " + from.sql + ") / CAST(" + step.sql + " AS DOUBLE)) AS BIGINT))) AS i)"
	default:
		c.fail(o.span, "range cannot step from a %s to a %s by a %s", from.typ, to.typ, step.typ)
	}
	return c.step([]Column{{o.name, typ}}, sql).numberedIn(c)
}

// numberedIn adds the hidden number of the rows when the query needs it.
func (r relation) numberedIn(c *compiler) relation {
	if !c.windowed || r.numbered {
		return r
	}
	n := c.step(r.columns, "SELECT *, row_number() OVER () AS "+rowName+" FROM "+r.from)
	n.order, n.numbered = r.order, true
	return n
}

// apply makes a table of literal values.
func (o *datatableOp) apply(c *compiler, _ relation) relation {
	n := len(o.columns)
	for i, col := range o.columns {
		if slices.ContainsFunc(o.columns[:i], func(other Column) bool { return other.Name == col.Name }) {
			c.fail(o.span, "datatable has two columns named %q", col.Name)
		}
	}
	var rows []string
	size := 0
	for i := 0; i < len(o.values); i += n {
		row := make([]string, n)
		for j, col := range o.columns {
			row[j] = c.cell(o.values[i+j], col)
			size += len(row[j])
		}
		if rows = append(rows, "("+strings.Join(row, ", ")+")"); size > maxSQL {
			c.fail(o.span, "the datatable is too large")
		}
	}
	list := make([]string, n)
	for i, col := range o.columns {
		list[i] = "NULL"
		if len(rows) == 0 {
			list[i] = "CAST(NULL AS " + sqlTypes[col.Type] + ")"
		} else {
			list[i] = quote("c" + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10)))
		}
	}
	names := strings.Join(list, ", ")
	for i, col := range o.columns {
		list[i] += " AS " + ident(col.Name)
	}
	if len(rows) == 0 {
		return c.step(o.columns, "SELECT "+strings.Join(list, ", ")+" WHERE false")
	}
	return c.step(o.columns, "SELECT "+strings.Join(list, ", ")+" FROM (VALUES "+strings.Join(rows, ", ")+") AS t("+names+")")
}

// cell is a value of a datatable in the column's type.
func (c *compiler) cell(e *expr, col Column) string {
	v := c.expr(e, scope{})
	switch {
	case v.typ == col.Type:
	case v.literal != nil && v.literal.null:
		return "CAST(NULL AS " + sqlTypes[col.Type] + ")"
	case col.Type == Dynamic:
		v = toDynamic(v)
	case v.typ.numeric() && col.Type.numeric():
	case col.Type == Datetime && v.typ == String:
		v = value{sql: "CAST(TRY_CAST(" + v.sql + " AS TIMESTAMPTZ) AS TIMESTAMP)"}
	case col.Type == String && v.typ == Dynamic:
		v = scalar(v, String)
	default:
		c.fail(e.span, "column %q is a %s, and the value a %s", col.Name, col.Type, v.typ)
	}
	return "CAST(" + v.sql + " AS " + sqlTypes[col.Type] + ")"
}

// apply lists the tables.
func (o *tablesOp) apply(c *compiler, _ relation) relation {
	rows := make([]string, len(c.tables))
	for i, t := range c.tables {
		rows[i] = "(" + quoteString(t.Name) + ", 'spillway', '', '')"
	}
	columns := columnsOf(String, "TableName", "DatabaseName", "Folder", "DocString")
	return c.step(columns, "SELECT "+
		"n AS "+ident("TableName")+", d AS "+ident("DatabaseName")+", f AS "+ident("Folder")+", s AS "+ident("DocString")+
		" FROM (VALUES "+strings.Join(rows, ", ")+") AS t(n, d, f, s)")
}

// apply lists the columns of in.
func (o *schemaOp) apply(c *compiler, in relation) relation {
	rows := make([]string, len(in.columns))
	for i, col := range in.columns {
		rows[i] = "(" + quoteString(col.Name) + ", " + literalValue(literal{typ: Long, text: itoa(i)}).sql + ", " + quoteString(clrTypes[col.Type]) + ", " + quoteString(col.Type.String()) + ")"
	}
	columns := []Column{{"ColumnName", String}, {"ColumnOrdinal", Long}, {"DataType", String}, {"ColumnType", String}}
	return c.step(columns, "SELECT "+
		"n AS "+ident("ColumnName")+", i AS "+ident("ColumnOrdinal")+", d AS "+ident("DataType")+", t AS "+ident("ColumnType")+
		" FROM (VALUES "+strings.Join(rows, ", ")+") AS t(n, i, d, t)")
}

// clrTypes are what getschema calls the types beside their own names.
var clrTypes = [...]string{"", "System.SByte", "System.Int64", "System.Double", "System.String", "System.DateTime", "System.TimeSpan", "System.Object"}

// apply searches tables, or in, for rows that fulfill the predicate.
func (o *searchOp) apply(c *compiler, in relation) relation {
	u := &unionOp{source: "$table", with: o.tables, span: o.span}
	switch {
	case in.from != "" && len(o.tables) > 0:
		c.fail(o.span, "search in (…) begins a query: it cannot follow a |")
	case in.from == "" && len(o.tables) == 0:
		for _, t := range c.tables {
			u.with = append(u.with, &pipeline{source: t.Name, span: o.span})
		}
	}
	all := u.apply(c, in)
	return (&whereOp{o.sought(o.pred)}).apply(c, all)
}

// sought makes a condition of a predicate of search, in which a string alone
// may be in any column, and NAME:"text" means has.
func (o *searchOp) sought(e *expr) *expr {
	switch {
	case e.kind == exprLiteral && e.value.typ == String:
		return o.term(&expr{kind: exprStar, span: e.span}, e)
	case e.kind == exprBinary && e.text == ":":
		return o.term(e.args[0], e.args[1])
	case e.kind == exprBinary && (e.text == "and" || e.text == "or"), e.kind == exprCall && e.text == "not":
		one := *e
		one.args = make([]*expr, len(e.args))
		for i, arg := range e.args {
			one.args[i] = o.sought(arg)
		}
		return &one
	}
	return e
}

// term is a comparison with a text that may begin or end with a star.
func (o *searchOp) term(left, right *expr) *expr {
	op, text := "has", *right
	if right.kind == exprLiteral && right.value.typ == String {
		word := right.value.text
		switch before, after := strings.HasPrefix(word, "*"), strings.HasSuffix(word, "*"); {
		case before && after:
			op = "contains"
		case before:
			op = "hassuffix"
		case after:
			op = "hasprefix"
		}
		text.value.text = strings.Trim(word, "*")
		if text.value.text == "" {
			return &expr{kind: exprLiteral, value: literal{typ: Bool, text: "true"}, span: right.span}
		}
	}
	return &expr{kind: exprBinary, text: op, args: []*expr{left, &text}, span: right.span}
}
