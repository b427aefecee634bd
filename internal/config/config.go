package config

import "time"

// Bytes is a size, written as 65536, 64KiB or 50MB.
type Bytes int64

// Secret is a string that is not printed. Reveal gives it to those who need it.
type Secret string

// masked is what is printed in a secret's place.
const masked = "***"

// String returns *** in the secret's place; "" when there is none.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String, for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the secret itself. It must not be logged.
func (s Secret) Reveal() string { return string(s) }

// Config is a whole configuration, valid and with every default filled in.
type Config struct {
	Server      Server       `yaml:"server" doc:"Listen addresses and limits."`
	Deployments []Deployment `yaml:"deployments" required:"true" doc:"Azure OpenAI or OpenAI-compatible deployments."`
	Models      []Model      `yaml:"models" doc:"Figures of models, in place of the published ones, or of models without published ones. What an element leaves out is as published. Options of a deployment come before those of its model."`
	Pools       []Pool       `yaml:"pools" required:"true" doc:"Deployments that serve a model name, in spill order."`
	Classes     []Class      `yaml:"classes" required:"true" doc:"Kinds of traffic, with their windows, objectives and budgets."`
	Callers     []Caller     `yaml:"callers" doc:"Keys that clients authenticate with, and the class of their requests."`
	Anonymous   string       `yaml:"anonymous" doc:"Class of requests without a key. When empty, they are refused with 401."`
	Routing     Routing      `yaml:"routing" doc:"Selection of a deployment within a tier."`
	Retry       Retry        `yaml:"retry" doc:"Retries. Retries and hedges of one pool share the retry budget."`
	Breaker     Breaker      `yaml:"breaker" doc:"Circuit breaker of each deployment."`
	Queue       Queue        `yaml:"queue" doc:"Queue for capacity. Each pool has one queue."`
	Speed       Speed        `yaml:"speed" doc:"Learning of a deployment's speed."`
	Records     Records      `yaml:"records" doc:"Output of the record of each request as a JSON line, described in RECORDS.md. Off unless dir or stdout is set."`
	Store       Store        `yaml:"store" doc:"Record store on disk, for queries and diagnosis, described in STORE.md. Off unless dir is set."`
	Exports     []Export     `yaml:"exports" doc:"Exports of the store's records to Azure Data Explorer, ClickHouse or object storage, described in EXPORT.md."`
	Metrics     Metrics      `yaml:"metrics" doc:"Prometheus metrics on the admin listener."`
	OTLP        OTLP         `yaml:"otlp" doc:"Traces, metrics and logs for an OpenTelemetry collector, described in OTLP.md. Off unless endpoint is set."`
}

