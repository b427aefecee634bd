package kql

import (
	"math"
	"time"
)

// bounds are the times of the rows that an answer can depend on, both ends
// included, in microseconds since 1970.
type bounds struct{ from, to int64 }

// all is every time.
func all() bounds { return bounds{math.MinInt64, math.MaxInt64} }

// and are the times that lie in both.
func (b bounds) and(o bounds) bounds { return bounds{max(b.from, o.from), min(b.to, o.to)} }

// or are the times from the first to the last of either.
func (b bounds) or(o bounds) bounds { return bounds{min(b.from, o.from), max(b.to, o.to)} }

// times are what Query says of its bounds.
func (b bounds) times() (from, to time.Time) {
	if b.from != math.MinInt64 {
		from = time.UnixMicro(b.from).UTC()
	}
	if b.to != math.MaxInt64 {
		to = time.UnixMicro(b.to + 1).UTC()
	}
	return from, to
}

// bound notes which rows of a table a pipeline wants: those that the
// conditions directly behind its name leave.
func (c *compiler) bound(t Table, operators []operator) {
	wanted := all()
	for _, op := range operators {
		where, ok := op.(*whereOp)
		if !ok {
			break
		}
		wanted = wanted.and(c.bounds(t, where.pred))
	}
	if c.wanted == nil {
		c.wanted = &wanted
		return
	}
	*c.wanted = c.wanted.or(wanted)
}

// bounds are the times that a condition leaves; those of a condition that is
// not understood are all.
func (c *compiler) bounds(t Table, e *expr) bounds {
	switch {
	case e.kind == exprBinary && e.text == "and":
		return c.bounds(t, e.args[0]).and(c.bounds(t, e.args[1]))
	case e.kind == exprBinary && t.isTime(e.args[0]):
		return c.compared(e.text, e.args[1])
	case e.kind == exprBinary && t.isTime(e.args[1]):
		return c.compared(mirrored(e.text), e.args[0])
	case e.kind == exprBetween && e.text == "between" && t.isTime(e.args[0]):
		b := c.compared(">=", e.args[1])
		high, ok := c.constant(e.args[2])
		switch {
		case ok && high.typ == Datetime:
			b.to = high.literal.micros
		case ok && high.typ == Timespan && b.from != all().from:
			if at, ok := moved("+", &literal{micros: b.from}, high.literal); ok {
				b.to = at.UnixMicro()
			}
		}
		return b
	}
	return all()
}

// isTime reports whether e is the column that says when a row was.
func (t Table) isTime(e *expr) bool { return e.kind == exprName && e.text == t.Time }

// compared are the times that stand so to an instant.
func (c *compiler) compared(operator string, e *expr) bounds {
	b := all()
	v, ok := c.constant(e)
	if !ok || v.typ != Datetime {
		return b
	}
	switch operator {
	case ">", ">=":
		b.from = v.literal.micros
	case "<", "<=":
		b.to = v.literal.micros
	case "==":
		b = bounds{v.literal.micros, v.literal.micros}
	}
	return b
}

// mirrored is the comparison with its sides changed.
func mirrored(operator string) string {
	switch operator[0] {
	case '<':
		return ">" + operator[1:]
	case '>':
		return "<" + operator[1:]
	}
	return operator
}

// constant is the value of an expression that depends on nothing.
func (c *compiler) constant(e *expr) (value, bool) {
	if !c.closed(e) {
		return value{}, false
	}
	v := c.expr(e, scope{})
	return v, v.literal != nil && !v.literal.null
}

// closed reports whether e names no column and asks no query.
func (c *compiler) closed(e *expr) bool {
	switch e.kind {
	case exprName:
		b, ok := c.lets[e.text]
		return ok && b.value != nil
	case exprLiteral, exprCall, exprUnary, exprBinary:
		for _, arg := range e.args {
			if !c.closed(arg) {
				return false
			}
		}
		return e.query == nil
	}
	return false
}
