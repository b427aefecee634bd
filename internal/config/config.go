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
	Server      Server       `yaml:"server" doc:"Where the gateway listens, and what it bears."`
	Deployments []Deployment `yaml:"deployments" required:"true" doc:"What there is: every addressable capacity."`
	Pools       []Pool       `yaml:"pools" required:"true" doc:"Which deployments serve which model name, in spill order."`
	Classes     []Class      `yaml:"classes" required:"true" doc:"What is wanted: windows, objectives and budgets of kinds of traffic."`
	Callers     []Caller     `yaml:"callers" doc:"Who may ask."`
	Anonymous   string       `yaml:"anonymous" doc:"Class of requests without a key; when empty, they are refused with 401."`
	Routing     Routing      `yaml:"routing" doc:"How a deployment is picked within a tier."`
	Retry       Retry        `yaml:"retry" doc:"When a request is tried again. The budget is shared by retries and hedges of one pool."`
	Breaker     Breaker      `yaml:"breaker" doc:"When a deployment that fails is left alone."`
	Queue       Queue        `yaml:"queue" doc:"Who may wait for capacity. Each pool has one queue."`
	Speed       Speed        `yaml:"speed" doc:"How the speed of a deployment is learned."`
	Records     Records      `yaml:"records" doc:"Where the record of each request goes: one JSON line, described in RECORDS.md. Nowhere unless set."`
	Store       Store        `yaml:"store" doc:"A store of records on disk that queries and diagnosis read, described in STORE.md. None unless dir is set."`
	Exports     []Export     `yaml:"exports" doc:"Where the records of the store go besides: Azure Data Explorer, ClickHouse, object storage. Described in EXPORT.md."`
	Metrics     Metrics      `yaml:"metrics" doc:"Prometheus metrics on the admin address."`
	OTLP        OTLP         `yaml:"otlp" doc:"Traces, metrics and logs for an OpenTelemetry collector, described in OTLP.md. None unless endpoint is set."`
}