// Server is where the gateway listens and what it bears.
type Server struct {
	Listen         string        `yaml:"listen" default:"127.0.0.1:8080" doc:"Address of the data listener: host:port, or :port for every interface."`
	Admin          string        `yaml:"admin" default:"127.0.0.1:8081" doc:"Address of the admin listener: health checks and metrics. Empty turns it off."`
	TLS            *ServerTLS    `yaml:"tls" doc:"Serve HTTPS on the data listener."`
	MaxBodyBytes   Bytes         `yaml:"max_body_bytes" min:"1KiB" doc:"Largest request body; larger ones get 413."`
	MaxHeaderBytes Bytes         `yaml:"max_header_bytes" min:"4KiB" doc:"Largest request header; larger ones get 431."`
	MaxAnswerBytes Bytes         `yaml:"max_answer_bytes" min:"1KiB" doc:"Largest response that is buffered or assembled."`
	MaxErrorBytes  Bytes         `yaml:"max_error_bytes" min:"1KiB" doc:"Largest error body read from a deployment."`
	MaxEventBytes  Bytes         `yaml:"max_event_bytes" min:"1KiB" max:"1GiB" doc:"Largest event of a deployment's stream."`
	MaxInFlight    int           `yaml:"max_in_flight" min:"1" doc:"Maximum requests in flight; further ones get 503."`
	MaxConnections int           `yaml:"max_connections" min:"0" doc:"Maximum client connections. At the limit, connections without a valid key are closed, oldest first; then further ones get 503. 0 derives it from the limits of file descriptors and memory."`
	MemoryLimit    Bytes         `yaml:"memory_limit" min:"0" doc:"Memory that the process may use; near it, new requests get 503. 0 selects the limit of the container, or the machine's memory. Where the environment sets GOMEMLIMIT, 0 follows that."`
	BufferLimit    Bytes         `yaml:"buffer_limit" min:"0" doc:"Memory for large request bodies and buffered responses; a request whose body does not fit gets 503. 0 selects 40% of memory_limit."`
	HeaderTimeout  time.Duration `yaml:"header_timeout" min:"1ms" doc:"Time to read a request's header."`
	BodyTimeout    time.Duration `yaml:"body_timeout" min:"1ms" doc:"Time to read a request's body; min_body_rate extends it."`
	MinBodyRate    Bytes         `yaml:"min_body_rate" min:"1" doc:"Bytes per second at which a body must arrive after body_timeout."`
	IdleTimeout    time.Duration `yaml:"idle_timeout" min:"1ms" doc:"Time that a keep-alive connection may be idle."`
	WriteTimeout   time.Duration `yaml:"write_timeout" min:"1ms" doc:"Time that one write to a client may take before the client counts as disconnected."`
	Heartbeat      time.Duration `yaml:"heartbeat" min:"0s" doc:"Time without an event after which the client of a stream gets a comment (: keep-alive), so that load balancers keep the connection; 0 is never."`
	FirstHeartbeat time.Duration `yaml:"first_heartbeat" min:"0s" doc:"The same before the first event of a stream, counted from the request's acceptance, once it was sent to a deployment; 0 is never. Then the response has begun with status 200: another deployment can still serve the request, but an error after that is an event of the stream, without a status or retry-after that an SDK could act on, and the headers about deployment, spill and limits are trailers."`
	ShutdownDelay  time.Duration `yaml:"shutdown_delay" default:"0s" min:"0s" doc:"Time from SIGTERM, when /readyz returns 503, until the data listener closes. Requests are served meanwhile, and each connection is closed after its next response. Set it to the time that load balancers need to notice: 5s for Kubernetes, or the probe's interval times its threshold."`
	DrainTimeout   time.Duration `yaml:"drain_timeout" default:"30s" min:"0s" doc:"Time for requests in flight to finish after SIGTERM and shutdown_delay."`
	H2C            bool          `yaml:"h2c" default:"true" doc:"Accept HTTP/2 without TLS, by prior knowledge, on a data listener without tls."`
	LeaveStreams   bool          `yaml:"leave_streams" default:"true" doc:"Hand streams to HTTP/1.1 clients over from net/http to the gateway once they have begun, which saves memory. If false, net/http serves them to the end."`
}

// ServerTLS is the data listener's certificate.
type ServerTLS struct {
	Cert string `yaml:"cert" required:"true" doc:"PEM file of the certificate chain."`
	Key  string `yaml:"key" required:"true" doc:"PEM file of the private key."`
}

// The styles of a deployment's API.
const (
	StyleAzure   = "azure"
	StyleAzureV1 = "azure-v1"
	StyleOpenAI  = "openai"
)

