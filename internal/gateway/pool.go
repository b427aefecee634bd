package gateway

import (
	"sync"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
)

// pool is one engine, and where its deployments are. It is safe for concurrent
// use.
type pool struct {
	name string

	mu        sync.Mutex // held for one call of the engine
	engine    *policy.Engine
	upstreams map[string]*upstream // by deployment; replaced together with the engine's configuration
}

// apply replaces what the pool serves.
func (p *pool) apply(cfg policy.Config, table map[string]*upstream) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.engine.Apply(cfg); err != nil {
		return err
	}
	p.upstreams = table
	p.wakeReady()
	return nil
}

// wakeReady wakes the flights that the last call of the engine made ready.
// The lock is held.
func (p *pool) wakeReady() {
	for ready := p.engine.Ready(); ready != nil; ready = p.engine.Ready() {
		if f, ok := ready.Driver.(*flight); ok {
			f.wakeNow()
		}
	}
}

// begin starts the flight in the engine.
func (p *pool) begin(f *flight) {
	p.mu.Lock()
	defer p.mu.Unlock()
	core, step := p.engine.Begin(f.g.deps.Now(), &f.req)
	core.Driver = f
	f.core = core
	f.take(step)
	p.wakeReady()
}

// on reports an event of the flight to the engine.
func (p *pool) on(f *flight, ev spillway.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.take(f.core.On(f.g.deps.Now(), ev))
	p.wakeReady()
}

// release gives the settled flight back to the engine.
func (p *pool) release(f *flight) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.core.Driver = nil
	f.core.Release()
	f.core = nil
}

func (p *pool) status(now time.Time, dst *PoolStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	dst.Name = p.name
	dst.Waiting = p.engine.Waiting()
	dst.Deployments = p.engine.Status(now, dst.Deployments[:0])
}
