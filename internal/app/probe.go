package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

const (
	// probeTimeout bounds the probe of one deployment.
	probeTimeout = 20 * time.Second
	// maxProbes is how many deployments are probed at one time.
	maxProbes = 16
)

// Probe is the result of probing one deployment.
type Probe struct {
	Deployment, Endpoint string
	Took                 time.Duration
	upstream.ProbeResult
}

// ProbeDeployments sends every deployment of a configuration a request that generates
// nothing, and returns the results in the order of the configuration.
func ProbeDeployments(ctx context.Context, cfg *config.Config) ([]Probe, error) {
	settings, err := build(cfg)
	if err != nil {
		return nil, err
	}
	transports := upstream.NewTransports(nil, nil)
	defer transports.CloseIdle(nil)
	probes := make([]Probe, len(cfg.Deployments))
	slots := make(chan struct{}, maxProbes)
	var running sync.WaitGroup
	defer running.Wait()
	for i, d := range cfg.Deployments {
		at := settings.Upstreams[d.Name]
		to, err := transports.Deployment(d.Name, &at, nil)
		if err != nil {
			return nil, fmt.Errorf("deployment %s: %w", d.Name, err)
		}
		probes[i] = Probe{Deployment: d.Name, Endpoint: d.Endpoint}
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			began := time.Now()
			probes[i].ProbeResult = to.Probe(ctx, d.Model)
			probes[i].Took = time.Since(began)
		})
	}
	running.Wait()
	return probes, nil
}
