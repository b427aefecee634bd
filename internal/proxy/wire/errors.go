package wire

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// The codes of our own errors, besides those of spillway.Refusal.
const (
	CodeInvalidJSON        = "invalid_json"
	CodeInvalidType        = "invalid_type"
	CodeInvalidHeader      = "invalid_header"
	CodeBodyTooLarge       = "request_too_large"
	CodeTimeout            = "Timeout"            // Azure's word for a 408
	CodeDeploymentNotFound = "DeploymentNotFound" // Azure's
	CodeModelNotFound      = "model_not_found"    // OpenAI's
	CodeNotAllowed         = "operation_not_allowed"
	// CodeOperationNotSupported is Azure's, for a model that does not offer the
	// operation, with status 400.
	CodeOperationNotSupported = "OperationNotSupported"
)

// The types of errors.
const (
	typeInvalidRequest = "invalid_request_error"
	typeRateLimit      = "rate_limit_error"
	typeTimeout        = "timeout_error"
	typeServer         = "server_error"
)

// BadRequest is a request that is wrong in itself.
type BadRequest struct {
	Message string // a whole sentence, for the client
	Param   string // the field or header at fault; "" when it is none
	Code    string
}

// Error returns the message.
func (e *BadRequest) Error() string { return e.Message }

// ErrorResponse returns the 400 for the client.
func (e *BadRequest) ErrorResponse() Error {
	return Error{
		Status: http.StatusBadRequest, Code: e.Code, Type: typeInvalidRequest,
		Message: e.Message, Param: e.Param,
	}
}

// Error is an error response of our own, in the shape that the clients of
// OpenAI and Azure read.
type Error struct {
	Status  int
	Code    string // "" is null
	Type    string // "" without a Param gives Azure's short shape: code and message alone
	Message string
	Param   string // "" is null
	// RequestID, when set, is repeated in the body.
	RequestID string
	// RetryAfter is the hint for a retry; 0 means none.
	RetryAfter time.Duration
	// NoRetry makes SDKs not retry.
	NoRetry bool
}

// AppendError appends the body of e to dst.
func AppendError(dst []byte, e Error) []byte {
	dst = append(dst, `{"error":`...)
	dst = appendErrorObject(dst, e)
	return append(dst, '}')
}

// appendErrorObject appends the inner object.
func appendErrorObject(dst []byte, e Error) []byte {
	dst = append(dst, `{"code":`...)
	dst = appendNullable(dst, e.Code)
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, e.Message)
	if e.Type != "" || e.Param != "" {
		dst = append(dst, `,"type":`...)
		dst = appendNullable(dst, e.Type)
		dst = append(dst, `,"param":`...)
		dst = appendNullable(dst, e.Param)
	}
	if e.RequestID != "" {
		dst = append(dst, `,"request_id":`...)
		dst = appendString(dst, e.RequestID)
	}
	return append(dst, '}')
}

// appendNullable appends s, or null for "".
func appendNullable(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, s)
}

// AppendStreamError appends the event that ends a stream of api with e. Responses
// name their events; their error stands both flat, as documented, and inside
// "error", which is where SDKs look before they raise.
func AppendStreamError(dst []byte, api spillway.API, e Error) []byte {
	if api != spillway.APIResponses {
		dst = append(dst, "data: "...)
		dst = AppendError(dst, e)
		return append(dst, "\n\n"...)
	}
	dst = append(dst, "event: error\ndata: {\"type\":\"error\",\"code\":"...)
	dst = appendNullable(dst, e.Code)
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, e.Message)
	dst = append(dst, `,"param":`...)
	dst = appendNullable(dst, e.Param)
	dst = append(dst, `,"error":`...)
	dst = appendErrorObject(dst, e)
	return append(dst, "}\n\n"...)
}

