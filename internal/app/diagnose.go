package app

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// Observations are what requests left behind, with from ≤ time < to; zero is
// no bound. Every range over them begins anew. One that is yielded is valid
// until the next step.
type Observations func(from, to time.Time) iter.Seq2[*diagnose.Observation, error]

// Diagnosis says how a diagnosis is made. The zero value is usable.
type Diagnosis struct {
	// From and To bound the time; zero is no bound.
	From, To time.Time
	// Config is the gateway's configuration, which says what deployments can
	// do and how traffic is served; nil where nobody gave it.
	Config *config.Config
	// Direct says that no gateway of ours was between clients and deployments.
	Direct bool
	// NoReplay leaves the remedies' effects out.
	NoReplay bool
	// Utilization is what the service's metrics say of provisioned
	// deployments; nil for nothing.
	Utilization iter.Seq[Utilization]
	// OnProgress is told the share that is done, 0–1, if not nil.
	OnProgress func(float64)
}

// Utilization is a sample of a provisioned deployment's own metric.
type Utilization struct {
	Deployment string
	Time       time.Time
	Ratio      float64 // 1 is all
}

// Diagnose reads observations and says why requests failed.
func (o Diagnosis) Diagnose(ctx context.Context, all Observations) (diagnose.Diagnosis, error) {
	c := diagnose.NewCollector(o.knowledge())
	for x, err := range all(o.From, o.To) {
		if err != nil {
			return diagnose.Diagnosis{}, err
		}
		if ctx.Err() != nil {
			return diagnose.Diagnosis{}, ctx.Err()
		}
		c.Add(x)
	}
	if o.Utilization != nil {
		for u := range o.Utilization {
			c.Utilization(u.Deployment, u.Time, u.Ratio)
		}
	}
	from, to := c.Span(replayTries)
	served := c.Served()
	d := c.Diagnose()
	if o.NoReplay || !d.Simulable() {
		return d, nil
	}
	r := &replay{ctx: ctx, o: o, served: served, from: from, to: to}
	if err := r.read(all); err != nil {
		return d, err
	}
	if err := r.predict(&d); err != nil {
		return d, fmt.Errorf("replaying the traffic: %w", err)
	}
	return d, nil
}

// knowledge is what the configuration says of deployments.
func (o Diagnosis) knowledge() diagnose.Config {
	known := diagnose.Config{Direct: o.Direct}
	if o.Config != nil {
		for _, pool := range o.Config.Policies() {
			known.Deployments = append(known.Deployments, pool.Deployments...)
		}
	}
	return known
}

// observed are the columns of a store that an observation is made of.
func observed() []string {
	columns := []string{
		"time", "pool", "caller", "tenant", "class", "model", "stream", "outcome", "spill", "status", "client_retry",
		"choices", "ask_tokens", "prompt_estimate_tokens", "window_ms", "queue_ms", "ttft_ms", "e2e_ms", "tbt_mean_ms",
		"prompt_tokens", "cached_tokens", "completion_tokens", "usage_known",
	}
	for _, name := range []string{
		"deployment", "region", "kind", "tier", "start_ms", "end_ms", "ttft_ms", "status", "failure", "grant_tokens", "tokens", "utilization_ratio",
	} {
		columns = append(columns, "attempts."+name)
	}
	return columns
}

// StoreObservations are those of a record store.
func StoreObservations(dir string) (Observations, error) {
	s, err := store.Open(dir)
	if err != nil {
		return nil, err
	}
	return func(from, to time.Time) iter.Seq2[*diagnose.Observation, error] {
		return func(yield func(*diagnose.Observation, error) bool) {
			for r, err := range s.Records(store.Query{From: from, To: to, Columns: observed()}) {
				if err != nil {
					yield(nil, fmt.Errorf("reading the store: %w", err))
					return
				}
				x := diagnose.FromRecord(r)
				if !yield(&x, nil) {
					return
				}
			}
		}
	}, nil
}