// Deployment is one addressable capacity.
type Deployment struct {
	Name            string        `yaml:"name" required:"true" doc:"Name in pools, records and metrics."`
	Endpoint        string        `yaml:"endpoint" required:"true" doc:"Base URL, such as https://eastus.openai.azure.com."`
	Deployment      string        `yaml:"deployment" doc:"Name of the Azure deployment, or the model name to send with other styles. When empty, the model."`
	Style           string        `yaml:"style" enum:"azure|azure-v1|openai" doc:"Paths and parameters of the endpoint. When empty: azure if the endpoint is one of Azure's or api_version is set, else openai."`
	APIVersion      string        `yaml:"api_version" doc:"Azure's api-version, only for style azure. When empty, the version that the client sends, or a newer one where the request needs it; 2024-10-21 for clients that send none."`
	Model           string        `yaml:"model" required:"true" doc:"Model that it serves; selects the published speed and capacity."`
	Kind            string        `yaml:"kind" default:"standard" enum:"standard|provisioned" doc:"How its capacity is sold: by tokens per minute, or by PTU."`
	PTU             int           `yaml:"ptu" min:"0" max:"1000000" doc:"Provisioned throughput units. Required by kind provisioned."`
	TPM             int           `yaml:"tpm" min:"0" doc:"Tokens per minute of a standard deployment; 0 is unlimited."`
	RPM             int           `yaml:"rpm" min:"0" doc:"Requests per minute of a standard deployment; 0 is unlimited."`
	Region          string        `yaml:"region" doc:"Region, for records."`
	Sync            string        `yaml:"sync" default:"stream" enum:"stream|pass" doc:"How to send non-streaming requests to it: as their class says, or (pass) always unchanged, for a model or an organization that may not stream. A deployment that refuses a stream which the client did not ask for is asked again without, and remembered for an hour."`
	Weight          int           `yaml:"weight" default:"1" min:"1" doc:"Share of its tier's requests, relative to the other deployments."`
	MaxInFlight     int           `yaml:"max_in_flight" min:"0" doc:"Maximum attempts in flight; 0 is unlimited."`
	Reasoning       bool          `yaml:"reasoning" doc:"The model uses hidden tokens, which count against the output limit, and chat uses max_completion_tokens. When empty, whether the name of the model is one of a reasoning model: o-series, GPT from 5 on except its chat variants, codex."`
	MaxOutputTokens int           `yaml:"max_output_tokens" min:"0" doc:"Largest output limit that the model accepts; it bounds the limit that is set for clients without one. 0 selects 4096, which every chat model accepts."`
	TokensPerSecond float64       `yaml:"tokens_per_second" min:"0" doc:"Contractual speed of one response, used until there are enough samples; 0 selects the model's published target."`
	InputTPMPerPTU  int           `yaml:"input_tpm_per_ptu" min:"0" doc:"Input tokens per minute that one PTU buys; 0 selects the model's published figure."`
	OutputRatio     float64       `yaml:"output_ratio" min:"0" doc:"Input tokens that one output token counts as; 0 selects the model's published figure."`
	CachedRatio     float64       `yaml:"cached_ratio" min:"0" max:"1" doc:"What a cached input token counts as, relative to another input token; 0 selects the model's published figure, which is 0 for most models."`
	MeterDepth      time.Duration `yaml:"meter_depth" min:"0s" doc:"Drain time that equals 100% utilization of a provisioned deployment; 0 selects the default of the policy core."`
	Scope           string        `yaml:"scope" default:"global" enum:"global|data-zone|regional" doc:"Azure deployment type by processing location, which decides the published price."`
	Price           *Price        `yaml:"price" doc:"Price, where your contract differs from the published one."`
	ConnectTimeout  time.Duration `yaml:"connect_timeout" min:"1ms" doc:"Time to resolve the name of the endpoint and connect to it, and again for the TLS handshake."`
	HeaderTimeout   time.Duration `yaml:"header_timeout" default:"10m" min:"0s" doc:"Time to wait for response headers, in addition to the request's deadline; 0 is only the deadline."`
	Auth            *Auth         `yaml:"auth" doc:"Credential for the endpoint. Styles azure and azure-v1 require it."`
	TLS             *UpstreamTLS  `yaml:"tls" doc:"Verification of the endpoint's certificate."`
}