// SetHeaders sets the content type and the hints for a retry.
func (e Error) SetHeaders(h http.Header) {
	h.Set(HeaderContentType, "application/json")
	SetRetryAfter(h, e.RetryAfter)
	if e.NoRetry {
		h.Set(HeaderShouldRetry, "false")
	}
}

// SetRetryAfter sets retry-after-ms and retry-after, rounded up, so that no client
// retries too early. 0 removes them.
func SetRetryAfter(h http.Header, wait time.Duration) {
	if wait <= 0 {
		h.Del(HeaderRetryAfterMS)
		h.Del(HeaderRetryAfter)
		return
	}
	h.Set(HeaderRetryAfterMS, strconv.FormatInt(int64((wait+time.Millisecond-1)/time.Millisecond), 10))
	h.Set(HeaderRetryAfter, strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
}

// Refused formats a refusal of the policy core for the client. window is the time
// that the request had; 0 leaves it unsaid.
func Refused(r spillway.Refusal, window time.Duration) Error {
	e := Error{Status: r.Code.Status(), Code: string(r.Code), Type: typeServer, RetryAfter: r.RetryAfter, NoRetry: r.Code.NoRetry()}
	within := "in time"
	if window > 0 {
		within = "within " + window.Round(time.Millisecond).String()
	}
	switch r.Code {
	case spillway.RefusalTooLarge:
		e.Type, e.Param = typeInvalidRequest, "max_tokens"
		switch {
		case r.Capped && r.FitTokens == 0:
			e.Param = "n"
			e.Message = "The request asks for more choices than it may have output tokens. Lower n, best_of or the number of prompts."
			return e
		case r.Capped:
			e.Message = fmt.Sprintf("The requested output exceeds the limit of %d tokens for each choice. Lower the token limit to that number.", r.FitTokens)
			return e
		}
		e.Message = fmt.Sprintf("The requested output cannot be generated %s; about %d tokens can. "+
			"Lower the token limit to that number, raise the deadline, or request a stream.", within, r.FitTokens)
	case spillway.RefusalDeadline:
		// The time that the client allows is over: a retry of its SDK would be too late.
		e.Type, e.Code = typeTimeout, CodeTimeout
		e.Message = fmt.Sprintf("The operation was timeout. No deployment produced a token %s. "+
			"Raise the deadline, shorten the prompt, or request a stream.", within)
	case spillway.RefusalQueueFull:
		e.Type = typeRateLimit
		e.Message = "The queue is full. " + retryAdvice(r.RetryAfter)
	case spillway.RefusalNoCapacity:
		e.Type = typeRateLimit
		e.Message = fmt.Sprintf("No deployment has capacity to complete the request %s. %s", within, retryAdvice(r.RetryAfter))
	case spillway.RefusalUpstream:
		e.Message = "All attempts at the deployments failed. " + retryAdvice(r.RetryAfter)
	case spillway.RefusalNoHealthy:
		e.Message = "No deployment of this model is available: each has an open breaker or is paused. " + retryAdvice(r.RetryAfter)
	case spillway.RefusalEnding:
		e.Message = "The gateway is shutting down. " + retryAdvice(r.RetryAfter)
	case spillway.RefusalNeverFits:
		e.Type = typeInvalidRequest
		e.Message = fmt.Sprintf("The request is larger than the capacity of every deployment: prompt and requested output together may have "+
			"at most %d tokens. Shorten the prompt or lower the token limit.", r.FitTokens)
	case spillway.RefusalLoop:
		e.Message = "Request loop: a deployment's endpoint points back to this gateway. " +
			"Correct the endpoint in the gateway's configuration."
	default:
		e.Message = "The gateway could not serve the request."
	}
	return e
}

// retryAdvice says when to try again.
func retryAdvice(after time.Duration) string {
	if after <= 0 {
		return "Please retry later."
	}
	return "Please retry after " + after.Round(time.Millisecond).String() + "."
}

// Unauthorized is the 401 for a missing or wrong key, in each service's own
// words.
func Unauthorized(f Family) Error {
	if f == OpenAI {
		return Error{
			Status: http.StatusUnauthorized, Code: "invalid_api_key", Type: typeInvalidRequest,
			Message: "Missing or incorrect API key. Send a valid key as 'Authorization: Bearer KEY'.",
		}
	}
	return Error{
		Status: http.StatusUnauthorized, Code: "401",
		Message: "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key " +
			"for an active subscription and use a correct regional API endpoint for your resource.",
	}
}

// UnknownModel is the 404 for a model or deployment that no pool serves. It
// repeats name only to OpenAI's clients, as OpenAI does.
func UnknownModel(f Family, name string) Error {
	if f == Azure {
		return Error{
			Status: http.StatusNotFound, Code: CodeDeploymentNotFound,
			Message: "The API deployment for this resource does not exist. If you created the deployment within the last " +
				"5 minutes, please wait a moment and try again.",
		}
	}
	return Error{
		Status: http.StatusNotFound, Code: CodeModelNotFound, Type: typeInvalidRequest, Param: "model",
		Message: fmt.Sprintf("The model '%.128s' does not exist or you do not have access to it.", name),
	}
}

// NotAllowed is the 403 for an operation that the caller may not use.
func NotAllowed(f Family, operation string) Error {
	e := Error{
		Status: http.StatusForbidden, Code: CodeNotAllowed,
		Message: fmt.Sprintf("The operation '%s' is not allowed for this key. To allow it, add it to the option 'operations' "+
			"of the caller or of its class in the gateway's configuration.", operation),
	}
	if f == OpenAI {
		e.Type = typeInvalidRequest
	}
	return e
}

// UnknownPath is the 404 for a path outside the families.
func UnknownPath() Error {
	return Error{Status: http.StatusNotFound, Code: "404", Message: "Resource not found"}
}

// UnsupportedEncoding is the 415 for a request body in an encoding that the gateway does
// not read.
func UnsupportedEncoding(encoding string) Error {
	return Error{
		Status: http.StatusUnsupportedMediaType, Code: "unsupported_encoding", Type: typeInvalidRequest,
		Message: fmt.Sprintf("The request body is encoded as '%.32s', which the gateway does not read. Send plain JSON in UTF-8, or gzip.", encoding),
	}
}

// WrongEncoding is the 400 for a request body that is not valid gzip, although its header
// says so.
func WrongEncoding() Error {
	return Error{
		Status: http.StatusBadRequest, Code: "invalid_encoding", Type: typeInvalidRequest,
		Message: "The request body is not valid gzip, which its header Content-Encoding announces.",
	}
}

// NoWebSocket is the 501 for a request to change to a WebSocket.
func NoWebSocket() Error {
	return Error{
		Status: http.StatusNotImplemented, Code: "websocket_not_supported", Type: typeInvalidRequest, NoRetry: true,
		Message: "The gateway does not relay WebSocket connections, such as those of realtime and Responses. " +
			"Use HTTP with streaming, or connect to the deployment directly.",
	}
}

// WrongMethod is the 405. allowed are the methods of the path, separated by commas.
func WrongMethod(method, allowed string) Error {
	return Error{
		Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Type: typeInvalidRequest,
		Message: fmt.Sprintf("Method %.16s is not allowed for this path. Use %s.", method, allowed),
	}
}

// OperationUnsupported reports whether an error of upstream says that the deployment
// does not offer an operation which the service has. e is the error in its body,
// nil when that holds none.
func OperationUnsupported(status int, e *StreamError) bool {
	switch status {
	case http.StatusConflict, http.StatusFailedDependency:
		return true
	case http.StatusBadRequest:
		return e != nil && e.Code == CodeOperationNotSupported
	case http.StatusNotFound:
		return e == nil || pathNotFound(e)
	}
	return false
}

// pathNotFound reports whether a 404 is about the path, and not about something
// that the request names: Azure's and OpenAI's words for it, and those of common
// servers.
func pathNotFound(e *StreamError) bool {
	switch e.Code {
	case "", "404", "NotFound", "not_found", "ResourceNotFound":
	default:
		return false
	}
	message := strings.ToLower(strings.Trim(e.Message, ". "))
	return message == "" || message == "not found" || strings.HasPrefix(message, "resource not found") ||
		strings.HasPrefix(message, "invalid url") || strings.HasPrefix(message, "unrecognized request url")
}

// DefaultRetryAfter is the hint for a retry after a 429 that has none.
const DefaultRetryAfter = time.Second

// UpstreamError is upstream's error of that status, whose own body the client cannot
// read; how says why, as the end of a sentence. It keeps upstream's hint for a retry; 0
// means none.
func UpstreamError(status int, how string, retryAfter time.Duration) Error {
	e := Error{
		Status: status, Code: strconv.Itoa(status), Type: typeServer, RetryAfter: retryAfter,
		Message: fmt.Sprintf("The deployment returned status %d %s", status, how),
	}
	switch {
	case status == http.StatusTooManyRequests:
		e.Type, e.RetryAfter = typeRateLimit, cmp.Or(retryAfter, DefaultRetryAfter)
	case status == http.StatusRequestTimeout:
		e.Type = typeTimeout
	case status < http.StatusInternalServerError:
		e.Type = typeInvalidRequest
	}
	return e
}

// CutResponse is the 408 for a response that was cut at the deadline and does not parse
// so: a tool call, or structured output. window is the time that the request had; 0
// leaves it unsaid.
func CutResponse(window time.Duration) Error {
	e := Refused(spillway.Refusal{Code: spillway.RefusalDeadline}, window)
	within := "in time"
	if window > 0 {
		within = "within " + window.Round(time.Millisecond).String()
	}
	e.Message = fmt.Sprintf("The operation was timeout. The tool call or structured output was not complete %s. "+
		"Raise the deadline, lower the token limit, or request a stream.", within)
	return e
}

// UnreadableResponse is the 502 for a successful response that cannot be parsed and
// is not complete enough to be passed on.
func UnreadableResponse() Error {
	return Error{
		Status: http.StatusBadGateway, Code: string(spillway.RefusalUpstream), Type: typeServer,
		Message: "The gateway could not read the deployment's response. Please retry.",
	}
}

// WithheldResponse takes the place of upstream's error of that status, which
// repeats a credential of the gateway.
func WithheldResponse(status int) Error {
	return UpstreamError(status, "and an error body that is withheld: it contains a credential of the gateway.", 0)
}

// maxQuoted bounds the message of a deployment that an error of ours repeats, in bytes.
const maxQuoted = 1 << 10

// ReadErrorBody reads the body of an error. It is readable when it is a JSON object with
// an error object, which is where SDKs look for the code and the message. Otherwise
// message is what another JSON object says, as API gateways write it; "" for nothing.
func ReadErrorBody(body []byte) (message string, readable bool) {
	var text []byte
	c := jsonwalk.Strict(body)
	c.Enter('{')
	for c.More('}') {
		switch key := c.Key(); {
		case string(key) == "error" && c.Peek() == '{':
			readable = true
			c.Value()
		case string(key) == "error", string(key) == "message", string(key) == "detail":
			if t := c.Text(); len(text) == 0 {
				text = t
			}
		default:
			c.Value()
		}
	}
	switch {
	case !c.Done():
		return "", false
	case readable:
		return "", true
	}
	return unescape(text[:min(len(text), maxQuoted)]), false
}

// BodyTooLarge is the 413; limit is what a body may have, in bytes.
func BodyTooLarge(limit int64) Error {
	return Error{
		Status: http.StatusRequestEntityTooLarge, Code: CodeBodyTooLarge, Type: typeInvalidRequest,
		Message: fmt.Sprintf("The request body exceeds the gateway's limit of %d bytes. Send a smaller request.", limit),
	}
}
