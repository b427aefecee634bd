package azuresim

import "net/http"

// sureness is how certain a fact about the service is.
type sureness uint8

const (
	documented sureness = iota // by Microsoft
	observed                   // in public reports of what the service sent
	assumed                    // neither
)

var surenessNames = [...]string{"documented", "observed", "assumed"} // constant

// The api-versions that the service has had, and what they know, as of November
// 2026. They are compared by their dates. Sources: the directories of
// azure-rest-api-specs below specification/cognitiveservices/data-plane/AzureOpenAI,
// and the changelog of Microsoft's "Azure OpenAI API version lifecycle" (March 2026).
// Versions that Microsoft has retired are accepted: none publishes what they answer.
//
// apiVersions is constant.
var apiVersions = map[string]bool{
	"2022-03-01-preview": true, "2022-06-01-preview": true, "2022-12-01": true,
	"2023-03-15-preview": true, "2023-05-15": true, "2023-06-01-preview": true,
	"2023-07-01-preview": true, "2023-08-01-preview": true, "2023-09-01-preview": true,
	"2023-10-01-preview": true, "2023-12-01-preview": true, "2024-02-01": true,
	"2024-02-15-preview": true, "2024-03-01-preview": true, "2024-04-01-preview": true,
	"2024-05-01-preview": true, "2024-06-01": true, "2024-07-01-preview": true,
	"2024-08-01-preview": true, "2024-09-01-preview": true, "2024-10-01-preview": true,
	"2024-10-21": true, "2024-12-01-preview": true, "2025-01-01-preview": true,
	"2025-02-01-preview": true, "2025-03-01-preview": true, "2025-04-01-preview": true,
}

// v1Versions is constant: what the parameter may say on v1 paths. "preview" is
// documented; the others are assumed.
var v1Versions = map[string]bool{"": true, "preview": true, "v1": true, "latest": true}

// The first api-versions of whole operations; documented.
const (
	sinceFirst        = "2022-03-01-preview"
	sinceChat         = "2023-03-15-preview"
	sinceVectorStores = "2024-05-01-preview" // previews only
	sinceBatches      = "2024-07-01-preview"
	sinceStoredChat   = "2025-02-01-preview" // previews only
	sinceResponses    = "2025-03-01-preview" // previews only
	sinceReasoning    = "2024-12-01-preview" // reasoning models; observed
	onlyV1            = "9999-99-99"
)

// How a refusal of a feature is worded.
type wording uint8

const (
	unknownParameter wording = iota // by the model's own validation, with its parameter
	unrecognized                    // by that of older models, without
	enabledSince                    // by the front end
)

// feature is a part of a chat request that older api-versions refuse.
type feature struct {
	name  string // as documentation lists it
	since string // the first api-version that knows it
	sure  sureness
	param string // what the refusal names
	how   wording
	// in reports whether a request has the feature.
	in func(r *chatRequest) bool
}

// chatFeatures is constant. When a feature came is documented, except for
// tool_choice; sure is about the refusal's words. Their reports:
// open-interpreter#618 (functions), pydantic-ai#169 and azure-rest-api-specs#29545
// (parallel_tool_calls), openai-python#1724 (max_completion_tokens), agno#1066 and
// semantic-kernel#8189 (stream_options), and Microsoft's own batch page
// (json_schema).
var chatFeatures = [...]feature{
	{"functions", "2023-07-01-preview", observed, "functions", unrecognized, func(r *chatRequest) bool { return len(r.Functions) > 0 }},
	{"tools", "2023-12-01-preview", assumed, "tools", unrecognized, func(r *chatRequest) bool { return len(r.Tools) > 0 }},
	{"tool_choice: required", "2024-06-01", observed, "tool_choice value as required", enabledSince, func(r *chatRequest) bool { return string(r.ToolChoice) == `"required"` }},
	{"response_format: json_schema", "2024-08-01-preview", documented, "response_format value as json_schema", enabledSince, func(r *chatRequest) bool { return r.ResponseFormat != nil && r.ResponseFormat.Type == "json_schema" }},
	{"stream_options", "2024-09-01-preview", observed, "stream_options", unknownParameter, func(r *chatRequest) bool { return r.StreamOptions != nil }},
	{"parallel_tool_calls", "2024-09-01-preview", observed, "parallel_tool_calls", unrecognized, func(r *chatRequest) bool { return r.ParallelToolCalls != nil }},
	{"max_completion_tokens", "2024-09-01-preview", observed, "max_completion_tokens", unrecognized, func(r *chatRequest) bool { return r.MaxCompletionTokens != nil }},
	{"reasoning_effort", "2024-12-01-preview", assumed, "reasoning_effort", unrecognized, func(r *chatRequest) bool { return r.ReasoningEffort != "" }},
	{"store", "2024-12-01-preview", assumed, "store", unrecognized, func(r *chatRequest) bool { return r.Store != nil }},
	{"metadata", "2024-12-01-preview", assumed, "metadata", unrecognized, func(r *chatRequest) bool { return r.Metadata != nil }},
	{"prediction", "2025-01-01-preview", assumed, "prediction", unrecognized, func(r *chatRequest) bool { return r.Prediction != nil }},
}

