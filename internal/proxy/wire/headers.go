package wire

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spillway-ai/spillway"
)

// Headers, in canonical form so that look-ups need no conversion.
const (
	// What we add to responses.
	HeaderRequestID       = "X-Spillway-Request-Id"
	HeaderAzureRequestID  = "Apim-Request-Id" // Azure's name of it, on our own responses
	HeaderXRequestID      = "X-Request-Id"    // OpenAI's, likewise
	HeaderDeployment      = "X-Spillway-Deployment"
	HeaderAttempts        = "X-Spillway-Attempts"
	HeaderGrantedTokens   = "X-Spillway-Granted-Tokens"
	HeaderRequestedTokens = "X-Spillway-Requested-Tokens"
	HeaderTruncated       = "X-Spillway-Truncated"
	HeaderSpill           = "X-Spillway-Spill"
	HeaderServerTiming    = "Server-Timing"

	// What clients tell us.
	HeaderDeadlineMS    = "X-Spillway-Deadline-Ms" // from acceptance to last byte
	HeaderHops          = "X-Spillway-Hops"        // gateways passed; also sent upstream
	HeaderTenant        = "X-Spillway-Tenant"
	HeaderSLOTTFTMS     = "X-Slo-Ttft-Ms"
	HeaderSLOTPOTMS     = "X-Slo-Tpot-Ms"
	HeaderSDKTimeout    = "X-Stainless-Timeout"      // seconds; openai-go, openai-node
	HeaderSDKReadTime   = "X-Stainless-Read-Timeout" // seconds; openai-python
	HeaderSDKRetryCount = "X-Stainless-Retry-Count"
	HeaderAPIKey        = "Api-Key"
	HeaderAuthorization = "Authorization"

	// What deployments tell.
	HeaderRetryAfter        = "Retry-After" // seconds or a date
	HeaderRetryAfterMS      = "Retry-After-Ms"
	HeaderMSRetryAfterMS    = "X-Ms-Retry-After-Ms"
	HeaderShouldRetry       = "X-Should-Retry"
	HeaderUtilization       = "Azure-Openai-Deployment-Utilization" // "87.5%"
	HeaderSpilloverFrom     = "X-Ms-Spillover-From-Deployment"
	HeaderSpilloverError    = "X-Ms-Spillover-Error"
	HeaderSpilledOver       = "X-Ms-Is-Spilled-Over" // "true" or "false"
	HeaderServedBy          = "X-Ms-Deployment-Name"
	HeaderLimitTokens       = "X-Ratelimit-Limit-Tokens"
	HeaderRemainingTokens   = "X-Ratelimit-Remaining-Tokens"
	HeaderRemainingRequests = "X-Ratelimit-Remaining-Requests"
	HeaderResetTokens       = "X-Ratelimit-Reset-Tokens" // "1s", "6m0s", or seconds
	HeaderResetRequests     = "X-Ratelimit-Reset-Requests"
	HeaderRegion            = "X-Ms-Region"

	HeaderContentType = "Content-Type"

	headerSubscriptionKey = "Ocp-Apim-Subscription-Key"
	headerXAPIKey         = "X-Api-Key"
)