// Price is what a deployment costs. Zero fields take the published price.
type Price struct {
	Input  float64 `yaml:"input" min:"0" doc:"USD per million uncached prompt tokens."`
	Cached float64 `yaml:"cached" min:"0" doc:"USD per million cached prompt tokens. When empty, the input price."`
	Output float64 `yaml:"output" min:"0" doc:"USD per million completion tokens, including hidden ones; 0 for embedding models."`
	// The prices above are those of the default service tier.
	CacheWrite float64 `yaml:"cache_write" min:"0" doc:"USD per million prompt tokens that are written to the prompt cache. When empty, the input price."`
	Flex       float64 `yaml:"flex" min:"0" doc:"Price at service tier flex, as a multiple of the prices above. When empty, the published one."`
	Priority   float64 `yaml:"priority" min:"0" doc:"Price at service tier priority, as a multiple of the prices above. When empty, the published one. Set 1 where the prices above are those of priority."`
	PTUHour    float64 `yaml:"ptu_hour" min:"0" doc:"USD per hour of one provisioned throughput unit."`
}

// Auth is the credential for an endpoint: one of its fields is set.
type Auth struct {
	APIKey Secret `yaml:"api_key" doc:"Sent as the header api-key."`
	Bearer Secret `yaml:"bearer" doc:"Sent as Authorization: Bearer."`
}

// UpstreamTLS says how an endpoint's certificate is verified.
type UpstreamTLS struct {
	CAFile             string `yaml:"ca_file" doc:"PEM file of certificate authorities to trust instead of the system's."`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" doc:"Trust any certificate. For tests only."`
}

// Pool is the deployments that serve one model name.
type Pool struct {
	Name   string     `yaml:"name" required:"true" doc:"Model name, or Azure deployment name, that clients request."`
	Models []string   `yaml:"models" doc:"Other names that select this pool."`
	Tiers  [][]string `yaml:"tiers" required:"true" doc:"Deployment names by tier, the first tier first. A deployment belongs to one pool."`
	Spill  Spill      `yaml:"spill" doc:"When traffic spills over to the next tier."`
}

// Spill is when a pool's traffic goes to a later tier.
type Spill struct {
	At       float64 `yaml:"at" min:"0.01" max:"2" doc:"Utilization at which a tier counts as full; 1 is 100%."`
	MaxTiers int     `yaml:"max_tiers" min:"0" doc:"Maximum tiers tried for one request; 0 is all."`
}

// Class is one kind of traffic.
type Class struct {
	Name           string        `yaml:"name" required:"true" doc:"Name in callers, records and metrics."`
	Priority       string        `yaml:"priority" default:"normal" enum:"low|normal|high" doc:"Order in the queue, and against shedding, when capacity is short."`
	Window         time.Duration `yaml:"window" default:"60s" min:"0s" doc:"Time from acceptance to the last byte of a non-streaming response; 0 is unlimited."`
	StreamWindow   time.Duration `yaml:"stream_window" default:"0s" min:"0s" doc:"Time from acceptance to the last byte of a streaming response; 0 is unlimited."`
	TTFT           time.Duration `yaml:"ttft" default:"0s" min:"0s" doc:"Objective: time to the first token; 0 is none."`
	TBT            time.Duration `yaml:"tbt" default:"0s" min:"0s" doc:"Objective: mean time between the tokens of a response; 0 is none."`
	Budget         Budget        `yaml:"budget" doc:"Limit on output tokens by the time left."`
	Sync           string        `yaml:"sync" default:"stream" enum:"stream|pass" doc:"How to send non-streaming requests upstream: as a stream that the gateway assembles, or unchanged."`
	CutStructured  string        `yaml:"cut_structured" default:"timeout" enum:"timeout|partial" doc:"What the client gets when a non-streaming response with a tool call, or of structured output, is cut at the deadline, so that it does not parse: status 408, or what has arrived, with status 200 and finish reason length. Streams get what has arrived."`
	MaxWait        time.Duration `yaml:"max_wait" min:"1ms" doc:"Longest time in the queue, also bounded by the deadline."`
	SilenceTimeout time.Duration `yaml:"silence_timeout" min:"1s" doc:"Longest silence within a response that the client has begun to read. Then it ends: a stream with an error event, another response by closing the connection."`
	Hedge          bool          `yaml:"hedge" doc:"Send a second attempt to another deployment when the first token is late."`
	RightSize      bool          `yaml:"right_size" doc:"Send twice the learned 99th percentile of output lengths as the output limit, after 300 responses, so that Azure reserves less. It applies only where it gains something: the deployment used 70% of its tokens or refused a request in the last 5 minutes. It can truncate responses."`
	Operations     []string      `yaml:"operations" enum:"assistants|audio|batches|chat|chat/stored|completions|containers|conversations|embeddings|evals|files|fine_tuning|images|models|moderations|other|realtime|responses|responses/compact|threads|uploads|vector_stores|videos|*" doc:"Operations that its callers may use; others get 403. The default is the operations with token logic, and reading models; responses includes stored responses by id. Only chat, completions and responses have windows, budgets and caps: a caller with batches or other can generate without them. * allows everything."`
	Pools          []string      `yaml:"pools" default:"*" doc:"Pools that its callers may use, by name; others do not exist for them. * allows all."`
}

