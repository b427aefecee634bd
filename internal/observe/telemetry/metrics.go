package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/genai"
)

// MetricsConfig says where Metrics finds what records do not hold. The zero
// value is usable.
type MetricsConfig struct {
	// Status is read at every scrape; nil exposes no gauges of deployments.
	Status func() Status
	// Dropped is the number of records lost so far by what takes records, read
	// at every scrape. They must not decrease.
	Dropped map[string]func() uint64
	// Exports is how far each export is, read at every scrape; nil without any.
	Exports func() []ExportStatus
	// Provider names the provider of a deployment, in the words of
	// gen_ai.provider.name. It is called for every record and must be quick;
	// nil takes genai.DefaultProvider.
	Provider func(deployment string) string
}

// Metrics turns records into Prometheus metrics. Record allocates only when a
// combination of labels is new; there is a bound to these, beyond which they
// all count as "other". Safe for concurrent use.
type Metrics struct {
	cfg      MetricsConfig
	registry *prometheus.Registry
	vecs     vectors
	pools    cache[*poolSeries]
	calls    cache[*callSeries]
	tries    cache[*trySeries]
}

// vectors are the metric families.
type vectors struct {
	requests, attempts, spills, truncated *prometheus.CounterVec
	attained, retries, hedges, suspect    *prometheus.CounterVec
	granted, queue                        *prometheus.HistogramVec
	duration, tokens, first, perOutput    *prometheus.HistogramVec
}

// NewMetrics makes an empty set of metrics in a registry of its own, together
// with those of the Go runtime and the process.
func NewMetrics(cfg MetricsConfig) *Metrics {
	m := &Metrics{cfg: cfg, registry: prometheus.NewRegistry(), vecs: newVectors()}
	v := &m.vecs
	m.registry.MustRegister(
		v.requests, v.attempts, v.spills, v.truncated, v.attained, v.retries, v.hedges, v.suspect, v.granted, v.queue,
		v.duration, v.tokens, v.first, v.perOutput,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	if cfg.Status != nil {
		m.registry.MustRegister(newStatusCollector(cfg.Status))
	}
	if cfg.Exports != nil {
		m.registry.MustRegister(newExportCollector(cfg.Exports))
	}
	for output, dropped := range cfg.Dropped {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "spillway_records_dropped_total",
			Help:        "Records lost because the queue was full or the output failed.",
			ConstLabels: prometheus.Labels{"output": output},
		}, func() float64 { return float64(dropped()) }))
	}
	return m
}

// newVectors makes the families. Labels are listed in the order in which the
// series in series.go give their values.
func newVectors() vectors {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	seconds := func(name string) string { return genai.Prometheus(name, "seconds") }
	genAI := []string{
		"pool", "class", genai.Prometheus(genai.OperationName, ""),
		genai.Prometheus(genai.ProviderName, ""), genai.Prometheus(genai.RequestModel, ""),
	}
	with := func(attribute string) []string {
		return append(genAI[:len(genAI):len(genAI)], genai.Prometheus(attribute, ""))
	}
	return vectors{
		requests: counter("spillway_requests_total",
			"Requests, by outcome.", "pool", "class", "outcome"),
		attempts: counter("spillway_attempts_total",
			"Attempts at a deployment, by failure class; none when the attempt succeeded.", "deployment", "failure"),
		spills: counter("spillway_spills_total",
			"Requests sent beyond the first tier, by reason.", "pool", "reason"),
		truncated: counter("spillway_truncated_total",
			"Responses that the gateway made shorter than the client allowed, by cause.", "pool", "class", "cause"),
		attained: counter("spillway_attained_total",
			"Requests answered completely within their window and objectives.", "pool", "class"),
		retries: counter("spillway_retries_total",
			"Attempts after the first of their request, without hedges.", "pool", "class"),
		hedges: counter("spillway_hedges_total",
			"Attempts sent in parallel to one whose first token was late.", "pool", "class"),
		suspect: counter("spillway_usage_suspect_total",
			"Responses whose reported usage was malformed or impossible and was not used.", "deployment"),
		granted: histogram("spillway_granted_tokens",
			"Output limit sent upstream, in tokens.", genai.TokenBuckets(), "pool", "class"),
		queue: histogram("spillway_queue_seconds",
			"Time that requests waited for capacity.", genai.DurationBuckets(), "pool", "class"),
		duration: histogram(seconds(genai.OperationDuration),
			"Time from acceptance to the last byte.", genai.DurationBuckets(), with(genai.ErrorType)...),
		tokens: histogram(genai.Prometheus(genai.TokenUsage, ""),
			"Tokens used, by type.", genai.TokenBuckets(), with(genai.TokenType)...),
		first: histogram(seconds(genai.TimeToFirstToken),
			"Time from acceptance to the first output.", genai.FirstTokenBuckets(), genAI...),
		perOutput: histogram(seconds(genai.TimePerOutputToken),
			"Mean time per output token after the first.", genai.PerOutputTokenBuckets(), genAI...),
	}
}

