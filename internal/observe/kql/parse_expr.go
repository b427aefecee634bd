package kql

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// binaryLevels are the binary operators, from the loosest to the tightest.
var binaryLevels = [...][]string{
	{"or"},
	{"and"},
	{
		"==", "!=", "<>", "=~", "!~", "<", "<=", ">", ">=", "matches",
		"has", "!has", "has_cs", "!has_cs", "hasprefix", "!hasprefix", "hasprefix_cs", "!hasprefix_cs", "hassuffix", "!hassuffix", "hassuffix_cs", "!hassuffix_cs",
		"contains", "!contains", "contains_cs", "!contains_cs",
		"startswith", "!startswith", "startswith_cs", "!startswith_cs", "endswith", "!endswith", "endswith_cs", "!endswith_cs",
		"in", "!in", "in~", "!in~", "has_any", "has_all", "between", "!between", ":",
	},
	{"+", "-"},
	{"*", "/", "%"},
}

const comparisonLevel = 2

// units of timespans, in microseconds.
var units = map[string]float64{
	"d": 864e8, "day": 864e8, "days": 864e8, "h": 36e8, "hr": 36e8, "hour": 36e8, "hours": 36e8,
	"m": 6e7, "min": 6e7, "minute": 6e7, "minutes": 6e7, "s": 1e6, "sec": 1e6, "second": 1e6, "seconds": 1e6,
	"ms": 1e3, "milli": 1e3, "millis": 1e3, "millisecond": 1e3, "milliseconds": 1e3,
	"micro": 1, "micros": 1, "microsecond": 1, "microseconds": 1,
}

func (p *parser) expression() *expr { return p.binary(0) }

// binary reads operators of a level and of tighter ones.
func (p *parser) binary(level int) *expr {
	if level == len(binaryLevels) {
		return p.unary()
	}
	left := p.binary(level + 1)
	for n := 0; ; n++ {
		op := p.peek()
		if !isOperator(op, level) {
			return left
		}
		if n > maxDepth {
			p.fail(op.span, "more than %d operators in a row: use in (…) or parentheses", maxDepth)
		}
		p.next()
		switch strings.Trim(op.text, "!~") {
		case "in", "has_any", "has_all":
			left = p.membership(left, op)
		case "between":
			left = p.between(left, op)
		default:
			if op.text == "matches" {
				p.expect("regex", "after matches")
			}
			left = &expr{kind: exprBinary, text: op.text, args: []*expr{left, p.binary(level + 1)}, span: op.span}
		}
		if level == comparisonLevel && isOperator(p.peek(), level) {
			p.fail(p.peek().span, "comparisons cannot be chained: combine them with and, or use parentheses")
		}
	}
}

func isOperator(t token, level int) bool {
	return slices.ContainsFunc(binaryLevels[level], t.is)
}

// membership reads the list or query behind in.
func (p *parser) membership(left *expr, op token) *expr {
	e := &expr{kind: exprIn, text: op.text, args: []*expr{left}, span: op.span}
	if !p.peek().is("(") && p.peek().kind == tokenName { // a let, or dynamic(…)
		e.args = append(e.args, p.postfix())
		return e
	}
	p.expect("(", "after "+op.text)
	if p.tabular() {
		e.query = p.pipeline()
		p.expect(")", "after the query")
		return e
	}
	for {
		e.args = append(e.args, p.expression())
		if p.accept(")") {
			return e
		}
		p.expect(",", "between the values")
	}
}

func (p *parser) between(left *expr, op token) *expr {
	p.expect("(", "after "+op.text)
	low := p.expression()
	p.expect("..", "between the bounds")
	high := p.expression()
	p.expect(")", "after the bounds")
	return &expr{kind: exprBetween, text: op.text, args: []*expr{left, low, high}, span: op.span}
}

func (p *parser) unary() *expr {
	t := p.peek()
	if !t.is("-") && !t.is("+") {
		return p.postfix()
	}
	p.next()
	p.enter(t.span)
	defer p.leave()
	operand := p.unary()
	if t.text == "+" {
		return operand
	}
	return &expr{kind: exprUnary, text: "-", args: []*expr{operand}, span: p.since(t.start)}
}

func (p *parser) postfix() *expr {
	e := p.primary()
	for n := 0; ; n++ {
		if n > maxDepth {
			p.fail(p.peek().span, "there are more than %d members in a row", maxDepth)
		}
		switch {
		case p.accept("."):
			if p.peek().is("[") { // d.["name"]
				continue
			}
			name := p.name("the name of a member")
			e = &expr{kind: exprMember, text: name.text, args: []*expr{e}, span: p.since(e.start)}
		case p.peek().is("[") && p.peek().start == p.tokens[p.at-1].end:
			p.next()
			index := p.expression()
			p.expect("]", "after the index")
			e = &expr{kind: exprIndex, args: []*expr{e, index}, span: p.since(e.start)}
		default:
			return e
		}
	}
}

