package gateway

import (
	"errors"
	"fmt"
	"slices"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// snapshot is the active configuration. It is immutable; a request keeps the
// one that it began with.
type snapshot struct {
	pools   []*pool // in the order of the configuration
	byModel map[string]*pool
	models  []string // the names in byModel, sorted
	def     *pool    // for requests that name no model; may be nil
	keys    keyring
	limits  Limits
	// keepStreams is Config.KeepStreams, for servers made from now on.
	keepStreams bool
	noH2C       bool // Config.NoH2C, likewise

	calls       *upstream.Settings
	transports  *upstream.Transports
	deployments map[string]*upstream.Deployment // of all pools
}

// nextSnapshot is a snapshot that is about to come into force, with what its pools
// will be configured with. The running gateway has not changed yet.
type nextSnapshot struct {
	*snapshot
	configs []policy.Config                   // of snapshot.pools
	tables  []map[string]*upstream.Deployment // of snapshot.pools
}

// newSnapshot builds and checks everything that can be wrong with cfg. It keeps
// the pools and transports of old that are still wanted; old may be nil.
func (g *Gateway) newSnapshot(cfg Config, old *snapshot) (*nextSnapshot, error) {
	if len(cfg.Pools) == 0 {
		return nil, errors.New("no pool is configured")
	}
	keys, err := newKeyring(&cfg)
	if err != nil {
		return nil, err
	}
	p := &nextSnapshot{snapshot: &snapshot{
		byModel:     make(map[string]*pool),
		keys:        keys,
		limits:      cfg.Limits.withDefaults(),
		keepStreams: cfg.KeepStreams,
		noH2C:       cfg.NoH2C,
		deployments: make(map[string]*upstream.Deployment),
	}}
	p.calls = g.settings(&p.limits)
	before := (*upstream.Transports)(nil)
	if old != nil {
		before = old.transports
	}
	p.transports = upstream.NewTransports(g.deps.Dial, before)
	p.transports.MaxIdleConns = cfg.Limits.MaxIdleConns
	for _, pc := range cfg.Pools {
		if err := g.addPool(p, pc, cfg.Upstreams, old); err != nil {
			return nil, fmt.Errorf("pool %q: %w", pc.Pool.Name, err)
		}
	}
	slices.Sort(p.models)
	switch {
	case cfg.DefaultPool != "":
		if p.def = p.pool(cfg.DefaultPool); p.def == nil {
			return nil, fmt.Errorf("the default pool %q is not configured", cfg.DefaultPool)
		}
	case len(p.pools) == 1:
		p.def = p.pools[0]
	}
	return p, nil
}

// addPool adds one pool, the running one of that name where there is one.
func (g *Gateway) addPool(p *nextSnapshot, pc policy.Config, upstreams map[string]upstream.Config, old *snapshot) error {
	name := pc.Pool.Name
	engine, err := policy.New(pc, g.deps.Rand) // also checks the configuration of a running pool
	if err != nil {
		return err
	}
	table := make(map[string]*upstream.Deployment, len(pc.Deployments))
	for i := range pc.Deployments {
		d := &pc.Deployments[i]
		if table[d.Name], err = p.addDeployment(d, upstreams, old); err != nil {
			return err
		}
	}
	running := (*pool)(nil)
	if old != nil {
		running = old.pool(name)
	}
	if running == nil {
		running = &pool{name: name, engine: engine}
	}
	for _, model := range append([]string{name}, pc.Pool.Models...) {
		if other, taken := p.byModel[model]; taken && other != running {
			return fmt.Errorf("model %q already selects pool %q", model, other.name)
		}
		if p.byModel[model] == nil {
			p.byModel[model] = running
			p.models = append(p.models, model)
		}
	}
	p.pools = append(p.pools, running)
	p.configs = append(p.configs, pc)
	p.tables = append(p.tables, table)
	return nil
}

// addDeployment finds where d is. What the running gateway has learned of its
// endpoint is kept.
func (p *nextSnapshot) addDeployment(d *spillway.Deployment, upstreams map[string]upstream.Config, old *snapshot) (*upstream.Deployment, error) {
	c, ok := upstreams[d.Name]
	if !ok {
		return nil, fmt.Errorf("deployment %q: %w", d.Name, spillway.ErrUnknownDeployment)
	}
	c.Reasoning = d.Reasoning
	before := (*upstream.Deployment)(nil)
	if old != nil {
		before = old.deployments[d.Name]
	}
	up, err := p.transports.Deployment(d.Name, &c, before)
	if err != nil {
		return nil, err
	}
	p.deployments[d.Name] = up
	return up, nil
}

// settings are what the calls of a snapshot have in common.
func (g *Gateway) settings(l *Limits) *upstream.Settings {
	return &upstream.Settings{
		MaxResponseBytes: l.MaxResponseBytes, MaxErrorBytes: l.MaxErrorBytes, MaxEventBytes: l.MaxEventBytes,
		Buffers: &g.buffers, Now: g.deps.Now, Logger: g.deps.Logger, Trailers: &g.trailers,
	}
}

// install applies the next snapshot: each pool gets its configuration and its
// deployments under one lock, and then new requests use the snapshot.
func (g *Gateway) install(p *nextSnapshot) error {
	for i, pl := range p.pools {
		if err := pl.apply(p.configs[i], p.tables[i]); err != nil {
			return fmt.Errorf("pool %q: %w", pl.name, err)
		}
	}
	g.snap.Store(p.snapshot)
	return nil
}

// pool returns the pool of that name, or nil.
func (s *snapshot) pool(name string) *pool {
	for _, p := range s.pools {
		if p.name == name {
			return p
		}
	}
	return nil
}

// defaultPool returns the pool of a request that names no model: the default pool, or
// else the only one that its caller may use; nil when there is none.
func (s *snapshot) defaultPool(access *permissions) *pool {
	if p := access.usable(s.def); p != nil {
		return p
	}
	var only *pool
	for _, p := range s.pools {
		switch {
		case access.usable(p) == nil:
		case only != nil:
			return nil
		default:
			only = p
		}
	}
	return only
}

// retire closes the idle connections of transports that next does not use.
func (s *snapshot) retire(next *snapshot) {
	s.transports.CloseIdle(next.transports)
}