// Handler serves the metrics in the formats that Prometheus negotiates.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Gatherer reads the metrics, for those who pass them on.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Record counts r.
func (m *Metrics) Record(r *spillway.Record) {
	m.recordPool(r)
	m.recordCall(r)
	for i := range r.Attempts {
		a := &r.Attempts[i]
		m.attemptSeries(a.Deployment).attempts[bounded(uint8(a.Class), numFailures)].Inc()
	}
	if a := r.Answer(); a != nil && r.Usage.Suspect {
		m.attemptSeries(a.Deployment).suspect.Inc()
	}
}

// recordPool updates the metrics by pool and class.
func (m *Metrics) recordPool(r *spillway.Record) {
	s := m.pool(r.Pool, r.Class)
	s.requests[bounded(uint8(r.Outcome), numOutcomes)].Inc()
	if c := s.spills[bounded(uint8(r.Spill), numSpills)]; c != nil {
		c.Inc()
	}
	if c := s.truncated[bounded(uint8(r.Truncated), numTruncations)]; c != nil {
		c.Inc()
	}
	if attained(r) {
		s.attained.Inc()
	}
	if len(r.Attempts) > 1 {
		s.countRetries(r.Attempts)
	}
	if r.GrantTokens > 0 {
		s.granted.Observe(float64(r.GrantTokens))
	}
	s.queue.Observe(r.Queue.Seconds())
}

// attained reports whether a request was answered completely and met every
// condition of its objective.
func attained(r *spillway.Record) bool {
	if r.Outcome != spillway.OutcomeOK && r.Outcome != spillway.OutcomeOKClientCap {
		return false
	}
	within := func(is, objective time.Duration) bool { return objective <= 0 || is <= objective }
	return within(r.E2E, r.Window) && within(r.TTFT, r.TTFTObjective) && within(r.TBTMean, r.TBTObjective)
}

// recordCall counts what the conventions for generative AI name.
func (m *Metrics) recordCall(r *spillway.Record) {
	s := m.call(r)
	s.duration.Observe(r.E2E.Seconds())
	if r.TTFT > 0 {
		s.first.Observe(r.TTFT.Seconds())
	}
	if after := r.Usage.Completion - 1; after > 0 && r.TTFT > 0 && r.E2E > r.TTFT {
		s.perOutput.Observe((r.E2E - r.TTFT).Seconds() / float64(after))
	}
	if r.Usage.Prompt > 0 {
		s.input.Observe(float64(r.Usage.Prompt))
	}
	if r.Usage.Completion > 0 {
		s.output.Observe(float64(r.Usage.Completion))
	}
}

// Status is what the gateway's pools are like at one instant.
type Status struct {
	Pools       []PoolStatus
	Deployments []DeploymentStatus
	// LoadedAt is when the configuration in force was loaded, and ReloadFailed
	// says that a later one was refused.
	LoadedAt     time.Time
	ReloadFailed bool
}

// PoolStatus is one pool.
type PoolStatus struct {
	Pool    string
	Waiting int // requests that wait for capacity
}

// DeploymentStatus is one deployment of one pool.
type DeploymentStatus struct {
	Pool, Deployment string
	State            string  // closed, open, half_open or paused
	Utilization      float64 // by our meter, 0–1 and above
	InFlight         int     // attempts
}

// statusCollector reads the status at every scrape.
type statusCollector struct {
	status                                func() Status
	utilization, inFlight, state, waiting *prometheus.Desc
	reloaded, loadedAt                    *prometheus.Desc
}

func newStatusCollector(status func() Status) *statusCollector {
	deployment := []string{"pool", "deployment"}
	return &statusCollector{
		status: status,
		utilization: prometheus.NewDesc("spillway_deployment_utilization_ratio",
			"Used capacity of a deployment by the gateway's meter; 1 is full.", deployment, nil),
		inFlight: prometheus.NewDesc("spillway_deployment_in_flight",
			"Attempts in flight at a deployment.", deployment, nil),
		state: prometheus.NewDesc("spillway_deployment_state",
			"1 for the state of a deployment.", append(deployment[:2:2], "state"), nil),
		waiting: prometheus.NewDesc("spillway_queue_length",
			"Requests that wait for capacity.", []string{"pool"}, nil),
		reloaded: prometheus.NewDesc("spillway_config_last_reload_successful",
			"1 unless the last change of the configuration was rejected.", nil, nil),
		loadedAt: prometheus.NewDesc("spillway_config_last_reload_success_timestamp_seconds",
			"When the configuration in force was loaded.", nil, nil),
	}
}

// Describe sends the descriptions of the gauges.
func (c *statusCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.utilization, c.inFlight, c.state, c.waiting, c.reloaded, c.loadedAt} {
		to <- d
	}
}

// Collect sends the gauges of this instant.
func (c *statusCollector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		if m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, value, labels...); err == nil {
			to <- m
		}
	}
	now := c.status()
	successful := 1.0
	if now.ReloadFailed {
		successful = 0
	}
	gauge(c.reloaded, successful)
	gauge(c.loadedAt, float64(now.LoadedAt.UnixMilli())/1000)
	for _, p := range now.Pools {
		gauge(c.waiting, float64(p.Waiting), p.Pool)
	}
	for _, d := range now.Deployments {
		gauge(c.utilization, d.Utilization, d.Pool, d.Deployment)
		gauge(c.inFlight, float64(d.InFlight), d.Pool, d.Deployment)
		gauge(c.state, 1, d.Pool, d.Deployment, d.State)
	}
}
