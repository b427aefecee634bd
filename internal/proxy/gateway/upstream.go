package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// Upstream is where a deployment is and how to ask it.
type Upstream struct {
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

// upstream is a deployment as one pool reaches it. It does not change, but for
// what it learns.
type upstream struct {
	name       string
	target     wire.Target
	base       url.URL // scheme and host
	credential Credential
	header     http.Header
	transport  *http.Transport
	gate       *gate
	reasoning  bool

	// noUsage is set once the deployment has refused stream_options, as old
	// api-versions do; from then on streams are not asked for their usage.
	noUsage atomic.Bool
	// lately is where the last request went: nearly all go to one place, and
	// thousands of streams that hold on to it hold one.
	lately atomic.Pointer[place]
}

// place is where a deployment serves a path and query of a client's.
type place struct {
	path  wire.Path
	query string
	at    url.URL
}

func newUpstream(name string, u *Upstream, transport *http.Transport) (*upstream, error) {
	base, err := url.Parse(u.Target.Base)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("deployment %q has no endpoint", name)
	}
	header := make(http.Header, len(u.Header))
	for k, v := range u.Header {
		header[http.CanonicalHeaderKey(k)] = v
	}
	return &upstream{
		name: name, target: u.Target, base: *base,
		credential: u.Credential, header: header, transport: transport, gate: newGate(base.Scheme),
	}, nil
}

// same reports whether two are at the same place with the same credential.
func (u *upstream) same(other *upstream) bool {
	return u.target == other.target && reflect.DeepEqual(u.credential, other.credential)
}

// url returns where the deployment serves what a client asked as p. Requests
// share it; nobody changes it.
func (u *upstream) url(p wire.Path, rawQuery string) *url.URL {
	if last := u.lately.Load(); last != nil && last.path == p && last.query == rawQuery {
		return &last.at
	}
	to := &place{path: p, query: rawQuery, at: u.base}
	escaped, query := u.target.URL(p, rawQuery)
	to.at.Path, to.at.RawQuery = escaped, query
	if path, err := url.PathUnescape(escaped); err == nil && path != escaped {
		to.at.Path, to.at.RawPath = path, escaped
	}
	u.lately.Store(to)
	return &to.at
}
