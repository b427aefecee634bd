package app

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/diagnose/imports"
	"github.com/spillway-ai/spillway/internal/diagnose/replay"
	"github.com/spillway-ai/spillway/internal/diagnose/rules"
	"github.com/spillway-ai/spillway/internal/lab/setup"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// Observations yields the observations with from ≤ time < to; a zero time is no
// bound. It may be called several times. An observation is valid until the next
// one is yielded.
type Observations func(from, to time.Time) iter.Seq2[*diagnose.Observation, error]

// Diagnosis says how a diagnosis is made. The zero value is usable.
type Diagnosis struct {
	// From and To bound the time; zero is no bound.
	From, To time.Time
	// Config is the gateway's configuration, which has the capacities of the
	// deployments and the policy in force; nil where it is not known.
	Config *config.Config
	// NoReplay leaves the effects of the remedies out.
	NoReplay bool
	// OnProgress gets the share of the files that is read, 0–1, if not nil.
	OnProgress func(float64)
}

// Diagnose says why requests of this gateway failed.
func (o Diagnosis) Diagnose(ctx context.Context, all Observations) (diagnose.Diagnosis, error) {
	return o.diagnose(ctx, all, rules.Config{Deployments: o.deployments()}, nil)
}

// DiagnoseFiles says why requests failed that the logs of other gateways, or of
// Azure, report.
func (o Diagnosis) DiagnoseFiles(ctx context.Context, paths []string) (d diagnose.Diagnosis, err error) {
	im, err := imports.Read(ctx, paths, imports.Options{Known: o.endpoints(), OnProgress: o.OnProgress})
	if err != nil {
		return d, err
	}
	defer func() {
		if e := im.Close(); err == nil {
			err = e
		}
	}()
	if im.Requests() == 0 {
		return d, im.Nothing()
	}
	known := rules.Config{Deployments: o.deployments(), Direct: true}
	if d, err = o.diagnose(ctx, im.Observations, known, im.Utilization(o.From, o.To)); err != nil {
		return d, err
	}
	if d.Tries == 0 {
		from, to := im.Span()
		return d, fmt.Errorf("no requests in that period; the files cover %s to %s UTC", from.Format(time.DateTime), to.Format(time.DateTime))
	}
	d.SetImport(im.Sources(), im.Missing(), im.Blind())
	return d, nil
}

// diagnose runs the rules over all observations and replays the part of the
// time in which most failed. Utilization is what Azure's metrics report; nil
// for nothing.
func (o Diagnosis) diagnose(ctx context.Context, all Observations, known rules.Config, utilization iter.Seq[imports.Utilization]) (diagnose.Diagnosis, error) {
	c := rules.NewCollector(known)
	for x, err := range all(o.From, o.To) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return diagnose.Diagnosis{}, err
		}
		c.Add(x)
	}
	if utilization != nil {
		for u := range utilization {
			c.Utilization(u.Deployment, u.Time, u.Ratio, u.Most)
		}
	}
	from, to := c.Span(replay.MaxTries)
	traffic := replay.Options{From: from, To: to, Profiles: c.Profiles(), Direct: known.Direct, Stop: func() bool { return ctx.Err() != nil }}
	d := c.Diagnose()
	if o.NoReplay || !d.Simulable() {
		return d, nil
	}
	if o.Config != nil && !known.Direct {
		if traffic.Policy = o.policy(); traffic.Policy == nil {
			return d, nil
		}
	}
	if from.Before(o.From) {
		from = o.From
	}
	if !o.To.IsZero() && to.After(o.To) {
		to = o.To
	}
	if err := replay.Predict(&d, traffic, all(from, to)); err != nil {
		return d, fmt.Errorf("replaying the traffic: %w", cmp.Or(ctx.Err(), err))
	}
	return d, nil
}

// policy is the policy that the configuration describes; nil where it describes
// none.
func (o Diagnosis) policy() *whatif.Policy {
	p, err := setup.Policy("as served", o.Config)
	if err != nil {
		return nil
	}
	return &p
}

// deployments are those of the configuration's pools. Their speed is the contractual
// one that is configured: what is published of a model is no contract.
func (o Diagnosis) deployments() []spillway.Deployment {
	if o.Config == nil {
		return nil
	}
	contract := map[string]float64{}
	for i := range o.Config.Deployments {
		contract[o.Config.Deployments[i].Name] = o.Config.Deployments[i].TokensPerSecond
	}
	var all []spillway.Deployment
	for _, pool := range o.Config.Policies() {
		for _, d := range pool.Deployments {
			d.TokensPerSecond = contract[d.Name]
			all = append(all, d)
		}
	}
	return all
}

// endpoints are the addresses of the configuration's deployments.
func (o Diagnosis) endpoints() []imports.Known {
	if o.Config == nil {
		return nil
	}
	var all []imports.Known
	for i := range o.Config.Deployments {
		d := &o.Config.Deployments[i]
		all = append(all, imports.Known{
			Name: d.Name, Endpoint: d.Endpoint, Deployment: cmp.Or(d.Deployment, d.Model), Model: d.Model,
			Provisioned: d.Kind == spillway.Provisioned.String(),
		})
	}
	return all
}

// StoreObservations opens the observations of record stores, which replicas of a
// gateway have one each of. They come store by store.
func StoreObservations(dirs ...string) (Observations, error) {
	var all []*store.Store
	for _, dir := range dirs {
		s, err := store.Open(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return func(from, to time.Time) iter.Seq2[*diagnose.Observation, error] {
		return func(yield func(*diagnose.Observation, error) bool) {
			for i, s := range all {
				for r, err := range s.Records(store.Query{From: from, To: to, Columns: diagnose.RecordColumns()}) {
					if err != nil {
						yield(nil, fmt.Errorf("reading the store %s: %w", dirs[i], err))
						return
					}
					x := diagnose.FromRecord(r)
					if !yield(&x, nil) {
						return
					}
				}
			}
		}
	}, nil
}
