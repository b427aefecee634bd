package store

import (
	"fmt"
	"math"
	"time"
)

// kind is what a column holds: how it travels in a tail and in a segment.
type kind uint8

const (
	text    kind = iota // never null: empty where there is none
	integer             // 64 bits
	flag                // 0 or 1
	millis              // microseconds in a tail, milliseconds as a double in a segment
	instant             // microseconds since 1970, UTC
	ratio               // the bits of a double
)

// kindNames are what docs/STORE.md and the head of a tail call the kinds.
var kindNames = [...]string{"string", "long", "bool", "ms", "timestamp", "double"}

// column is one column of requests (T is a record) or of their attempts. Text
// has words and setWords, every other kind number and setNumber; a derived
// column has no setter.
type column[T any] struct {
	name string
	kind kind
	// optional columns are null where number says so.
	optional bool
	// spread says that values hardly ever repeat: a dictionary would only cost.
	spread    bool
	words     func(*T) string
	setWords  func(*T, string)
	number    func(*T) (value int64, ok bool)
	setNumber func(*T, int64)
}

// derived reports whether the column is computed from the others.
func (c *column[T]) derived() bool { return c.setWords == nil && c.setNumber == nil }

// words is a column of a string.
func words[T any](name string, field func(*T) *string) column[T] {
	return column[T]{
		name: name, kind: text,
		words:    func(r *T) string { return *field(r) },
		setWords: func(r *T, s string) { *field(r) = s },
	}
}

// enum is a type of few values that have names.
type enum interface {
	~uint8
	fmt.Stringer
}

// names is a column of the names of E. A name that is not known, from a newer
// version, reads as the zero value.
func names[T any, E enum](name string, field func(*T) *E) column[T] {
	known := map[string]E{}
	for i := math.MaxUint8; i >= 0; i-- { // the lowest value of a name wins
		known[E(i).String()] = E(i)
	}
	return column[T]{
		name: name, kind: text,
		words:    func(r *T) string { return (*field(r)).String() },
		setWords: func(r *T, s string) { *field(r) = known[s] },
	}
}

// count is a column of an int that is never null.
func count[T any](name string, field func(*T) *int) column[T] {
	return column[T]{
		name: name, kind: integer,
		number:    func(r *T) (int64, bool) { return int64(*field(r)), true },
		setNumber: func(r *T, v int64) { *field(r) = int(v) },
	}
}

// countOrNull is a column of an int that is null where it is 0.
func countOrNull[T any](name string, field func(*T) *int) column[T] {
	c := count(name, field)
	c.optional = true
	c.number = func(r *T) (int64, bool) { return int64(*field(r)), *field(r) != 0 }
	return c
}

// truth is a column of a bool.
func truth[T any](name string, field func(*T) *bool) column[T] {
	return column[T]{
		name: name, kind: flag,
		number: func(r *T) (int64, bool) {
			if *field(r) {
				return 1, true
			}
			return 0, true
		},
		setNumber: func(r *T, v int64) { *field(r) = v != 0 },
	}
}

// span is a column of a duration that is never null.
func span[T any](name string, field func(*T) *time.Duration) column[T] {
	return column[T]{
		name: name, kind: millis,
		number:    func(r *T) (int64, bool) { return field(r).Microseconds(), true },
		setNumber: func(r *T, v int64) { *field(r) = time.Duration(v) * time.Microsecond },
	}
}

// spanOrNull is a column of a duration that is null where it is 0.
func spanOrNull[T any](name string, field func(*T) *time.Duration) column[T] {
	c := span(name, field)
	c.optional = true
	c.number = func(r *T) (int64, bool) {
		us := field(r).Microseconds()
		return us, us != 0
	}
	return c
}

// share is a column of a ratio that is null where it is negative or no number.
func share[T any](name string, field func(*T) *float64) column[T] {
	return column[T]{
		name: name, kind: ratio, optional: true,
		number:    func(r *T) (int64, bool) { return ratioBits(*field(r)) },
		setNumber: func(r *T, v int64) { *field(r) = math.Float64frombits(uint64(v)) },
	}
}

func ratioBits(v float64) (bits int64, ok bool) {
	if v > 0 {
		return int64(math.Float64bits(v)), true
	}
	return 0, v == 0
}

// spreads marks a column whose values hardly repeat.
func spreads[T any](c column[T]) column[T] {
	c.spread = true
	return c
}

// Column describes one column to those who make tables of their own for the
// records.
type Column struct {
	Name string
	// Type is the type as docs/STORE.md names it: string, long, bool, ms,
	// timestamp, double, or list.
	Type string
	// Null says that values may be absent.
	Null bool
	// Elements are the fields of the elements of a list.
	Elements []Column
}

// Columns are those of a segment, in the order of the file.
func Columns() []Column {
	return append(described(recordColumns), Column{Name: attemptsName, Type: "list", Elements: described(attemptColumns)})
}

func described[T any](columns []column[T]) []Column {
	out := make([]Column, len(columns))
	for i, c := range columns {
		out[i] = Column{Name: c.name, Type: kindNames[c.kind], Null: c.optional}
	}
	return out
}
