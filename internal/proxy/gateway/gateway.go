package gateway

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillway-ai/spillway/internal/policy"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/clientconn"
)

// Gateway serves clients by a configuration that can be replaced while it
// runs. Make it with New. It is an http.Handler and safe for concurrent use.
type Gateway struct {
	deps    Deps
	snap    atomic.Pointer[snapshot]
	applyMu sync.Mutex // one Apply at a time
	buffers buffer.Pools
	// trailers are what upstream.Settings says of them.
	trailers sync.WaitGroup
	pins     pins
	inFlight clientconn.InFlight
	leaving  atomic.Bool // CloseAfterResponse was called

	connsMu sync.Mutex
	conns   map[*http.Server]*clientconn.Conns // of each Server

	floods      atomic.Uint64 // connections closed for their control frames
	floodLogged atomic.Int64  // when the log last said so, in Unix nanoseconds

	base context.Context // of every request that comes through Server
	end  context.CancelCauseFunc
}

// New returns a gateway that serves cfg.
func New(cfg Config, deps Deps) (*Gateway, error) {
	if deps.Recorder == nil {
		return nil, errors.New("gateway: no recorder")
	}
	if deps.Unauthenticated == nil {
		deps.Unauthenticated = deps.Recorder
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Rand == nil {
		deps.Rand = rand.Float64
	}
	if deps.RequestID == nil {
		deps.RequestID = newRequestID
	}
	if deps.Scarce == nil {
		deps.Scarce = func(time.Time) bool { return false }
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{deps: deps, conns: make(map[*http.Server]*clientconn.Conns)}
	g.base, g.end = context.WithCancelCause(context.Background())
	if err := g.Apply(cfg); err != nil {
		return nil, err
	}
	return g, nil
}

// Apply replaces the configuration. On an error the old one stays in force.
// Requests that have begun finish on what they began with; deployments that
// are gone get no new attempts.
func (g *Gateway) Apply(cfg Config) error {
	g.applyMu.Lock()
	defer g.applyMu.Unlock()
	old := g.snap.Load()
	next, err := g.newSnapshot(cfg, old)
	if err != nil {
		return err
	}
	if err := g.install(next); err != nil {
		return err
	}
	g.buffers.SetLimit(next.limits.BufferBytes)
	if old != nil {
		old.retire(next.snapshot)
	}
	return nil
}

// PoolStatus is the state of one pool.
type PoolStatus struct {
	Name        string
	Waiting     int // requests in the queue
	Deployments []policy.DeploymentStatus
}

// Status returns the state of every pool, in the order of the configuration,
// in dst's memory where it suffices.
func (g *Gateway) Status(dst []PoolStatus) []PoolStatus {
	s := g.snap.Load()
	now := g.deps.Now()
	for i, p := range s.pools {
		if i == len(dst) {
			if i < cap(dst) {
				dst = dst[:i+1]
			} else {
				dst = append(dst, PoolStatus{})
			}
		}
		p.status(now, &dst[i])
	}
	return dst[:len(s.pools)]
}

// InFlight returns how many requests are being served.
func (g *Gateway) InFlight() int { return g.inFlight.Count() }

// Drain waits until no request is in flight. New ones are still served: stop
// the listeners first. EndRequests ends what it does not wait for.
func (g *Gateway) Drain(ctx context.Context) error {
	if err := g.inFlight.Wait(ctx); err != nil {
		return err
	}
	g.trailers.Wait() // 100 ms at most
	return nil
}

// CloseAfterResponse asks clients to leave: /readyz returns 503, and each
// connection is closed after its next response. Requests are served as before.
func (g *Gateway) CloseAfterResponse() {
	g.leaving.Store(true)
	g.connsMu.Lock()
	defer g.connsMu.Unlock()
	for _, c := range g.conns {
		c.CloseAfterResponse()
	}
}

// Leaving reports whether CloseAfterResponse was called.
func (g *Gateway) Leaving() bool { return g.leaving.Load() }

// CutStreams breaks off the streams under way that have left their server, and closes
// the connections between requests that have: the server's Close does not reach
// them. Call it once Server is called no more.
func (g *Gateway) CutStreams() {
	g.connsMu.Lock()
	defer g.connsMu.Unlock()
	for _, c := range g.conns {
		c.CutStreams()
	}
}

// newRequestID returns an identifier that is unique without being secret.
func newRequestID() string {
	var raw [16]byte
	a, b := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		raw[i], raw[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	var id [4 + 32]byte
	copy(id[:], "req_")
	hex.Encode(id[4:], raw[:])
	return string(id[:])
}