// get returns the first value of a canonical name.
func get(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// ParseRetryAfter returns the wait that a response asks for: retry-after-ms,
// x-ms-retry-after-ms, or retry-after in seconds or as a date. A date that has
// passed is 0. It is not clamped; it reports false when no header says a
// sensible wait.
func ParseRetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	for _, name := range [...]string{HeaderRetryAfterMS, HeaderMSRetryAfterMS} {
		if d, ok := parseSpan(get(h, name), time.Millisecond); ok {
			return d, true
		}
	}
	text := get(h, HeaderRetryAfter)
	if text == "" {
		return 0, false
	}
	if d, ok := parseSpan(text, time.Second); ok {
		return d, true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return max(at.Sub(now), 0), true
}

// LimitRetryAfter shortens the waits that a response asks its client for to most, in
// every header that can say one, and removes those that say no sensible wait: an SDK
// obeys whatever it reads.
func LimitRetryAfter(h http.Header, now time.Time, most time.Duration) {
	for _, name := range [...]string{HeaderRetryAfterMS, HeaderMSRetryAfterMS, HeaderRetryAfter} {
		values := h[name]
		if len(values) == 0 {
			continue
		}
		wait, ok := ParseRetryAfter(http.Header{name: values[:1]}, now)
		switch {
		case !ok:
			delete(h, name)
		case wait > most && name == HeaderRetryAfter:
			h[name] = []string{strconv.FormatInt(int64(most/time.Second), 10)}
		case wait > most:
			h[name] = []string{strconv.FormatInt(most.Milliseconds(), 10)}
		case len(values) > 1:
			h[name] = values[:1:1]
		}
	}
}

// maxSpan is the longest time that a header is believed.
const maxSpan = 100 * 24 * time.Hour

// parseSpan reads a number of units, from 0 to a hundred days.
func parseSpan(text string, unit time.Duration) (time.Duration, bool) {
	if text == "" { // the usual case: spares the error
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(n >= 0 && n <= float64(maxSpan/unit)) {
		return 0, false
	}
	return time.Duration(n * float64(unit)), true
}

// ServedByUnknown stands for a deployment that is not named.
const ServedByUnknown = "unknown"

// ParseServedBy returns the deployment that Azure's own spillover moved a
// request to; "" when it did not. Any of the spillover headers identifies
// (Microsoft, "Manage traffic with spillover for provisioned deployments"), and
// responses are seen with x-ms-is-spilled-over alone.
func ParseServedBy(h http.Header) string {
	spilled, _ := strconv.ParseBool(strings.ToLower(strings.TrimSpace(get(h, HeaderSpilledOver))))
	if !spilled && get(h, HeaderSpilloverFrom) == "" && get(h, HeaderSpilloverError) == "" {
		return ""
	}
	return cmp.Or(get(h, HeaderServedBy), ServedByUnknown)
}

// ParseSignals reads what a response says about its deployment's capacity.
func ParseSignals(h http.Header) spillway.Signals {
	s := spillway.NoSignals()
	if percent, ok := strings.CutSuffix(strings.TrimSpace(get(h, HeaderUtilization)), "%"); ok {
		if n, err := strconv.ParseFloat(percent, 64); err == nil && n >= 0 && n < 1e6 {
			s.Utilization = n / 100
		}
	}
	s.LimitTokens = signal(h, HeaderLimitTokens)
	s.RemainingTokens = signal(h, HeaderRemainingTokens)
	s.RemainingRequests = signal(h, HeaderRemainingRequests)
	s.ResetTokens = parseReset(get(h, HeaderResetTokens))
	s.ResetRequests = parseReset(get(h, HeaderResetRequests))
	return s
}

// parseReset reads when a limit is restored: a duration as OpenAI writes it, or a number
// of seconds as Azure does; -1 when it is neither, or not from 0 to a hundred days.
func parseReset(text string) time.Duration {
	text = strings.TrimSpace(text)
	if text == "" {
		return -1
	}
	if last := text[len(text)-1]; last < '0' || last > '9' {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > maxSpan {
			return -1
		}
		return d
	}
	if d, ok := parseSpan(text, time.Second); ok {
		return d
	}
	return -1
}

// maxNamed bounds a name that a response's header gives, in bytes.
const maxNamed = 128

// named returns the value of a header that is a name: bounded, and of visible ASCII and
// spaces only, so that it can go into logs and records; "" for any other.
func named(h http.Header, name string) string {
	text := strings.TrimSpace(get(h, name))
	if len(text) > maxNamed {
		return ""
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return ""
		}
	}
	return text
}

// ParseRequestID returns the id that the deployment has given the request: Azure's, else
// OpenAI's; "" for none. Support asks for it.
func ParseRequestID(h http.Header) string {
	return cmp.Or(named(h, HeaderAzureRequestID), named(h, HeaderXRequestID))
}

// ParseRegion returns the region that served a request; "" when the response names none.
func ParseRegion(h http.Header) string { return named(h, HeaderRegion) }

// signal reads a non-negative integer, -1 when there is none.
func signal(h http.Header, name string) int {
	text := get(h, name)
	if text == "" { // the usual case: spares the error
		return -1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// Hints are what a client's headers ask for. A zero field was not given.
type Hints struct {
	Deadline    time.Duration // x-spillway-deadline-ms
	SDKTimeout  time.Duration // what the client's SDK will wait
	TTFT, TPOT  time.Duration
	ClientRetry int
	Hops        int
	Tenant      string
}

// ClientHints reads a request's headers. An invalid x-spillway header is a
// *BadRequest, because its sender meant us; any other is ignored.
func ClientHints(h http.Header) (Hints, error) {
	var out Hints
	out.Tenant = get(h, HeaderTenant)
	if text := get(h, HeaderDeadlineMS); text != "" {
		d, ok := parseSpan(text, time.Millisecond)
		if !ok || d < time.Millisecond {
			return Hints{}, badHeader("x-spillway-deadline-ms", "a positive number of milliseconds")
		}
		out.Deadline = d
	}
	if text := get(h, HeaderHops); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 1000 {
			return Hints{}, badHeader("x-spillway-hops", "a non-negative integer")
		}
		out.Hops = n
	}
	for _, name := range [...]string{HeaderSDKTimeout, HeaderSDKReadTime} {
		d, _ := parseSpan(get(h, name), time.Second)
		if d > 0 && (out.SDKTimeout == 0 || d < out.SDKTimeout) {
			out.SDKTimeout = d
		}
	}
	out.TTFT, _ = parseSpan(get(h, HeaderSLOTTFTMS), time.Millisecond)
	out.TPOT, _ = parseSpan(get(h, HeaderSLOTPOTMS), time.Millisecond)
	out.ClientRetry = min(max(signal(h, HeaderSDKRetryCount), 0), 1000)
	return out, nil
}

// badHeader is the error for one of our own headers.
func badHeader(name, want string) error {
	return &BadRequest{Code: CodeInvalidHeader, Param: name, Message: "The header " + name + " must be " + want + "."}
}

// Fill copies the hints into r, after Ask.Fill. An SDK's timeout bounds a
// synchronous request; for a stream it bounds only the wait for a byte, so it
// is no deadline there.
func (x *Hints) Fill(r *spillway.Request) {
	r.Deadline = x.Deadline
	if x.SDKTimeout > 0 && !r.Stream && (r.Deadline == 0 || x.SDKTimeout < r.Deadline) {
		r.Deadline, r.ReadTimeout = x.SDKTimeout, true
	}
	r.TTFT, r.TPOT = x.TTFT, x.TPOT
	r.ClientRetry = x.ClientRetry
	r.Hops = x.Hops
	r.Tenant = x.Tenant
}

// ClientKey returns the caller's key: api-key, or the Bearer token, or else one of the
// headers of clients that were made for Azure's API Management or Anthropic; "" when
// there is none.
func ClientKey(h http.Header) string {
	if key := get(h, HeaderAPIKey); key != "" {
		return key
	}
	scheme, token, _ := strings.Cut(get(h, HeaderAuthorization), " ")
	if token = strings.TrimSpace(token); token != "" && strings.EqualFold(scheme, "Bearer") {
		return token
	}
	if key := get(h, headerSubscriptionKey); key != "" {
		return key
	}
	return get(h, headerXAPIKey)
}
