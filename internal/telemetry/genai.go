package telemetry

import spillway "github.com/spillway-ai/spillway"

// Names of the OpenTelemetry semantic conventions for generative AI (status:
// development), as Prometheus spells them: dots become underscores, the unit
// goes last. They are kept here because the conventions left OpenTelemetry's
// core packages. Source: opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics.
const (
	genAIOperationDuration  = "gen_ai_client_operation_duration_seconds"
	genAITokenUsage         = "gen_ai_client_token_usage"
	genAITimeToFirstToken   = "gen_ai_server_time_to_first_token_seconds"
	genAITimePerOutputToken = "gen_ai_server_time_per_output_token_seconds"

	genAIOperationName = "gen_ai_operation_name"
	genAIProviderName  = "gen_ai_provider_name"
	genAIRequestModel  = "gen_ai_request_model"
	genAITokenType     = "gen_ai_token_type"
	errorType          = "error_type"

	// DefaultProvider is gen_ai.provider.name where nothing else is known.
	DefaultProvider = "azure.ai.openai"
	// ProviderOpenAI is that of deployments that speak OpenAI's own dialect.
	ProviderOpenAI = "openai"
)

// genAIOperations are the values of gen_ai.operation.name, by spillway.API.
// Other paths have no name there and take Spillway's. It is constant.
var genAIOperations = [...]string{
	spillway.APIOther:       "other",
	spillway.APIChat:        "chat",
	spillway.APICompletions: "text_completion",
	spillway.APIEmbeddings:  "embeddings",
	spillway.APIResponses:   "chat",
}

// The bucket bounds that the conventions advise. They are constant.
var (
	durationBuckets  = []float64{.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	tokenBuckets     = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
	firstBuckets     = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	perOutputBuckets = []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5}
)
