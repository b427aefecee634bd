package otlp

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/genai"
)

// own begins the names that the conventions do not have. What follows it is
// the member's name in docs/RECORDS.md.
const own = "spillway."

// attributes gathers key and value pairs. As in the lines of records, those
// whose value is empty are left out.
type attributes struct {
	all []attribute.KeyValue
}

func (a *attributes) add(name string, v attribute.Value) {
	a.all = append(a.all, attribute.KeyValue{Key: attribute.Key(name), Value: v})
}

func (a *attributes) str(name, value string) {
	if value != "" {
		a.add(name, attribute.StringValue(strings.ToValidUTF8(value, "\ufffd")))
	}
}

func (a *attributes) integer(name string, value int) {
	if value != 0 {
		a.add(name, attribute.IntValue(value))
	}
}

func (a *attributes) flag(name string, value bool) {
	if value {
		a.add(name, attribute.BoolValue(true))
	}
}

// ms adds a duration in milliseconds with three decimals.
func (a *attributes) ms(name string, d time.Duration) {
	if d > 0 {
		a.add(name, attribute.Float64Value(milliseconds(d)))
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// request adds the attributes of a request.
func (a *attributes) request(r *spillway.Record, provider string) {
	a.str(genai.OperationName, genai.Operation(r.API))
	a.str(genai.ProviderName, provider)
	a.str(genai.RequestModel, r.Model)
	a.integer(genai.RequestMaxTokens, r.AskTokens)
	if r.Choices > 1 {
		a.integer(genai.RequestChoices, r.Choices)
	}
	if finish := r.Finish.String(); finish != "" {
		a.add(genai.FinishReasons, attribute.StringSliceValue([]string{finish}))
	}
	a.integer(genai.InputTokens, r.Usage.Prompt)
	a.integer(genai.CachedInputTokens, r.Usage.Cached)
	a.integer(genai.CacheWriteInputTokens, r.Usage.CacheWrite)
	a.integer(genai.OutputTokens, r.Usage.Completion)
	a.str(genai.ErrorType, genai.Error(r.Outcome))
	a.integer(genai.StatusCode, r.Status)
	a.identity(r)
	a.decision(r)
	a.end(r)
}

func (a *attributes) identity(r *spillway.Record) {
	a.str(own+"id", r.ID)
	a.str(own+"pool", r.Pool)
	a.str(own+"caller", r.Caller)
	a.str(own+"tenant", r.Tenant)
	a.str(own+"class", r.Class)
	a.str(own+"route", r.Route)
	a.str(own+"api", r.API.String())
	a.str(own+"policy", r.Policy)
	a.flag(own+"stream", r.Stream)
	a.flag(own+"structured", r.Structured)
	a.flag(own+"tools", r.Tools)
	a.str(own+"service_tier", r.ServiceTier)
	a.integer(own+"client_retry", r.ClientRetry)
	a.integer(own+"prompt_estimate_tokens", r.PromptEstimate)
}

func (a *attributes) decision(r *spillway.Record) {
	a.ms(own+"window_ms", r.Window)
	a.ms(own+"ttft_objective_ms", r.TTFTObjective)
	a.ms(own+"tbt_objective_ms", r.TBTObjective)
	a.str(own+"mode", r.Mode.String())
	a.integer(own+"budget_tokens", r.BudgetTokens)
	a.str(own+"budget_basis", r.BudgetBasis.String())
	a.integer(own+"grant_tokens", r.GrantTokens)
	a.integer(own+"observed_grant_tokens", r.ObservedGrant)
	a.str(own+"spill", r.Spill.String())
}

func (a *attributes) end(r *spillway.Record) {
	a.str(own+"truncated", r.Truncated.String())
	a.str(own+"outcome", r.Outcome.String())
	a.str(own+"refusal", string(r.Refusal))
	a.str(own+"error", r.Error())
	a.ms(own+"queue_ms", r.Queue)
	a.ms(own+"ttft_ms", r.TTFT)
	a.add(own+"e2e_ms", attribute.Float64Value(milliseconds(r.E2E)))
	a.ms(own+"tbt_mean_ms", r.TBTMean)
	a.ms(own+"tbt_max_ms", r.TBTMax)
	a.integer(own+"usage.reasoning_tokens", r.Usage.Reasoning)
	a.flag(own+"usage.known", r.Usage.Known)
	a.flag(own+"usage.suspect", r.Usage.Suspect)
	if usd, known := r.Cost(); known && len(r.Attempts) > 0 {
		a.add(own+"cost_usd", attribute.Float64Value(usd))
	}
}

// attempt adds the attributes of an attempt, besides what the conventions
// name, each name after the prefix.
func (a *attributes) attempt(prefix string, t *spillway.Attempt) {
	a.str(prefix+"deployment", t.Deployment)
	a.str(prefix+"region", t.Region)
	a.str(prefix+"kind", t.Kind.String())
	a.add(prefix+"tier", attribute.IntValue(t.Tier))
	a.ms(prefix+"ttft_ms", t.TTFT)
	a.str(prefix+"failure", t.Class.String())
	a.ms(prefix+"retry_after_ms", t.RetryAfter)
	a.integer(prefix+"grant_tokens", t.GrantTokens)
	a.integer(prefix+"tokens", t.Tokens)
	if t.Utilization >= 0 { // false for NaN
		a.add(prefix+"utilization_ratio", attribute.Float64Value(t.Utilization))
	}
	if t.CostUSD >= 0 {
		a.add(prefix+"cost_usd", attribute.Float64Value(t.CostUSD))
	}
	a.flag(prefix+"hedge", t.Hedge)
	a.str(prefix+"served_by", t.ServedBy)
	a.str(prefix+"response_service_tier", t.ServiceTier)
	a.ms(prefix+"reset_tokens_ms", t.ResetTokens)
	a.ms(prefix+"reset_requests_ms", t.ResetRequests)
	a.str(prefix+"upstream_request_id", t.UpstreamRequestID)
	a.str(prefix+"served_region", t.ServedRegion)
	a.str(prefix+"error", t.Error)
}

// element is an attempt as the records' lines have it.
func element(t *spillway.Attempt) attribute.Value {
	var a attributes
	a.attempt("", t)
	a.add("start_ms", attribute.Float64Value(milliseconds(t.Start)))
	a.ms("end_ms", t.End)
	a.integer("status", t.Status)
	return attribute.MapValue(a.all...)
}