// Server is where the gateway listens and what it bears.
type Server struct {
	Listen         string        `yaml:"listen" default:"127.0.0.1:8080" doc:"Address of the data listener: host:port, or :port for every interface."`
	Admin          string        `yaml:"admin" default:"127.0.0.1:8081" doc:"Address of health checks and metrics. Empty turns them off."`
	TLS            *ServerTLS    `yaml:"tls" doc:"Serve HTTPS on the data listener."`
	MaxBodyBytes   Bytes         `yaml:"max_body_bytes" min:"1KiB" doc:"Largest request body; larger ones get 413."`
	MaxHeaderBytes Bytes         `yaml:"max_header_bytes" min:"4KiB" doc:"Largest request header; larger ones get 431."`
	MaxAnswerBytes Bytes         `yaml:"max_answer_bytes" min:"1KiB" doc:"Largest answer that is buffered or assembled."`
	MaxErrorBytes  Bytes         `yaml:"max_error_bytes" min:"1KiB" doc:"Largest error body read from a deployment."`
	MaxEventBytes  Bytes         `yaml:"max_event_bytes" min:"1KiB" max:"1GiB" doc:"Largest event of a deployment's stream."`
	MaxInFlight    int           `yaml:"max_in_flight" min:"1" doc:"Requests at one time; further ones get 503."`
	HeaderTimeout  time.Duration `yaml:"header_timeout" min:"1ms" doc:"Time to read a request's header."`
	BodyTimeout    time.Duration `yaml:"body_timeout" min:"1ms" doc:"Time to read a request's body, to which min_body_rate adds."`
	MinBodyRate    Bytes         `yaml:"min_body_rate" min:"1" doc:"Bytes per second that a body must arrive with once body_timeout has passed."`
	IdleTimeout    time.Duration `yaml:"idle_timeout" min:"1ms" doc:"Time that a kept-alive connection may be idle."`
	WriteTimeout   time.Duration `yaml:"write_timeout" min:"1ms" doc:"Time that one write to a client may take before the client counts as gone."`
	DrainTimeout   time.Duration `yaml:"drain_timeout" default:"30s" min:"0s" doc:"Time that requests get to finish after SIGTERM."`
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
	Deployment      string        `yaml:"deployment" doc:"Name of the Azure deployment, or the model name to ask for at other styles. The model when empty."`
	Style           string        `yaml:"style" enum:"azure|azure-v1|openai" doc:"Paths and parameters that the endpoint takes. When empty: azure if the endpoint is one of Azure's or api_version is given, else openai."`
	APIVersion      string        `yaml:"api_version" doc:"Azure's api-version; style azure only, which takes 2024-10-21 when empty."`
	Model           string        `yaml:"model" required:"true" doc:"Model that it serves; selects published figures of speed and capacity."`
	Kind            string        `yaml:"kind" default:"standard" enum:"standard|provisioned" doc:"How its capacity is sold: by tokens per minute, or by PTU."`
	PTU             int           `yaml:"ptu" min:"0" max:"1000000" doc:"Provisioned throughput units. Required by kind provisioned."`
	TPM             int           `yaml:"tpm" min:"0" doc:"Tokens per minute of a standard deployment; 0 is not limited."`
	RPM             int           `yaml:"rpm" min:"0" doc:"Requests per minute of a standard deployment; 0 is not limited."`
	Region          string        `yaml:"region" doc:"Region, for records."`
	Weight          int           `yaml:"weight" default:"1" min:"1" doc:"Share within its tier, relative to its neighbours."`
	MaxInFlight     int           `yaml:"max_in_flight" min:"0" doc:"Attempts at one time; 0 is not limited."`
	Reasoning       bool          `yaml:"reasoning" doc:"Hidden tokens count against the token limit, so that chat takes max_completion_tokens."`
	MaxOutputTokens int           `yaml:"max_output_tokens" min:"0" doc:"Largest output limit that the model takes; a larger one is not set for clients that set none. 0 takes 4096, which every chat model takes."`
	TokensPerSecond float64       `yaml:"tokens_per_second" min:"0" doc:"Contractual speed of one answer, used while measurements are thin; 0 takes the model's published target."`
	InputTPMPerPTU  int           `yaml:"input_tpm_per_ptu" min:"0" doc:"Input tokens per minute that one PTU buys; 0 takes the model's published figure."`
	OutputRatio     float64       `yaml:"output_ratio" min:"0" doc:"Input tokens that one output token weighs; 0 takes the model's published figure."`
	MeterDepth      time.Duration `yaml:"meter_depth" min:"0s" doc:"Drain time that equals 100% utilization of a provisioned deployment; 0 takes the engine's own."`
	Scope           string        `yaml:"scope" default:"global" enum:"global|data-zone|regional" doc:"Where it may process requests, which decides the published price."`
	Price           *Price        `yaml:"price" doc:"What it costs where your contract differs from the published price."`
	ConnectTimeout  time.Duration `yaml:"connect_timeout" min:"1ms" doc:"Time to connect to the endpoint, and as much again for the TLS handshake."`
	HeaderTimeout   time.Duration `yaml:"header_timeout" default:"10m" min:"0s" doc:"Time to wait for the head of a response, besides the request's deadline; 0 leaves it to that."`
	Auth            *Auth         `yaml:"auth" doc:"Credential for the endpoint. Styles azure and azure-v1 require it."`
	TLS             *UpstreamTLS  `yaml:"tls" doc:"How the endpoint's certificate is verified."`
}

// Price is what a deployment costs. Zero fields take the published price.
type Price struct {
	Input   float64 `yaml:"input" min:"0" doc:"USD per million prompt tokens that were not cached."`
	Cached  float64 `yaml:"cached" min:"0" doc:"USD per million prompt tokens that were cached; the input price when that alone is given."`
	Output  float64 `yaml:"output" min:"0" doc:"USD per million completion tokens, hidden ones included."`
	PTUHour float64 `yaml:"ptu_hour" min:"0" doc:"USD per hour of one provisioned throughput unit."`
}

// Auth is the credential for an endpoint: one of its fields is set.
type Auth struct {
	APIKey Secret `yaml:"api_key" doc:"Sent as the header api-key."`
	Bearer Secret `yaml:"bearer" doc:"Sent as Authorization: Bearer."`
}

// UpstreamTLS says how an endpoint's certificate is verified.
type UpstreamTLS struct {
	CAFile             string `yaml:"ca_file" doc:"PEM file of the authorities to trust instead of the system's."`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" doc:"Trust any certificate. For tests only."`
}

