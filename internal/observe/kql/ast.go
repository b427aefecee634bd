package kql

// exprKind says what an expression is.
type exprKind uint8

const (
	exprName     exprKind = iota // text
	exprLiteral                  // value
	exprCall                     // text(args)
	exprUnary                    // text args[0]
	exprBinary                   // args[0] text args[1]
	exprIn                       // args[0] text (args[1:]), or a pipeline
	exprBetween                  // args[0] text (args[1] .. args[2])
	exprIndex                    // args[0][args[1]]
	exprStar                     // *
	exprToScalar                 // toscalar(pipeline)
)

// expr is an expression of a query.
type expr struct {
	kind  exprKind
	text  string
	value literal
	args  []*expr
	query *pipeline
	span
}

// literal is a constant: a string or, in SQL, anything else. A typed null has
// no text.
type literal struct {
	typ    Type
	text   string // of a String its value, of others SQL
	micros int64  // of a Timespan, and of a Datetime since 1970
	null   bool
}

// named is an expression with the name that the query gives it, "" for none,
// and the names of the other columns of an aggregate that has several.
type named struct {
	name string
	more []string
	expr *expr
	span
}

// chosen reports whether the query gives a name, or names a column.
func (n named) chosen() bool { return n.name != "" || n.expr.kind == exprName }

// statement is a let, or with no name the query itself.
type statement struct {
	name  string
	value *expr     // of a scalar let, or of one that only names a table
	query *pipeline // otherwise
	span
}

// pipeline is a source and the operators behind it. A source is a name, a
// pipeline in parentheses, a union, or a print.
type pipeline struct {
	source    string
	inner     *pipeline
	operators []operator
	span
}

// operator turns one relation into the next. in is the zero relation for the
// operators that may begin a pipeline.
type operator interface {
	apply(c *compiler, in relation) relation
}

type (
	whereOp   struct{ pred *expr }
	projectOp struct{ list []named }
	dropOp    struct { // project-away and project-keep
		keep     bool
		patterns []pattern
	}
	renameOp struct{ list []named }
	extendOp struct{ list []named }
	printOp  struct{ list []named }

	summarizeOp struct {
		aggregates, by []named
		span
	}
	sortOp struct {
		keys  []sortKey
		limit *expr // of top
	}
	takeOp     struct{ n *expr }
	distinctOp struct {
		list []named // none is *
		span
	}
	countOp struct{}
	joinOp  struct {
		outer bool
		right *pipeline
		on    []joinKey
		span
	}
	unionOp struct {
		inner  bool
		source string // column that names the source, or ""
		with   []*pipeline
		span
	}
)

// pattern is a column's name, or with star all that begin so.
type pattern struct {
	text string
	star bool
	span
}

type sortKey struct {
	expr                *expr
	ascending           bool
	nullsFirst, isNulls bool
}

// joinKey pairs a column of the left with one of the right.
type joinKey struct {
	left, right string
	span
}
