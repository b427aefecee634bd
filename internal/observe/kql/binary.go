package kql

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (c *compiler) binary(e *expr, s scope) value {
	if e.args[0].kind == exprStar {
		return c.anyColumn(e, s)
	}
	left := c.expr(e.args[0], s)
	c.wantsQuotes(left, e.args[1], s)
	right := c.expr(e.args[1], s)
	switch e.text {
	case "and", "or":
		left, right = scalar(left, Bool), scalar(right, Bool)
		for _, v := range []value{left, right} {
			if v.typ != Bool {
				c.fail(v.at, "%s needs a bool on either side, not a %s", e.text, v.typ)
			}
		}
		return value{sql: "(" + left.sql + " " + strings.ToUpper(e.text) + " " + right.sql + ")", typ: Bool}
	case "+", "-", "*", "/", "%":
		left, right = alike(left, right)
		if left.typ == Dynamic {
			left, right = scalar(left, Real), scalar(right, Real)
		}
		return c.arithmetic(e, left, right)
	case "==", "!=", "<>", "<", "<=", ">", ">=":
		if left, right = alike(left, right); e.text == "==" || e.text == "!=" || e.text == "<>" {
			left, right = equalTypes(left, right)
		}
		c.comparable(e, left, right)
		return value{sql: compare(e.text, left, right), typ: Bool}
	case ":":
		c.fail(e.span, ": belongs in search; use == or has here")
	}
	left, right = scalar(left, String), scalar(right, String)
	if left.typ != String || right.typ != String {
		c.fail(e.span, "%s needs strings, not a %s and a %s", e.text, left.typ, right.typ)
	}
	return c.stringOperator(e, left, right)
}

// wantsQuotes fails on a word beside a string that is the name of nothing.
func (c *compiler) wantsQuotes(left value, right *expr, s scope) {
	if left.typ != String || right.kind != exprName {
		return
	}
	_, let := c.lets[right.text]
	known := relation{columns: append(slices.Clone(s.columns), s.all...)}.names()
	if let || slices.Contains(known, right.text) {
		return
	}
	hint := suggest(right.text, known)
	if hint == "" {
		hint = "."
	}
	c.fail(right.span, "unknown column %q%s Put a string in quotes: %q", right.text, hint, right.text)
}

// alike are two values of which a dynamic one has the type of the other.
func alike(left, right value) (value, value) {
	return scalar(left, right.typ), scalar(right, left.typ)
}

// equalTypes are two values that == can compare: of a string and a number, or
// of one of them and a bool, the string is read and the bool is 0 or 1.
func equalTypes(left, right value) (value, value) {
	left, right = alike(left, right)
	convert := func(v, to value) value {
		switch {
		case v.typ == String && to.typ.numeric():
			if v.literal != nil {
				if n, err := strconv.ParseInt(v.literal.text, 10, 64); err == nil {
					return literalValue(literal{typ: Long, text: strconv.FormatInt(n, 10)})
				}
			}
			return value{sql: "TRY_CAST(" + v.sql + " AS DOUBLE)", typ: Real, at: v.at}
		case v.typ == String && to.typ == Bool:
			return value{sql: "TRY_CAST(" + v.sql + " AS BOOLEAN)", typ: Bool, at: v.at}
		case v.typ == Bool && to.typ.numeric():
			return value{sql: "CAST(" + v.sql + " AS BIGINT)", typ: Long, at: v.at}
		}
		return v
	}
	return convert(left, right), convert(right, left)
}

// anyColumn is a comparison that any column of text may fulfill, of * or in a
// search.
func (c *compiler) anyColumn(e *expr, s scope) value {
	var all []string
	for _, col := range s.columns {
		if col.Type != String && col.Type != Dynamic && strings.Trim(e.text, "!=~<>") == "" {
			continue
		}
		one := *e
		name := &expr{kind: exprName, text: col.Name, span: e.args[0].span}
		if col.Type != String {
			name = &expr{kind: exprCall, text: "tostring", args: []*expr{name}, span: e.args[0].span}
		}
		one.args = []*expr{name, e.args[1]}
		all = append(all, c.expr(&one, s).sql)
	}
	how := " OR "
	if strings.HasPrefix(e.text, "!") {
		how = " AND "
	}
	if len(all) == 0 {
		return value{sql: "false", typ: Bool}
	}
	return value{sql: "(" + strings.Join(all, how) + ")", typ: Bool}
}

