package gateway

import (
	"cmp"
	"log/slog"
	"net/http"
	"sync"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// pool is one engine, and where its deployments are. It is safe for concurrent
// use.
type pool struct {
	name string

	mu          sync.Mutex // held for one call of the engine
	engine      *policy.Engine
	deployments map[string]*upstream.Deployment // by name; replaced together with the engine's configuration
}

// apply replaces what the pool serves.
func (p *pool) apply(cfg policy.Config, table map[string]*upstream.Deployment) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.engine.Apply(cfg); err != nil {
		return err
	}
	for name, next := range table {
		if was := p.deployments[name]; was != nil && !next.Same(was) {
			p.engine.Forgive(name) // the change may have fixed the cause of its failures
		}
	}
	p.deployments = table
	p.wakeReady()
	return nil
}

// wakeReady wakes the flights that the last call of the engine made ready.
// The lock is held.
func (p *pool) wakeReady() {
	for ready := p.engine.Ready(); ready != nil; ready = p.engine.Ready() {
		if f, ok := ready.Driver.(*flight); ok {
			f.requestWake()
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
	f.setStep(step)
	p.wakeReady()
}

// on reports an event of the flight to the engine, and logs the change of a
// deployment's health, if any.
func (p *pool) on(f *flight, ev spillway.Event) {
	if change, changed := p.report(f, ev); changed {
		p.logChange(f.g.deps.Logger, change)
	}
}

// report reports an event of the flight to the engine.
func (p *pool) report(f *flight, ev spillway.Event) (policy.Change, bool) {
	p.mu.Lock()
	defer p.mu.Unlock() // the engine may panic
	now := f.g.deps.Now()
	f.setStep(f.core.On(now, ev))
	p.wakeReady()
	return p.engine.Changed(now)
}

func (p *pool) logChange(log *slog.Logger, c policy.Change) {
	switch {
	case c.Probing:
		log.Info("breaker half-open, probing the deployment", "pool", p.name, "deployment", c.Deployment)
	case c.Open:
		e := p.lastError(c.Deployment, c.Status)
		if e.Text != "" {
			log = log.With("error", e.Text)
		}
		log.Warn("breaker open, deployment skipped", "pool", p.name, "deployment", c.Deployment,
			"failure", c.Class.String(), "status", c.Status, "hint", cmp.Or(e.Hint, hint(c.Status)))
	default:
		log.Info("breaker closed, deployment in use again", "pool", p.name, "deployment", c.Deployment)
	}
}

// lastError is the newest error of a deployment whose last failure had that status; the
// zero value for a failure with one.
func (p *pool) lastError(deployment string, status int) upstream.ErrorText {
	p.mu.Lock()
	d := p.deployments[deployment]
	p.mu.Unlock()
	if d == nil || status != 0 {
		return upstream.ErrorText{}
	}
	return d.LastError()
}

// hint says what an operator should check first.
func hint(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "check the credential of the deployment"
	case http.StatusNotFound:
		return "check the deployment name and the endpoint"
	case 0:
		return "no response: check the endpoint and the network"
	}
	return "check the deployment: it returns errors"
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
	for i := range dst.Deployments {
		d := &dst.Deployments[i]
		if up := p.deployments[d.Name]; up != nil && d.LastFailure.Class != spillway.FailureNone && d.LastFailure.Status == 0 {
			d.LastFailure.Error = up.LastError().Text
		}
	}
}
