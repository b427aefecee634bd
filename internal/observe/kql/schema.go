package kql

import "time"

// Type is the type of a column or an expression.
type Type uint8

// The types of the language.
const (
	Bool     Type = iota + 1
	Long          // 64 bits; stands for int too
	Real          // a double
	String        // never null: "" instead
	Datetime      // UTC, to the microsecond
	Timespan      // to the microsecond
	Dynamic       // JSON: an array, a bag, or a value of another type
)

var typeNames = [...]string{"unknown", "bool", "long", "real", "string", "datetime", "timespan", "dynamic"}

// String returns the language's own name of the type.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return typeNames[0]
}

// MarshalText writes the type's name.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// numeric reports whether arithmetic makes sense of t.
func (t Type) numeric() bool { return t == Long || t == Real }

// Column is one column of a table or of an answer.
type Column struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
}

// Table is what a query may read: a relation of that name that holds the
// columns, and may hold others.
type Table struct {
	Name    string
	Columns []Column
	Time    string // the column that says when a row was; "" for none
}

// Render is what the query wants its answer drawn as.
type Render struct {
	Kind   string `json:"kind"` // "" for none
	Title  string `json:"title,omitempty"`
	XTitle string `json:"xtitle,omitempty"`
	YTitle string `json:"ytitle,omitempty"`
	// YColumns are the columns to draw; none is all that hold numbers.
	YColumns []string `json:"ycolumns,omitempty"`
}

// Query is a translated query.
type Query struct {
	SQL     string
	Names   string   // instead of SQL: finds the names of columns; see Translate
	Columns []Column // of the answer, in order
	Tables  []string // those that it reads, in order of first use
	// From and To bound the rows that the answer depends on: From ≤ time < To.
	// Zero is no bound.
	From, To time.Time
	Render   Render
}
