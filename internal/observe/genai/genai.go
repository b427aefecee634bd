// Package genai defines the names, values and buckets of OpenTelemetry's
// semantic conventions for generative AI (status: development). They are kept
// here because OpenTelemetry's core packages no longer contain them. Source:
// opentelemetry.io/docs/specs/semconv/gen-ai.
package genai

import (
	"strings"

	spillway "github.com/spillway-ai/spillway"
)

// The metrics, whose unit is s unless said otherwise.
const (
	OperationDuration  = "gen_ai.client.operation.duration"
	TokenUsage         = "gen_ai.client.token.usage" // {token}
	TimeToFirstToken   = "gen_ai.server.time_to_first_token"
	TimePerOutputToken = "gen_ai.server.time_per_output_token"
)

// The attributes of metrics, spans and events.
const (
	OperationName     = "gen_ai.operation.name"
	ProviderName      = "gen_ai.provider.name"
	RequestModel      = "gen_ai.request.model"
	RequestMaxTokens  = "gen_ai.request.max_tokens"
	RequestChoices    = "gen_ai.request.choice.count"
	FinishReasons     = "gen_ai.response.finish_reasons"
	InputTokens       = "gen_ai.usage.input_tokens"
	OutputTokens      = "gen_ai.usage.output_tokens"
	CachedInputTokens = "gen_ai.usage.cache_read.input_tokens"
	TokenType         = "gen_ai.token.type"
	// CacheWriteInputTokens is for prompt tokens that were written to the prompt cache.
	CacheWriteInputTokens = "gen_ai.usage.cache_creation.input_tokens"
	ErrorType             = "error.type"
	StatusCode            = "http.response.status_code"
)

// The values of ProviderName and TokenType.
const (
	// DefaultProvider is the provider if no other is known.
	DefaultProvider = "azure.ai.openai"
	// ProviderOpenAI is that of deployments that speak OpenAI's own dialect.
	ProviderOpenAI = "openai"

	TokenInput  = "input"
	TokenOutput = "output"
)

// operations are the values of OperationName, by spillway.API. Other paths
// have no name there and take Spillway's. It is constant.
var operations = [...]string{
	spillway.APIOther:       "other",
	spillway.APIChat:        "chat",
	spillway.APICompletions: "text_completion",
	spillway.APIEmbeddings:  "embeddings",
	spillway.APIResponses:   "chat",
}

// Operation is the value of OperationName.
func Operation(api spillway.API) string {
	if int(api) < len(operations) {
		return operations[api]
	}
	return operations[spillway.APIOther]
}

// Error is the value of ErrorType: empty for an answer that is valid in the
// end.
func Error(o spillway.Outcome) string {
	switch o {
	case spillway.OutcomeOK, spillway.OutcomeOKClientCap,
		spillway.OutcomeTruncatedBudget, spillway.OutcomeTruncatedDeadline:
		return ""
	}
	return o.String()
}

// Prometheus is how Prometheus spells a name: dots become underscores, and the
// unit, where there is one, goes last.
func Prometheus(name, unit string) string {
	name = strings.ReplaceAll(name, ".", "_")
	if unit != "" {
		name += "_" + unit
	}
	return name
}

// DurationBuckets are the bounds advised for OperationDuration, in seconds.
func DurationBuckets() []float64 {
	return []float64{.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
}

// TokenBuckets are the bounds advised for TokenUsage.
func TokenBuckets() []float64 {
	return []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
}

// FirstTokenBuckets are the bounds advised for TimeToFirstToken, in seconds.
func FirstTokenBuckets() []float64 {
	return []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
}

// PerOutputTokenBuckets are the bounds advised for TimePerOutputToken, in
// seconds.
func PerOutputTokenBuckets() []float64 {
	return []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5}
}
