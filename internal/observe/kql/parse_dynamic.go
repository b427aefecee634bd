package kql

import (
	"encoding/json"
	"strconv"
	"strings"
)

// dynamic reads dynamic(…): JSON, whose strings may have single quotes and
// whose values may be literals of the language.
func (p *parser) dynamic() *expr {
	start := p.next()
	p.next()
	l := p.dynamicValue()
	p.expect(")", "after the dynamic value")
	l.typ = Dynamic
	return &expr{kind: exprLiteral, value: l, span: p.since(start.start)}
}

// dynamicValue reads one value; its text is JSON.
func (p *parser) dynamicValue() literal {
	t := p.peek()
	p.enter(t.span)
	defer p.leave()
	switch {
	case t.is("["):
		p.next()
		l := literal{typ: Dynamic, array: true}
		for !p.accept("]") {
			l.items = append(l.items, p.dynamicValue())
			if !p.peek().is("]") {
				p.expect(",", "between the elements of the array")
			}
		}
		return l.withText("[", "]", nil)
	case t.is("{"):
		p.next()
		l := literal{typ: Dynamic}
		var names []string
		for !p.accept("}") {
			name := p.next()
			if name.kind != tokenString {
				p.fail(name.span, "expected the name of a member in quotes, got %s", name.describe())
			}
			p.expect(":", "after the name of the member")
			names, l.items = append(names, name.text), append(l.items, p.dynamicValue())
			if !p.peek().is("}") {
				p.expect(",", "between the members")
			}
		}
		return l.withText("{", "}", names)
	case t.is("null"):
		p.next()
		return literal{typ: Dynamic, text: "null", null: true}
	}
	e := p.unary()
	if e.kind == exprUnary && e.args[0].kind == exprLiteral && e.args[0].value.typ.numeric() {
		e.args[0].value.text = "-" + e.args[0].value.text
		e = e.args[0]
	}
	if e.kind != exprLiteral {
		p.fail(e.span, "dynamic(…) holds literals only: use pack_array(…) or bag_pack(…) for other values")
	}
	l := e.value
	l.json = l.asJSON()
	return l
}

// withText writes the JSON of an array or a bag.
func (l literal) withText(open, closing string, names []string) literal {
	all := make([]string, len(l.items))
	for i, item := range l.items {
		all[i] = item.json
		if item.typ == Dynamic {
			all[i] = item.text
		}
		if names != nil {
			all[i] = quoteJSON(names[i]) + ":" + all[i]
		}
	}
	l.text = open + strings.Join(all, ",") + closing
	l.json = l.text
	return l
}

// asJSON is a literal in JSON.
func (l literal) asJSON() string {
	switch {
	case l.null:
		return "null"
	case l.typ == Dynamic:
		return l.text
	case l.typ == String:
		return quoteJSON(l.text)
	case l.typ == Datetime:
		return quoteJSON(datetimeText(l.micros))
	case l.typ == Timespan:
		return quoteJSON(microsText(l.micros))
	case l.typ == Real:
		f, err := strconv.ParseFloat(l.text, 64)
		text, wrong := json.Marshal(f)
		if err != nil || wrong != nil { // infinite, or none
			return "null"
		}
		return string(text)
	}
	return l.text
}

func quoteJSON(s string) string {
	text, _ := json.Marshal(s) // a string has no error
	return string(text)
}

// typed reads the value of long(5), real(nan) or bool(true).
func (p *parser) typed(name token, typ Type) *expr {
	if t := p.peek(); typ == Real {
		sign := ""
		if (t.is("-") || t.is("+")) && p.peekAfter().is("inf") {
			sign = strings.TrimPrefix(p.next().text, "+")
		}
		if t := p.peek(); t.is("nan") || t.is("inf") {
			p.next()
			p.expect(")", "after the value")
			text := map[string]string{"nan": "'NaN'", "inf": "'" + sign + "Infinity'"}[t.text]
			return p.literal(name, literal{typ: Real, text: "CAST(" + text + " AS DOUBLE)"})
		}
	}
	value := p.expression()
	p.expect(")", "after the value")
	switch {
	case value.kind == exprLiteral && value.value.typ == typ:
		return value
	case typ == Real || typ == Long || typ == Bool:
		return &expr{kind: exprCall, text: map[Type]string{Real: "todouble", Long: "tolong", Bool: "tobool"}[typ], args: []*expr{value}, span: name.span}
	}
	return value
}
