package workload

import (
	"time"

	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// recordRow is what a workload needs of a record, as docs/RECORDS.md
// describes it. Its texts are parts of the line.
type recordRow struct {
	at                           time.Duration // since 1970
	timed                        bool
	caller, tenant, class, model []byte
	api, outcome                 []byte
	stream                       bool
	choices, retry               int
	ask, estimate                int // tokens
	prompt, completion           int // tokens used
	seen                         int // most tokens of an attempt
}

// read reads a line. Names keeps the members' names.
func (row *recordRow) read(line []byte, names *interner) error {
	c := jsonwalk.Lax(line)
	for c.Enter('{'); c.More('}'); {
		key, value := c.Key(), c.Value()
		if c.Bad() {
			break
		}
		if err := row.set(names.of(key), value); err != nil {
			return err
		}
	}
	if !c.Done() {
		return errNotObject
	}
	return nil
}

// errNotObject is a line that is cut off, for one.
const errNotObject = reason("not valid JSON: a record is one object on one line")

// set takes one member of a record.
func (row *recordRow) set(key string, value []byte) (err error) {
	switch key {
	case "time":
		var text []byte
		if text, err = jsonText(key, value); err == nil {
			row.at, err = parseInstant(key, text)
			row.timed = true
		}
	case "caller":
		row.caller, err = jsonText(key, value)
	case "tenant":
		row.tenant, err = jsonText(key, value)
	case "class":
		row.class, err = jsonText(key, value)
	case "model":
		row.model, err = jsonText(key, value)
	case "api":
		row.api, err = jsonText(key, value)
	case "outcome":
		row.outcome, err = jsonText(key, value)
	case "stream":
		row.stream, err = parseFlag(key, value)
	case "choices":
		row.choices, err = jsonTokens(key, value)
	case "client_retry":
		row.retry, err = jsonTokens(key, value)
	case "ask_tokens":
		row.ask, err = jsonTokens(key, value)
	case "prompt_estimate_tokens":
		row.estimate, err = jsonTokens(key, value)
	case "usage":
		return row.usage(value)
	case "attempts":
		return row.attempts(value)
	}
	return err
}

// usage takes what the response consumed.
func (row *recordRow) usage(value []byte) (err error) {
	c := jsonwalk.Lax(value)
	for c.Enter('{'); err == nil && c.More('}'); {
		switch key, value := c.Key(), c.Value(); string(key) {
		case "prompt_tokens":
			row.prompt, err = jsonTokens("prompt_tokens", value)
		case "completion_tokens":
			row.completion, err = jsonTokens("completion_tokens", value)
		}
	}
	if c.Bad() {
		return reasonf("usage %.40q is not an object", value)
	}
	return err
}

// attempts takes the most tokens that an attempt has seen.
func (row *recordRow) attempts(value []byte) (err error) {
	c := jsonwalk.Lax(value)
	for c.Enter('['); err == nil && c.More(']'); {
		if attempt := c.Value(); !c.Bad() {
			err = row.attempt(attempt)
		}
	}
	if c.Bad() {
		return reasonf("attempts %.40q is not an array", value)
	}
	return err
}

func (row *recordRow) attempt(value []byte) (err error) {
	c := jsonwalk.Lax(value)
	for c.Enter('{'); err == nil && c.More('}'); {
		if key, value := c.Key(), c.Value(); string(key) == "tokens" {
			var n int
			n, err = jsonTokens("tokens", value)
			row.seen = max(row.seen, n)
		}
	}
	if c.Bad() {
		return reasonf("an attempt %.40q is not an object", value)
	}
	return err
}

// recordDecoder reads records as calls. It keeps recent lengths by class.
type recordDecoder struct {
	censored Censored
	tally    *Tally
	names    interner
	recent   Lookback
}

func newRecordDecoder(censored Censored, tally *Tally) (*recordDecoder, error) {
	switch censored {
	case CensoredImpute, CensoredLimit, CensoredSkip:
		return &recordDecoder{censored: censored, tally: tally}, nil
	}
	return nil, reasonf("unknown value %q for censored: use %q, %q, or none to impute", censored, CensoredLimit, CensoredSkip)
}

func (d *recordDecoder) decode(line []byte, c *Call) (verdict, error) {
	var row recordRow
	if err := row.read(line, &d.names); err != nil {
		return isCall, err
	}
	switch {
	case !row.timed:
		return isCall, reasonf("time is missing")
	case len(row.outcome) == 0:
		return isCall, reasonf("outcome is missing")
	case row.choices > maxTokens/max(row.ask, 1):
		return isCall, reasonf("ask_tokens times choices is more than %d", maxTokens)
	case row.retry > 0:
		return isRetry, nil
	case string(row.api) == "embeddings" || string(row.api) == "other" || string(row.outcome) == "refused_invalid":
		return isOther, nil
	}
	c.At = row.at
	c.Client = d.names.of(row.caller)
	if len(row.tenant) > 0 {
		c.Client = d.names.of(row.tenant)
	}
	c.Class = d.names.of(row.class)
	c.Model = d.names.of(row.model)
	c.PromptTokens = row.prompt
	if c.PromptTokens == 0 {
		c.PromptTokens = row.estimate
	}
	c.MaxTokens = row.ask * max(row.choices, 1)
	c.Stream = row.stream
	return d.length(&row, c), nil
}

// length finds the output's length, which is known only where the response came
// to its own end or to the client's limit.
func (d *recordDecoder) length(row *recordRow, c *Call) verdict {
	seen := max(row.completion, row.seen)
	recent := d.recent.of(c.Class)
	if o := string(row.outcome); o == "ok" || o == "ok_client_cap" {
		c.OutputTokens = row.completion
		recent.add(c.OutputTokens)
		return isCall
	}
	d.tally.Censored++
	switch {
	case d.censored == CensoredSkip:
		return isFailed
	case d.censored == CensoredLimit && c.MaxTokens > 0:
		c.OutputTokens = max(seen, c.MaxTokens)
	case d.censored == CensoredLimit:
		c.OutputTokens = max(seen, 1)
	default:
		c.OutputTokens = recent.impute(seen, c.MaxTokens)
	}
	return isCall
}

// Lookback finds the lengths of responses that were cut off among those of
// responses that were not. The zero value has seen none.
type Lookback struct{ classes map[string]*recentLengths }

// Length is the output tokens of a response of that class: of a whole one what
// was seen, which is remembered; else a recent length of its class beyond what
// was seen, within the limit that its client set, where there is one.
func (l *Lookback) Length(class string, seen, limit int, whole bool) int {
	recent := l.of(class)
	if whole {
		recent.add(seen)
		return seen
	}
	return recent.impute(seen, limit)
}

// of is what is remembered of a class.
func (l *Lookback) of(class string) *recentLengths {
	recent := l.classes[class]
	if recent == nil {
		recent = &recentLengths{}
		if l.classes == nil {
			l.classes = map[string]*recentLengths{}
		}
		if len(l.classes) < maxClasses {
			l.classes[class] = recent
		}
	}
	return recent
}

// recentLengths remembers the lengths of recent complete responses.
type recentLengths struct {
	ring [256]int
	n    int // added so far
	turn int // where the next search starts
}

func (l *recentLengths) add(tokens int) {
	l.ring[l.n%len(l.ring)] = tokens
	l.n++
}

// impute is a length beyond what was seen, within the limit where there is one.
func (l *recentLengths) impute(seen, limit int) int {
	n := max(l.beyond(seen), 1)
	if limit > 0 {
		n = max(seen, min(n, limit))
	}
	return n
}

// beyond returns one of the lengths above seen, another one each time, or seen
// where there is none.
func (l *recentLengths) beyond(seen int) int {
	size := min(l.n, len(l.ring))
	for i := range size {
		if at := (l.turn + i) % size; l.ring[at] > seen {
			l.turn = at + 1
			return l.ring[at]
		}
	}
	return seen
}
