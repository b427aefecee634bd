package workload

import (
	"bytes"
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"time"
)

// field is what a column of a CSV trace holds.
type field uint8

const (
	fieldIgnored field = iota
	fieldOffsetMS
	fieldOffsetSeconds
	fieldInstant
	fieldInput
	fieldOutput
	fieldMaxTokens
	fieldClient
	fieldClass
	fieldModel
	fieldStream
	fieldCanStream
	fieldPrefix
	fieldKnown // known to the format and of no use here
)

// column is a column of a layout, by its name in lower case.
type column struct {
	name     string
	field    field
	required bool
}

// layout is a form of header.
type layout struct {
	format   Format
	absolute bool // time counts from the workload's beginning, not from the first row
	columns  []column
}

// optionalColumns are those of our own CSV that may be missing.
var optionalColumns = []column{
	{"model", fieldModel, false},
	{"client", fieldClient, false},
	{"class", fieldClass, false},
	{"max_tokens", fieldMaxTokens, false},
	{"stream", fieldStream, false},
	{"can_stream", fieldCanStream, false},
	{"prefix", fieldPrefix, false},
}

// layouts are the headers that Open knows.
var layouts = []layout{
	{FormatCSV, true, []column{
		{"offset_ms", fieldOffsetMS, true}, {"input_tokens", fieldInput, true}, {"output_tokens", fieldOutput, true},
	}},
	{FormatCSV, true, []column{
		{"offset_s", fieldOffsetSeconds, true}, {"input_tokens", fieldInput, true}, {"output_tokens", fieldOutput, true},
	}},
	{FormatCSV, false, []column{
		{"timestamp", fieldInstant, true}, {"input_tokens", fieldInput, true}, {"output_tokens", fieldOutput, true},
	}},
	{FormatAzure, false, []column{
		{"timestamp", fieldInstant, true}, {"contexttokens", fieldInput, true}, {"generatedtokens", fieldOutput, true},
	}},
	{FormatBurstGPT, false, []column{
		{"timestamp", fieldOffsetSeconds, true},
		{"request tokens", fieldInput, true},
		{"response tokens", fieldOutput, true},
		{"model", fieldModel, false},
		{"log type", fieldClass, false},
		{"session id", fieldClient, false},
		{"total tokens", fieldKnown, false},
		{"elapsed time", fieldKnown, false},
	}},
}

// missing returns the required columns that the header lacks.
func (y *layout) missing(header []string) []string {
	var missing []string
	for _, c := range y.columns {
		if c.required && !slices.Contains(header, c.name) {
			missing = append(missing, c.name)
		}
	}
	return missing
}

// field returns what the column of that name holds.
func (y *layout) field(name string) field {
	for _, c := range y.columns {
		if c.name == name {
			return c.field
		}
	}
	if y.format == FormatCSV {
		for _, c := range optionalColumns {
			if c.name == name {
				return c.field
			}
		}
	}
	return fieldIgnored
}

// openCSV prepares for a trace whose first line is header.
func (r *Reader) openCSV(header []byte) error {
	switch r.opt.Format {
	case FormatRecords, FormatMooncake:
		return reasonf("a trace of format %s has one JSON object per line; this line is %.40q", r.opt.Format, header)
	}
	names, err := splitQuoted(header)
	if err != nil {
		return err
	}
	for i, n := range names {
		names[i] = strings.ToLower(strings.TrimSpace(n))
	}
	y, err := chooseLayout(names, r.opt.Format)
	if err != nil {
		return err
	}
	d := &csvDecoder{format: y.format}
	var seen [fieldKnown]bool
	for _, n := range names {
		f := y.field(n)
		switch {
		case f == fieldIgnored:
			r.tally.Ignored = append(r.tally.Ignored, n)
		case f < fieldKnown && seen[f]:
			return reasonf("the header contains %s twice", n)
		case f < fieldKnown:
			seen[f] = true
		}
		d.columns = append(d.columns, csvColumn{name: n, field: f})
	}
	r.columns = Columns{
		Model: seen[fieldModel], Client: seen[fieldClient], Class: seen[fieldClass], MaxTokens: seen[fieldMaxTokens],
		Stream: seen[fieldStream], CanStream: seen[fieldCanStream], Prefix: seen[fieldPrefix],
	}
	r.decoder, r.header, r.absolute = d, append([]byte(nil), bytes.TrimSpace(header)...), y.absolute
	r.tally.Format = y.format
	return nil
}

