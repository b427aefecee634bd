package kql

import "strings"

// rangeOf reads range NAME from A to B step S.
func (p *parser) rangeOf(at span) operator {
	r := &rangeOp{name: p.name("a column").text, span: at}
	p.expect("from", "after the column")
	r.from = p.expression()
	p.expect("to", "after the first value")
	r.to = p.expression()
	p.expect("step", "after the last value")
	r.step = p.expression()
	return r
}

// datatable reads (columns) [values], row by row.
func (p *parser) datatable(at span) operator {
	d := &datatableOp{span: at}
	p.expect("(", "after datatable")
	for !p.accept(")") {
		column := p.name("a column")
		p.expect(":", "after the column: give its type")
		d.columns = append(d.columns, Column{Name: column.text, Type: p.typeName()})
		if !p.peek().is(")") {
			p.expect(",", "between columns")
		}
	}
	p.expect("[", "before the values")
	for !p.accept("]") {
		d.values = append(d.values, p.expression())
		if !p.peek().is("]") {
			p.expect(",", "between the values")
		}
	}
	if len(d.columns) == 0 || len(d.values)%len(d.columns) != 0 {
		p.fail(at, "datatable has %d columns and %d values: give each row a value for each column", len(d.columns), len(d.values))
	}
	return d
}

// search reads [in (tables)] predicate.
func (p *parser) search(at span) operator {
	s := &searchOp{span: at}
	p.hints("kind")
	if p.peek().is("in") && p.peekAfter().is("(") {
		p.next()
		p.next()
		for !p.accept(")") {
			t := p.name("a table")
			s.tables = append(s.tables, &pipeline{source: t.text, span: t.span})
			if !p.peek().is(")") {
				p.expect(",", "between the tables")
			}
		}
	}
	s.pred = p.expression()
	return s
}

// hints reads NAME=VALUE pairs that change how a query runs there and mean
// nothing here: hint.strategy=shuffle, and those named.
func (p *parser) hints(names ...string) {
	for {
		at := p.at
		switch t := p.peek(); {
		case t.is("hint") && p.peekAfter().is("."):
			p.next()
			p.next()
			p.name("a hint")
		case t.kind == tokenName && p.peekAfter().is("=") && strings.Contains(" "+strings.Join(names, " ")+" ", " "+t.text+" "):
			p.next()
		default:
			return
		}
		if !p.accept("=") {
			p.at = at
			return
		}
		p.next()
	}
}
