package upstream

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// Config is where a deployment is and how to ask it.
type Config struct {
	Target     wire.Target
	Credential Credential // nil sends none
	// Header is sent with every request. Azure refuses requests with more than
	// ten custom headers.
	Header      http.Header
	DialTimeout time.Duration // connect and TLS handshake each; default 5 s
	// HeaderTimeout bounds the wait for response headers besides the request's
	// own deadline; 0 means that it does not.
	HeaderTimeout time.Duration
	CAFile        string // PEM certificates to trust instead of the system's
	Insecure      bool   // trust any certificate
	// Reasoning says that the model spends hidden tokens and takes its token
	// limit in a field of its own.
	Reasoning bool
}

// Credential authenticates requests to a deployment. It is used by many
// goroutines.
type Credential interface {
	// Apply sets the headers that authenticate a request.
	Apply(h http.Header) error
}

// staticKey is a credential that does not change.
type staticKey struct {
	header string
	values []string // shared by requests and never changed
}

// APIKey returns a credential that sends key as api-key, in Azure's style.
func APIKey(key string) Credential { return &staticKey{"Api-Key", []string{key}} }

// Bearer returns a credential that sends token as a bearer token, in OpenAI's
// style.
func Bearer(token string) Credential { return &staticKey{"Authorization", []string{"Bearer " + token}} }

// Apply sets the header.
func (k *staticKey) Apply(h http.Header) error {
	h[k.header] = k.values
	return nil
}

// String and GoString keep the key out of logs.
func (k *staticKey) String() string   { return k.header + " ***" }
func (k *staticKey) GoString() string { return k.String() }

// credentialError is a failure to authenticate: no request was sent.
type credentialError struct{ cause error }

func (e *credentialError) Error() string {
	return "authenticating to the deployment: " + e.cause.Error()
}
func (e *credentialError) Unwrap() error { return e.cause }

// Deployment is a deployment as requests reach it. Make it with
// Transports.Deployment. It does not change, but for what it learns, and is safe
// for concurrent use.
type Deployment struct {
	name       string
	target     wire.Target
	base       url.URL // scheme and host
	credential Credential
	header     http.Header
	transport  *transport
	reasoning  bool
	endpoint   *endpoint
	// lastURL is where the last request went: nearly all go to one place, and
	// thousands of streams that hold on to it hold one.
	lastURL atomic.Pointer[cachedURL]
}

// endpoint is what was learned of a deployment's endpoint. It outlives a reload
// that leaves the endpoint as it was.
type endpoint struct {
	// refusesMaxTokens is set once the endpoint has refused max_tokens in chat, as
	// reasoning models do.
	refusesMaxTokens atomic.Bool
	dials            *dialLimiter
	// refusesUsage is set once the endpoint has refused stream_options, as old
	// api-versions do; from then on streams are not asked for their usage.
	refusesUsage atomic.Bool
	// since is the first api-version that the model takes, once the endpoint has said so.
	since      atomic.Pointer[string]
	unstreamed unstreamed
	lastError  lastError
}

// unstreamed are the models that refused to stream, with the time of their last
// refusal. It is safe for concurrent use.
type unstreamed struct {
	any    atomic.Bool // models has entries: spares the lock where it has none
	mu     sync.Mutex
	models map[string]time.Time
}

// Bounds of what is remembered of refused streams. An organization that is verified
// later may stream then.
const (
	maxUnstreamed = 64 // models
	unstreamedFor = time.Hour
)

// add remembers that the model refused to stream.
func (u *unstreamed) add(model string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.models == nil || len(u.models) >= maxUnstreamed {
		u.models = make(map[string]time.Time)
	}
	u.models[strings.Clone(model)] = now
	u.any.Store(true)
}

// has reports whether the model refused to stream lately.
func (u *unstreamed) has(model string, now time.Time) bool {
	if !u.any.Load() {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	at, refused := u.models[model]
	return refused && now.Sub(at) < unstreamedFor
}

// cachedURL is where a deployment serves a path and query of a client's.
type cachedURL struct {
	path  wire.Path
	query string
	at    url.URL
}

// Deployment returns the deployment of that name. What before has learned of the
// same endpoint is kept; before may be nil.
func (t *Transports) Deployment(name string, c *Config, before *Deployment) (*Deployment, error) {
	base, err := url.Parse(c.Target.Base)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("deployment %q has no endpoint", name)
	}
	transport, err := t.get(c)
	if err != nil {
		return nil, fmt.Errorf("deployment %q: %w", name, err)
	}
	header := make(http.Header, len(c.Header))
	for k, v := range c.Header {
		header[http.CanonicalHeaderKey(k)] = v
	}
	d := &Deployment{
		name: name, target: c.Target, base: *base, credential: c.Credential, header: header,
		transport: transport, reasoning: c.Reasoning,
	}
	d.target.Reasoning = c.Reasoning
	if before != nil && before.target == d.target && before.transport == transport {
		d.endpoint = before.endpoint
	} else {
		d.endpoint = &endpoint{dials: newDialLimiter(base.Scheme, transport.dialTimeout)}
	}
	return d, nil
}

// Name returns the deployment's name.
func (d *Deployment) Name() string { return d.name }

// Same reports whether two are at the same place with the same credential.
func (d *Deployment) Same(other *Deployment) bool {
	return d.target == other.target && reflect.DeepEqual(d.credential, other.credential)
}

// url returns where the deployment serves what a client asked as p. Requests
// share it and do not change it.
func (d *Deployment) url(p wire.Path, rawQuery string) *url.URL {
	if last := d.lastURL.Load(); last != nil && last.path == p && last.query == rawQuery {
		return &last.at
	}
	to := &cachedURL{path: p, query: rawQuery, at: d.base}
	escaped, query := d.target.URL(p, rawQuery)
	to.at.Path, to.at.RawQuery = escaped, query
	if path, err := url.PathUnescape(escaped); err == nil && path != escaped {
		to.at.Path, to.at.RawPath = path, escaped
	}
	d.lastURL.Store(to)
	return &to.at
}
