package workload

import (
	"encoding/json"
	"errors"
	"time"
)

// openJSON prepares for a trace of JSON lines, of which line is the first.
func (r *Reader) openJSON(line []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		return badJSON(err)
	}
	format := r.opt.Format
	if format == FormatDetect {
		switch {
		case members["input_length"] != nil || members["hash_ids"] != nil:
			format = FormatMooncake
		case members["outcome"] != nil && members["time"] != nil:
			format = FormatRecords
		default:
			return reasonf("these JSON lines are not a trace: expected members timestamp, input_length, output_length (mooncake) or time, outcome, usage (records)")
		}
	}
	switch format {
	case FormatMooncake:
		r.decoder, r.columns = &mooncakeDecoder{}, Columns{Prefix: true}
	case FormatRecords:
		d, err := newRecordDecoder(r.opt.Censored, &r.tally)
		if err != nil {
			return err
		}
		r.decoder, r.order = d, &reorder{window: r.opt.window()}
		r.columns = Columns{Model: true, Client: true, Class: true, MaxTokens: true, Stream: true}
	default:
		return reasonf("a trace of format %s does not start with %.20q", format, line)
	}
	r.tally.Format = format
	r.in.again = append([]byte(nil), line...) // it is a row already
	return nil
}

// badJSON is a line that does not decode.
func badJSON(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return reasonf("%s must not be a %s", wrong.Field, wrong.Value)
	}
	return reasonf("not valid JSON: %v", err)
}

// mooncakeRow is a line of a Mooncake trace.
type mooncakeRow struct {
	Timestamp *float64 `json:"timestamp"` // ms
	Input     *float64 `json:"input_length"`
	Output    *float64 `json:"output_length"`
	HashIDs   []uint64 `json:"hash_ids"`
}

// mooncakeDecoder reads Mooncake's lines. It keeps only room for the ids.
type mooncakeDecoder struct {
	ids []uint64
}

func (d *mooncakeDecoder) decode(line []byte, c *Call) (verdict, error) {
	row := mooncakeRow{HashIDs: d.ids[:0]}
	if err := json.Unmarshal(line, &row); err != nil {
		return isCall, badJSON(err)
	}
	if row.Timestamp == nil || row.Input == nil || row.Output == nil {
		return isCall, reasonf("timestamp, input_length and output_length are required")
	}
	d.ids = row.HashIDs
	if *row.Timestamp < 0 || *row.Timestamp > float64(maxOffset/time.Millisecond) {
		return isCall, reasonf("timestamp %v is negative or more than a hundred years", *row.Timestamp)
	}
	c.At = time.Duration(*row.Timestamp * float64(time.Millisecond))
	var err error
	if c.PromptTokens, err = wholeTokens("input_length", *row.Input); err != nil {
		return isCall, err
	}
	if c.OutputTokens, err = wholeTokens("output_length", *row.Output); err != nil {
		return isCall, err
	}
	c.Prefix = mooncakePrefix(d.ids, c.PromptTokens)
	return isCall, nil
}