// Pool is the deployments that serve one model name.
type Pool struct {
	Name   string     `yaml:"name" required:"true" doc:"Model name, or Azure deployment name, that clients ask for."`
	Models []string   `yaml:"models" doc:"Other names that select this pool."`
	Tiers  [][]string `yaml:"tiers" required:"true" doc:"Names of deployments, the first tier first. A deployment belongs to one pool."`
	Spill  Spill      `yaml:"spill" doc:"When traffic goes beyond the first tier."`
}

// Spill is when a pool's traffic goes to a later tier.
type Spill struct {
	At       float64 `yaml:"at" min:"0.01" max:"2" doc:"Utilization at which a tier counts as full; 1 is all of it."`
	MaxTiers int     `yaml:"max_tiers" min:"0" doc:"Tiers that one request may try; 0 is all."`
}

// Class is one kind of traffic.
type Class struct {
	Name         string        `yaml:"name" required:"true" doc:"Name in callers, records and metrics."`
	Priority     string        `yaml:"priority" default:"normal" enum:"low|normal|high" doc:"Who is served first, and shed last, when capacity is short."`
	Window       time.Duration `yaml:"window" default:"60s" min:"0s" doc:"Time from acceptance to the last byte of an answer that is not streamed; 0 is unbounded."`
	StreamWindow time.Duration `yaml:"stream_window" default:"0s" min:"0s" doc:"The same of a streamed answer."`
	TTFT         time.Duration `yaml:"ttft" default:"0s" min:"0s" doc:"Objective: time to the first token; 0 is none."`
	TBT          time.Duration `yaml:"tbt" default:"0s" min:"0s" doc:"Objective: mean time between the tokens of one answer; 0 is none."`
	Budget       Budget        `yaml:"budget" doc:"How the time left becomes output tokens."`
	Sync         string        `yaml:"sync" default:"stream" enum:"stream|pass" doc:"How requests that are not streamed travel: as a stream that the gateway assembles, or as they are."`
	MaxWait      time.Duration `yaml:"max_wait" min:"1ms" doc:"Longest time in the queue; the deadline bounds it too."`
	Hedge        bool          `yaml:"hedge" doc:"Send a second attempt elsewhere when the first token is late."`
	RightSize    bool          `yaml:"right_size" doc:"Send twice the learned 99th percentile of output lengths as the token limit, once 300 answers are known, so that Azure reserves less. It can truncate answers."`
}

// Budget is how a class turns time into output tokens.
type Budget struct {
	Mode            string        `yaml:"mode" default:"window" enum:"window|clamp|reject|observe" doc:"What happens to a request that asks for more than fits: cut its answer at the deadline, lower its limit, refuse it with 400, or only record it."`
	Quantile        float64       `yaml:"quantile" min:"0.5" max:"0.999" doc:"Quantile of learned speed to count on."`
	MaxOutputTokens int           `yaml:"max_output_tokens" min:"0" doc:"Fixed budget in place of the measured one, for answers that are not streamed; 0 is none. Structured output, tools and reasoning are exempt, as from clamp."`
	Margin          time.Duration `yaml:"margin" min:"1ms" doc:"Kept free before the deadline for the reply itself; never more than a tenth of the window."`
	ClampStructured bool          `yaml:"clamp_structured" doc:"Let clamp, reject and max_output_tokens also lower requests whose answer is worthless when cut: structured output, tools, reasoning."`
}

// Caller is one client that may ask.
type Caller struct {
	Name   string   `yaml:"name" required:"true" doc:"Name in records."`
	Key    Secret   `yaml:"key" doc:"Key that it sends as api-key or Authorization: Bearer."`
	Keys   []Secret `yaml:"keys" doc:"Further keys, such as the old one while it is replaced."`
	Tenant string   `yaml:"tenant" doc:"Who the caller speaks for, for records."`
	Class  string   `yaml:"class" required:"true" doc:"Class of its requests."`
}

// Routing is how a deployment is picked within a tier.
type Routing struct {
	Strategy    string `yaml:"strategy" default:"weighted" enum:"weighted|least_outstanding|affinity" doc:"By weight, by fewest outstanding tokens, or by the prompt's beginning, for the sake of prompt caches."`
	DefaultPool string `yaml:"default_pool" doc:"Pool of requests that name no model. When empty: the only pool, or an error to the client when there are several."`
	MaxHops     int    `yaml:"max_hops" min:"1" max:"16" doc:"Gateways that a request may pass before it counts as going round in circles."`
}

