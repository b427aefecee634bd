package gateway

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
	"time"

	"github.com/spillway-ai/spillway/internal/defaults"
)

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

const (
	idleConnTimeout = 90 * time.Second
	keepAlivePeriod = 30 * time.Second
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
	// streamWindowBytes is how much of one HTTP/2 answer a deployment may send
	// ahead of a client that is slower.
	streamWindowBytes = 1 << 20
	// maxUpstreamHeaderBytes bounds the headers of an answer.
	maxUpstreamHeaderBytes = 256 << 10
)

// transportKey is what distinguishes the transports: upstreams that agree on
// it share one, which keeps its connections over a reload.
type transportKey struct {
	caPEM         string
	insecure      bool
	dialTimeout   time.Duration
	headerTimeout time.Duration
}

func (u *Upstream) transportKey() (transportKey, error) {
	key := transportKey{insecure: u.Insecure, dialTimeout: u.DialTimeout, headerTimeout: u.HeaderTimeout}
	if key.dialTimeout <= 0 {
		key.dialTimeout = defaults.ConnectTimeout
	}
	if u.CAFile != "" {
		pem, err := os.ReadFile(u.CAFile)
		if err != nil {
			return key, fmt.Errorf("reading CA certificates: %w", err)
		}
		key.caPEM = string(pem)
	}
	return key, nil
}

// newTransport returns a transport that passes bytes as they are. It answers
// to the flight's own deadlines, so it has few timeouts of its own. Without a
// dial of the caller's it goes by the proxies of the environment.
func newTransport(key transportKey, dial DialFunc) (*http.Transport, error) {
	var proxy func(*http.Request) (*url.URL, error)
	if dial == nil {
		dial, proxy = (&net.Dialer{KeepAlive: keepAlivePeriod}).DialContext, http.ProxyFromEnvironment
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: key.insecure}
	if key.caPEM != "" {
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM([]byte(key.caPEM)) {
			return nil, errors.New("the CA file holds no PEM certificate")
		}
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		Proxy: proxy,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, key.dialTimeout)
			defer cancel()
			return dial(ctx, network, addr)
		},
		TLSClientConfig:       tlsConfig,
		TLSHandshakeTimeout:   key.dialTimeout,
		ResponseHeaderTimeout: key.headerTimeout,
		Protocols:             &protocols,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxReceiveBufferPerStream: streamWindowBytes,
		},
		DisableCompression:     true,
		MaxIdleConnsPerHost:    1 << 16,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxUpstreamHeaderBytes,
		ReadBufferSize:         connReadBytes,
		WriteBufferSize:        connWriteBytes,
	}, nil
}
