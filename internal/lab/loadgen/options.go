package loadgen

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// StreamMode says which calls ask for a stream.
type StreamMode uint8

const (
	// StreamAsCall leaves it to each call.
	StreamAsCall StreamMode = iota
	// StreamAlways streams every call.
	StreamAlways
	// StreamNever streams none.
	StreamNever
)

// Objective is what makes a complete response a good one. A zero condition is not an
// objective.
type Objective struct {
	TTFT   time.Duration // intended start to first token; streams only
	TBT    time.Duration // mean time between the tokens of one response; streams only
	Window time.Duration // intended start to last byte
}

// Options say where the load goes and how its clients behave. Only Endpoint is
// needed: any other field's zero value takes its default.
type Options struct {
	Endpoint   string      // base URL, as wire.ParseTarget takes it
	Style      wire.Family // how its paths are laid out
	APIVersion string      // of Azure's classic paths; "" takes wire.DefaultAPIVersion

	// Model overrides the calls' own; a call without either asks for gpt-4o-mini.
	Model string
	Key   string
	// Keys are the keys of single clients or, where a client has none, classes.
	Keys map[string]string
	// Header is sent with every request. Of the generator's own headers it may replace
	// User-Agent and the tenant; ParseHeaders refuses the others.
	Header http.Header

	Stream     StreamMode
	CapOutput  bool   // a call without a limit asks for its own length as one
	TokenField string // the field of the limit; "" is max_tokens

	// Timeout bounds the wait for a whole response, or for the next byte of a
	// stream; 0 is 600 s, as in the SDKs.
	Timeout time.Duration
	// Grace is what calls under way get when the run is interrupted; 0 is 2 s.
	Grace   time.Duration
	Retries int // as an SDK makes them; 0 is none

	// MaxInFlight bounds the calls under way; 0 is 20,000. A call that must
	// wait for it starts late, which its latency includes.
	MaxInFlight int
	Connections int  // most connections to the target; 0 is no bound
	HTTP2       bool // HTTP/2 alone, without TLS too

	Objective Objective
	Seed      uint64 // makes prompts and waits repeatable
}

const (
	defaultModel       = "gpt-4o-mini"
	defaultTokenField  = "max_tokens"
	defaultTimeout     = 600 * time.Second
	defaultGrace       = 2 * time.Second
	defaultMaxInFlight = 20_000
)

// StyleOf guesses the style of an endpoint by its host or path: Azure's hosts
// and paths are known, anything else speaks as OpenAI does.
func StyleOf(endpoint string) wire.Family {
	u, err := url.Parse(endpoint)
	if err != nil {
		return wire.OpenAI
	}
	path, host := strings.TrimRight(u.Path, "/"), u.Hostname()
	switch {
	case strings.HasSuffix(path, "/openai/v1"):
		return wire.AzureV1
	case strings.HasSuffix(path, "/openai"):
		return wire.Azure
	case path == "" && isAzure(host):
		return wire.Azure
	}
	return wire.OpenAI
}

// isAzure reports whether a host is a model endpoint of one of Azure's clouds.
func isAzure(host string) bool {
	for _, cloud := range [...]string{".azure.com", ".azure.us", ".azure.cn"} {
		if name, ok := strings.CutSuffix(strings.ToLower(host), cloud); ok {
			return strings.HasSuffix(name, ".openai") || strings.HasSuffix(name, ".cognitiveservices") || strings.HasSuffix(name, ".services.ai")
		}
	}
	return false
}

// withDefaults returns o with every default in its place.
func (o Options) withDefaults() Options {
	o.TokenField = cmp.Or(o.TokenField, defaultTokenField)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.Grace = cmp.Or(o.Grace, defaultGrace)
	o.MaxInFlight = cmp.Or(o.MaxInFlight, defaultMaxInFlight)
	return o
}

// validate names everything that is wrong with o.
func (o Options) validate() error {
	var errs []error
	no := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	no(!strings.Contains(o.Endpoint, "://"), "endpoint %q has no scheme: write http://%s, or https://", o.Endpoint, o.Endpoint)
	_, both := o.Header[o.authHeader()]
	no(both && (o.Key != "" || len(o.Keys) > 0), "header %s and a key (--key, --key-for, SPILLWAY_LOAD_KEY) are both set: use one of them", o.authHeader())
	no(o.Timeout < 0, "timeout %v must not be negative", o.Timeout)
	no(o.Grace < 0, "grace %v must not be negative", o.Grace)
	no(o.Retries < 0, "retries %d must not be negative", o.Retries)
	no(o.MaxInFlight < 0, "max in flight %d must not be negative", o.MaxInFlight)
	no(o.Connections < 0, "connections %d must not be negative", o.Connections)
	no(o.Objective.TTFT < 0 || o.Objective.TBT < 0 || o.Objective.Window < 0, "objectives must not be negative")
	return errors.Join(errs...)
}
