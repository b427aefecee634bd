package otlp

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spillway-ai/spillway/internal/defaults"
)

// The protocols.
const (
	GRPC = "grpc"
	HTTP = "http"
)

const (
	// flushEvery bounds how long a record waits for its batch.
	flushEvery = time.Second
	// maxBatch is how many records go in one message, which gRPC takes up to
	// 4 MiB of, whatever the records hold.
	maxBatch = 256
	// retryFor is how long a batch is tried again, as OpenTelemetry advises.
	retryFor = time.Minute
	// firstPause and longestPause bound the pauses between these tries.
	firstPause   = 500 * time.Millisecond
	longestPause = 5 * time.Second
	// closeWithin is the default of Config.CloseWithin.
	closeWithin = 5 * time.Second
)

// Config says where records go and which. Endpoint is required, and one of the
// signals.
type Config struct {
	// Endpoint is the collector's base URL: http:// speaks in the clear,
	// https:// with TLS. HTTP adds /v1/traces and the like to its path.
	Endpoint string
	// Protocol is GRPC or HTTP; "" takes defaults.OTLPProtocol.
	Protocol string
	// Headers go with every message.
	Headers map[string]string
	// CAFile names the authorities to trust in place of the system's, and
	// Insecure trusts any certificate.
	CAFile   string
	Insecure bool
	// Plain turns off the compression with gzip.
	Plain bool

	// Traces, Metrics and Logs are the signals to send. Metrics needs Gather.
	Traces, Metrics, Logs bool
	// SampleRatio is the share of traces kept of requests that went well at the
	// first attempt. What a client's trace context says goes before it, and
	// others are always kept.
	SampleRatio float64
	// Resource are attributes of the gateway itself, before which those of
	// OTEL_RESOURCE_ATTRIBUTES stand back.
	Resource map[string]string
	// Version is service.version.
	Version string

	// Timeout bounds one try of one message; 0 takes defaults.OTLPTimeout.
	Timeout time.Duration
	// Interval is how often metrics are sent; 0 takes defaults.OTLPInterval.
	Interval time.Duration
	// CloseWithin bounds how long Close waits for the collector; 0 takes five
	// seconds.
	CloseWithin time.Duration
	// Queue bounds the records that wait; 0 takes defaults.Queue. Those beyond
	// it are dropped and counted.
	Queue int

	// Gather reads the metrics, once before each message.
	Gather prometheus.GathererFunc
	// Provider names the provider of a deployment, in the words of
	// gen_ai.provider.name; nil takes genai.DefaultProvider.
	Provider func(deployment string) string
	// Log hears of a collector that cannot be reached and of one that can
	// again; nil is silent.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Protocol == "" {
		c.Protocol = defaults.OTLPProtocol
	}
	if c.Timeout <= 0 {
		c.Timeout = defaults.OTLPTimeout
	}
	if c.Interval <= 0 {
		c.Interval = defaults.OTLPInterval
	}
	if c.CloseWithin <= 0 {
		c.CloseWithin = closeWithin
	}
	if c.Queue <= 0 {
		c.Queue = defaults.Queue
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Metrics = c.Metrics && c.Gather != nil
	return c
}
