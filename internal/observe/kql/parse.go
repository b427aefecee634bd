package kql

import (
	"fmt"
	"strings"
)

// maxDepth bounds how deeply a query nests.
const maxDepth = 100

// operatorNames are those that a pipe may lead to.
var operatorNames = []string{
	"where", "filter", "project", "project-away", "project-keep", "project-rename", "project-reorder", "extend", "summarize", "top",
	"order", "sort", "take", "limit", "distinct", "count", "join", "lookup", "union", "mv-expand", "make-series", "serialize",
	"parse", "parse-where", "sample", "sample-distinct", "top-hitters", "getschema", "search", "evaluate", "as", "invoke", "render",
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
		if !p.skipped() {
			all = append(all, p.statement())
		}
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
	if f := p.function(); f != nil {
		s.function = f
		return s
	}
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
	if t := p.peek(); t.is("union") || t.is("print") || t.is("search") || t.is("range") && p.peekAfter().kind == tokenName ||
		(t.is("materialize") || t.is("datatable")) && p.peekAfter().is("(") {
		return true
	}
	within := p.peek().is("(")
	depth := 0
	for _, t := range p.tokens[p.at:] {
		switch {
		case t.is("(") || t.is("[") || t.is("{"):
			depth++
		case t.is(")") || t.is("]") || t.is("}"):
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
	if t.kind == tokenName && t.text == "$table" { // what search calls its first column
		return t
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
	case p.begins(q):
	case start.kind == tokenName && p.peekAfter().is("("):
		q.call = p.call()
	default:
		q.source = p.name("a table").text
	}
	q.span = p.since(start.start)
	p.operators(q)
	return q
}

// begins reads the operators that begin a pipeline.
func (p *parser) begins(q *pipeline) bool {
	start, after := p.peek(), p.peekAfter()
	var op operator
	switch {
	case start.is("union") && !after.is("|"):
		p.next()
		op = p.union(start.span)
	case start.is("print"):
		p.next()
		op = &printOp{p.list()}
	case start.is("range") && after.kind == tokenName:
		p.next()
		op = p.rangeOf(start.span)
	case start.is("datatable") && after.is("("):
		p.next()
		op = p.datatable(start.span)
	case start.is("search") && !after.is("|"):
		p.next()
		op = p.search(start.span)
	case start.is(".") && after.is("show"):
		p.next()
		p.next()
		p.expect("tables", "after .show; no other command is supported")
		op = &tablesOp{}
	default:
		return false
	}
	q.operators = append(q.operators, op)
	return true
}

func (p *parser) operators(q *pipeline) {
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
}

// skipped reads set NAME [= VALUE], an option of the service that has no
// meaning here.
func (p *parser) skipped() bool {
	if !p.peek().is("set") || p.peekAfter().kind != tokenName {
		return false
	}
	for p.peek().kind != tokenEnd && !p.peek().is(";") {
		p.next()
	}
	return true
}