// Retry is when a request is tried again.
type Retry struct {
	MaxAttempts  int           `yaml:"max_attempts" min:"1" max:"8" doc:"Attempts of one request, the first included."`
	BaseDelay    time.Duration `yaml:"base_delay" min:"1ms" doc:"Wait before the first retry at the same deployment; doubled each time, with jitter."`
	MaxDelay     time.Duration `yaml:"max_delay" min:"1ms" doc:"Longest of these waits."`
	Ratio        float64       `yaml:"ratio" min:"0" max:"1" doc:"Retries per request over the window; 0 is none."`
	MinPerSecond float64       `yaml:"min_per_second" min:"0" doc:"Retries per second that are allowed whatever the ratio; 0 is none."`
	Window       time.Duration `yaml:"window" min:"1s" doc:"How long requests earn and retries count."`
}

// Breaker is when a deployment that fails is left alone.
type Breaker struct {
	Window              time.Duration `yaml:"window" min:"1s" doc:"Time over which the error rate counts."`
	MinRequests         int           `yaml:"min_requests" min:"1" doc:"Answers in the window before the rate counts."`
	ErrorRate           float64       `yaml:"error_rate" min:"0.01" max:"1" doc:"Share of failures that opens it."`
	ConsecutiveFailures int           `yaml:"consecutive_failures" min:"1" doc:"Failures in a row that open it whatever the rate."`
	OpenFor             time.Duration `yaml:"open_for" min:"1ms" doc:"Time until the first probe; doubled each time that it opens again soon."`
	MaxOpenFor          time.Duration `yaml:"max_open_for" min:"1ms" doc:"Longest of these times."`
	Probes              int           `yaml:"probes" min:"1" doc:"Requests let through at one time to probe it; as many successes close it."`
}

// Queue is who may wait for capacity.
type Queue struct {
	MaxLength int     `yaml:"max_length" min:"0" doc:"Requests that may wait; 0 lets nobody wait."`
	MaxShare  float64 `yaml:"max_share" min:"0.01" max:"1" doc:"Share of the places that one caller may hold while others wait."`
}

// Speed is how the speed of a deployment is learned.
type Speed struct {
	MinSamples int           `yaml:"min_samples" min:"1" doc:"Answers below which measurements are thin: those at one level of load are then taken together with all others, and if these are too few, the slower of the published speed and the measured one counts, with 2 s to the first token."`
	Decay      time.Duration `yaml:"decay" min:"1s" doc:"How long an answer is remembered."`
}

// Records is where records go.
type Records struct {
	Dir          string `yaml:"dir" doc:"Directory of the files records.jsonl, records.jsonl.1 and so on, the newest first. One gateway writes to it."`
	Stdout       bool   `yaml:"stdout" doc:"Write records to standard output."`
	MaxFileBytes Bytes  `yaml:"max_file_bytes" default:"64MiB" min:"4KiB" doc:"Size at which a new file is begun."`
	MaxFiles     int    `yaml:"max_files" default:"16" min:"1" max:"10000" doc:"Files kept; the oldest is removed."`
	Queue        int    `yaml:"queue" min:"1" max:"1000000" doc:"Records that may wait for the disk; further ones are dropped and counted."`
}

// Store is the record store.
type Store struct {
	Dir       string        `yaml:"dir" doc:"Directory of the store. One gateway writes to it; any number of processes read."`
	MaxAge    time.Duration `yaml:"max_age" default:"2160h" min:"0s" doc:"How long records are kept, up to a day more; 0 keeps all. 2160h are 90 days."`
	MaxBytes  Bytes         `yaml:"max_bytes" default:"16GiB" min:"0" doc:"Size on disk beyond which the oldest records go; 0 is no bound."`
	SealAfter time.Duration `yaml:"seal_after" min:"1s" doc:"How long a record is readable by Spillway alone, before it stands in a Parquet file."`
	Queue     int           `yaml:"queue" min:"1" max:"1000000" doc:"Records that may wait for the disk; further ones are dropped and counted."`
}

// Metrics is whether there are metrics.
type Metrics struct {
	Enabled bool `yaml:"enabled" default:"true" doc:"Serve /metrics."`
}
