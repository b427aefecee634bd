package spillway

import "time"

// API is the operation that a request asks for. It decides which fields carry
// the token limit and what a response looks like.
type API uint8

// The operations that Spillway knows. APIOther is any other path: it is
// routed, retried and recorded, without token logic.
const (
	APIOther API = iota
	APIChat
	APICompletions
	APIEmbeddings
	APIResponses
)

var apiNames = [...]string{"other", "chat", "completions", "embeddings", "responses"}

// String returns the name used in records, metrics and configuration.
func (a API) String() string { return name(apiNames[:], uint8(a)) }

// Generates reports whether responses of this operation are made of output
// tokens, so that a token budget means something.
func (a API) Generates() bool {
	return a == APIChat || a == APICompletions || a == APIResponses
}

// Request is what the policy core knows of one client call. It holds no
// prompt text. The driver owns it and must not change it between Begin and
// the flight's Settle.
type Request struct {
	ID     string // our request id
	Caller string // name of the authenticated caller
	Tenant string // who the caller speaks for, when it says so
	Route  string // path family and operation, such as "azure/chat"
	Model  string // the name that selected the pool
	API    API
	Class  *Class // never nil

	Stream     bool // the client reads a stream
	CanStream  bool // the driver can ask for a stream and assemble the response
	Choices    int  // responses asked for (n or best_of, times prompts); at least 1
	AskTokens  int  // output tokens asked for; 0 when the client set none
	BodyBytes  int  // size of the part of the body that holds the prompt
	Unsized    bool // BodyBytes does not bound the prompt's tokens: images, files, stored conversations
	Structured bool // response_format or a text format that must parse
	Tools      bool // tools are offered
	Reasoning  bool // reasoning settings are present that do not turn it off
	// NoReasoning says that reasoning is turned off: also a reasoning model spends no
	// hidden tokens.
	NoReasoning bool

	// ServiceTier is the tier that the request asks for; "" means the default.
	ServiceTier string
	// Deadline is what the client allows from acceptance to last byte
	// (x-spillway-deadline-ms, or its SDK's own timeout); 0 means unknown.
	Deadline time.Duration
	// ReadTimeout says that Deadline is the SDK's timeout, which bounds each wait of the
	// client: once a response is passed through as it comes, it is no deadline.
	ReadTimeout bool
	// TTFT and TPOT are the request's own objectives; 0 means the class's.
	TTFT, TPOT time.Duration

	// ClientRetry is how often the client's SDK has already retried this call.
	ClientRetry int
	// Affinity is a hash of the prompt's cacheable prefix; 0 means none.
	Affinity uint64
	// Pin names the only deployment that can serve the request, such as the
	// one that holds a stored response; "" means any.
	Pin string
	// Hops counts the gateways that the request has already passed.
	Hops int
	// TraceParent is the client's W3C trace context, valid; "" when it sent none.
	TraceParent string
}

// Usage is what a response consumed, in tokens. Known is false when the figures
// are our own counts.
type Usage struct {
	Prompt     int
	Cached     int // part of Prompt that was read from the prompt cache
	CacheWrite int // part of Prompt that was written to it
	Completion int
	Reasoning  int // part of Completion
	Known      bool
	// Suspect says that the deployment reported figures which are malformed or
	// impossible for the request. They are not used: Known is false.
	Suspect bool
}

// name returns names[i], or a number where a value has no name.
func name(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return "unknown"
}
