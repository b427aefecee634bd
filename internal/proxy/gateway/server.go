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

// limitLogEvery is how often the log may say that connections are refused, or closed, at
// their limit.
const limitLogEvery = 10 * time.Second

// connectionRefusal is the HTTP/1.1 response to a connection beyond the limit.
func (g *Gateway) connectionRefusal() []byte {
	e := tooManyConnections()
	e.RequestID = g.deps.RequestID()
	body := wire.AppendError(nil, e)
	resp := http.Response{
		StatusCode: e.Status, ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), Close: true,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}
	e.SetHeaders(resp.Header)
	resp.Header.Set(wire.HeaderRequestID, e.RequestID)
	var refusal bytes.Buffer
	_ = resp.Write(&refusal) // to memory
	return refusal.Bytes()
}

// LimitConns returns a listener for Server's server that has at most so many
// connections of l open at one time. A further one takes the place of an idle one whose
// client has sent no valid key, where there is one. Otherwise it gets a 503, up to
// refusals of them at one time. tlsConfig is that of the server.
func (g *Gateway) LimitConns(l net.Listener, most, refusals int, tlsConfig *tls.Config) net.Listener {
	var refused, evicted occasionalLog
	return clientconn.Limit(l, clientconn.LimitOptions{
		Max: most, Refusals: refusals, Refusal: g.connectionRefusal, TLS: tlsConfig, Headers: &g.buffers.Budget,
		Refused: func() {
			refused.warn(g, "connection limit reached, refusing new connections", 1, "address", l.Addr(), "limit", most)
		},
		Evicted: func(n int) {
			evicted.warn(g, "connection limit reached, closing idle connections", n, "address", l.Addr(), "limit", most)
		},
	})
}

// occasionalLog logs an event at most every limitLogEvery. One goroutine uses it.
type occasionalLog struct {
	at    time.Time
	total int
}

// warn counts n events, and logs a message with the total if the last is long enough ago.
func (o *occasionalLog) warn(g *Gateway, message string, n int, attributes ...any) {
	o.total += n
	if now := g.deps.Now(); now.Sub(o.at) >= limitLogEvery {
		o.at = now
		g.deps.Logger.Warn(message, append(attributes, "total", o.total)...)
	}
}

// Server returns an http.Server for Serve: HTTP/1.1 and HTTP/2, over TLS with
// tlsConfig. When it is nil, HTTP/2 is unencrypted (h2c with prior knowledge), and
// off with Config.NoH2C. Its limits are those of the configuration at this moment;
// they do not follow a reload. The caller shuts it down.
func (g *Gateway) Server(tlsConfig *tls.Config) *http.Server {
	snap := g.snap.Load()
	limits := snap.limits
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(tlsConfig != nil || !snap.noH2C) // below TLS the server does not see it
	server := &http.Server{
		Handler:           g,
		TLSConfig:         tlsConfig.Clone(), // the server changes it
		Protocols:         &protocols,
		ReadHeaderTimeout: limits.ReadHeaderTimeout,
		IdleTimeout:       limits.IdleTimeout,
		MaxHeaderBytes:    limits.MaxHeaderBytes * headerLimitFactor,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 1000,
			MaxReadFrameSize:     16 << 10, // the server makes room for a frame once it is announced
		},
		DisableGeneralOptionsHandler: true, // OPTIONS is refused like other methods
		ErrorLog:                     slog.NewLogLogger(g.deps.Logger.Handler(), slog.LevelDebug),
	}
	conns := clientconn.Attach(server, clientconn.ServerOptions{
		Base: g.base, Buffers: &g.buffers, Now: g.deps.Now, KeepStreams: snap.keepStreams, Flooded: g.onFlood,
	})
	g.connsMu.Lock()
	defer g.connsMu.Unlock()
	g.conns[server] = conns
	return server
}

// Serve serves what l accepts with a server that Server has made, until the server
// is shut down or closed.
func (g *Gateway) Serve(server *http.Server, l net.Listener) error {
	g.connsMu.Lock()
	conns := g.conns[server]
	g.connsMu.Unlock()
	return conns.Serve(l)
}

// floodLogInterval is how often the log mentions clients that flood.
const floodLogInterval = time.Minute

// onFlood logs that a client's connection is closed for its control frames.
func (g *Gateway) onFlood(client net.Addr) {
	total := g.floods.Add(1)
	now := g.deps.Now().UnixNano()
	last := g.floodLogged.Load()
	if now-last >= int64(floodLogInterval) && g.floodLogged.CompareAndSwap(last, now) {
		g.deps.Logger.Warn("closing connection: too many HTTP/2 control frames", "client", client, "closed_so_far", total)
	}
}
