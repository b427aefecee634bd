package kql

import (
	"maps"
	"slices"
	"strings"
)

// operatorName reads an operator's name; those of two words have a hyphen.
func (p *parser) operatorName() token {
	t := p.next()
	if t.kind != tokenName {
		p.fail(t.span, "expected an operator after |, got %s", t.describe())
	}
	for p.peek().is("-") && p.peek().start == t.end && p.peekAfter().kind == tokenName && p.peekAfter().start == p.peek().end {
		p.next()
		last := p.next()
		t.text += "-" + last.text
		t.end = last.end
	}
	return t
}

func (p *parser) operator() operator {
	t := p.operatorName()
	switch t.text {
	case "where", "filter":
		p.hints()
		return &whereOp{p.expression()}
	case "project":
		return &projectOp{p.list()}
	case "project-away", "project-keep":
		return &dropOp{t.text == "project-keep", p.patterns()}
	case "project-rename":
		return &renameOp{p.list()}
	case "extend":
		return &extendOp{p.list()}
	case "summarize":
		return p.summarize(t.span)
	case "top":
		n := p.expression()
		p.expect("by", "after top N")
		return &sortOp{[]sortKey{p.sortKey()}, n}
	case "order", "sort":
		p.hints()
		p.expect("by", "after "+t.text)
		return &sortOp{p.sortKeys(), nil}
	case "take", "limit":
		return &takeOp{p.expression()}
	case "distinct":
		p.hints()
		if p.accept("*") {
			return &distinctOp{span: t.span}
		}
		return &distinctOp{p.list(), t.span}
	case "count":
		name := "Count"
		if p.accept("as") {
			name = p.name("a column").text
		}
		return &countOp{name}
	case "join", "lookup":
		return p.join(t)
	case "union":
		return p.union(t.span)
	}
	return p.rarer(t)
}

// rarer reads the operators that queries have less often.
func (p *parser) rarer(t token) operator {
	switch t.text {
	case "project-reorder":
		return &reorderOp{p.patterns()}
	case "mv-expand", "mvexpand":
		return p.expand(t.span)
	case "make-series":
		return p.series(t.span)
	case "serialize":
		if next := p.peek(); next.is("|") || next.is(")") || next.is(";") || next.is("}") || next.kind == tokenEnd {
			return &serializeOp{}
		}
		return &serializeOp{p.list()}
	case "parse", "parse-where":
		return p.parsed(t)
	case "sample":
		return &sampleOp{p.expression()}
	case "sample-distinct":
		n := p.expression()
		p.expect("of", "after the number")
		return &distinctNOp{n, p.named()}
	case "top-hitters":
		return p.hitters(t.span)
	case "getschema":
		return &schemaOp{}
	case "search":
		return p.search(t.span)
	case "evaluate":
		return p.evaluate(t.span)
	case "as":
		p.hints()
		return &asOp{p.name("a name")}
	case "invoke":
		return &invokeOp{p.call()}
	}
	hint := suggest(t.text, operatorNames)
	if hint == "" {
		hint = "; there are " + strings.Join(operatorNames, ", ")
	}
	p.fail(t.span, "unknown operator %q%s", t.text, hint)
	return nil
}

func (p *parser) sortKeys() []sortKey {
	keys := []sortKey{p.sortKey()}
	for p.accept(",") {
		keys = append(keys, p.sortKey())
	}
	return keys
}

// list reads expressions with or without names.
func (p *parser) list() []named {
	var all []named
	for {
		all = append(all, p.named())
		if len(all) > maxColumns {
			p.fail(all[maxColumns].span, "there are more than %d columns", maxColumns)
		}
		if !p.accept(",") {
			return all
		}
	}
}

func (p *parser) named() named {
	start := p.peek()
	n := named{}
	n.more = p.names()
	if len(n.more) > 0 {
		n.name, n.more = n.more[0], n.more[1:]
	} else if bracketed := start.is("[") && p.tokens[min(p.at+3, len(p.tokens)-1)].is("="); bracketed || start.kind == tokenName && p.peekAfter().is("=") {
		n.name = p.name("a column").text
		p.next()
	}
	n.expr = p.expression()
	n.span = p.since(start.start)
	return n
}

// names reads (A, B) = of an aggregate with several columns; none when
// something else stands here.
func (p *parser) names() []string {
	if !p.peek().is("(") {
		return nil
	}
	end := p.at + 1
	for p.tokens[end].kind == tokenName || p.tokens[end].kind == tokenString || p.tokens[end].is(",") || p.tokens[end].is("[") || p.tokens[end].is("]") {
		end++
	}
	if !p.tokens[end].is(")") || !p.tokens[min(end+1, len(p.tokens)-1)].is("=") {
		return nil
	}
	p.next()
	all := []string{p.name("a column").text}
	for p.accept(",") {
		all = append(all, p.name("a column").text)
	}
	p.expect(")", "after the names")
	p.next()
	return all
}

