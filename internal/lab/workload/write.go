package workload

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Columns says which optional columns a Writer writes.
type Columns struct {
	Model, Client, Class, MaxTokens, Stream, CanStream, Prefix bool
}

// Of adds the columns that c needs.
func (k *Columns) Of(c *Call) {
	k.Model = k.Model || c.Model != ""
	k.Client = k.Client || c.Client != ""
	k.Class = k.Class || c.Class != ""
	k.MaxTokens = k.MaxTokens || c.MaxTokens != 0
	k.Stream = k.Stream || c.Stream
	k.CanStream = k.CanStream || c.CanStream
	k.Prefix = k.Prefix || len(c.Prefix) > 0
}

// lookAhead is the number of calls that a Writer looks at to choose columns.
const lookAhead = 4096

// Writer writes calls as our own CSV. The optional columns are those that the
// first 4,096 calls use, or that Require named; a later call that needs
// another one is an error. It is not safe for concurrent use.
type Writer struct {
	w       *bufio.Writer
	first   []Call // kept until the columns are chosen
	started bool
	columns Columns
	row     []byte
	err     error
}

// NewWriter returns a Writer to w. Flush ends the writing.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, 1<<16)}
}

// Require names columns to write even if the first calls have no use for them.
// It counts before the first 4,096 calls are written.
func (w *Writer) Require(k Columns) { w.columns = k }

// Write writes one call. After an error it returns that error again.
func (w *Writer) Write(c Call) error {
	if w.err != nil {
		return w.err
	}
	if w.started {
		return w.write(&c)
	}
	w.columns.Of(&c)
	if w.first = append(w.first, c); len(w.first) < lookAhead {
		return nil
	}
	return w.start()
}

// Flush writes what has been kept back. A trace without calls gets a header.
func (w *Writer) Flush() error {
	if w.err == nil && !w.started {
		w.err = w.start()
	}
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return w.err
}

// start writes the header and the calls kept back.
func (w *Writer) start() error {
	w.started = true
	var header strings.Builder
	header.WriteString("offset_ms,input_tokens,output_tokens")
	for _, c := range []struct {
		used bool
		name string
	}{
		{w.columns.Model, "model"},
		{w.columns.Client, "client"},
		{w.columns.Class, "class"},
		{w.columns.MaxTokens, "max_tokens"},
		{w.columns.Stream, "stream"},
		{w.columns.CanStream, "can_stream"},
		{w.columns.Prefix, "prefix"},
	} {
		if c.used {
			header.WriteString("," + c.name)
		}
	}
	if _, w.err = w.w.WriteString(header.String() + "\n"); w.err != nil {
		return w.err
	}
	for i := range w.first {
		if w.write(&w.first[i]) != nil {
			break
		}
	}
	w.first = nil
	return w.err
}

func (w *Writer) write(c *Call) error {
	needs := w.columns
	if needs.Of(c); needs != w.columns {
		w.err = fmt.Errorf("the call at %v uses a column that is not in the header", c.At)
		return w.err
	}
	b := appendMilliseconds(w.row[:0], c.At)
	b = strconv.AppendInt(append(b, ','), int64(c.PromptTokens), 10)
	b = strconv.AppendInt(append(b, ','), int64(c.OutputTokens), 10)
	if w.columns.Model {
		b = appendText(append(b, ','), c.Model)
	}
	if w.columns.Client {
		b = appendText(append(b, ','), c.Client)
	}
	if w.columns.Class {
		b = appendText(append(b, ','), c.Class)
	}
	if w.columns.MaxTokens {
		b = strconv.AppendInt(append(b, ','), int64(c.MaxTokens), 10)
	}
	if w.columns.Stream {
		b = append(b, ',', digit(c.Stream))
	}
	if w.columns.CanStream {
		b = append(b, ',', digit(c.CanStream))
	}
	if w.columns.Prefix {
		b = appendPrefix(append(b, ','), c.Prefix)
	}
	w.row = append(b, '\n')
	_, w.err = w.w.Write(w.row)
	return w.err
}

func digit(set bool) byte {
	if set {
		return '1'
	}
	return '0'
}

// appendMilliseconds writes d in milliseconds, with as many decimals as it
// has.
func appendMilliseconds(dst []byte, d time.Duration) []byte {
	dst = strconv.AppendInt(dst, int64(d/time.Millisecond), 10)
	rest := d % time.Millisecond
	if rest <= 0 {
		return dst
	}
	dst = append(dst, '.')
	for scale := time.Millisecond / 10; rest > 0; scale /= 10 {
		dst = append(dst, byte('0'+rest/scale))
		rest %= scale
	}
	return dst
}

// appendText writes a field, in quotes where it needs them. Line breaks become
// spaces, since a row is one line.
func appendText(dst []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"\r\n") && strings.TrimSpace(s) == s {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"':
			dst = append(dst, '"', '"')
		case '\r', '\n':
			dst = append(dst, ' ')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