// chooseLayout returns the layout that has every column it needs.
func chooseLayout(names []string, want Format) (layout, error) {
	var nearest layout
	var lacking []string
	for _, y := range layouts {
		if want != FormatDetect && y.format != want {
			continue
		}
		missing := y.missing(names)
		if len(missing) == 0 {
			return y, nil
		}
		if nearest.columns == nil || len(missing) < len(lacking) {
			nearest, lacking = y, missing
		}
	}
	found := strings.Join(names, ", ")
	switch {
	case slices.Contains(names, "rate_rps"):
		return layout{}, reasonf("this is a curve of rates, not a trace (columns %s); use its rates as curve.factors of a generated workload", found)
	case nearest.columns == nil:
		return layout{}, reasonf("unknown format %q", want)
	case len(lacking) == len(nearest.columns):
		return layout{}, reasonf("not the header of a trace: found %.120q, expected columns such as offset_ms, input_tokens, output_tokens", found)
	}
	return layout{}, reasonf("column %s is missing for format %s: found %s", strings.Join(lacking, ", "), nearest.format, found)
}

// csvColumn is a column of a header. It remembers its last name, since rows
// that follow each other often share it.
type csvColumn struct {
	name  string
	field field
	last  string
}

// csvDecoder reads the rows of a CSV trace. It is safe for one Reader.
type csvDecoder struct {
	format  Format
	columns []csvColumn
	names   interner
}

func (d *csvDecoder) decode(line []byte, c *Call) (verdict, error) {
	if bytes.IndexByte(line, '"') >= 0 {
		return d.quoted(line, c)
	}
	rest := line
	for i := range d.columns {
		f, after, more := bytes.Cut(rest, comma)
		if more == (i == len(d.columns)-1) {
			return isCall, reasonf("%d columns, the header has %d", bytes.Count(line, comma)+1, len(d.columns))
		}
		if err := d.set(&d.columns[i], f, c); err != nil {
			return isCall, err
		}
		rest = after
	}
	return d.verdict(c), nil
}

// comma separates the columns; it is constant.
var comma = []byte{','}

// quoted decodes a row with quotes.
func (d *csvDecoder) quoted(line []byte, c *Call) (verdict, error) {
	fields, err := splitQuoted(line)
	if err != nil {
		return isCall, err
	}
	if len(fields) != len(d.columns) {
		return isCall, reasonf("%d columns, the header has %d", len(fields), len(d.columns))
	}
	for i, f := range fields {
		if err := d.set(&d.columns[i], []byte(f), c); err != nil {
			return isCall, err
		}
	}
	return d.verdict(c), nil
}

// verdict distinguishes BurstGPT's failures, which have no output, from calls.
func (d *csvDecoder) verdict(c *Call) verdict {
	if d.format == FormatBurstGPT && c.OutputTokens == 0 {
		return isFailed
	}
	return isCall
}

// set puts one field into the call.
func (d *csvDecoder) set(col *csvColumn, b []byte, c *Call) (err error) {
	switch col.field {
	case fieldOffsetMS:
		c.At, err = parseOffset(col.name, b, time.Millisecond)
	case fieldOffsetSeconds:
		c.At, err = parseOffset(col.name, b, time.Second)
	case fieldInstant:
		c.At, err = parseInstant(col.name, b)
	case fieldInput:
		c.PromptTokens, err = parseTokens(col.name, b)
	case fieldOutput:
		c.OutputTokens, err = parseTokens(col.name, b)
	case fieldMaxTokens:
		if len(b) > 0 {
			c.MaxTokens, err = parseTokens(col.name, b)
		}
	case fieldClient:
		c.Client = d.text(col, b)
	case fieldClass:
		c.Class = d.text(col, b)
	case fieldModel:
		c.Model = d.text(col, b)
	case fieldStream:
		c.Stream, err = parseFlag(col.name, b)
	case fieldCanStream:
		c.CanStream, err = parseFlag(col.name, b)
	case fieldPrefix:
		c.Prefix, err = parsePrefix(b)
	}
	return err
}

func (d *csvDecoder) text(col *csvColumn, b []byte) string {
	if string(b) != col.last {
		col.last = d.names.of(b)
	}
	return col.last
}

// splitQuoted splits a line of which a field may stand in quotes.
func splitQuoted(line []byte) ([]string, error) {
	r := csv.NewReader(bytes.NewReader(line))
	r.TrimLeadingSpace = true
	fields, err := r.Read()
	if bad, ok := errors.AsType[*csv.ParseError](err); ok {
		return nil, reasonf("column %d: %v", bad.Column, bad.Err)
	}
	return fields, err
}
