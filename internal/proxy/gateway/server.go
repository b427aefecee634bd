package gateway

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/clientconn"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// headerLimitFactor is how many times MaxHeaderBytes the server itself reads of a
// header: what is between gets a response in the shape that clients understand,
// and what is beyond the server's own.
const headerLimitFactor = 4

// refusedLogEvery is how often the log may say that connections are refused.
const refusedLogEvery = 10 * time.Second

// LimitConns returns a listener for Server's server that has at most so many
// connections of l open at one time. Further ones get a 503, up to refusals of them at
// one time. tlsConfig is that of the server.
func (g *Gateway) LimitConns(l net.Listener, most, refusals int, tlsConfig *tls.Config) net.Listener {
	e := tooManyConnections()
	body := wire.AppendError(nil, e)
	resp := http.Response{
		StatusCode: e.Status, ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), Close: true,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}
	e.SetHeaders(resp.Header)
	var refusal bytes.Buffer
	_ = resp.Write(&refusal) // to memory
	var logged time.Time
	return clientconn.Limit(l, clientconn.LimitOptions{
		Max: most, Refusals: refusals, Refusal: refusal.Bytes(), TLS: tlsConfig, Headers: &g.buffers.Budget,
		Refused: func() {
			if now := g.deps.Now(); now.Sub(logged) >= refusedLogEvery {
				logged = now
				g.deps.Logger.Warn("connection limit reached, refusing new connections", "address", l.Addr(), "limit", most)
			}
		},
	})
}

// Server returns an http.Server that serves g over HTTP/1.1 and HTTP/2: over
// TLS with tlsConfig, or unencrypted (h2c with prior knowledge) when it is
// nil. Its limits are those of the configuration at this moment; they do not
// follow a reload. The caller starts it and shuts it down.
func (g *Gateway) Server(tlsConfig *tls.Config) *http.Server {
	snap := g.snap.Load()
	limits := snap.limits
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	if tlsConfig != nil {
		protocols.SetHTTP2(true)
	} else {
		protocols.SetUnencryptedHTTP2(true)
	}
	server := &http.Server{
		Handler:           g,
		TLSConfig:         tlsConfig,
		Protocols:         &protocols,
		ReadHeaderTimeout: limits.ReadHeaderTimeout,
		IdleTimeout:       limits.IdleTimeout,
		MaxHeaderBytes:    limits.MaxHeaderBytes * headerLimitFactor,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 1000,
			MaxReadFrameSize:     1 << 20,
		},
		ErrorLog: slog.NewLogLogger(g.deps.Logger.Handler(), slog.LevelDebug),
	}
	g.conns = append(g.conns, clientconn.Attach(server, clientconn.ServerOptions{
		Base: g.base, Buffers: &g.buffers, Now: g.deps.Now, KeepStreams: snap.keepStreams,
	}))
	return server
}
