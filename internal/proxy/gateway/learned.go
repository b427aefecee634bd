package gateway

import (
	"errors"
	"fmt"

	"github.com/spillway-ai/spillway/internal/policy"
)

// Learned returns what the pools have learned, by their names. Each pool's
// lock is held for some tens of microseconds at a time.
func (g *Gateway) Learned() map[string]*policy.Learned {
	all := make(map[string]*policy.Learned)
	now := g.deps.Now()
	for _, p := range g.snap.Load().pools {
		l := &policy.Learned{}
		for more := true; more; {
			l.MakeRoom()
			p.mu.Lock()
			more = p.engine.Learned(now, l)
			p.mu.Unlock()
		}
		all[p.name] = l
	}
	return all
}

// Learn has the pools take up what pools of their names had learned, and
// returns what they took up, together; the age is the greatest. Call it before
// the first request. The error names the pools whose state is of no use.
func (g *Gateway) Learn(all map[string]*policy.Learned) (policy.Restored, error) {
	var sum policy.Restored
	var errs []error
	s := g.snap.Load()
	now := g.deps.Now()
	for _, p := range s.pools {
		l := all[p.name]
		if l == nil {
			continue
		}
		p.mu.Lock()
		r, err := p.engine.Learn(now, l, s.keys.hasCaller)
		p.mu.Unlock()
		if err != nil {
			errs = append(errs, fmt.Errorf("pool %s: %w", p.name, err))
			continue
		}
		sum.Age = max(sum.Age, r.Age)
		sum.Deployments += r.Deployments
		sum.Measured += r.Measured
		sum.Keys += r.Keys
		sum.Left += r.Left
	}
	return sum, errors.Join(errs...)
}
