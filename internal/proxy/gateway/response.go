package gateway

import (
	"net/http"
	"strconv"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// trailerTruncated is the trailer that reports a cut at the end of a stream,
// whose headers have been sent already.
const trailerTruncated = http.TrailerPrefix + wire.HeaderTruncated

// writeResponse writes the response that the settle action selects, or the rest
// of it.
func (f *flight) writeResponse() {
	switch k := f.verdict.Attempt; {
	case f.forwarded != nil:
		f.endStream(f.forwarded)
	case k > 0:
		f.writeAttemptResponse(f.attempt(k))
	case f.verdict.Refusal.Code != spillway.RefusalNone:
		f.writeError(wire.Refused(f.verdict.Refusal, f.core.Record().Window))
	}
}

// writeAttemptResponse writes the response of an attempt that was not forwarded.
func (f *flight) writeAttemptResponse(a *upstream.Attempt) {
	if f.writeAssembled(a) {
		return
	}
	switch {
	case a.Fault() != nil:
		f.writeError(faultError(a.Fault()))
		return
	case a.Response() == nil:
		f.writeError(f.interruptedError(a))
		return
	case a.Unreadable() && !a.WholeRead():
		f.writeError(wire.UnreadableResponse())
		return
	}
	if how, readable := f.readableError(a); !readable {
		f.writeError(f.upstreamError(a, how))
		return
	}
	f.startHeaders(a)
	if f.verdict.NoRetry {
		f.out.Set(wire.HeaderShouldRetry, "false")
	}
	f.rememberPin(a, a.Beginning())
	f.writeWhole(a.Response().StatusCode, a.Beginning())
}

// responseBytes is the room for a response that is assembled, before it grows.
const responseBytes = 4 << 10

// writeAssembled writes the response that was assembled from a stream. It
// reports false where there is none.
func (f *flight) writeAssembled(a *upstream.Attempt) bool {
	f.call.Wait() // an attempt that was cut may still be adding to the response
	room := f.g.buffers.Get(responseBytes)
	defer func() { room.Release() }()
	body, assembled, err := a.AppendResponse(room.B, f.core.Record().Usage)
	room.B = body
	switch {
	case !assembled:
		return false
	case err != nil:
		f.writeError(f.interruptedError(a))
		return true
	}
	f.rememberPin(a, body)
	f.startHeaders(a)
	f.out.Set(wire.HeaderContentType, "application/json")
	f.writeWhole(http.StatusOK, body)
	return true
}

// startResponse writes the headers of a response that is forwarded as it arrives.
func (f *flight) startResponse(a *upstream.Attempt, status int) {
	f.startHeaders(a)
	if a.Response().ContentLength >= 0 && a.Form() != upstream.Streamed {
		f.out.Set("Content-Length", strconv.FormatInt(a.Response().ContentLength, 10))
	}
	f.out.Start(status)
}

// startHeaders sets upstream's headers and ours.
func (f *flight) startHeaders(a *upstream.Attempt) {
	h := f.out.Header()
	wire.CopyHeader(h, a.Response().Header)
	wire.LimitRetryAfter(h, f.g.deps.Now(), spillway.MaxRetryAfter)
	delete(h, "Content-Length")
	f.setFlightHeaders(a)
}

// setFlightHeaders sets the headers that say how a, and the flight with it, went.
func (f *flight) setFlightHeaders(a *upstream.Attempt) {
	f.out.Set(wire.HeaderRequestID, f.call.ID)
	f.out.Set(wire.HeaderDeployment, a.Deployment().Name())
	f.out.Set(wire.HeaderAttempts, strconv.Itoa(len(f.attempts)))
	if granted := f.decision.grantTokens; granted > 0 {
		f.out.Set(wire.HeaderGrantedTokens, strconv.Itoa(granted))
		if granted < f.req.AskTokens {
			f.out.Set(wire.HeaderRequestedTokens, strconv.Itoa(f.req.AskTokens))
		}
	}
	if spill := f.decision.spill.String(); spill != "" {
		f.out.Set(wire.HeaderSpill, spill)
	}
	if truncated := f.decision.truncated.String(); truncated != "" {
		f.out.Set(wire.HeaderTruncated, truncated)
	}
	f.out.Set(wire.HeaderServerTiming, f.timing(a))
}

// timing is the value of server-timing, in milliseconds: what the request
// waited before its first attempt, the first output since acceptance, and how
// long this attempt has run.
func (f *flight) timing(a *upstream.Attempt) string {
	var room [96]byte
	b := append(room[:0], "queue;dur="...)
	b = appendMillis(b, f.decision.queue)
	if f.decision.ttft > 0 {
		b = append(b, ", ttft;dur="...)
		b = appendMillis(b, f.decision.ttft)
	}
	b = append(b, ", upstream;dur="...)
	b = appendMillis(b, f.g.deps.Now().Sub(a.Started()))
	return string(b)
}

func appendMillis(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d.Microseconds())/1000, 'f', -1, 64)
}