// Budget is how a class turns time into output tokens.
type Budget struct {
	Mode            string        `yaml:"mode" default:"window" enum:"window|clamp|reject|observe" doc:"What to do with a request that asks for more than fits: cut its response at the deadline, lower its limit, reject it with 400, or only record it."`
	Quantile        float64       `yaml:"quantile" min:"0.5" max:"0.999" doc:"Quantile of the learned speed to use."`
	MaxOutputTokens int           `yaml:"max_output_tokens" min:"0" doc:"Fixed budget instead of the measured one, for each choice of a non-streaming response; 0 is none. Structured output, tools and reasoning are exempt, as from clamp. hard_cap lifts these exceptions."`
	Margin          time.Duration `yaml:"margin" min:"1ms" doc:"Time reserved before the deadline for the reply itself; at most a tenth of the window."`
	HardCap         bool          `yaml:"hard_cap" doc:"Apply max_output_tokens to every request: also to streams, structured output, tools and reasoning, and to the sum of all choices. Each choice gets an equal share; a request for more choices than tokens gets 400. Mode reject rejects what asks for more, window and clamp lower it, and observe only records it."`
	ClampStructured bool          `yaml:"clamp_structured" doc:"Apply clamp, reject and max_output_tokens also to requests whose response is worthless when cut: structured output, tools, reasoning."`
}

// Caller is one client that may ask.
type Caller struct {
	Name   string   `yaml:"name" required:"true" doc:"Name in records."`
	Key    Secret   `yaml:"key" doc:"Key that the client sends as api-key or Authorization: Bearer."`
	Keys   []Secret `yaml:"keys" doc:"Further keys, such as the old one during key rotation."`
	Tenant string   `yaml:"tenant" doc:"Tenant that the caller acts for, in records."`
	Class  string   `yaml:"class" required:"true" doc:"Class of its requests."`

	Operations []string `yaml:"operations" enum:"assistants|audio|batches|chat|chat/stored|completions|containers|conversations|embeddings|evals|files|fine_tuning|images|models|moderations|other|realtime|responses|responses/compact|threads|uploads|vector_stores|videos|*" doc:"Operations that it may use instead of those of its class."`
	Pools      []string `yaml:"pools" doc:"Pools that it may use, by name, instead of those of its class."`
}

// Routing is how a deployment is picked within a tier.
type Routing struct {
	Strategy    string `yaml:"strategy" default:"weighted" enum:"weighted|least_outstanding|affinity" doc:"By weight, by fewest outstanding tokens, or by prompt prefix for prompt cache hits."`
	DefaultPool string `yaml:"default_pool" doc:"Pool of requests that name no model. When empty: the only pool that the caller may use; with several, such requests get an error."`
	MaxHops     int    `yaml:"max_hops" min:"1" max:"16" doc:"Gateways that a request may pass before it counts as a loop."`
}