// comparable fails unless the values' types can be compared.
func (c *compiler) comparable(e *expr, left, right value) {
	if left.typ == Dynamic && right.typ == Dynamic && strings.Trim(e.text, "!=<>") == "" && !strings.ContainsAny(e.text, "!=") {
		c.fail(e.span, "%s does not order dynamic values: use tolong(…) or tostring(…)", e.text)
	}
	if left.typ == right.typ || left.typ.numeric() && right.typ.numeric() {
		return
	}
	hint := ""
	switch {
	case left.typ == Datetime && right.typ == String:
		hint = ": write datetime(2026-11-22 10:00), or todatetime(…)"
	case left.typ.numeric() && right.typ == Timespan:
		hint = ": milliseconds are plain numbers here"
	case left.typ.numeric() && right.typ == String:
		hint = ": remove the quotes"
	}
	c.fail(e.span, "%s cannot compare a %s with a %s%s", e.text, left.typ, right.typ, hint)
}

// compare follows the language on nulls: of two nulls nothing is known; a null
// does not equal anything else, and differs from it; the rest is SQL's.
func compare(op string, left, right value) string {
	a, b := left.sql, right.sql
	if op != "==" && op != "!=" && op != "<>" {
		return "(" + a + " " + op + " " + b + ")"
	}
	equal := op == "=="
	if left.typ == String {
		if equal {
			return "(" + a + " = " + b + ")"
		}
		return "(" + a + " <> " + b + ")"
	}
	same := a + " IS DISTINCT FROM " + b
	if equal {
		same = a + " IS NOT DISTINCT FROM " + b
	}
	for _, v := range []value{left, right} {
		if v.literal != nil && !v.literal.null {
			return "(" + same + ")"
		}
	}
	return "(CASE WHEN " + a + " IS NULL AND " + b + " IS NULL THEN NULL ELSE " + same + " END)"
}

// stringOperator is one of those on two strings; all but == and those that
// end in _cs, or match a pattern, ignore case.
func (c *compiler) stringOperator(e *expr, left, right value) value {
	op, negated := strings.CutPrefix(e.text, "!")
	if op == "~" {
		op = "=~"
	}
	op, sensitive := strings.CutSuffix(op, "_cs")
	a, b := fold(left.sql, !sensitive), fold(right.sql, !sensitive)
	var sql string
	switch op {
	case "=~":
		sql = "(" + a + " = " + b + ")"
	case "contains":
		sql = "contains(" + a + ", " + b + ")"
	case "startswith":
		sql = "starts_with(" + a + ", " + b + ")"
	case "endswith":
		sql = "ends_with(" + a + ", " + b + ")"
	case "has", "hasprefix", "hassuffix":
		sql = hasTerm(op, left, right, sensitive)
	case "matches":
		c.checkPattern(right)
		sql = "regexp_matches(" + left.sql + ", " + right.sql + ")"
	}
	if negated {
		sql = "(NOT " + sql + ")"
	}
	return value{sql: sql, typ: Bool}
}

// checkPattern fails on a regular expression that does not compile: the
// syntax is RE2's here as there.
func (c *compiler) checkPattern(v value) {
	if v.literal == nil {
		c.fail(v.at, "a regular expression must be a literal string")
	}
	if _, err := regexp.Compile(v.literal.text); err != nil {
		c.fail(v.at, "%v", err)
	}
}

