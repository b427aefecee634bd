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
	exprMember                   // args[0].text
	exprTable                    // a pipeline, as an argument of a function
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

// literal is a constant: a string, JSON of a Dynamic or, in SQL, anything else.
// A typed null has no text.
type literal struct {
	typ    Type
	text   string // of a String its value, of others SQL
	micros int64  // of a Timespan, and of a Datetime since 1970
	null   bool
	array  bool      // of a Dynamic: it is an array, of the items
	items  []literal // of an array, or of a bag the values
	json   string    // within a Dynamic
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
	name     string
	value    *expr         // of a scalar let, or of one that only names a table
	query    *pipeline     // of a let of a query
	function *userFunction // of a let of a function
	span
}

// userFunction is what let NAME = (params) { … } names: a value or a query.
type userFunction struct {
	params []param
	body   []statement // lets, and what it gives last
	lets   map[string]binding
}

// param is a parameter of a function. A table has columns, or any when open.
type param struct {
	name    string
	typ     Type
	columns []Column
	table   bool
	missing *expr // its value where the call gives none
	span
}

// pipeline is a source and the operators behind it. A source is a name, the
// call of a function, a pipeline in parentheses, or an operator that begins one.
type pipeline struct {
	source    string
	call      *expr
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
	countOp struct{ name string }
	joinOp  struct {
		kind   string // of joinKinds
		lookup bool   // the keys of the right are left away
		right  *pipeline
		on     []joinKey
		span
	}
	unionOp struct {
		inner  bool
		fuzzy  bool   // tables that do not exist are left away
		source string // column that names the source, or ""
		with   []*pipeline
		span
	}

	serializeOp struct{ list []named }
	rangeOp     struct {
		name           string
		from, to, step *expr
		span
	}
	datatableOp struct {
		columns []Column
		values  []*expr
		span
	}
	expandOp struct { // mv-expand
		list  []expanded
		pairs bool   // of bags, instead of bags with one member
		index string // column of the place in the array, or ""
		limit *expr
		span
	}
	seriesOp struct { // make-series
		aggregates     []seriesAggregate
		axis           named
		from, to, step *expr
		by             []named
		span
	}
	searchOp struct {
		tables []*pipeline // none is all
		pred   *expr
		span
	}
	parseOp struct {
		kind  string
		of    *expr
		parts []parsePart
		where bool // rows that do not match are left away
		span
	}
	sampleOp    struct{ n *expr }
	distinctNOp struct { // sample-distinct
		n  *expr
		of named
	}
	hittersOp struct { // top-hitters
		n      *expr
		of, by *named
		span
	}
	schemaOp  struct{}
	reorderOp struct{ patterns []pattern }
	asOp      struct{ name token }
	invokeOp  struct{ call *expr }
	pivotOp   struct {
		on        *expr
		aggregate *expr // nil is count()
		by        []*expr
		span
	}
	unpackOp struct { // bag_unpack
		bag    *expr
		prefix string
		span
	}
	tablesOp struct{} // .show tables
)

// expanded is a column of mv-expand; typ is Dynamic unless the query says else.
type expanded struct {
	named
	typ Type
}

// seriesAggregate is a column of make-series, with the value of what is missing.
type seriesAggregate struct {
	named
	missing *expr
}

// parsePart is a text, a column, or with neither what is skipped.
type parsePart struct {
	text   string
	column string
	typ    Type
	span
}

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
