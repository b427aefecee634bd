// Package answer formats the result of a query: as a table or chart fitted to
// a terminal, CSV, JSON, or an HTML page. It is pure except for the readers and
// writers of its caller.
package answer

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

// Answer is the rows of a query. A value is nil, a bool, a json.Number, a
// string, or a []any or map[string]any of those.
type Answer struct {
	Query   string // as it was asked
	Columns []kql.Column
	Rows    [][]any
	Render  kql.Render
}

// Read reads the lines of spillway-analyst: a head, then a row each.
func Read(r io.Reader, q kql.Query) (Answer, error) {
	a := Answer{Columns: q.Columns, Render: q.Render}
	decoder := json.NewDecoder(r)
	decoder.UseNumber()
	var head struct {
		Columns []json.RawMessage `json:"columns"`
	}
	if err := decoder.Decode(&head); err != nil {
		return a, fmt.Errorf("read the result: %w", err)
	}
	for {
		var row []any
		err := decoder.Decode(&row)
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return a, fmt.Errorf("read row %d of the result: %w", len(a.Rows)+1, err)
		}
		if len(row) != len(q.Columns) {
			return a, fmt.Errorf("row %d of the result has %d values instead of %d", len(a.Rows)+1, len(row), len(q.Columns))
		}
		for i, c := range q.Columns {
			if c.Type == kql.Timespan {
				row[i] = timespan(row[i])
			}
		}
		a.Rows = append(a.Rows, row)
	}
}

// ReadNames reads the lines of spillway-analyst that answer kql.Query.Names.
func ReadNames(r io.Reader) ([]kql.Name, error) {
	decoder := json.NewDecoder(r)
	var head json.RawMessage
	if err := decoder.Decode(&head); err != nil {
		return nil, fmt.Errorf("read the names of columns: %w", err)
	}
	var all []kql.Name
	for {
		var row []string
		err := decoder.Decode(&row)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("read the names of columns: %w", err)
		case len(row) > 1:
			all = append(all, kql.Name{Name: row[0], Type: row[1]})
		case len(row) == 1:
			all = append(all, kql.Name{Name: row[0]})
		}
	}
}

// timespan writes microseconds as [-][d.]hh:mm:ss[.ffffff].
func timespan(v any) any {
	n, ok := v.(json.Number)
	if !ok {
		return v
	}
	us, err := n.Int64()
	if err != nil {
		return v
	}
	sign := ""
	if us < 0 {
		sign, us = "-", -us
	}
	const second, day = 1_000_000, 86_400_000_000
	out := sign
	if us >= day {
		out += strconv.FormatInt(us/day, 10) + "."
	}
	s := us % day / second
	out += fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
	if part := us % second; part != 0 {
		out += fmt.Sprintf(".%06d", part)
	}
	return out
}

// WriteJSON writes one object: columns, rows and, if there is one, render.
func (a Answer) WriteJSON(w io.Writer) error {
	rows := a.Rows
	if rows == nil {
		rows = [][]any{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(struct {
		Columns []kql.Column `json:"columns"`
		Rows    [][]any      `json:"rows"`
		Render  kql.Render   `json:"render,omitzero"`
	}{a.Columns, rows, a.Render})
}

// WriteCSV writes a line of names and one for each row; null is empty.
func (a Answer) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	line := make([]string, len(a.Columns))
	for i, c := range a.Columns {
		line[i] = c.Name
	}
	if err := out.Write(line); err != nil {
		return err
	}
	for _, row := range a.Rows {
		for i, v := range row {
			line[i] = exact(v)
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// exact writes a value with all its digits.
func exact(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any, map[string]any:
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(text)
	}
	return fmt.Sprint(v)
}

// short writes a value for reading: a fraction to three decimals or, when it
// is below one, three digits; no control characters.
func short(v any, c kql.Column) string {
	if n, ok := v.(json.Number); ok && c.Type == kql.Real {
		if f, err := n.Float64(); err == nil {
			return number(f)
		}
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, exact(v))
}

func number(f float64) string {
	if f > -1 && f < 1 {
		return strconv.FormatFloat(f, 'g', 3, 64)
	}
	text := strconv.FormatFloat(f, 'f', 3, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}
