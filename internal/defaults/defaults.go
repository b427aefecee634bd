// Package defaults holds default values that two packages need which do not
// import each other: the configuration's reference and the component that has
// the option. The policy packages export their own defaults, which the
// configuration reads.
package defaults

import "time"

// Limits of the gateway.
const (
	MaxBodyBytes      = 50 << 20 // of a request
	MaxHeaderBytes    = 64 << 10 // of a request, with its first line
	MaxAnswerBytes    = 64 << 20 // of an answer that is buffered or assembled
	MaxErrorBytes     = 256 << 10
	MaxEventBytes     = 8 << 20 // of a stream
	MaxInFlight       = 100_000
	ReadHeaderTimeout = 10 * time.Second
	BodyTimeout       = 10 * time.Second
	MinBodyRate       = 16 << 10 // bytes per second
	WriteTimeout      = 30 * time.Second
	Heartbeat         = 15 * time.Second
	FirstHeartbeat    = 5 * time.Second
	IdleTimeout       = 2 * time.Minute
)

// Deployments.
const (
	ConnectTimeout = 5 * time.Second
	// APIVersion is a stable api-version of Azure. It knows stream_options.
	APIVersion = "2024-10-21"
	// ReasoningAPIVersion is the first api-version that reasoning models accept.
	ReasoningAPIVersion = "2024-12-01-preview"
)

// Outputs of records.
const (
	Queue        = 8192 // records that wait
	SealAfter    = time.Minute
	OTLPTimeout  = 10 * time.Second // of one message
	OTLPInterval = time.Minute      // of metrics
	OTLPProtocol = "grpc"
)
