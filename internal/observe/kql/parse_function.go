package kql

// typeOf are the types that names of types stand for.
var typeOf = map[string]Type{
	"bool": Bool, "boolean": Bool, "int": Long, "long": Long, "real": Real, "double": Real, "decimal": Real,
	"string": String, "guid": String, "datetime": Datetime, "date": Datetime, "timespan": Timespan, "time": Timespan, "dynamic": Dynamic,
}

// typeName reads the name of a type.
func (p *parser) typeName() Type {
	t := p.next()
	typ, ok := typeOf[t.text]
	if t.kind != tokenName || !ok {
		p.fail(t.span, "expected a type, got %s: there are bool, int, long, real, decimal, string, guid, datetime, timespan and dynamic", t.describe())
	}
	return typ
}

// function reads [view] (params) { body } of a let; nil when none stands here.
func (p *parser) function() *userFunction {
	at := p.at
	if p.peek().is("view") && p.peekAfter().is("(") {
		p.next()
	}
	if !p.peek().is("(") || !p.opensFunction() {
		p.at = at
		return nil
	}
	p.next()
	f := &userFunction{}
	for !p.accept(")") {
		f.params = append(f.params, p.param())
		if !p.peek().is(")") {
			p.expect(",", "between parameters")
		}
	}
	open := p.peek()
	p.enter(open.span)
	defer p.leave()
	p.expect("{", "before the body of the function")
	for {
		for p.accept(";") {
		}
		if p.peek().is("}") {
			break
		}
		f.body = append(f.body, p.bodyStatement())
		if !p.peek().is("}") {
			p.expect(";", "between the statements of a function")
		}
	}
	p.expect("}", "after the body of the function")
	if n := len(f.body); n == 0 || f.body[n-1].name != "" {
		p.fail(open.span, "the function gives nothing: end its body with a value or a query")
	}
	for _, s := range f.body[:len(f.body)-1] {
		if s.name == "" {
			p.fail(s.span, "only the last statement of a function may be a value or a query")
		}
	}
	return f
}

// opensFunction reports whether the parenthesis that stands here holds
// parameters: a brace follows it.
func (p *parser) opensFunction() bool {
	depth := 0
	for i, t := range p.tokens[p.at:] {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			if depth--; depth == 0 {
				return p.tokens[min(p.at+i+1, len(p.tokens)-1)].is("{")
			}
		}
	}
	return false
}

// bodyStatement reads a let, a query or a value. A name alone is a table or a
// value: the compiler knows which.
func (p *parser) bodyStatement() statement {
	start := p.peek().start
	if p.peek().is("let") {
		return p.statement()
	}
	if p.tabular() {
		return statement{query: p.pipeline(), span: p.since(start)}
	}
	return statement{value: p.expression(), span: p.since(start)}
}

// param reads NAME: type [= value], or NAME: (columns) of a table.
func (p *parser) param() param {
	name := p.name("a parameter")
	one := param{name: name.text, span: name.span}
	p.expect(":", "after the parameter: give its type")
	if p.accept("(") {
		one.table = true
		for !p.accept(")") {
			if !p.accept("*") {
				column := p.name("a column")
				p.expect(":", "after the column: give its type")
				one.columns = append(one.columns, Column{Name: column.text, Type: p.typeName()})
			}
			if !p.peek().is(")") {
				p.expect(",", "between columns")
			}
		}
		return one
	}
	one.typ = p.typeName()
	if p.accept("=") {
		one.missing = p.unary()
	}
	return one
}

// argument reads an argument of a function: a value or a query.
func (p *parser) argument() *expr {
	if start := p.peek(); p.tabularArgument() {
		return &expr{kind: exprTable, query: p.pipeline(), span: start.span}
	}
	return p.expression()
}

// tabularArgument reports whether a query begins here rather than a value: a
// pipe comes before the end of the argument.
func (p *parser) tabularArgument() bool {
	at := p.at
	for p.tokens[at].is("(") {
		at++
	}
	if t, after := p.tokens[at], p.tokens[min(at+1, len(p.tokens)-1)]; t.is("datatable") && after.is("(") || (t.is("range") || t.is("union")) && after.kind == tokenName {
		return true
	}
	depth := 0
	for _, t := range p.tokens[p.at:] {
		switch {
		case t.is("(") || t.is("[") || t.is("{"):
			depth++
		case t.is(")") || t.is("]") || t.is("}"):
			if depth--; depth < 0 {
				return false
			}
		case t.is("|") && depth == 0:
			return true
		case (t.is(",") || t.is(";")) && depth == 0 || t.kind == tokenEnd:
			return false
		}
	}
	return false
}