// Retry is when a request is tried again.
type Retry struct {
	MaxAttempts  int           `yaml:"max_attempts" min:"1" max:"8" doc:"Maximum attempts of one request, including the first."`
	BaseDelay    time.Duration `yaml:"base_delay" min:"1ms" doc:"Delay before the first retry at the same deployment; doubles each time, with jitter."`
	MaxDelay     time.Duration `yaml:"max_delay" min:"1ms" doc:"Longest retry delay."`
	Ratio        float64       `yaml:"ratio" min:"0" max:"1" doc:"Retry budget: retries per request over the window; 0 is none."`
	MinPerSecond float64       `yaml:"min_per_second" min:"0" doc:"Retries per second allowed in addition to the ratio; 0 is none."`
	Window       time.Duration `yaml:"window" min:"1s" doc:"Period over which requests and retries are counted."`
}

// Breaker is when a deployment that fails is left alone.
type Breaker struct {
	Window              time.Duration `yaml:"window" min:"1s" doc:"Period over which the error rate is measured."`
	MinRequests         int           `yaml:"min_requests" min:"1" doc:"Minimum results in the window for the rate to count."`
	ErrorRate           float64       `yaml:"error_rate" min:"0.01" max:"1" doc:"Share of failures that opens the breaker."`
	ConsecutiveFailures int           `yaml:"consecutive_failures" min:"1" doc:"Consecutive failures that open the breaker regardless of the rate."`
	OpenFor             time.Duration `yaml:"open_for" min:"1ms" doc:"Time until the first probe; doubles when the breaker soon opens again."`
	MaxOpenFor          time.Duration `yaml:"max_open_for" min:"1ms" doc:"Longest time until the first probe."`
	Probes              int           `yaml:"probes" min:"1" doc:"Maximum concurrent probe requests; this many successes close the breaker."`
}

// Queue is who may wait for capacity.
type Queue struct {
	MaxLength int     `yaml:"max_length" min:"0" doc:"Maximum requests that may wait; 0 is none."`
	MaxShare  float64 `yaml:"max_share" min:"0.01" max:"1" doc:"Share of the queue that one caller may use while others wait."`
}

// Speed is how the speed of a deployment is learned.
type Speed struct {
	MinSamples int           `yaml:"min_samples" min:"1" doc:"Minimum responses for a measured speed. With fewer at one load level, responses at all load levels are combined; with fewer in total, the slower of the published and the measured speed counts, with 2 s to the first token."`
	Decay      time.Duration `yaml:"decay" min:"1s" doc:"How long a measured response is remembered."`
}

// Records is where records go.
type Records struct {
	Dir          string `yaml:"dir" doc:"Directory of the files records.jsonl (the newest), records.jsonl.1 and so on. Only one gateway may write to it."`
	Stdout       bool   `yaml:"stdout" doc:"Write records to standard output."`
	MaxFileBytes Bytes  `yaml:"max_file_bytes" default:"64MiB" min:"4KiB" doc:"Size at which a new file starts."`
	MaxFiles     int    `yaml:"max_files" default:"16" min:"1" max:"10000" doc:"Files kept; the oldest is removed."`
	Queue        int    `yaml:"queue" min:"1" max:"1000000" doc:"Maximum records that wait for the disk; further ones are dropped and counted."`
}

// Store is the record store.
type Store struct {
	Dir       string        `yaml:"dir" doc:"Directory of the store. Only one gateway may write to it; any number of processes may read it."`
	MaxAge    time.Duration `yaml:"max_age" default:"2160h" min:"0s" doc:"How long records are kept, and up to a day longer; 0 keeps all. 2160h is 90 days."`
	MaxBytes  Bytes         `yaml:"max_bytes" default:"16GiB" min:"0" doc:"Size on disk above which the oldest records are removed; 0 is unlimited."`
	SealAfter time.Duration `yaml:"seal_after" min:"1s" doc:"Longest time until a record is in a Parquet file. Before that, only Spillway can read it."`
	Queue     int           `yaml:"queue" min:"1" max:"1000000" doc:"Maximum records that wait for the disk; further ones are dropped and counted."`
}

// Metrics is whether there are metrics.
type Metrics struct {
	Enabled bool `yaml:"enabled" default:"true" doc:"Serve /metrics."`
}
