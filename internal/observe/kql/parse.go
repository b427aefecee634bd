package kql

import (
	"fmt"
	"slices"
	"strings"
)

// maxDepth bounds how deeply a query nests.
const maxDepth = 100

// operatorNames are those that a pipe may lead to.
var operatorNames = []string{
	"where", "filter", "project", "project-away", "project-keep", "project-rename", "extend", "summarize", "top",
	"order", "sort", "take", "limit", "distinct", "count", "join", "union", "render",
}

type parser struct {
	src    string
	tokens []token
	at     int
	depth  int
	render Render
	drawn  span // of ycolumns
}

// parse reads a query; it panics with an *Error.
func parse(src string) ([]statement, *parser) {
	p := &parser{src: src, tokens: lex(src)}
	var all []statement
	for {
		for p.accept(";") {
		}
		if p.peek().kind == tokenEnd {
			break
		}
		all = append(all, p.statement())
		if p.peek().kind != tokenEnd && !p.peek().is(";") {
			p.fail(p.peek().span, "unexpected %s%s", p.peek().describe(), p.instead())
		}
	}
	if len(all) == 0 || all[len(all)-1].name != "" {
		p.fail(p.peek().span, "the query is empty: start with a table, such as requests | take 10")
	}
	for _, s := range all[:len(all)-1] {
		if s.name == "" {
			p.fail(s.span, "only the last statement may be a query; those before it must be let NAME = …")
		}
	}
	return all, p
}

// instead says what to write for what other languages say.
func (p *parser) instead() string {
	switch strings.ToLower(p.peek().text) {
	case "=":
		return "; did you mean ==?"
	case "==":
		return "; in a join, write on $left.A == $right.B"
	case "like", "ilike":
		return "; did you mean contains, startswith or matches regex?"
	case "is":
		return "; did you mean isnull(…) or isempty(…)?"
	case "*":
		if strings.EqualFold(p.tokens[0].text, "select") {
			return "; a query starts with a table, as in requests | where status == 429 | project id"
		}
	}
	return "; operators follow a |, statements a ;"
}

