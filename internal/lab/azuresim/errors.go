package azuresim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// Bodies as the service has been seen to send them.
const (
	bodyTimeout      = `{ "error": { "code": "Timeout", "message": "The operation was timeout." } }`
	bodyUnauthorized = `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}`
	bodyNoDeployment = `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again."}}`
	bodyNoResource   = `{"error":{"code":"404","message":"Resource not found"}}`
	bodyFiltered     = `{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry. To learn more about our content filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}}}`
	bodyExtraInput   = `{"error":{"code":"Invalid input","message":"{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"stream_options\"],\"msg\":\"Extra inputs are not permitted\",\"input\":{\"include_usage\":true}}]}","status":422}}`
	bodyTooLarge     = `{"error":{"code":"413","message":"The request body is too large."}}`
	bodyBusy         = `{"error":{"code":"ServiceUnavailable","message":"The service is temporarily unable to process your request. Please try again later."}}`
)

// reject answers a request that is itself wrong.
func (x *exchange) reject(err error) {
	r := refusalOf(err)
	if x.dep != nil {
		x.writeServed()
		x.dep.count(r.status)
	}
	writeBody(x.w, r.status, []byte(r.text))
}

// refusalOf is an error as it is answered: a 400, unless it says otherwise.
func refusalOf(err error) *refusal {
	var whole *refusal
	if errors.As(err, &whole) {
		return whole
	}
	var bad *badRequest
	switch {
	case errors.Is(err, errFiltered):
		return &refusal{http.StatusBadRequest, bodyFiltered}
	case !errors.As(err, &bad):
		bad = &badRequest{message: err.Error()}
	}
	return &refusal{http.StatusBadRequest, bad.body()}
}

// missing is a 404 of the model's API.
func missing(message, param string) error {
	return &refusal{http.StatusNotFound, (&badRequest{message: message, param: param}).body()}
}

// refusal is an error with its whole answer.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

// badRequest is a 400 in the shape of the model's own validation.
type badRequest struct {
	message, param, code string
}

func (e *badRequest) Error() string { return e.message }

func (e *badRequest) body() string {
	b := []byte(`{"error":{"message":`)
	b = appendQuoted(b, e.message)
	b = append(b, `,"type":"invalid_request_error","param":`...)
	b = appendNullable(b, e.param)
	b = append(b, `,"code":`...)
	b = appendNullable(b, e.code)
	return string(append(b, `}}`...))
}

// bodyUnsupported is the 400 of an operation that the model does not have.
func bodyUnsupported(operation, deployment string) string {
	return fmt.Sprintf(`{"error":{"code":"OperationNotSupported","message":"The %s operation does not work with the specified model, %s. Please choose different model and try again. You can learn more about which models can be used with each operation here: https://go.microsoft.com/fwlink/?linkid=2197993."}}`, operation, deployment)
}

// bodyServerError is the body of a 5xx.
func bodyServerError(requestID string) string {
	return `{"error":{"message":"The server had an error processing your request. Sorry about that! You can retry your request, or contact us through an Azure support request at: https://go.microsoft.com/fwlink/?linkid=2213926 if you keep seeing this error. (Please include the request ID ` + requestID + ` in your email.)","type":"server_error","param":null,"code":null}}`
}

// bodyLimited is the 429 of a refusal.
func bodyLimited(reason fleet.Reason, operation, version string, wait time.Duration) string {
	seconds := strconv.Itoa(ceilSeconds(wait))
	if reason == fleet.RefusedTokens {
		if version == "" {
			version = "v1"
		}
		return `{"error":{"code":"429","message":"Requests to the ` + operation + ` Operation under Azure OpenAI API version ` + version + ` have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after ` + seconds + ` seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit."}}`
	}
	return `{"error":{"code":"429","message":"Rate limit is exceeded. Try again in ` + seconds + ` seconds."}}`
}

// writeBody sends a complete JSON body.
func writeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// refuse answers a request that the fleet did not accept.
func (x *exchange) refuse(v *fleet.Verdict) {
	if !x.pace.until(v.Delay) {
		x.dep.count(spillway.StatusClientGone)
		return
	}
	x.dep.count(v.Status)
	body := ""
	switch v.Status {
	case 408:
		x.timeout()
		return
	case 429:
		x.s.writeRetryAfter(x.w.Header(), v.RetryAfter)
		x.writeLimits(&v.Limits)
		body = bodyLimited(v.Reason, x.operation.name(), x.version, x.s.clock.real(v.RetryAfter))
	case 503:
		body = bodyBusy
	default:
		x.w.Header().Set("ms-azureml-model-error-reason", "model_error")
		x.w.Header().Set("ms-azureml-model-error-statuscode", strconv.Itoa(v.Status))
		body = bodyServerError(x.requestID)
	}
	writeBody(x.w, v.Status, []byte(body))
}

// timeout is the 408, which comes without any header that says when to retry.
func (x *exchange) timeout() {
	h := x.w.Header()
	for _, name := range []string{
		"x-request-id", "azureml-model-session", "x-ms-rai-invoked", "x-ms-deployment-name",
		"x-ms-client-request-id", "x-ms-served-model", "x-ms-is-spilled-over", "azureai-fe-is-streaming",
		"azureai-fe-requested-service-tier", headerUtilization,
		"x-ratelimit-renewalperiod-requests", "x-ratelimit-renewalperiod-tokens",
		"x-ratelimit-limit-requests", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-requests",
		"x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens",
	} {
		h.Del(name)
	}
	writeBody(x.w, http.StatusRequestTimeout, []byte(bodyTimeout))
}

// ceilSeconds is d in whole seconds, rounded up.
func ceilSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