// knows reports whether an api-version has what came with since. Both are known
// ones; "" is v1, which has everything.
func knows(version, since string) bool {
	const date = len("2024-10-21")
	return version == "" || version[:date] >= since[:date]
}

// checkFeatures refuses what the request's api-version does not have.
func (x *exchange) checkFeatures(r *chatRequest) error {
	if x.version == "" {
		return nil
	}
	for _, f := range chatFeatures {
		if !knows(x.version, f.since) && f.in(r) {
			return f.refusal()
		}
	}
	return nil
}

// refusal is the answer of an api-version that does not know the feature.
func (f feature) refusal() error {
	switch f.how {
	case unknownParameter:
		return &badRequest{"Unknown parameter: '" + f.param + "'.", f.param, "unknown_parameter"}
	case unrecognized:
		return &badRequest{message: "Unrecognized request argument supplied: " + f.param}
	}
	return frontEnd(f.param + " is enabled only for api versions " + f.since + " and later")
}

// frontEnd is a 400 of the service's front end. Reports of its words, all observed:
// aider-desk#460 (versions that do not exist), semantic-kernel#12268 (reasoning
// models, braces included), aider#4029 (Responses), Foundry projects (v1).
func frontEnd(message string) error {
	return &refusal{http.StatusBadRequest, `{"error":{"code":"BadRequest","message":"` + message + `"}}`}
}

// checkVersion refuses an api-version that the path does not take. A classic path
// without one does not exist (azure-docs#114602, observed).
func (x *exchange) checkVersion(t *target) error {
	switch {
	case t.openai:
		x.version = ""
		return nil
	case !t.versioned && !v1Versions[x.version]:
		return frontEnd("api-version query parameter is not allowed when using /v1 path")
	case !t.versioned:
		x.version = ""
		return nil
	case x.version == "":
		return notFound()
	case !apiVersions[x.version]:
		return frontEnd("API version not supported")
	}
	return x.checkOperation(t.since())
}

// checkOperation refuses an operation that the api-version does not have.
func (x *exchange) checkOperation(since string) error {
	switch {
	case knows(x.version, since):
		return nil
	case since == sinceResponses:
		return frontEnd("Azure OpenAI Responses API is enabled only for api-version " + sinceResponses + " and later")
	}
	return notFound()
}

// checkReasoning refuses api-versions that are older than reasoning models.
func (x *exchange) checkReasoning() error {
	if x.dep.config.Reasoning && !knows(x.version, sinceReasoning) {
		return frontEnd("Model {modelName} is enabled only for api versions " + sinceReasoning + " and later")
	}
	return nil
}

func notFound() error { return &refusal{http.StatusNotFound, bodyNoResource} }

// The models that have a service tier besides the default one, on standard
// deployments, as of November 2026: Microsoft's "Priority processing" (24 September
// 2026) and "Flex processing" (preview).
var (
	// priorityModels is constant.
	priorityModels = map[string]bool{
		"gpt-4.1": true, "gpt-5.1": true, "gpt-5.2": true, "gpt-5.4": true, "gpt-5.4-mini": true, "gpt-5.5": true,
		"gpt-5.6-sol": true, "gpt-5.6-terra": true, "gpt-6-sol": true,
	}
	// flexModels is constant.
	flexModels = map[string]bool{"gpt-5.6-sol": true, "gpt-5.6-terra": true, "gpt-5.6-luna": true, "gpt-6-astra": true}
	// shortContext is constant: models that take at most longContext prompt tokens
	// on provisioned deployments, and as many with priority.
	shortContext = map[string]bool{"gpt-4.1": true, "gpt-4.1-mini": true, "gpt-4.1-nano": true, "gpt-5.4": true}
)

// longContext is where a prompt counts as long.
const longContext = 128_000
