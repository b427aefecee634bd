package imports

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

func (f *file) readObjects(in *bufio.Reader, each func(*row, error) error) error {
	s := &scanner{in: in, line: 1}
	first, err := s.next()
	if err != nil {
		return err
	}
	list := first == '['
	if list {
		s.skip()
	}
	var one row
	for comma := false; ; {
		b, err := s.next()
		switch {
		case errors.Is(err, io.EOF) && !list:
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case b == ']' && list:
			return nil
		case b == ',' && comma:
			s.skip()
			comma = false
			continue
		}
		f.line = s.line
		if b != '{' {
			return fmt.Errorf("expected the start of an object, got %s", quote(string(b)))
		}
		object, err := s.value()
		if err != nil {
			return err
		}
		comma = true
		if err := each(&one, f.object(&one, object)); err != nil {
			return err
		}
	}
}

// readRecords reads the lists of objects that are in other objects, one after the
// other. What else those have is about the export.
func (f *file) readRecords(in *bufio.Reader, each func(*row, error) error) error {
	d := json.NewDecoder(in)
	var one row
	for d.More() {
		err := objectOf(d, func(name string) error {
			if !strings.EqualFold(name, "records") && !strings.EqualFold(name, "value") {
				return d.Decode(new(json.RawMessage))
			}
			return listOf(d, func() error {
				f.line++
				var object json.RawMessage
				if err := d.Decode(&object); err != nil {
					return err
				}
				return each(&one, f.object(&one, object))
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// object takes a row's values from a JSON object.
func (f *file) object(one *row, object []byte) error {
	*one = row{object: object}
	return members(object, func(name, value []byte) { f.member(one, "", name, value) })
}

// member takes one value. Below is the name of the object that it is in.
func (f *file) member(one *row, below string, name, value []byte) {
	p, met := f.known[string(name)]
	if below != "" || !met {
		var ok bool
		if p, ok = f.aliases[plain(below+string(name))]; !ok {
			p.rank = -1
		}
		if below == "" && len(f.known) < 1<<12 {
			f.known[string(name)] = p
		}
	}
	switch {
	case p.rank >= 0:
		one.set(p, text(value))
	case below == "" && len(value) > 0 && value[0] == '{' && strings.EqualFold(string(name), "lastError"):
		// What is wrong with it shows in the row's other values.
		_ = members(value, func(name, value []byte) { f.member(one, "lasterror", name, value) })
	}
}

// readTables reads the response of a query.
func (f *file) readTables(in *bufio.Reader, each func(*row, error) error) error {
	d := json.NewDecoder(in)
	return objectOf(d, func(name string) error {
		if !strings.EqualFold(name, "tables") {
			return d.Decode(new(json.RawMessage))
		}
		n := 0
		return listOf(d, func() error {
			if n++; n > 1 { // what follows the first is about the query
				return d.Decode(new(json.RawMessage))
			}
			return f.readTable(d, each)
		})
	})
}

func (f *file) readTable(d *json.Decoder, each func(*row, error) error) error {
	var one row
	return objectOf(d, func(name string) error {
		switch strings.ToLower(name) {
		case "columns":
			var columns []struct{ Name, ColumnName string }
			if err := d.Decode(&columns); err != nil {
				return err
			}
			f.header = nil
			for _, c := range columns {
				f.header = append(f.header, c.Name+c.ColumnName)
			}
			return f.placeColumns(f.header, "")
		case "rows":
			return listOf(d, func() error {
				var list json.RawMessage
				if err := d.Decode(&list); err != nil {
					return err
				}
				f.line++
				one = row{}
				err := elements(list, func(value []byte) { one.cells = append(one.cells, text(value)) })
				if err == nil && len(one.cells) != len(f.header) {
					err = badRow(fmt.Sprintf("the row has %d columns, the header has %d", len(one.cells), len(f.header)))
				}
				for c, i := range f.at {
					if i >= 0 && i < len(one.cells) {
						one.values[c] = one.cells[i]
					}
				}
				return each(&one, err)
			})
		default:
			return d.Decode(new(json.RawMessage))
		}
	})
}

// objectOf calls visit with the name of each member of the object that comes
// next; visit consumes the value.
func objectOf(d *json.Decoder, visit func(name string) error) error {
	return bracket(d, '{', func() error {
		name, err := d.Token()
		if err != nil {
			return err
		}
		text, _ := name.(string)
		return visit(text)
	})
}

// listOf calls visit for each element of the list that comes next; visit
// consumes it.
func listOf(d *json.Decoder, visit func() error) error { return bracket(d, '[', visit) }

func bracket(d *json.Decoder, want json.Delim, visit func() error) error {
	switch first, err := d.Token(); {
	case err != nil:
		return unexpectedEnd(err)
	case first != want:
		return fmt.Errorf("expected %v, got %v", want, first)
	}
	for d.More() {
		if err := visit(); err != nil {
			return unexpectedEnd(err)
		}
	}
	_, err := d.Token()
	return unexpectedEnd(err)
}

// unexpectedEnd is the error of a text that ends too soon.
func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
