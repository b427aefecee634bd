package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// fault is why a text was refused: a limit, or a name that an object has twice.
// The zero fault is none of them, which leaves the grammar.
type fault struct {
	reason    string
	duplicate bool // the member at offset has the name of one before it
	offset    int
}

// refuse records why the text is refused, and returns false.
func (s *scanner) refuse(f fault) bool {
	s.fault = f
	return false
}

// explain says why the text, which the scanner has refused, is not one acceptable
// JSON value.
func (s *scanner) explain() *BadRequest {
	switch f := s.fault; {
	case f.duplicate:
		return s.duplicate(f.offset)
	case f.reason != "":
		return s.invalid(f.reason, f.offset)
	}
	// Names are the scanner's: jsontext would keep those of all objects.
	d := jsontext.NewDecoder(bytes.NewBuffer(s.src), jsontext.AllowDuplicateNames(true))
	_, err := d.ReadValue()
	if err == nil {
		_, err = d.ReadToken()
	}
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return s.invalid(syntax.Err.Error(), int(min(syntax.ByteOffset, int64(len(s.src)))))
	}
	if err == nil {
		return s.invalid("more than one value", len(s.src))
	}
	return s.invalid("unexpected end", len(s.src))
}

// maxNameShown bounds the length of a name in an error, in bytes.
const maxNameShown = 128

// duplicate is the error for a name that an object has twice, the second time at
// offset.
func (s *scanner) duplicate(offset int) *BadRequest {
	second := scanner{src: s.src, pos: offset}
	second.str() // it has been read before
	quoted := s.src[offset:second.pos]
	shown := strings.ToValidUTF8(string(unquote(quoted[:min(len(quoted), maxNameShown)])), "")
	line, column := position(s.src, offset)
	return &BadRequest{
		Code: CodeInvalidJSON, Param: shown,
		Message: fmt.Sprintf("The request body has a duplicate key %q (line %d, column %d). Send it once.", shown, line, column),
	}
}

// invalid is the error for a text that is not acceptable at offset.
func (s *scanner) invalid(what string, offset int) *BadRequest {
	line, column := position(s.src, offset)
	return &BadRequest{
		Code:    CodeInvalidJSON,
		Message: fmt.Sprintf("The request body is not valid JSON: %s (line %d, column %d).", what, line, column),
	}
}

// position turns a byte offset into a line and a column, both from 1; the
// column counts bytes.
func position(body []byte, offset int) (line, column int) {
	before := body[:offset]
	return bytes.Count(before, []byte{'\n'}) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}
