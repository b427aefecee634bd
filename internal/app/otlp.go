package app

import (
	"fmt"

	dto "github.com/prometheus/client_model/go"

	"github.com/spillway-ai/spillway/internal/observe/otlp"
)

// openOTLP starts the export to the OpenTelemetry collector; the zero output
// where there is none.
func (a *App) openOTLP() (output, error) {
	c := a.cfg.OTLP
	if c.Endpoint == "" {
		return output{}, nil
	}
	cfg := otlp.Config{
		Endpoint: c.Endpoint, Protocol: c.Protocol, Headers: map[string]string{}, Plain: c.Compression == "none",
		Traces: c.Traces, Metrics: c.Metrics, Logs: c.Logs, SampleRatio: c.SampleRatio,
		Resource: map[string]string{}, Version: a.opts.Version,
		Timeout: c.Timeout, Interval: c.Interval, CloseWithin: a.opts.lastExport, Queue: c.Queue,
		Gather: a.gather, Provider: a.provider, Log: a.opts.Log,
	}
	for _, h := range c.Headers {
		cfg.Headers[h.Name] = h.Value.Reveal()
	}
	for _, at := range c.Attributes {
		cfg.Resource[at.Name] = at.Value
	}
	if c.TLS != nil {
		cfg.CAFile, cfg.Insecure = c.TLS.CAFile, c.TLS.InsecureSkipVerify
	}
	e, err := otlp.New(cfg)
	if err != nil {
		return output{}, fmt.Errorf("opening otlp: %w", err)
	}
	return output{"otlp", e}, nil
}

// sendsMetrics reports whether metrics go to a collector.
func (a *App) sendsMetrics() bool { return a.cfg.OTLP.Endpoint != "" && a.cfg.OTLP.Metrics }

// gather reads the metrics; nothing before they are made.
func (a *App) gather() ([]*dto.MetricFamily, error) {
	m := a.counts.Load()
	if m == nil {
		return nil, nil
	}
	return m.Gatherer().Gather()
}