// hasTerm looks for a whole term, for one that begins with it (hasprefix), or
// for one that ends with it (hassuffix): where it begins or ends with a letter
// or digit, there is none beside it.
func hasTerm(op string, text, term value, sensitive bool) string {
	const inTerm, before, after = `[\p{L}\p{N}]`, `(^|[^\p{L}\p{N}])`, `($|[^\p{L}\p{N}])`
	if term.literal != nil {
		literal, pattern := term.literal.text, ""
		if !sensitive {
			literal = strings.ToLower(literal)
		}
		if op != "hassuffix" && startsTerm.MatchString(literal) {
			pattern = before
		}
		pattern += regexp.QuoteMeta(literal)
		if op != "hasprefix" && endsTerm.MatchString(literal) {
			pattern += after
		}
		return "regexp_matches(" + fold(text.sql, !sensitive) + ", " + quoteString(pattern) + ")"
	}
	pattern := "regexp_escape(" + fold(term.sql, !sensitive) + ")"
	if op != "hassuffix" {
		pattern = "CASE WHEN regexp_matches(" + term.sql + ", '^" + inTerm + "') THEN '" + before + "' ELSE '' END || " + pattern
	}
	if op != "hasprefix" {
		pattern += " || CASE WHEN regexp_matches(" + term.sql + ", '" + inTerm + "$') THEN '" + after + "' ELSE '' END"
	}
	return "regexp_matches(" + fold(text.sql, !sensitive) + ", " + pattern + ")"
}

var startsTerm, endsTerm = regexp.MustCompile(`^[\p{L}\p{N}]`), regexp.MustCompile(`[\p{L}\p{N}]$`)

// arithmetic is + - * / and %, with their meaning for times.
func (c *compiler) arithmetic(e *expr, left, right value) value {
	if e.text == "+" || e.text == "-" {
		if left.typ == Datetime || right.typ == Datetime {
			return c.addition(e.text, left, right, e.span)
		}
	}
	l, r := left.typ, right.typ
	var typ Type
	switch {
	case l.numeric() && r.numeric():
		if typ = Real; l == Long && r == Long {
			typ = Long
		}
	case l == Timespan && r == Timespan && e.text != "*":
		if typ = Timespan; e.text == "/" {
			return value{sql: "(CAST(" + left.sql + " AS DOUBLE) / nullif(" + right.sql + ", 0))", typ: Real}
		}
	case l == Timespan && r.numeric() && (e.text == "*" || e.text == "/"), l.numeric() && r == Timespan && e.text == "*":
		return value{sql: "TRY_CAST(round(CAST(" + left.sql + " AS DOUBLE) " + e.text + " " + right.sql + ") AS BIGINT)", typ: Timespan}
	default:
		hint := ""
		if l == String || r == String {
			hint = "; strcat joins strings, todouble reads numbers"
		}
		c.fail(e.span, "%s is not defined for a %s and a %s%s", e.text, l, r, hint)
	}
	op := e.text
	if typ == Long && op == "/" {
		op = "//" // whole, towards zero
	}
	return value{sql: "(" + left.sql + " " + op + " " + right.sql + ")", typ: typ}
}

// addition is + and - where a datetime takes part.
func (c *compiler) addition(op string, left, right value, at span) value {
	switch {
	case left.typ == Datetime && right.typ == Timespan:
		if at, ok := moved(op, left.literal, right.literal); ok {
			return literalValue(datetimeLiteral(at))
		}
		return value{sql: "(" + left.sql + " " + op + " to_microseconds(" + right.sql + "))", typ: Datetime}
	case left.typ == Timespan && right.typ == Datetime && op == "+":
		return value{sql: "(" + right.sql + " + to_microseconds(" + left.sql + "))", typ: Datetime}
	case left.typ == Datetime && right.typ == Datetime && op == "-":
		return value{sql: "(epoch_us(" + left.sql + ") - epoch_us(" + right.sql + "))", typ: Timespan}
	}
	c.fail(at, "%s is not defined for a %s and a %s", op, left.typ, right.typ)
	return value{}
}

// moved is a datetime plus or minus a timespan, where both are spelt out and
// there is such a datetime.
func moved(op string, datetime, timespan *literal) (time.Time, bool) {
	if datetime == nil || timespan == nil || datetime.null || timespan.null {
		return time.Time{}, false
	}
	micros := timespan.micros
	if op == "-" {
		micros = -micros
	}
	if micros != 0 && (datetime.micros+micros > datetime.micros) != (micros > 0) {
		return time.Time{}, false
	}
	at := time.UnixMicro(datetime.micros + micros).UTC()
	return at, at.Year() >= 1 && at.Year() <= 9999
}
