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
	if f.begunEarly {
		f.writeError(f.errorOf(a))
		return
	}
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
		f.writeError(f.ourWords(wire.UnreadableResponse()))
		return
	}
	if how, readable := f.readableError(a); !readable {
		f.writeError(f.upstreamError(a, how))
		return
	}
	f.startHeaders(a)
	if a.Response().StatusCode >= http.StatusBadRequest {
		f.setRetryHints(a)
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
	if f.cutUnparsable(body) {
		f.writeCutError()
		return true
	}
	f.startHeaders(a)
	f.out.Set(wire.HeaderContentType, "application/json")
	f.writeWhole(http.StatusOK, body)
	return true
}

// cutUnparsable reports whether an assembled response was cut so that it does not parse,
// and whether the class wants an error then.
func (f *flight) cutUnparsable(body []byte) bool {
	return f.core.Record().Outcome == spillway.OutcomeTruncatedDeadline &&
		f.req.Class.CutStructured == spillway.CutTimeout &&
		(f.req.Structured || wire.HasToolCalls(f.req.API, body))
}

// writeCutError writes the error that takes the place of such a response, and records
// that the client got no response.
func (f *flight) writeCutError() {
	rec := f.core.Record()
	rec.Outcome, rec.Truncated, rec.Finish = spillway.OutcomeTimeout, spillway.TruncatedNot, spillway.FinishUnknown
	f.decision.truncated = spillway.TruncatedNot
	if f.endedByGateway() {
		rec.Outcome, rec.Refusal = spillway.OutcomeRefusedQueue, spillway.RefusalEnding
		f.writeError(wire.Refused(spillway.Refusal{Code: spillway.RefusalEnding, RetryAfter: time.Second}, 0))
		return
	}
	rec.Refusal = spillway.RefusalDeadline
	f.writeError(wire.CutResponse(rec.Window))
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

// setHeader sets a header, or the trailer of that name where the headers were sent
// before they were known.
func (f *flight) setHeader(name, value string) {
	if f.begunEarly {
		name = http.TrailerPrefix + name
	}
	f.out.Set(name, value)
}

// setFlightHeaders sets the headers that say how a, and the flight with it, went.
func (f *flight) setFlightHeaders(a *upstream.Attempt) {
	f.setHeader(wire.HeaderRequestID, f.call.ID)
	f.setHeader(wire.HeaderDeployment, a.Deployment().Name())
	f.setHeader(wire.HeaderAttempts, strconv.Itoa(len(f.attempts)))
	if granted := f.decision.grantTokens; granted > 0 {
		f.setHeader(wire.HeaderGrantedTokens, strconv.Itoa(granted))
		if granted < f.req.AskTokens {
			f.setHeader(wire.HeaderRequestedTokens, strconv.Itoa(f.req.AskTokens))
		}
	}
	if spill := f.decision.spill.String(); spill != "" {
		f.setHeader(wire.HeaderSpill, spill)
	}
	if truncated := f.decision.truncated.String(); truncated != "" {
		f.setHeader(wire.HeaderTruncated, truncated)
	}
	f.setHeader(wire.HeaderServerTiming, f.timing(a))
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
	e.RequestID = f.call.ID
	switch {
	case f.begunEarly:
		f.writeErrorEvent(e)
		return
	case f.out.Status() != 0:
		return
	}
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
	f.setRequestIDs()
	f.writeWhole(e.Status, wire.AppendError(nil, e))
}

// setRequestIDs gives a response of the gateway itself the request id under the names
// that clients of Azure and OpenAI read.
func (f *flight) setRequestIDs() {
	f.out.Set(wire.HeaderAzureRequestID, f.call.ID)
	f.out.Set(wire.HeaderXRequestID, f.call.ID)
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
	return f.ourWords(e)
}

// ourWords records the code of an error that the gateway words for an attempt, and
// returns the error.
func (f *flight) ourWords(e wire.Error) wire.Error {
	f.core.Record().Refusal = spillway.RefusalCode(e.Code)
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
	e := wire.UpstreamError(a.Response().StatusCode, how, f.retryAfter(a))
	e.NoRetry = a.Response().Header.Get(wire.HeaderShouldRetry) == "false"
	return f.ourWords(e)
}

// setRetryHints sets the headers that say whether and when to retry an error of a
// deployment that the client gets as it came. A wait that the gateway would not keep
// is not for its clients either: other deployments may serve the request sooner.
func (f *flight) setRetryHints(a *upstream.Attempt) {
	wire.SetRetryAfter(f.out.Header(), f.retryAfter(a))
	if f.verdict.NoRetry {
		f.out.Set(wire.HeaderShouldRetry, "false")
	}
}

// retryAfter is how long the client of a deployment's error should wait: what the
// deployment asks for, within bounds, and for a 429 else the time until its limit is
// restored, or a default. 0 means that there is no
// such hint.
func (f *flight) retryAfter(a *upstream.Attempt) time.Duration {
	switch wait, asked := wire.ParseRetryAfter(a.Response().Header, f.g.deps.Now()); {
	case asked:
		return min(max(wait, spillway.MinRetryAfter), spillway.MaxRetryAfter)
	case a.Response().StatusCode == http.StatusTooManyRequests:
		if wait := wire.ParseSignals(a.Response().Header).Wait(); wait > 0 {
			return min(max(wait, spillway.MinRetryAfter), spillway.MaxRetryAfter)
		}
		return wire.DefaultRetryAfter
	}
	return 0
}

// faultError is the response to an error that came inside a stream.
func faultError(e *wire.StreamError) wire.Error {
	out := wire.Error{Status: e.Status, Code: e.Code, Type: e.Type, Message: e.Message, Param: e.Param}
	if e.Status == http.StatusTooManyRequests {
		out.RetryAfter = wire.DefaultRetryAfter
	}
	return out
}