func (p *parser) primary() *expr {
	t := p.peek()
	p.enter(t.span)
	defer p.leave()
	switch {
	case t.is("dynamic") && p.peekAfter().is("("):
		return p.dynamic()
	case t.kind == tokenName && p.peekAfter().is("("):
		return p.call()
	case t.kind == tokenName && (t.text == "true" || t.text == "false"):
		p.next()
		return p.literal(t, literal{typ: Bool, text: t.text})
	case t.is("["), t.kind == tokenName:
		t = p.name("a column")
		return &expr{kind: exprName, text: t.text, span: t.span}
	case t.kind == tokenString, t.kind == tokenGUIDText:
		p.next()
		return p.literal(t, literal{typ: String, text: t.text})
	case t.kind == tokenNumber:
		return p.number(p.next())
	case t.kind == tokenTimespan, t.kind == tokenTimespanText:
		p.next()
		if t.text == "null" {
			return p.literal(t, literal{typ: Timespan, null: true})
		}
		return p.literal(t, timespanLiteral(p.micros(t)))
	case t.kind == tokenDatetimeText:
		return p.datetime(p.next())
	case t.is("("):
		p.next()
		e := p.expression()
		p.expect(")", "after the expression")
		return e
	case t.is("*"):
		p.next()
		return &expr{kind: exprStar, span: t.span}
	case t.is("{"):
		p.fail(t.span, "a function begins with its parameters: let f = (x: long) { … }")
	}
	p.fail(t.span, "expected an expression, got %s", t.describe())
	return nil
}

func (p *parser) literal(t token, v literal) *expr {
	return &expr{kind: exprLiteral, value: v, span: t.span}
}

// nullTypes are the types that NAME(null) makes a null of.
var nullTypes = map[string]Type{"bool": Bool, "int": Long, "long": Long, "real": Real, "double": Real, "decimal": Real, "boolean": Bool}

func (p *parser) call() *expr {
	name := p.next()
	p.next()
	if name.text == "toscalar" {
		e := &expr{kind: exprToScalar, query: p.pipeline(), span: name.span}
		p.expect(")", "after the query")
		return e
	}
	if typ, ok := nullTypes[name.text]; ok && p.peek().is("null") && p.peekAfter().is(")") {
		p.at += 2
		return p.literal(name, literal{typ: typ, null: true})
	}
	if typ, ok := nullTypes[name.text]; ok { // long(5), real(nan), bool(true)
		return p.typed(name, typ)
	}
	e := &expr{kind: exprCall, text: name.text, span: name.span}
	for !p.accept(")") {
		e.args = append(e.args, p.argument())
		if !p.peek().is(")") {
			p.expect(",", "between arguments")
		}
	}
	return e
}

func (p *parser) number(t token) *expr {
	if strings.HasPrefix(t.text, "0x") || strings.HasPrefix(t.text, "0X") {
		n, err := strconv.ParseInt(t.text[2:], 16, 64)
		if err != nil {
			p.fail(t.span, "%q is not a hexadecimal number of 64 bits", t.text)
		}
		return p.literal(t, literal{typ: Long, text: strconv.FormatInt(n, 10)})
	}
	if !strings.ContainsAny(t.text, ".eE") {
		if _, err := strconv.ParseInt(t.text, 10, 64); err != nil {
			p.fail(t.span, "the number does not fit 64 bits")
		}
		return p.literal(t, literal{typ: Long, text: strings.TrimLeft(t.text[:len(t.text)-1], "0") + t.text[len(t.text)-1:]})
	}
	f, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		p.fail(t.span, "the number is too large")
	}
	return p.literal(t, literal{typ: Real, text: strconv.FormatFloat(f, 'e', -1, 64)})
}

func timespanLiteral(micros int64) literal {
	return literal{typ: Timespan, text: strconv.FormatInt(micros, 10), micros: micros}
}

// micros reads 90s, 1.5h, or what stands in timespan(…): also 1.02:03:04.5.
func (p *parser) micros(t token) int64 {
	text := t.text
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	unit, ok := units[text[len(number):]]
	value, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil {
		var valid bool
		if value, valid = clock(text); !valid {
			p.fail(t.span, "%q is not a timespan, such as 5m, 1.5h or timespan(1.02:03:04)", text)
		}
		unit = 1e6
	}
	micros := math.Round(value * unit)
	if math.Abs(micros) > 9e15 {
		p.fail(t.span, "the timespan is too long")
	}
	return int64(micros)
}

// clock reads [d.]hh:mm[:ss[.f]] as seconds.
func clock(text string) (seconds float64, ok bool) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, false
	}
	weight := 3600.0
	for i, part := range parts {
		if days, hours, found := strings.Cut(part, "."); found && i == 0 {
			n, err := strconv.ParseUint(days, 10, 16)
			if err != nil {
				return 0, false
			}
			seconds, part = float64(n)*86400, hours
		}
		v, err := strconv.ParseFloat(part, 64)
		if err != nil || v < 0 || !isDigit(part[0]) || math.IsInf(v, 0) {
			return 0, false
		}
		seconds += v * weight
		weight /= 60
	}
	return seconds, true
}

// datetime reads what stands in datetime(…), which is UTC unless it says else.
func (p *parser) datetime(t token) *expr {
	text := strings.Trim(t.text, `"'`)
	if text == "null" {
		return p.literal(t, literal{typ: Datetime, null: true})
	}
	for _, layout := range [...]string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999",
		"2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02", "2006-01",
	} {
		if at, err := time.Parse(layout, text); err == nil {
			return p.literal(t, datetimeLiteral(at))
		}
	}
	p.fail(t.span, "%q is not a datetime, such as datetime(2026-11-22 10:00)", t.text)
	return nil
}

func datetimeLiteral(at time.Time) literal {
	return literal{typ: Datetime, text: "TIMESTAMP '" + at.UTC().Format("2006-01-02 15:04:05.000000") + "'", micros: at.UnixMicro()}
}
