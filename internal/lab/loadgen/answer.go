package loadgen

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// errCut is a stream that ended before its response did.
var errCut = errors.New("stream ended early")

// readHeader takes in what the gateway says about a response.
func (x *exchange) readHeader(h http.Header) {
	x.res.truncated = len(h[wire.HeaderTruncated]) > 0 || lowered(h)
	x.res.spilled = len(h[wire.HeaderSpill]) > 0
}

// lowered reports whether the gateway granted fewer tokens than were asked
// for. A stream's header cannot say that the response will be truncated.
func lowered(h http.Header) bool {
	asked, err := strconv.Atoi(h.Get(wire.HeaderRequestedTokens))
	if err != nil {
		return false
	}
	granted, err := strconv.Atoi(h.Get(wire.HeaderGrantedTokens))
	return err == nil && granted < asked
}

// read reads the response. For a stream each byte begins the attempt's time
// anew.
func (x *exchange) read(resp *http.Response) error {
	if x.run.opt.streams(&x.call) && strings.HasPrefix(resp.Header.Get(wire.HeaderContentType), "text/event-stream") {
		return x.readStream(resp.Body)
	}
	return x.readWhole(resp.Body)
}

// readWhole reads a response that is not streamed.
func (x *exchange) readWhole(body io.Reader) error {
	x.answer = x.answer[:0]
	for {
		n, err := body.Read(x.buf)
		x.answer = append(x.answer, x.buf[:n]...)
		if len(x.answer) > wire.MaxResponseText {
			return wire.ErrTooLarge
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	sum, ok := wire.Summarize(spillway.APIChat, x.answer)
	if !ok {
		return wire.ErrMalformed
	}
	if sum.Finish == spillway.FinishUnknown {
		if fault := wire.ScanFault(x.answer); fault != nil {
			return fault
		}
	}
	x.res.usage, x.res.finish, x.res.tokens = sum.Usage, sum.Finish, sum.Usage.Completion
	x.res.outcome = x.ended()
	return nil
}

// readStream reads a stream, and times its chunks by when they were read.
func (x *exchange) readStream(body io.Reader) error {
	x.res.streamed = true
	x.scan.Reset()
	x.stream.Reset(spillway.APIChat)
	var last time.Time
	for {
		n, err := body.Read(x.buf)
		now := time.Now()
		x.timer.Reset(x.run.opt.Timeout)
		x.scan.Feed(x.buf[:n])
		for {
			ev, ok := x.scan.Next()
			if !ok {
				break
			}
			sig, fault := x.stream.Observe(ev)
			if fault == nil && sig.Err != nil {
				fault = sig.Err
			}
			if fault != nil {
				return fault
			}
			last = x.observe(sig, now, last)
		}
		switch {
		case errors.Is(err, io.EOF):
			return x.endStream()
		case err != nil:
			return err
		case x.scan.Err() != nil:
			return x.scan.Err()
		}
	}
}

// observe takes in what one event says. It returns when the last chunk came.
func (x *exchange) observe(sig wire.Signal, now, last time.Time) time.Time {
	if sig.Usage.Known {
		x.res.usage = sig.Usage
	}
	if sig.Finish != spillway.FinishUnknown {
		x.res.finish = sig.Finish
	}
	if sig.Tokens == 0 {
		return last
	}
	x.res.tokens += sig.Tokens
	if last.IsZero() {
		x.res.first = now
		return now
	}
	x.gaps = append(x.gaps, now.Sub(last))
	if len(x.gaps) == gapsKept {
		x.run.tally.record(x.gaps)
		x.gaps = x.gaps[:0]
	}
	return now
}

// gapsKept is how many gaps an exchange gathers before it takes the tally's
// lock for them.
const gapsKept = 64

// endStream says how a stream ended.
func (x *exchange) endStream() error {
	if !x.stream.Done() && !x.stream.Finished(1) {
		return errCut
	}
	x.res.outcome = x.ended()
	return nil
}

// ended distinguishes a complete response from one that was cut short on the way. A limit
// that the client set itself makes a complete one.
func (x *exchange) ended() outcome {
	if x.res.finish != spillway.FinishLength {
		return complete
	}
	limit := x.run.opt.limit(&x.call)
	own := limit > 0 && (!x.res.usage.Known || x.res.usage.Completion >= limit)
	if x.res.truncated || !own {
		return truncated
	}
	return complete
}

// readMessage returns what an error's body says to people, in one line of
// moderate length, without what is hidden.
func readMessage(resp *http.Response, body []byte, hidden *strings.Replacer) string {
	var shape struct {
		Error struct {
			Code    any    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	text := string(body)
	if json.Unmarshal(body, &shape) == nil && shape.Error.Message != "" {
		text = shape.Error.Message
		if code, ok := shape.Error.Code.(string); ok && code != strconv.Itoa(resp.StatusCode) {
			text = code + ": " + text
		}
	}
	if to := resp.Header.Get("Location"); to != "" {
		text = "redirects to " + to
	}
	text = strings.Join(strings.Fields(text), " ")
	text = hidden.Replace(strings.Map(printable, text))
	if len(text) > messageBytes {
		text = strings.ToValidUTF8(text[:messageBytes], "") + "…"
	}
	return text
}

// printable leaves out what would command a terminal.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return -1
	}
	return r
}

const messageBytes = 200
