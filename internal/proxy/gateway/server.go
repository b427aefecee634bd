package gateway

import (
	"crypto/tls"
	"log/slog"
	"net/http"

	"github.com/spillway-ai/spillway/internal/proxy/clientconn"
)

// headerLimitFactor is how many times MaxHeaderBytes the server itself reads of a
// header: what is between gets a response in the shape that clients understand,
// and what is beyond the server's own.
const headerLimitFactor = 4

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
