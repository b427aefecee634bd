package store

import (
	"math"
	"reflect"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// node is the column's type in a segment. Repeated values go through a
// dictionary; instants are stored as differences.
func (c *column[T]) node() parquet.Node {
	var n parquet.Node
	switch c.kind {
	case text:
		n = parquet.String()
	case integer:
		n = parquet.Int(64)
	case flag:
		n = parquet.Leaf(parquet.BooleanType)
	case instant:
		n = parquet.Timestamp(parquet.Microsecond)
	case millis, ratio:
		n = parquet.Leaf(parquet.DoubleType)
	}
	switch {
	case c.kind == instant:
		n = parquet.Encoded(n, &parquet.DeltaBinaryPacked)
	case c.spread || c.kind == flag:
		n = parquet.Encoded(n, &parquet.Plain)
	default:
		n = parquet.Encoded(n, &parquet.RLEDictionary)
	}
	if c.optional {
		n = parquet.Optional(n)
	}
	return n
}

// value is the cell as a segment holds it, without levels.
func (c *column[T]) value(v cell) parquet.Value {
	switch {
	case v.null && c.optional:
		return parquet.NullValue()
	case c.kind == text:
		return parquet.ByteArrayValue(v.text)
	case c.kind == flag:
		return parquet.BooleanValue(v.number != 0)
	case c.kind == millis:
		return parquet.DoubleValue(float64(v.number) / 1000)
	case c.kind == ratio:
		return parquet.DoubleValue(math.Float64frombits(uint64(v.number)))
	}
	return parquet.Int64Value(v.number)
}

// set gives the field of r what a segment holds.
func (c *column[T]) set(r *T, v parquet.Value, in interner) {
	switch {
	case v.IsNull():
	case c.kind == text && c.spread:
		c.setWords(r, string(v.ByteArray()))
	case c.kind == text:
		c.setWords(r, in.of(v.ByteArray()))
	case c.kind == flag:
		if v.Boolean() {
			c.setNumber(r, 1)
		}
	case c.kind == millis:
		c.setNumber(r, int64(math.Round(v.Double()*1000)))
	case c.kind == ratio:
		c.setNumber(r, int64(math.Float64bits(v.Double())))
	default:
		c.setNumber(r, v.Int64())
	}
}

// schema is what this version's segments hold.
func schema() *parquet.Schema {
	top := members(recordColumns)
	top = append(top, member{parquet.List(newGroup(members(attemptColumns))), attemptsName})
	return parquet.NewSchema("request", newGroup(top))
}

func members[T any](columns []column[T]) []parquet.Field {
	out := make([]parquet.Field, len(columns))
	for i := range columns {
		out[i] = member{columns[i].node(), columns[i].name}
	}
	return out
}

// group is a parquet.Group whose fields keep their order.
type group struct {
	parquet.Group
	fields []parquet.Field
}

func newGroup(fields []parquet.Field) group {
	g := group{parquet.Group{}, fields}
	for _, f := range fields {
		g.Group[f.Name()] = f
	}
	return g
}

// Fields returns the fields in their order.
func (g group) Fields() []parquet.Field { return g.fields }

// member is a named field of a group.
type member struct {
	parquet.Node
	name string
}

// Name returns the field's name.
func (m member) Name() string { return m.name }

// Value returns the field of a Go value, which no reader here asks for.
func (m member) Value(base reflect.Value) reflect.Value { return base.FieldByName(m.name) }

// rowsPerGroup bounds the rows of a row group, which bounds the memory of who
// writes or reads one.
const rowsPerGroup = 1 << 17

func writerOptions() []parquet.WriterOption {
	options := []parquet.WriterOption{
		schema(),
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}), // the better levels gain nothing here
		parquet.CreatedBy("spillway", "", ""),
		parquet.MaxRowsPerRowGroup(rowsPerGroup),
		parquet.SortingWriterConfig(parquet.SortingColumns(parquet.Ascending(recordColumns[0].name))),
	}
	options = append(options, withoutBounds(recordColumns)...)
	return append(options, withoutBounds(attemptColumns, attemptsName, "list", "element")...)
}

// withoutBounds leaves out the least and greatest text of each page: nearly all
// pages hold all values, and finding them takes a tenth of the time.
func withoutBounds[T any](columns []column[T], parents ...string) []parquet.WriterOption {
	var out []parquet.WriterOption
	for i := range columns {
		if columns[i].kind == text {
			out = append(out, parquet.SkipPageBounds(append(slices.Clone(parents), columns[i].name)...))
		}
	}
	return out
}