// writeError writes an error of the gateway itself.
func (f *flight) writeError(e wire.Error) {
	if f.out.Status() != 0 {
		return
	}
	e.RequestID = f.call.ID
	e.NoRetry = e.NoRetry || f.verdict.NoRetry
	e.SetHeaders(f.out.Header())
	switch a, n := f.deliveredAttempt(), len(f.attempts); {
	case a != nil:
		f.setFlightHeaders(a)
	case n > 0:
		f.setFlightHeaders(f.attempts[n-1])
	default:
		f.out.Set(wire.HeaderRequestID, f.call.ID)
	}
	f.writeWhole(e.Status, wire.AppendError(nil, e))
}

// writeWhole writes a complete response.
func (f *flight) writeWhole(status int, body []byte) {
	f.out.Set("Content-Length", strconv.Itoa(len(body)))
	f.out.Start(status)
	if f.r.Method != http.MethodHead {
		_, _ = f.out.Write(body) // f.out reports a disconnected client
	}
}

// interruptedError is the error for a deployment whose response ended early without an
// error of its own, or that the gateway ended because nothing more came.
func (f *flight) interruptedError(a *upstream.Attempt) wire.Error {
	e := wire.Refused(spillway.Refusal{Code: spillway.RefusalUpstream}, 0)
	e.Message = "The deployment ended its response early. Please retry."
	if a.Canceled() {
		e.Message = "The deployment sent nothing for too long, so the gateway ended the response. Please retry."
	}
	e.RequestID = f.call.ID
	return e
}

// readableError reports whether an attempt that is not forwarded has a response that the
// client can read: an error must be JSON that says what is wrong, unless it answers a
// HEAD. If not, how says in what form the error came, as the end of a sentence.
func (f *flight) readableError(a *upstream.Attempt) (how string, readable bool) {
	switch {
	case a.BeginningTruncated():
		return "with an incomplete error body.", false
	case a.Response().StatusCode < http.StatusBadRequest, f.r.Method == http.MethodHead:
		return "", true
	}
	message, readable := wire.ReadErrorBody(a.Beginning())
	if message == "" {
		return "without a readable error.", readable
	}
	return "with the message: " + message, readable
}

// upstreamError is the error for a deployment's error that the client cannot read. It
// keeps the status and the hints for a retry.
func (f *flight) upstreamError(a *upstream.Attempt, how string) wire.Error {
	header := a.Response().Header
	wait, asked := wire.ParseRetryAfter(header, f.g.deps.Now())
	if asked {
		wait = min(max(wait, spillway.MinRetryAfter), spillway.MaxRetryAfter)
	}
	e := wire.UpstreamError(a.Response().StatusCode, how, wait)
	e.NoRetry = header.Get(wire.HeaderShouldRetry) == "false"
	return e
}

// faultError is the response to an error that came inside a stream.
func faultError(e *wire.StreamError) wire.Error {
	out := wire.Error{Status: e.Status, Code: e.Code, Type: e.Type, Message: e.Message}
	if e.Status == http.StatusTooManyRequests {
		out.RetryAfter = wire.DefaultRetryAfter
	}
	return out
}
