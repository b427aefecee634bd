package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
)

// snapshot is one configuration in force. It does not change; requests keep
// the one that they began with.
type snapshot struct {
	pools   []*pool // in the order of the configuration
	byModel map[string]*pool
	models  []string // the names in byModel, sorted
	def     *pool    // for requests that name no model; may be nil
	keys    keyring
	limits  Limits
	// keepStreams is Config.KeepStreams, for servers made from now on.
	keepStreams bool

	transports map[transportKey]*http.Transport
}

// plan is a snapshot that is about to come into force, with what its pools
// must be told. Nothing of the running gateway has changed yet.
type plan struct {
	*snapshot
	configs []policy.Config        // of snapshot.pools
	tables  []map[string]*upstream // of snapshot.pools
}

// newPlan builds and checks everything that can be wrong with cfg. It keeps
// the pools and transports of old that are still wanted; old may be nil.
func (g *Gateway) newPlan(cfg Config, old *snapshot) (*plan, error) {
	if len(cfg.Pools) == 0 {
		return nil, errors.New("no pool is configured")
	}
	keys, err := newKeyring(cfg.Callers, cfg.AnonymousClass)
	if err != nil {
		return nil, err
	}
	p := &plan{snapshot: &snapshot{
		byModel:     make(map[string]*pool),
		keys:        keys,
		limits:      cfg.Limits.withDefaults(),
		keepStreams: cfg.KeepStreams,
		transports:  make(map[transportKey]*http.Transport),
	}}
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
func (g *Gateway) addPool(p *plan, pc policy.Config, upstreams map[string]Upstream, old *snapshot) error {
	name := pc.Pool.Name
	engine, err := policy.New(pc, g.deps.Rand) // also checks the configuration of a running pool
	if err != nil {
		return err
	}
	table := make(map[string]*upstream, len(pc.Deployments))
	for i := range pc.Deployments {
		d := &pc.Deployments[i]
		if table[d.Name], err = g.addUpstream(p, d, upstreams, old); err != nil {
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

// addUpstream finds where d is, on a transport that may exist already.
func (g *Gateway) addUpstream(p *plan, d *spillway.Deployment, upstreams map[string]Upstream, old *snapshot) (*upstream, error) {
	u, ok := upstreams[d.Name]
	if !ok {
		return nil, fmt.Errorf("deployment %q: %w", d.Name, spillway.ErrUnknownDeployment)
	}
	key, err := u.transportKey()
	if err != nil {
		return nil, fmt.Errorf("deployment %q: %w", d.Name, err)
	}
	transport := p.transports[key]
	if transport == nil && old != nil {
		transport = old.transports[key]
	}
	if transport == nil {
		if transport, err = newTransport(key, g.deps.Dial); err != nil {
			return nil, fmt.Errorf("deployment %q: %w", d.Name, err)
		}
	}
	p.transports[key] = transport
	up, err := newUpstream(d.Name, &u, transport)
	if err != nil {
		return nil, err
	}
	up.reasoning = d.Reasoning
	return up, nil
}

// install brings the plan into force: each pool learns its configuration and
// where its deployments are at one moment, and then requests see the snapshot.
func (g *Gateway) install(p *plan) error {
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

// retire closes the idle connections of transports that next does not use.
func (s *snapshot) retire(next *snapshot) {
	for key, transport := range s.transports {
		if next.transports[key] == nil {
			transport.CloseIdleConnections()
		}
	}
}
