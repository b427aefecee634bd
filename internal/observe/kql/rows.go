package kql

import (
	"slices"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// apply takes rows at random.
func (o *sampleOp) apply(c *compiler, in relation) relation {
	n := c.rows(o.n)
	if strings.HasPrefix(n, "(") { // SAMPLE takes no expression
		return c.step(in.columns, "SELECT * FROM "+in.from+" ORDER BY random() LIMIT "+n)
	}
	return c.step(in.columns, "SELECT * FROM "+in.from+" USING SAMPLE reservoir("+n+" ROWS)")
}

// apply takes so many of the values of a column.
func (o *distinctNOp) apply(c *compiler, in relation) relation {
	one := (&distinctOp{list: []named{o.of}, span: o.of.span}).apply(c, in)
	return (&takeOp{o.n}).apply(c, one)
}

// apply takes the values that occur most often, or have the largest sums.
func (o *hittersOp) apply(c *compiler, in relation) relation {
	aggregate := &expr{kind: exprCall, text: "count", span: o.span}
	prefix := "approximate_count_"
	if o.by != nil {
		aggregate = &expr{kind: exprCall, text: "sum", args: []*expr{o.by.expr}, span: o.by.span}
		prefix = "approximate_sum_"
	}
	v := c.expr(o.of.expr, scope{columns: in.columns})
	name := prefix + v.name
	if o.by != nil {
		name = prefix + c.expr(o.by.expr, scope{columns: in.columns}).name
	}
	r := (&summarizeOp{aggregates: []named{{name: name, expr: aggregate, span: o.span}}, by: []named{*o.of}, span: o.span}).apply(c, in)
	return (&sortOp{[]sortKey{{expr: &expr{kind: exprName, text: name, span: o.span}}}, o.n}).apply(c, r)
}

// apply puts the named columns first.
func (o *reorderOp) apply(c *compiler, in relation) relation {
	var order []Column
	taken := func(col Column) bool { return slices.Contains(order, col) }
	rest := -1
	for _, p := range o.patterns {
		if p.star && p.text == "" {
			rest = len(order)
			continue
		}
		found := false
		for _, col := range in.columns {
			if col.Name == p.text || p.star && strings.HasPrefix(col.Name, p.text) {
				if found = true; !taken(col) {
					order = append(order, col)
				}
			}
		}
		if !found && !p.star {
			c.nameValue(&expr{text: p.text, span: p.span}, scope{columns: in.columns, bare: true})
		}
	}
	if rest < 0 {
		rest = len(order)
	}
	var others []Column
	for _, col := range in.columns {
		if !taken(col) {
			others = append(others, col)
		}
	}
	out := &output{c: c}
	for _, col := range slices.Concat(order[:rest], others, order[rest:]) {
		out.add(col.Name, value{sql: ident(col.Name), typ: col.Type}, true)
	}
	return out.from(in)
}

// apply names what comes so far.
func (o *asOp) apply(c *compiler, in relation) relation {
	c.lets[o.name.text] = binding{relation: &in}
	return in
}

// apply calls a function with what comes so far as its first argument.
func (o *invokeOp) apply(c *compiler, in relation) relation {
	return c.tabular(o.call, &in)
}

// apply makes a row of each element of arrays and bags. Arrays beside each
// other are read in step.
func (o *expandOp) apply(c *compiler, in relation) relation {
	values, lists, lengths := make([]string, len(o.list)), make([]string, len(o.list)), make([]string, len(o.list))
	names := make([]string, len(o.list))
	for i, one := range o.list {
		c.oneName(one.named)
		v := c.expr(one.expr, scope{columns: in.columns})
		if v.typ != Dynamic {
			c.fail(v.at, "mv-expand needs a dynamic value, not a %s: parse_json(…) reads a string", v.typ)
		}
		if names[i] = one.name; names[i] == "" {
			if names[i] = v.name; names[i] == "" {
				names[i] = fresh("Column", 1, in.names())
			}
		}
		list := "list^^" + itoa(i)
		item := quote("value^^" + itoa(i))
		values[i] = v.sql + " AS " + item
		lists[i] = o.elements(item) + " AS " + quote(list)
		lengths[i] = "len(" + quote(list) + ")"
	}
	length := lengths[0]
	if len(lengths) > 1 {
		length = "greatest(" + strings.Join(lengths, ", ") + ")"
	}
	if o.limit != nil {
		length = "least(" + length + ", " + c.rows(o.limit) + ")"
	}
	all := c.step(in.columns, "SELECT *, "+strings.Join(values, ", ")+" FROM "+in.from)
	all = c.step(in.columns, "SELECT *, "+strings.Join(lists, ", ")+" FROM "+all.from)
	all = c.step(in.columns, "SELECT *, unnest(range(0, "+length+")) AS "+quote("item^^")+" FROM "+all.from)
	out := &output{c: c}
	element := func(i int) value {
		v := value{sql: noNull(quote("list^^"+itoa(i)) + "[" + quote("item^^") + " + 1]"), typ: Dynamic, at: o.list[i].span}
		return scalar(v, o.list[i].typ)
	}
	for _, col := range in.columns {
		v := value{sql: ident(col.Name), typ: col.Type}
		if i := slices.Index(names, col.Name); i >= 0 {
			v = element(i)
		}
		out.add(col.Name, v, true)
	}
	for i, name := range names {
		if _, there := in.column(name); !there {
			out.add(name, element(i), true)
		}
	}
	if o.index != "" {
		out.add(o.index, value{sql: quote("item^^"), typ: Long, at: o.span}, true)
	}
	return out.step(" FROM " + all.from)
}

// elements is the list of what a dynamic value is made of: one that is neither
// an array nor a bag is its only element.
func (o *expandOp) elements(sql string) string {
	member := "json_extract(" + sql + ", " + pointer("k") + ")"
	pair := "CAST(json_object(k, " + member + ") AS JSON)"
	if o.pairs {
		pair = "CAST(json_array(k, " + member + ") AS JSON)"
	}
	return "CASE json_type(" + sql + ") WHEN 'ARRAY' THEN " + items(sql) + " WHEN 'OBJECT' THEN list_transform(" + keys(sql) + ", lambda k: " + pair + ") ELSE [" + sql + "] END"
}
