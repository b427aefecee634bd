package kql

import (
	"slices"
	"strings"
)

// value is a translated expression.
type value struct {
	sql     string
	typ     Type
	name    string   // what a column of it is called by itself; "" for ColumnN
	literal *literal // when it is a constant that the query spells out
	at      span
}

// scope is what an expression may refer to.
type scope struct {
	columns   []Column
	summarize bool     // aggregates are allowed, and columns only inside them
	all       []Column // of summarize: those that its aggregates may refer to
	order     []sortedBy
	windows   *windows // window functions are allowed
	bare      bool     // no let, only columns
}

// expr translates an expression.
func (c *compiler) expr(e *expr, s scope) value {
	if c.depth++; c.depth > 4*maxDepth {
		c.fail(e.span, "the query nests too deep")
	}
	defer func() { c.depth-- }()
	v := c.translate(e, s)
	if len(v.sql) > maxSQL {
		c.fail(e.span, "the expression is too large")
	}
	v.at = e.span
	return v
}

func (c *compiler) translate(e *expr, s scope) value {
	switch e.kind {
	case exprLiteral:
		return literalValue(e.value)
	case exprName:
		return c.nameValue(e, s)
	case exprCall:
		return c.call(e, s)
	case exprUnary:
		v := c.expr(e.args[0], s)
		if v.typ == Dynamic {
			v = scalar(v, Real)
		}
		if !v.typ.numeric() && v.typ != Timespan {
			c.fail(e.span, "- needs a number or a timespan, not a %s", v.typ)
		}
		if v.literal != nil && !v.literal.null {
			l := *v.literal
			l.text, l.micros = "-"+l.text, -l.micros
			if text, minus := strings.CutPrefix(l.text, "--"); minus {
				l.text = text
			}
			return literalValue(l)
		}
		return value{sql: "(-" + v.sql + ")", typ: v.typ}
	case exprBinary:
		return c.binary(e, s)
	case exprIn:
		return c.membership(e, s)
	case exprBetween:
		v, low, high := c.expr(e.args[0], s), c.expr(e.args[1], s), c.expr(e.args[2], s)
		v, low = alike(v, low)
		v, high = alike(v, high)
		if v.typ == Datetime && high.typ == Timespan {
			high = value{sql: c.addition("+", low, high, e.span).sql, typ: Datetime}
		}
		c.comparable(e, v, low)
		c.comparable(e, v, high)
		sql := "(" + v.sql + " BETWEEN " + low.sql + " AND " + high.sql + ")"
		if e.text == "!between" {
			sql = "(NOT " + sql + ")"
		}
		return value{sql: sql, typ: Bool}
	case exprIndex:
		return c.index(e, s)
	case exprMember:
		return c.member(e, s)
	case exprTable:
		c.fail(e.span, "expected a value, got a query: toscalar(…) makes a value of one")
	case exprToScalar:
		r := c.pipeline(e.query)
		col := r.columns[0]
		return value{sql: notNull("(SELECT "+ident(col.Name)+" FROM "+r.from+" LIMIT 1)", col.Type), typ: col.Type}
	}
	c.fail(e.span, "* is only allowed in distinct *, arg_max(…, *), arg_min(…, *) and take_any(*)")
	return value{}
}

// notNull keeps strings from being null.
func notNull(sql string, t Type) string {
	if t == String {
		return "coalesce(" + sql + ", '')"
	}
	return sql
}

func literalValue(l literal) value {
	v := value{typ: l.typ, literal: &l, sql: l.text}
	switch {
	case l.null:
		v.sql = "CAST(NULL AS " + sqlTypes[l.typ] + ")"
	case l.typ == String:
		v.sql = quoteString(l.text)
	case l.typ == Dynamic:
		v.sql = "CAST(" + quoteString(l.text) + " AS JSON)"
	case l.typ == Long || l.typ == Timespan: // SQL takes a bare one for 32 bits
		v.sql = "CAST(" + l.text + " AS BIGINT)"
	case strings.HasPrefix(l.text, "-"):
		v.sql = "(" + l.text + ")"
	}
	return v
}

// synonyms are columns of the record store by what Azure's tables call them.
var synonyms = map[string]string{
	"timegenerated": "time", "timestamp": "time", "correlationid": "id", "requestid": "id", "responsecode": "status", "statuscode": "status",
	"prompttokens": "prompt_tokens", "completiontokens": "completion_tokens", "deploymentname": "deployment", "modelname": "model",
	"totaltime": "e2e_ms", "duration": "e2e_ms", "durationms": "e2e_ms", "apimsubscriptionid": "caller", "lasterrorreason": "refusal",
	"time": "TimeGenerated", "id": "CorrelationId", "status": "ResponseCode", "deployment": "DeploymentName", "model": "ModelName",
	"prompt_tokens": "PromptTokens", "completion_tokens": "CompletionTokens", "e2e_ms": "TotalTime", "caller": "ApimSubscriptionId",
}

// nameValue is a column, or what a let names.
func (c *compiler) nameValue(e *expr, s scope) value {
	for _, col := range s.columns {
		if col.Name == e.text {
			return value{sql: ident(col.Name), typ: col.Type, name: col.Name}
		}
	}
	if b, ok := c.lets[e.text]; ok && !s.bare {
		if b.value == nil && b.function != nil {
			c.fail(e.span, "%q is a function: call it as %s(…)", e.text, e.text)
		}
		if b.value == nil {
			c.fail(e.span, "%q is a table, not a value", e.text)
		}
		return *b.value
	}
	if s.summarize && slices.ContainsFunc(s.all, func(col Column) bool { return col.Name == e.text }) {
		c.fail(e.span, "column %q must be in an aggregate function, such as max(%s), or after by", e.text, e.text)
	}
	names := relation{columns: append(slices.Clone(s.columns), s.all...)}.names()
	for name, b := range c.lets {
		if b.value != nil && !s.bare {
			names = append(names, name)
		}
	}
	if other, ok := synonyms[strings.ToLower(e.text)]; ok && slices.Contains(names, other) {
		c.fail(e.span, "unknown column %q; did you mean %s?", e.text, other)
	}
	if isDigit(e.text[0]) {
		c.fail(e.span, "%q is neither a column nor a timespan: units are %s", e.text, unitNames)
	}
	if isFunction(e.text) {
		c.fail(e.span, "unknown column %q; did you mean the function %s()?", e.text, e.text)
	}
	if len(names) == 0 {
		c.fail(e.span, "unknown name %q", e.text)
	}
	hint := suggest(e.text, names)
	if hint == "" {
		if hint = "; there are " + strings.Join(names, ", "); len(names) > 12 {
			hint = "; there are " + strings.Join(names[:12], ", ") + " and others"
		}
	}
	c.fail(e.span, "unknown column %q%s", e.text, hint)
	return value{}
}