func (p *parser) patterns() []pattern {
	var all []pattern
	for {
		if t := p.peek(); t.is("*") {
			p.next()
			all = append(all, pattern{star: true, span: t.span})
			if !p.accept(",") {
				return all
			}
			continue
		}
		t := p.name("a column")
		one := pattern{text: t.text, span: t.span}
		if s := p.peek(); s.is("*") && s.start == t.end {
			p.next()
			one.star, one.end = true, s.end
		}
		if !p.accept("asc") { // of project-reorder
			p.accept("desc")
		}
		all = append(all, one)
		if !p.accept(",") {
			return all
		}
	}
}

func (p *parser) summarize(at span) operator {
	s := &summarizeOp{span: at}
	p.hints()
	if !p.peek().is("by") {
		s.aggregates = p.list()
	}
	if p.accept("by") {
		p.hints()
		s.by = p.list()
	}
	return s
}

func (p *parser) sortKey() sortKey {
	k := sortKey{expr: p.expression()}
	switch {
	case p.accept("asc"):
		k.ascending = true
	case p.accept("desc"):
	}
	if p.accept("nulls") {
		k.isNulls = true
		k.nullsFirst = p.accept("first")
		if !k.nullsFirst {
			p.expect("last", "after nulls")
		}
	}
	return k
}

// joinKinds are the kinds of join, and what SQL calls them. A semi or anti join
// has the columns of one side.
var joinKinds = map[string]string{
	"inner": "INNER", "innerunique": "INNER", "leftouter": "LEFT", "rightouter": "RIGHT", "fullouter": "FULL",
	"leftsemi": "SEMI", "rightsemi": "SEMI", "leftanti": "ANTI", "anti": "ANTI", "leftantisemi": "ANTI", "rightanti": "ANTI", "rightantisemi": "ANTI",
}

func (p *parser) join(t token) operator {
	j := &joinOp{kind: "innerunique", lookup: t.text == "lookup", span: t.span}
	if j.lookup {
		j.kind = "leftouter"
	}
	p.hints("isfuzzy")
	if p.accept("kind") {
		p.expect("=", "after kind")
		kind := p.name("a kind of join")
		names := slices.Sorted(maps.Keys(joinKinds))
		if j.lookup {
			names = []string{"inner", "leftouter"}
		}
		if !slices.Contains(names, kind.text) {
			p.fail(kind.span, "unknown %s kind %q; there are %s", t.text, kind.text, strings.Join(names, ", "))
		}
		j.kind = kind.text
	}
	p.hints("isfuzzy")
	j.right = p.operand("the right side of the " + t.text)
	p.expect("on", "after the right side of the "+t.text)
	for {
		j.on = append(j.on, p.joinKey())
		if !p.accept(",") && !p.accept("and") {
			return j
		}
	}
}

// operand reads a table, the call of a function, or a query in parentheses.
func (p *parser) operand(what string) *pipeline {
	if p.accept("(") {
		q := p.pipeline()
		p.expect(")", "after "+what)
		return q
	}
	if t := p.peek(); t.kind == tokenName && p.peekAfter().is("(") {
		return &pipeline{call: p.call(), span: t.span}
	}
	t := p.name("a table or a query in parentheses")
	return &pipeline{source: t.text, span: t.span}
}

// joinKey reads a column of both sides, or $left.A == $right.B.
func (p *parser) joinKey() joinKey {
	start := p.peek()
	if !strings.HasPrefix(start.text, "$") {
		t := p.name("a column")
		return joinKey{t.text, t.text, t.span}
	}
	var sides [2]string
	for i, side := range [...]string{"$left", "$right"} {
		if i > 0 {
			p.expect("==", "between $left and $right")
		}
		p.expect(side, "in a join's condition")
		p.expect(".", "after "+side)
		sides[i] = p.name("a column").text
	}
	return joinKey{sides[0], sides[1], p.since(start.start)}
}

func (p *parser) union(at span) operator {
	u := &unionOp{span: at}
	for p.hints(); p.peekAfter().is("="); p.hints() {
		switch option := p.next(); option.text {
		case "kind":
			p.next()
			kind := p.name("inner or outer")
			if kind.text != "inner" && kind.text != "outer" {
				p.fail(kind.span, "unknown union kind %q: use outer or inner", kind.text)
			}
			u.inner = kind.text == "inner"
		case "withsource":
			p.next()
			u.source = p.name("a column").text
		case "isfuzzy":
			p.next()
			u.fuzzy = p.next().is("true")
		default:
			p.fail(option.span, "unknown union option %q: use kind, withsource or isfuzzy", option.text)
		}
	}
	for {
		u.with = append(u.with, p.operand("a query of the union"))
		if s := p.peek(); s.is("*") && s.start == p.tokens[p.at-1].end {
			p.fail(s.span, "name the tables of the union one by one")
		}
		if !p.accept(",") {
			return u
		}
	}
}