func (p *parser) fail(at span, format string, args ...any) {
	panic(newError(p.src, at, fmt.Sprintf(format, args...)))
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) peekAfter() token { return p.tokens[min(p.at+1, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

func (p *parser) accept(text string) bool {
	if p.peek().is(text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(text, where string) {
	if !p.peek().is(text) {
		p.fail(p.peek().span, "expected %q %s, got %s", text, where, p.peek().describe())
	}
	p.next()
}

func (p *parser) enter(at span) {
	if p.depth++; p.depth > maxDepth {
		p.fail(at, "the query nests more than %d deep", maxDepth)
	}
}

func (p *parser) leave() { p.depth-- }

// since is the span from a start to the last token read.
func (p *parser) since(start int) span {
	end := start
	if p.at > 0 {
		end = max(start, p.tokens[p.at-1].end)
	}
	return span{start, end}
}

func (p *parser) statement() statement {
	start := p.peek().start
	if !p.peek().is("let") {
		return statement{query: p.pipeline(), span: p.since(start)}
	}
	p.next()
	name := p.name("a name for let")
	s := statement{name: name.text, span: name.span}
	p.expect("=", "after the name")
	if p.tabular() {
		s.query = p.pipeline()
	} else {
		s.value = p.expression()
	}
	return s
}

// tabular reports whether a pipeline begins here rather than an expression:
// a pipe comes before the end of what begins, or in its parentheses.
func (p *parser) tabular() bool {
	if p.peek().is("union") || p.peek().is("print") || p.peek().is("materialize") && p.peekAfter().is("(") {
		return true
	}
	within := p.peek().is("(")
	depth := 0
	for _, t := range p.tokens[p.at:] {
		switch {
		case t.is("(") || t.is("["):
			depth++
		case t.is(")") || t.is("]"):
			if depth--; depth == 0 {
				within = false
			}
			if depth < 0 {
				return false
			}
		case t.is("|") && (depth == 0 || depth == 1 && within):
			return true
		case t.is(";") && depth == 0:
			return false
		}
	}
	return false
}

func (p *parser) name(what string) token {
	t := p.next()
	if t.kind == tokenPunctuation && t.text == "[" && p.peek().kind == tokenString && p.peekAfter().is("]") {
		s := p.next()
		end := p.next().end
		return token{kind: tokenName, text: s.text, span: span{t.start, end}}
	}
	if t.kind != tokenName || strings.HasPrefix(t.text, "$") {
		p.fail(t.span, "expected %s, got %s", what, t.describe())
	}
	return t
}

func (p *parser) pipeline() *pipeline {
	start := p.peek()
	p.enter(start.span)
	defer p.leave()
	q := &pipeline{}
	switch {
	case start.is("materialize") && p.peekAfter().is("("): // which every let is here as it is needed
		p.next()
		p.next()
		q.inner = p.pipeline()
		p.expect(")", "after the query")
	case p.accept("("):
		q.inner = p.pipeline()
		p.expect(")", "after the query in parentheses")
	case start.is("union") && !p.peekAfter().is("|"):
		p.next()
		q.operators = append(q.operators, p.union(start.span))
	case start.is("print"):
		p.next()
		q.operators = append(q.operators, &printOp{p.list()})
	default:
		q.source = p.name("a table").text
	}
	q.span = p.since(start.start)
	for p.accept("|") {
		if p.peek().is("render") {
			p.next()
			p.readRender()
			if p.peek().kind != tokenEnd && !p.peek().is(";") {
				p.fail(p.peek().span, "render must be the last operator of a query")
			}
			break
		}
		q.operators = append(q.operators, p.operator())
	}
	return q
}

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
		p.expect("by", "after "+t.text)
		keys := []sortKey{p.sortKey()}
		for p.accept(",") {
			keys = append(keys, p.sortKey())
		}
		return &sortOp{keys, nil}
	case "take", "limit":
		return &takeOp{p.expression()}
	case "distinct":
		if p.accept("*") {
			return &distinctOp{span: t.span}
		}
		return &distinctOp{p.list(), t.span}
	case "count":
		return &countOp{}
	case "join":
		return p.join(t.span)
	case "union":
		return p.union(t.span)
	}
	hint := suggest(t.text, operatorNames)
	if hint == "" {
		hint = "; there are " + strings.Join(operatorNames, ", ")
	}
	p.fail(t.span, "unknown operator %q%s", t.text, hint)
	return nil
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
		t := p.name("a column")
		one := pattern{text: t.text, span: t.span}
		if s := p.peek(); s.is("*") && s.start == t.end {
			p.next()
			one.star, one.end = true, s.end
		}
		all = append(all, one)
		if !p.accept(",") {
			return all
		}
	}
}

func (p *parser) summarize(at span) operator {
	s := &summarizeOp{span: at}
	if !p.peek().is("by") {
		s.aggregates = p.list()
	}
	if p.accept("by") {
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

func (p *parser) join(at span) operator {
	j := &joinOp{span: at}
	if !p.accept("kind") {
		p.fail(at, "join needs kind=inner or kind=leftouter")
	}
	p.expect("=", "after kind")
	switch kind := p.name("inner or leftouter"); kind.text {
	case "inner":
	case "leftouter":
		j.outer = true
	default:
		p.fail(kind.span, "unknown join kind %q: use inner or leftouter", kind.text)
	}
	if p.accept("(") {
		j.right = p.pipeline()
		p.expect(")", "after the right side of the join")
	} else {
		t := p.name("a table or a query in parentheses")
		j.right = &pipeline{source: t.text, span: t.span}
	}
	p.expect("on", "after the right side of the join")
	for {
		j.on = append(j.on, p.joinKey())
		if !p.accept(",") && !p.accept("and") {
			return j
		}
	}
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
	for p.peekAfter().is("=") {
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
		default:
			p.fail(option.span, "unknown union option %q: use kind or withsource", option.text)
		}
	}
	for {
		if p.accept("(") {
			u.with = append(u.with, p.pipeline())
			p.expect(")", "after a query of the union")
		} else {
			t := p.name("a table or a query in parentheses")
			u.with = append(u.with, &pipeline{source: t.text, span: t.span})
		}
		if !p.accept(",") {
			return u
		}
	}
}

// readRender reads what follows render.
func (p *parser) readRender() {
	kinds := []string{"timechart", "columnchart", "barchart", "table"}
	kind := p.name("a chart")
	if !slices.Contains(kinds, kind.text) {
		p.fail(kind.span, "unknown chart %q%s", kind.text, "; there are "+strings.Join(kinds, ", "))
	}
	p.render.Kind = kind.text
	if !p.accept("with") {
		return
	}
	p.expect("(", "after with")
	for !p.accept(")") {
		option := p.name("an option of the chart")
		p.expect("=", "after the option")
		value := p.next()
		if value.kind != tokenName && value.kind != tokenString {
			p.fail(value.span, "expected a name or a string, got %s", value.describe())
		}
		switch option.text {
		case "ycolumns":
			p.render.YColumns = append(p.render.YColumns, value.text)
			for p.peek().is(",") && p.peekAfter().kind == tokenName && !p.tokens[min(p.at+2, len(p.tokens)-1)].is("=") {
				p.next()
				p.render.YColumns = append(p.render.YColumns, p.next().text)
			}
			p.drawn = option.span
		case "title":
			p.render.Title = value.text
		case "xtitle":
			p.render.XTitle = value.text
		case "ytitle":
			p.render.YTitle = value.text
		case "kind", "legend": // of no consequence here
		default:
			p.fail(option.span, "unknown render option %q: use title, xtitle, ytitle, ycolumns, kind or legend", option.text)
		}
		if !p.peek().is(")") {
			p.expect(",", "between options")
		}
	}
}
