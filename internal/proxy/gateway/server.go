package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
)

// headerStretch is how many times MaxHeaderBytes the server itself reads of a
// header: what is between gets an answer in the shape that clients understand,
// and what is beyond the server's own.
const headerStretch = 4

// Server returns an http.Server that serves g over HTTP/1.1 and HTTP/2: over
// TLS with tlsConfig, or unencrypted (h2c with prior knowledge) when it is
// nil. Its limits are those of the configuration at this moment; they do not
// follow a reload. The caller starts it and shuts it down.
func (g *Gateway) Server(tlsConfig *tls.Config) *http.Server {
	limits := g.snap.Load().limits
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
		MaxHeaderBytes:    limits.MaxHeaderBytes * headerStretch,
		BaseContext:       func(net.Listener) context.Context { return g.base },
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 1000,
			MaxReadFrameSize:     1 << 20,
		},
		ErrorLog: slog.NewLogLogger(g.deps.Logger.Handler(), slog.LevelDebug),
	}
	keep := &keeper{server: server, buffers: &g.buffers, now: g.deps.Now}
	g.keepers = append(g.keepers, keep)
	server.ConnContext = keep.newConn
	server.RegisterOnShutdown(keep.close)
	return server
}
