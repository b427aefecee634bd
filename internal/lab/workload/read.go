package workload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// Format is the form of a trace. The empty format stands for detection by the
// first line.
type Format string

// The formats that Open reads.
const (
	FormatDetect   Format = ""
	FormatCSV      Format = "csv"      // our own, also what NewWriter writes
	FormatAzure    Format = "azure"    // Azure LLM inference traces, 2023 and 2024
	FormatMooncake Format = "mooncake" // Mooncake's JSON lines
	FormatBurstGPT Format = "burstgpt" // BurstGPT, with and without sessions
	FormatRecords  Format = "records"  // the records that the gateway leaves
)

// Censored says what becomes of records whose response was not seen to its end,
// so that its true length is unknown.
type Censored string

// The treatments of unknown lengths.
const (
	// CensoredImpute, the default, takes the length of a recent complete
	// response of the same class that is longer than what was seen, or what was
	// seen where there is none.
	CensoredImpute Censored = ""
	// CensoredLimit takes the client's own limit where it set one: the worst
	// case.
	CensoredLimit Censored = "limit"
	// CensoredSkip leaves such calls out.
	CensoredSkip Censored = "skip"
)

// ReadOptions say how to read a trace. The zero value detects the format and
// stops at the first bad row.
type ReadOptions struct {
	Format Format
	// SkipBad passes over bad rows and counts them.
	SkipBad bool
	// Censored applies to records.
	Censored Censored
	// Window bounds how much later than its arrival a record may stand in the
	// file; 0 takes 10 minutes.
	Window time.Duration
}

func (o ReadOptions) window() time.Duration {
	if o.Window <= 0 {
		return 10 * time.Minute
	}
	return o.Window
}

// ErrEmpty is a trace without a call.
var ErrEmpty = errors.New("the trace has no calls")

// RowError is a bad row: where it is and why it is bad.
type RowError struct {
	Name   string // of the file
	Line   int    // from 1
	Reason string
}

// Error returns the place and the reason on one line.
func (e *RowError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Reason) }

// maxReasons bounds the reasons that a tally keeps.
const maxReasons = 5

