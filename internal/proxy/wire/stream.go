package wire

import (
	"bytes"
	"errors"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

var (
	// ErrMalformed is an event or body of upstream that is not JSON of the
	// expected form.
	ErrMalformed = errors.New("malformed JSON from upstream")
	// ErrTooLarge is a response that outgrows MaxAnswerBytes.
	ErrTooLarge = errors.New("response exceeds the size limit")
	// ErrNoResponse is a stream that ended before it held any part of a response.
	ErrNoResponse = errors.New("stream contains no response")
)

// MaxResponseText bounds the text that is kept of one response.
const MaxResponseText = 64 << 20

// Signal is what one event of a stream says.
type Signal struct {
	// Tokens is how many output tokens the deltas hold, over all choices: text,
	// refusal, reasoning, and names and arguments of tool calls. It is an
	// estimate by length, and at least one for each delta that is not empty.
	Tokens int
	Usage  spillway.Usage
	// UsageOnly marks the chunk without choices that a client gets only if it
	// asked for include_usage.
	UsageOnly bool
	Finish    spillway.Finish // of the last choice that ended here
	// Done is the end of the stream: [DONE], or the terminal response event.
	Done bool
	Err  *StreamError // the error that upstream sent instead of the rest
}

// StreamError is an error object within a stream that began with 200.
type StreamError struct {
	Status  int // the HTTP status that the error would have had
	Code    string
	Type    string
	Message string
	Param   string // the member of the request that it is about
}

// Error returns the code and message as upstream gave them.
func (e *StreamError) Error() string {
	if e.Code != "" {
		return "upstream error in stream: " + e.Code + ": " + e.Message
	}
	return "upstream error in stream: " + e.Message
}

// Stream understands the events of one upstream stream as they pass through,
// and remembers what is needed to end it early. It is not safe for concurrent
// use. Reset makes it ready for another stream; the zero value knows no
// operation and sees only [DONE] and errors.
type Stream struct {
	// OneChoice says that the request has one prompt and asks for one choice, so that
	// there is no other, whatever its number. Set it after Reset.
	OneChoice bool
	// HideUsage says that the client has not asked for usage: AppendEvent and CutUsage
	// take it out of chunks. Set it after Reset.
	HideUsage bool

	api   spillway.API
	done  bool
	shape shape

	// Of chat and completions: what the first chunk with an id said, as the
	// insides of JSON strings, and as digits.
	id, model, created []byte
	choices            []choiceState
	usageSeen          bool
	usage              usageMember
	serviceTier        string
	deltaReason        []byte // of the delta that is read

	resp *responseLog // nil except of Responses
}

// choiceState is what a stream has said of one choice.
type choiceState struct {
	index    int
	finished bool
}

// Reset makes s ready for another stream, keeping moderate buffers.
func (s *Stream) Reset(api spillway.API) {
	s.api, s.OneChoice, s.HideUsage, s.serviceTier = api, false, false, ""
	s.usage.reset()
	s.shape.reset()
	s.id, s.model, s.created = trim(s.id), trim(s.model), trim(s.created)
	s.choices = s.choices[:0]
	s.usageSeen, s.done = false, false
	switch {
	case api != spillway.APIResponses:
		s.resp = nil
	case s.resp == nil:
		s.resp = new(responseLog)
	default:
		s.resp.reset()
	}
}

// heldStep is the step in which Held grows.
const heldStep = 64 << 10

// Held returns how many bytes s keeps of its stream, in steps of 64 KiB.
func (s *Stream) Held() int {
	if s.resp == nil {
		return 0
	}
	return s.resp.held()
}

var doneMark = []byte("[DONE]") // constant

// isDone reports whether data is the mark at the end of a stream. Clients take whatever
// begins with it for that.
func isDone(data []byte) bool {
	return len(data) > 0 && (data[0] == '[' || data[0] == ' ' || data[0] == '\t') &&
		bytes.HasPrefix(bytes.TrimLeft(data, " \t"), doneMark)
}

// Observe reads one event. It checks no more of the event than it needs to
// find its way; ErrMalformed says that it could not. An event without data
// says nothing. Observe allocates nothing after warm-up, errors excepted.
func (s *Stream) Observe(ev sse.Event) (Signal, error) {
	data := ev.Data
	s.usage.end = 0
	switch {
	case len(data) == 0:
		return Signal{}, nil
	case isDone(data):
		if s.api == spillway.APIResponses && !s.resp.finalRaw {
			return Signal{}, nil // a Response ends with its terminal event
		}
		s.done = true
		return Signal{Done: true}, nil
	case s.api == spillway.APIResponses:
		return s.observeResponse(ev)
	}
	var got [maxHoles][]byte
	if s.shape.match(data, &got) {
		return Signal{Tokens: s.matched(&got)}, nil
	}
	s.usage.reset()
	var sig Signal
	c := jsonwalk.Lax(data)
	s.shape.startRecording()
	s.readChunk(&c, &sig)
	if !c.Done() {
		s.shape.spoil()
		s.usage.reset()
		return Signal{}, ErrMalformed
	}
	if sig.Err == nil && isErrorEvent(ev) {
		sig.Err = readError(new(jsonwalk.Lax(data)))
	}
	if !s.usage.keep(data) || sig.Usage != (spillway.Usage{}) || sig.Finish != spillway.FinishUnknown || sig.Err != nil {
		s.shape.spoil()
	}
	s.shape.finishRecording(data)
	return sig, nil
}

// Repeats reports whether p, which begins with an event, is nothing but whole
// events of chat or completions that differ from one before in their deltas
// alone, and how many tokens those hold. Observe need not see them. It reports
// false for an empty p, and for kinds of events that it does not check.
func (s *Stream) Repeats(p []byte) (tokens int, ok bool) {
	var got [maxHoles][]byte
	for ok = len(p) > 0; len(p) > 0; {
		data, rest, whole := cutEvent(p)
		if !whole || !s.shape.match(data, &got) {
			return 0, false
		}
		tokens += s.matched(&got)
		p = rest
	}
	return tokens, ok
}

var (
	dataField = []byte("data: ") // constant
	eventEnd  = []byte("\n\n")   // constant
)

// cutEvent cuts an event of one line off, and returns its data and what
// follows. It reports false for any other event.
func cutEvent(p []byte) (data, rest []byte, whole bool) {
	data, found := bytes.CutPrefix(p, dataField)
	if !found {
		return nil, nil, false
	}
	return bytes.Cut(data, eventEnd)
}

// ServiceTier returns the service tier that the stream has named last; "" for none.
func (s *Stream) ServiceTier() string {
	if s.resp != nil {
		return s.resp.serviceTier
	}
	return s.serviceTier
}

// Done reports whether the end of the stream was seen.
func (s *Stream) Done() bool { return s.done }

// Finished reports whether at least so many choices have begun and every one
// that has begun has its finish: what a stream without an end mark needs to be
// complete.
func (s *Stream) Finished(choices int) bool {
	for _, c := range s.choices {
		if !c.finished {
			return false
		}
	}
	return len(s.choices) >= choices
}

// HasResponse reports whether the stream held a response even if it held no token: a
// choice that ended, or a response object.
func (s *Stream) HasResponse() bool {
	if s.api == spillway.APIResponses {
		return s.resp.finalRaw || len(s.resp.base) > 0
	}
	for _, c := range s.choices {
		if c.finished {
			return true
		}
	}
	return false
}

// What the holes of a Stream's shape hold.
const (
	holeIgnored int32 = -1
	holeToken   int32 = 0 // generated text
	holeMedia   int32 = 1 // generated audio in base64, whose length says nothing about tokens
)

// matched counts the tokens of an event that has the remembered shape.
func (s *Stream) matched(got *[maxHoles][]byte) (tokens int) {
	for k := range s.shape.n {
		tokens += holeTokens(s.shape.holes[k].target, got[k])
	}
	return tokens
}

// token reads a string that upstream generated.
func (s *Stream) token(c *jsonwalk.Cursor, sig *Signal, target int32) {
	sig.Tokens += holeTokens(target, readHole(c, &s.shape, target))
}

// holeTokens counts the tokens that a hole of a Stream's shape holds.
func holeTokens(target int32, text []byte) int {
	switch target {
	case holeToken:
		return tokensIn(text)
	case holeMedia:
		return min(len(text), 1)
	}
	return 0
}

// readHole reads a value and, if it is a string, makes it a hole of the shape
// and returns it.
func readHole(c *jsonwalk.Cursor, sh *shape, target int32) []byte {
	if c.Peek() != '"' {
		c.Value()
		return nil
	}
	text := c.Str()
	end := c.Offset() - 1
	sh.addHole(end-len(text), end, hole{target: target})
	return text
}

// keepFirst keeps the first content of a field that is not empty and fits into a
// line of data.
func keepFirst(kept *[]byte, text []byte) {
	if len(*kept) == 0 && !bytes.ContainsAny(text, "\r\n") {
		*kept = append(*kept, text...)
	}
}

// finishOf maps a finish_reason to a Finish.
func finishOf(reason []byte) spillway.Finish {
	switch string(reason) {
	case "":
		return spillway.FinishUnknown
	case "stop":
		return spillway.FinishStop
	case "length", "max_output_tokens":
		return spillway.FinishLength
	case "content_filter":
		return spillway.FinishFilter
	case "tool_calls", "function_call":
		return spillway.FinishTools
	}
	return spillway.FinishOther
}

// isErrorEvent reports whether the name of an event says that its data is an error.
func isErrorEvent(ev sse.Event) bool { return string(ev.Name) == eventError }

// eventError is the name of error events, and the type of those that are flat: the
// error's own members stand beside the type of the event.
const eventError = "error"

// NestsError reports whether an event has an error in its member "error", which is
// where the SDKs of chat and completions look. Others have its members in the event.
func NestsError(data []byte) bool {
	c := jsonwalk.Lax(data)
	c.Enter('{')
	for c.More('}') {
		if string(c.Key()) != eventError {
			c.Value()
		} else if !c.IsNull() {
			return true
		}
	}
	return false
}

// readError reads an error object, or an object that has one.
func readError(c *jsonwalk.Cursor) *StreamError {
	if c.Peek() != '{' {
		return &StreamError{Status: 500, Message: string(c.Text())}
	}
	e := new(StreamError)
	var status int
	c.Enter('{')
	for c.More('}') {
		switch string(c.Key()) {
		case "message":
			e.Message = unescape(c.Text())
		case "type":
			if e.Type = unescape(c.Text()); e.Type == eventError {
				e.Type = ""
			}
		case "param":
			e.Param = unescape(c.Text())
		case "code":
			raw := c.Value()
			status = max(status, jsonwalk.Atoi(bytes.Trim(raw, `"`)))
			if len(raw) > 0 && raw[0] != 'n' {
				e.Code = unescape(bytes.Trim(raw, `"`))
			}
		case "status":
			status = max(status, c.Number())
		case "error":
			if c.Peek() == '{' {
				e = readError(c)
				status = max(status, e.Status)
				continue
			}
			c.Value()
		default:
			c.Value()
		}
	}
	if e.Status = status; status < 400 || status > 599 {
		e.Status = statusOf(e.Code, e.Type)
	}
	return e
}

// statusOf is the status that goes with an error's code or type.
func statusOf(code, kind string) int {
	for _, word := range [...]string{code, kind} {
		switch word {
		case "rate_limit_exceeded", "rate_limit_error", "too_many_requests", "NoCapacity", "insufficient_quota":
			return 429
		case "content_filter", "invalid_request_error", "invalid_prompt", "context_length_exceeded":
			return 400
		case "timeout", "Timeout", "request_timeout":
			return 408
		case "service_unavailable", "overloaded", "overloaded_error":
			return 503
		}
	}
	return 500
}
