package kql

import (
	"regexp"
	"slices"
	"strings"
)

// apply takes a text apart. Of a text that does not match, the columns are
// empty.
func (o *parseOp) apply(c *compiler, in relation) relation {
	text := scalar(c.expr(o.of, scope{columns: in.columns}), String)
	if text.typ != String {
		c.fail(text.at, "parse needs a string, not a %s", text.typ)
	}
	pattern, groups := o.pattern(c)
	quoted := quoteString(pattern)
	var matches strings.Builder
	matches.WriteString("regexp_matches(" + text.sql + ", " + quoted + ")")
	var names []string
	var values []value
	for i, part := range o.parts {
		if part.column == "" {
			continue
		}
		if slices.Contains(names, part.column) {
			c.fail(part.span, "column %q already exists", part.column)
		}
		v := value{sql: "regexp_extract(" + text.sql + ", " + quoted + ", " + itoa(groups[i]) + ")", typ: String, at: part.span}
		if part.typ != String {
			v = scalar(value{sql: "to_json(trim(" + v.sql + "))", typ: Dynamic, at: part.span}, part.typ)
			if part.typ == Dynamic {
				v.sql = jsonOf("regexp_extract(" + text.sql + ", " + quoted + ", " + itoa(groups[i]) + ")")
			}
			if o.kind == "simple" { // one that does not fit spoils the match
				matches.WriteString(" AND " + v.sql + " IS NOT NULL")
			}
		}
		names, values = append(names, part.column), append(values, v)
	}
	if o.where {
		in = c.step(in.columns, "SELECT * FROM "+in.from+" WHERE "+matches.String()).as(in)
	}
	out := &output{c: c}
	for i := range values {
		if !o.where {
			values[i].sql = notNull("CASE WHEN "+matches.String()+" THEN "+values[i].sql+" END", values[i].typ)
		}
	}
	for _, col := range in.columns {
		v := value{sql: ident(col.Name), typ: col.Type}
		if i := slices.Index(names, col.Name); i >= 0 && values[i].typ == col.Type {
			v = values[i]
		}
		out.add(col.Name, v, true)
	}
	for i, name := range names { // one that has a column's name and another type is numbered
		if col, there := in.column(name); !there || col.Type != values[i].typ {
			values[i].name = name
			out.add("", values[i], false)
		}
	}
	return out.from(in)
}

// pattern is the regular expression of the parts, and the group of each column.
func (o *parseOp) pattern(c *compiler) (string, []int) {
	var b strings.Builder
	b.WriteString("(?s)^")
	groups := make([]int, len(o.parts))
	count := 0
	for i, part := range o.parts {
		last := i == len(o.parts)-1
		switch {
		case part.text == "" && part.column == "" && i > 0 && o.parts[i-1].column != "" && o.parts[i-1].typ == String && o.kind != "regex":
			c.fail(part.span, "where the column %q ends is not known: put the text that follows it before *", o.parts[i-1].column)
		case part.column != "":
			count++
			groups[i] = count
			b.WriteString("(" + o.captures(part, i) + ")")
		case part.text == "" && last:
			b.WriteString(".*")
		case part.text == "":
			b.WriteString(".*?")
		case o.kind == "regex":
			compiled, err := regexp.Compile(part.text)
			if err != nil {
				c.fail(part.span, "%v", err)
			}
			count += compiled.NumSubexp()
			b.WriteString("(?:" + part.text + ")")
		default:
			b.WriteString(regexp.QuoteMeta(part.text))
		}
	}
	b.WriteString("$")
	return b.String(), groups
}

// captures is what a column's text may be: as little as the next part allows,
// or all of the rest.
func (o *parseOp) captures(part parsePart, i int) string {
	switch {
	case part.typ == Long:
		return `\s*[-+]?\d+`
	case part.typ == Real:
		return `\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`
	case i == len(o.parts)-1:
		return ".*"
	case o.parts[i+1].text == "" && o.parts[i+1].column == "": // a star behind a text: all of it
		return ".*"
	}
	return ".*?"
}