// Tally is what a Reader did with the rows so far.
type Tally struct {
	Format Format `json:"format"`
	// Rows that became calls.
	Rows int `json:"rows"`
	// Skipped rows are bad; Reasons has those of the first five.
	Skipped int      `json:"skipped,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
	// Left out on purpose: attempts of a client to repeat a call, rows that
	// generate nothing (embeddings, files), and calls that failed without
	// having a length.
	Retries int `json:"retries,omitempty"`
	Others  int `json:"others,omitempty"`
	Failed  int `json:"failed,omitempty"`
	// Censored calls are those whose true length is unknown.
	Censored int `json:"censored,omitempty"`
	// Ignored names columns that mean nothing to the format.
	Ignored []string `json:"ignored,omitempty"`
}

// verdict is what a row is.
type verdict uint8

const (
	isCall verdict = iota
	isRetry
	isOther
	isFailed
)

// decoder reads one row into c, which is zero. A string of c must not share
// line's memory. Its error is the reason why the row is bad.
type decoder interface {
	decode(line []byte, c *Call) (verdict, error)
}

// Reader is a trace as a Source. It is not safe for concurrent use.
type Reader struct {
	in      lines
	opt     ReadOptions
	decoder decoder
	header  []byte   // of the first part; nil for formats without one
	order   *reorder // nil where rows come in order of arrival
	// absolute says that time counts from the workload's beginning, not from
	// the first call; based, that there was one.
	absolute, based bool
	base            time.Duration
	last            time.Duration
	tally           Tally
	columns         Columns
	call            Call // read last; here so that it need not be allocated
	err             error
}

// Open reads a trace from r; name stands in errors. It returns an error where
// the format cannot be detected or columns are missing.
func Open(r io.Reader, name string, opt ReadOptions) (*Reader, error) {
	return OpenParts([]Part{{name, r}}, opt)
}

// OpenParts reads parts, one after the other, as one trace: its rows go on
// where those of the part before end. Every part repeats the header where the
// format has one.
func OpenParts(parts []Part, opt ReadOptions) (*Reader, error) {
	r := &Reader{in: newLines(parts), opt: opt}
	line, err := r.in.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s: %w", r.in.name, ErrEmpty)
	case err != nil:
		return nil, r.at(err)
	}
	if bytes.HasPrefix(bytes.TrimSpace(line), []byte("{")) {
		err = r.openJSON(line)
	} else {
		err = r.openCSV(line)
	}
	if err != nil {
		return nil, r.at(err)
	}
	return r, nil
}

// at gives an error the place that was read last, where it is a row's.
func (r *Reader) at(err error) error {
	if errors.Is(err, errLongLine) || errors.As(err, new(reason)) {
		return &RowError{r.in.name, r.in.n, err.Error()}
	}
	return err
}

// reason is why a row is bad.
type reason string

func (e reason) Error() string { return string(e) }

func reasonf(format string, args ...any) error { return reason(fmt.Sprintf(format, args...)) }

// Tally returns what became of the rows read so far.
func (r *Reader) Tally() Tally { return r.tally }

// Skipped returns how many bad rows were passed over so far.
func (r *Reader) Skipped() int { return r.tally.Skipped }

// Columns returns the optional columns of our own CSV that the trace's calls
// can need.
func (r *Reader) Columns() Columns { return r.columns }

// Next returns the next call. A trace without one ends in ErrEmpty instead of
// io.EOF.
func (r *Reader) Next() (Call, error) {
	if r.err != nil {
		return Call{}, r.err
	}
	c := &r.call
	var err error
	if r.order != nil {
		err = r.order.next(r, c)
	} else {
		err = r.ordered(c)
	}
	if err != nil {
		r.err = r.ending(err)
		return Call{}, r.err
	}
	if !r.based {
		r.based = true
		if !r.absolute {
			r.base = c.At
		}
	}
	r.last = c.At
	c.At -= r.base
	r.tally.Rows++
	return *c, nil
}

// ending is what stays of an error: the end of a trace that had no call is
// ErrEmpty.
func (r *Reader) ending(err error) error {
	if !errors.Is(err, io.EOF) || r.based {
		return err
	}
	if r.tally.Skipped > 0 {
		return fmt.Errorf("%s: %w; rows skipped as bad: %d, the first: %s", r.in.name, ErrEmpty, r.tally.Skipped, r.tally.Reasons[0])
	}
	return fmt.Errorf("%s: %w", r.in.name, ErrEmpty)
}

// ordered reads the next call of a format whose rows are in order of arrival.
func (r *Reader) ordered(c *Call) error {
	for {
		if err := r.row(c); err != nil {
			return err
		}
		if !r.based || c.At >= r.last {
			return nil
		}
		err := r.bad(reasonf("time goes back by %v; a trace must be in order of arrival", r.last-c.At))
		if err != nil {
			return err
		}
	}
}

// row reads the next row that is a call. Its At has not been moved to the
// trace's beginning.
func (r *Reader) row(c *Call) error {
	for {
		line, err := r.in.next()
		if err != nil {
			if !errors.Is(err, errLongLine) {
				return err
			}
			if err = r.bad(err); err != nil {
				return err
			}
			continue
		}
		if r.in.first && r.header != nil {
			if !bytes.Equal(bytes.TrimSpace(line), r.header) {
				return &RowError{r.in.name, r.in.n, fmt.Sprintf("the header is not that of the first file, %q", r.header)}
			}
			continue
		}
		*c = Call{}
		v, err := r.decoder.decode(line, c)
		switch {
		case err != nil:
			if err = r.bad(err); err != nil {
				return err
			}
		case v == isCall:
			return nil
		case v == isRetry:
			r.tally.Retries++
		case v == isOther:
			r.tally.Others++
		case v == isFailed:
			r.tally.Failed++
		}
	}
}

// bad counts the row read last as bad, or returns the error that it is.
func (r *Reader) bad(why error) error {
	err := &RowError{r.in.name, r.in.n, why.Error()}
	if !r.opt.SkipBad {
		return err
	}
	r.tally.Skipped++
	if len(r.tally.Reasons) < maxReasons {
		r.tally.Reasons = append(r.tally.Reasons, err.Error())
	}
	return nil
}
