package kql

import "strings"

// expand reads [kind=bag|array] [with_itemindex=NAME] columns [limit N] of
// mv-expand.
func (p *parser) expand(at span) operator {
	o := &expandOp{span: at}
	for p.peekAfter().is("=") {
		t := p.peek()
		if t.text != "kind" && t.text != "bagexpansion" && t.text != "with_itemindex" {
			break
		}
		p.next()
		p.next()
		value := p.name("a name")
		if t.text == "with_itemindex" {
			o.index = value.text
		} else if o.pairs = value.text == "array"; value.text != "array" && value.text != "bag" {
			p.fail(value.span, "unknown expansion %q: use bag or array", value.text)
		}
	}
	for {
		one := expanded{named: p.named(), typ: Dynamic}
		if p.accept("to") {
			p.expect("typeof", "after to")
			p.expect("(", "after typeof")
			one.typ = p.typeName()
			p.expect(")", "after the type")
		}
		if o.list = append(o.list, one); !p.accept(",") {
			break
		}
	}
	if p.accept("limit") {
		o.limit = p.expression()
	}
	return o
}

// series reads aggregates [default=V] on AXIS [from A] [to B] step S [by …] of
// make-series.
func (p *parser) series(at span) operator {
	o := &seriesOp{span: at}
	p.hints("kind")
	for {
		one := seriesAggregate{named: p.named()}
		if p.accept("default") {
			p.expect("=", "after default")
			one.missing = p.unary()
		}
		if o.aggregates = append(o.aggregates, one); !p.accept(",") {
			break
		}
	}
	p.expect("on", "after the aggregates of make-series")
	o.axis = p.named()
	if e := o.axis.expr; e.kind == exprIn {
		p.fail(e.span, "write from START to END step SIZE instead of in range(…)")
	}
	if p.accept("from") {
		o.from = p.expression()
	}
	if p.accept("to") {
		o.to = p.expression()
	}
	p.expect("step", "after the axis of make-series")
	o.step = p.expression()
	if p.accept("by") {
		o.by = p.list()
	}
	return o
}

// parsed reads [kind=…] [flags=…] TEXT with pattern of parse.
func (p *parser) parsed(t token) operator {
	o := &parseOp{kind: "simple", where: t.text == "parse-where", span: t.span}
	for p.peekAfter().is("=") && (p.peek().is("kind") || p.peek().is("flags")) {
		option := p.next()
		p.next()
		value := p.name("a kind")
		if option.text == "kind" {
			o.kind = value.text
		}
		if option.text == "flags" || !strings.Contains(" simple relaxed regex ", " "+value.text+" ") {
			p.fail(value.span, "parse needs kind=simple, kind=relaxed or kind=regex, without flags")
		}
	}
	o.of = p.expression()
	p.expect("with", "after the text")
	for {
		t := p.peek()
		switch {
		case t.is("*"):
			p.next()
			o.parts = append(o.parts, parsePart{span: t.span})
		case t.kind == tokenString:
			p.next()
			o.parts = append(o.parts, parsePart{text: t.text, span: t.span})
		case t.kind == tokenName || t.is("["):
			name := p.name("a column")
			part := parsePart{column: name.text, typ: String, span: name.span}
			if p.accept(":") {
				part.typ = p.typeName()
			}
			o.parts = append(o.parts, part)
		case len(o.parts) == 0:
			p.fail(t.span, "expected a pattern, such as * \"id=\" id:long \";\" *, got %s", t.describe())
		default:
			return o
		}
	}
}

// hitters reads N of COLUMN [by VALUE] of top-hitters.
func (p *parser) hitters(at span) operator {
	o := &hittersOp{n: p.expression(), span: at}
	p.expect("of", "after the number")
	of := p.named()
	o.of = &of
	if p.accept("by") {
		by := p.named()
		o.by = &by
	}
	return o
}

// evaluate reads pivot(…) or bag_unpack(…).
func (p *parser) evaluate(at span) operator {
	p.hints()
	t := p.peek()
	if t.kind != tokenName || !p.peekAfter().is("(") {
		p.fail(t.span, "expected pivot(…) or bag_unpack(…) after evaluate, got %s", t.describe())
	}
	call := p.call()
	switch args := call.args; {
	case t.text == "pivot" && len(args) > 0:
		o := &pivotOp{on: args[0], span: at}
		if len(args) > 1 {
			o.aggregate, o.by = args[1], args[2:]
		}
		return o
	case t.text == "bag_unpack" && len(args) > 0:
		o := &unpackOp{bag: args[0], span: at}
		if len(args) > 1 {
			if args[1].kind != exprLiteral || args[1].value.typ != String {
				p.fail(args[1].span, "the prefix of the columns must be a literal string")
			}
			o.prefix = args[1].value.text
		}
		if len(args) > 2 {
			p.fail(args[2].span, "bag_unpack takes a bag and a prefix here")
		}
		return o
	}
	p.fail(t.span, "evaluate supports pivot(COLUMN, AGGREGATE, …) and bag_unpack(BAG, PREFIX) here, not %s", t.text)
	return nil
}
