package azuresim

import (
	"net/http"
	"strconv"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// streamingNames is constant.
var streamingNames = map[bool]string{false: "False", true: "True"}

const headerUtilization = "azure-openai-deployment-utilization"

// writeCommon sets the headers of every response.
func writeCommon(w http.ResponseWriter, r *http.Request, requestID string) {
	h := w.Header()
	h.Set("apim-request-id", requestID)
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains; preload")
	h.Set("x-content-type-options", "nosniff")
	id := r.Header.Get("x-ms-client-request-id")
	if id == "" {
		id = "Not-Set"
	}
	h.Set("x-ms-client-request-id", id)
}

// writeServed sets the headers of responses that a deployment gives.
func (x *exchange) writeServed() {
	h, d := x.w.Header(), &x.dep.config
	h.Set("x-request-id", x.requestID)
	h.Set("x-ms-region", display(regionNames, d.Region))
	h.Set("x-ms-deployment-name", d.Name)
	h.Set("x-ms-served-model", display(modelVersions, d.Model))
	h.Set("azureml-model-session", "d001-20261101000000")
	h.Set("azureai-fe-is-streaming", streamingNames[x.streaming])
	if x.askedTier != "" {
		h.Set("azureai-fe-requested-service-tier", x.askedTier)
	}
	if x.s.cfg.Filters {
		h.Set("x-ms-rai-invoked", "true")
	}
	h.Set("x-ms-is-spilled-over", strconv.FormatBool(x.spilledFrom != ""))
	if x.spilledFrom != "" {
		h.Set("x-ms-spillover-from-deployment", x.spilledFrom)
		h.Set("x-ms-spillover-error", strconv.Itoa(x.spillError))
	}
}

// writeLimits sets what a deployment says of its capacity.
func (x *exchange) writeLimits(l *fleet.Limits) {
	h := x.w.Header()
	if x.dep.config.Kind == spillway.Provisioned {
		h.Set(headerUtilization, strconv.FormatFloat(100*l.Utilization, 'f', 1, 64)+"%")
		return
	}
	if l.RPM > 0 {
		h.Set("x-ratelimit-limit-requests", strconv.Itoa(l.RPM))
		h.Set("x-ratelimit-remaining-requests", strconv.Itoa(l.RemainingRequests))
		h.Set("x-ratelimit-renewalperiod-requests", strconv.Itoa(ceilSeconds(x.s.clock.real(x.dep.config.RPMWindow))))
		h.Set("x-ratelimit-reset-requests", strconv.Itoa(ceilSeconds(x.s.clock.real(l.ResetRequests))))
	}
	if l.TPM > 0 {
		h.Set("x-ratelimit-limit-tokens", strconv.Itoa(l.TPM))
		h.Set("x-ratelimit-remaining-tokens", strconv.Itoa(l.RemainingTokens))
		h.Set("x-ratelimit-renewalperiod-tokens", strconv.Itoa(ceilSeconds(x.s.clock.real(time.Minute))))
		h.Set("x-ratelimit-reset-tokens", strconv.Itoa(ceilSeconds(x.s.clock.real(l.ResetTokens))))
	}
}

// writeRetryAfter says when to come back, in wall time.
func (s *Server) writeRetryAfter(h http.Header, virtual time.Duration) {
	d := s.clock.real(virtual)
	h.Set("retry-after-ms", strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10))
	h.Set("retry-after", strconv.Itoa(ceilSeconds(d)))
}
