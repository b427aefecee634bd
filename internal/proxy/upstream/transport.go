package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spillway-ai/spillway/internal/defaults"
)

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

const (
	idleConnTimeout = 90 * time.Second
	// plainIdleConns bounds the idle connections to one endpoint without TLS, which
	// are of HTTP/1.1. Thousands of them, which a burst of streams would leave
	// behind, cost every later request: the transport searches their list whenever
	// a connection becomes idle, and each has two goroutines that every garbage
	// collection scans. With TLS the list also has the HTTP/2 connections in use,
	// of which each carries a hundred streams: one that finds no room in it is used
	// by its first request only.
	plainIdleConns = 128
	tlsIdleConns   = 2048
	// A peer that no longer answers keep-alive probes, or confirms nothing that was
	// sent, is gone.
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 5 * time.Second
	keepAliveProbes   = 3
	userTimeout       = 20 * time.Second
	// pingAfter is how long an HTTP/2 connection in use may be silent before it
	// is asked for a sign of life, and pingTimeout how long that may take: many
	// requests share it, and would otherwise all wait for a peer that is gone.
	pingAfter   = 5 * time.Second
	pingTimeout = 3 * time.Second
	// connReadBytes and connWriteBytes are the buffers of an upstream connection
	// of HTTP/1.1. There are as many as there are streams; a chunk of a stream is
	// a few hundred bytes, and when there is much to do several are ready at a
	// time; a request is sent in one piece if it fits. They are
	// of sizes that little else has: among the server's buffers of 1 and 2 KiB,
	// which live for a moment, they would keep whole pages from becoming free.
	connReadBytes  = 1152
	connWriteBytes = 1536
	// streamWindowBytes is how much of one HTTP/2 response a deployment may send
	// ahead of a client that is slower. With the rest of a stream it takes 256 KiB.
	streamWindowBytes = 192 << 10
	// maxUpstreamHeaderBytes bounds the headers of a response.
	maxUpstreamHeaderBytes = 256 << 10
)

// transportKey is what distinguishes the transports: upstreams that agree on
// it share one, which keeps its connections over a reload.
type transportKey struct {
	caPEM         string
	insecure      bool
	dialTimeout   time.Duration
	headerTimeout time.Duration
	plain         bool // without TLS
}

func (c *Config) transportKey() (transportKey, error) {
	key := transportKey{
		insecure: c.Insecure, dialTimeout: c.DialTimeout, headerTimeout: c.HeaderTimeout,
		plain: strings.HasPrefix(c.Target.Base, "http:"),
	}
	if key.dialTimeout <= 0 {
		key.dialTimeout = defaults.ConnectTimeout
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return key, fmt.Errorf("reading CA certificates: %w", err)
		}
		key.caPEM = string(pem)
	}
	return key, nil
}

// Transports are the HTTP transports of one configuration. They are not safe for
// concurrent use; the Deployments made with them are.
type Transports struct {
	// MaxIdleConns bounds the idle connections of each transport; 0 does not. Set it
	// before the first Deployment.
	MaxIdleConns int

	dial   DialFunc
	before *Transports
	byKey  map[transportKey]*transport
}

// NewTransports returns an empty set that dials with dial, or with a net.Dialer
// and by the proxies of the environment when dial is nil. A transport that
// before has is used again, with its connections; before may be nil.
func NewTransports(dial DialFunc, before *Transports) *Transports {
	t := &Transports{dial: dial, byKey: make(map[transportKey]*transport)}
	if before != nil {
		t.before = &Transports{byKey: before.byKey}
	}
	return t
}

// get returns the transport for a deployment.
func (t *Transports) get(c *Config) (*transport, error) {
	key, err := c.transportKey()
	if err != nil {
		return nil, err
	}
	if t.byKey[key] == nil && t.before != nil {
		t.byKey[key] = t.before.byKey[key]
	}
	if t.byKey[key] == nil {
		if t.byKey[key], err = newTransport(key, t.dial); err != nil {
			delete(t.byKey, key)
			return nil, err
		}
		t.byKey[key].main.MaxIdleConns, t.byKey[key].shared.MaxIdleConns = t.MaxIdleConns, t.MaxIdleConns
	}
	return t.byKey[key], nil
}

// CloseIdle closes the idle connections of the transports that next does not
// use; next may be nil.
func (t *Transports) CloseIdle(next *Transports) {
	for key, transport := range t.byKey {
		if next == nil || next.byKey[key] == nil {
			transport.main.CloseIdleConnections()
			transport.shared.CloseIdleConnections()
		}
	}
}

// transport sends requests to the upstreams that agree on a key.
type transport struct {
	main *http.Transport
	// Requests whose connection has failed are sent again by these, on connections
	// of their own: single uses each for one request, and shared is for HTTP/2.
	single, shared *http.Transport

	dialTimeout time.Duration
	dial        DialFunc
	plain       bool      // without TLS
	traces      sync.Pool // of *connTrace
	bursts      sync.Pool // of *burst

	mu      sync.Mutex
	origins map[string]*origin // by address
}

// newTransport returns the transport for a key, which dials with dial, or with
// its own dialer and by the proxies of the environment when dial is nil.
func newTransport(key transportKey, dial DialFunc) (*transport, error) {
	t := &transport{plain: key.plain, dialTimeout: key.dialTimeout, dial: dial, origins: map[string]*origin{}}
	var proxy func(*http.Request) (*url.URL, error)
	if dial == nil {
		t.dial, proxy = newDialer().dial, http.ProxyFromEnvironment
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: key.insecure}
	if key.caPEM != "" {
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM([]byte(key.caPEM)) {
			return nil, errors.New("the CA file holds no PEM certificate")
		}
	}
	idleConns := tlsIdleConns
	if key.plain {
		idleConns = plainIdleConns
	}
	t.main = t.httpTransport(key, tlsConfig, idleConns)
	t.single = t.httpTransport(key, tlsConfig.Clone(), -1)
	t.shared = t.httpTransport(key, tlsConfig.Clone(), tlsIdleConns)
	t.main.Proxy, t.single.Proxy, t.shared.Proxy = proxy, proxy, proxy
	return t, nil
}

// dialConn opens a connection.
func (t *transport) dialConn(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.dialTimeout)
	defer cancel()
	nc, err := t.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if t.plain {
		nc = newBurstConn(nc, &t.bursts)
	}
	return &conn{Conn: nc, origin: t.origin(addr), opened: time.Now(), closed: make(chan struct{})}, nil
}

// origin returns what connections to an address have in common.
func (t *transport) origin(addr string) *origin {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.origins[addr]
	if o == nil {
		o = new(origin)
		t.origins[addr] = o
	}
	return o
}

// httpTransport returns a transport that passes bytes as they are. Requests have
// deadlines of their own, so it has few.
func (t *transport) httpTransport(key transportKey, tlsConfig *tls.Config, idleConns int) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		DialContext:           t.dialConn,
		TLSClientConfig:       tlsConfig,
		TLSHandshakeTimeout:   key.dialTimeout,
		ResponseHeaderTimeout: key.headerTimeout,
		Protocols:             &protocols,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxReceiveBufferPerStream: streamWindowBytes,
		},
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxUpstreamHeaderBytes,
		ReadBufferSize:         connReadBytes,
		WriteBufferSize:        connWriteBytes,
	}
}
