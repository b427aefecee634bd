package gateway

import (
	"log/slog"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/defaults"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// Config is what a gateway serves. It is not changed after it was given to New
// or Apply.
type Config struct {
	Pools []policy.Config
	// Upstreams says where each deployment is, by its name.
	Upstreams map[string]upstream.Config
	Callers   []Caller
	// AnonymousClass is the class of requests without a key; nil refuses them.
	AnonymousClass *spillway.Class
	// AnonymousAccess is what requests without a key may do.
	AnonymousAccess Access
	// DefaultPool takes the requests whose path and body name no model; ""
	// takes the only pool, and refuses such requests when there are several.
	DefaultPool string
	Limits      Limits
	// KeepStreams leaves the streams of HTTP/1.1 clients in the http.Server, as
	// net/http does by itself. Otherwise they are detached from it, which takes
	// half of the memory. It applies to servers that Server makes from now on.
	KeepStreams bool
	// NoH2C turns off HTTP/2 without TLS. It applies to servers that Server makes
	// from now on.
	NoH2C bool
}

// Caller is a client with its keys and class.
type Caller struct {
	Name   string
	Tenant string
	Keys   []string
	Class  *spillway.Class
	Access Access
}

// Limits bound what one client or upstream can take. A zero field takes its
// value in package defaults.
type Limits struct {
	MaxBodyBytes   int64 // of a request
	MaxHeaderBytes int   // of a request, with its first line
	// MaxResponseBytes bounds a response that is buffered or assembled.
	MaxResponseBytes int64
	// MaxErrorBytes bounds an upstream's error body.
	MaxErrorBytes int64
	// MaxEventBytes bounds one event of a stream.
	MaxEventBytes     int
	ReadHeaderTimeout time.Duration
	// BodyTimeout and MinBodyRate bound how long a body may take to arrive:
	// BodyTimeout plus its bytes so far at that rate.
	BodyTimeout time.Duration
	MinBodyRate int64 // bytes per second
	// WriteTimeout bounds one write to a client that does not read.
	WriteTimeout time.Duration
	// Heartbeat is the time without an event after which the client of a stream gets a
	// comment; negative is never.
	Heartbeat time.Duration
	// FirstHeartbeat is the same before the first event, from the request's acceptance;
	// negative is never.
	FirstHeartbeat time.Duration
	IdleTimeout    time.Duration // between requests of a connection
	MaxInFlight    int           // requests at one time
	// BufferBytes bounds what large bodies and buffered responses take at one time; 0
	// does not.
	BufferBytes int64
	// MaxIdleConns bounds the idle connections to deployments with the same
	// connection settings, besides those to each; 0 does not.
	MaxIdleConns int
}

// withDefaults returns the limits with every zero field filled in.
func (l Limits) withDefaults() Limits {
	orInt64 := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	orInt := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	orInt64(&l.MaxBodyBytes, defaults.MaxBodyBytes)
	orInt(&l.MaxHeaderBytes, defaults.MaxHeaderBytes)
	orInt64(&l.MaxResponseBytes, defaults.MaxAnswerBytes)
	orInt64(&l.MaxErrorBytes, defaults.MaxErrorBytes)
	orInt(&l.MaxEventBytes, defaults.MaxEventBytes)
	orTime(&l.ReadHeaderTimeout, defaults.ReadHeaderTimeout)
	orTime(&l.BodyTimeout, defaults.BodyTimeout)
	orInt64(&l.MinBodyRate, defaults.MinBodyRate)
	orTime(&l.WriteTimeout, defaults.WriteTimeout)
	if l.Heartbeat == 0 {
		l.Heartbeat = defaults.Heartbeat
	}
	if l.FirstHeartbeat == 0 {
		l.FirstHeartbeat = defaults.FirstHeartbeat
	}
	orTime(&l.IdleTimeout, defaults.IdleTimeout)
	orInt(&l.MaxInFlight, defaults.MaxInFlight)
	return l
}

// Recorder takes the record of each request.
type Recorder interface {
	// Record is called once for every request, by many goroutines. The record and its slices are valid during
	// the call only.
	Record(rec *spillway.Record)
}

// Deps are what a gateway needs of its surroundings. Recorder is required; a
// nil of the others takes the stated default.
type Deps struct {
	Recorder Recorder
	// Unauthenticated takes the records of requests that were refused before their
	// caller was known: anybody can send any number of them. Recorder by default.
	Unauthenticated Recorder

	Now       func() time.Time         // time.Now
	Rand      func() float64           // uniform in [0,1); math/rand/v2, safe for concurrent use
	RequestID func() string            // "req_" and 32 random hex digits
	Logger    *slog.Logger             // discards
	Scarce    func(now time.Time) bool // reports whether memory is scarce, so that new requests are refused; never
	Dial      upstream.DialFunc        // a net.Dialer with the upstream's DialTimeout
}
