package app

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/diagnose/imports"
)

// DiagnoseFiles reads exports of others' logs and says why requests failed.
// Direct and Utilization are set by what is read.
func (o Diagnosis) DiagnoseFiles(ctx context.Context, paths []string) (d diagnose.Diagnosis, err error) {
	im, err := imports.Read(ctx, paths, imports.Options{Known: known(o.Config), OnProgress: o.OnProgress})
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
	o.Direct = true
	o.Utilization = utilizationOf(im, o)
	if d, err = o.Diagnose(ctx, im.Observations); err != nil {
		return d, err
	}
	if d.Tries == 0 {
		from, to := im.Span()
		return d, fmt.Errorf("no requests in that time: the files have them from %s to %s, in UTC", from.Format(timeForm), to.Format(timeForm))
	}
	d.Sources = im.Sources()
	d.Coverage = append(im.Missing(), d.Coverage...)
	d.Blind = im.Blind()
	d.Healthy = d.Healthy && !d.Blind && d.Failed < unwell
	return d, nil
}

// unwell is the share of failed tries from which on finding no cause is not good
// news: logs of others lack what some causes are seen by.
const unwell = 0.001

// timeForm is how a time is said that can be given as an option.
const timeForm = "2006-01-02 15:04:05"

// known are the deployments of a configuration, which may be nil.
func known(cfg *config.Config) []imports.Known {
	if cfg == nil {
		return nil
	}
	var all []imports.Known
	for i := range cfg.Deployments {
		d := &cfg.Deployments[i]
		all = append(all, imports.Known{
			Name: d.Name, Endpoint: d.Endpoint, Deployment: cmp.Or(d.Deployment, d.Model), Model: d.Model,
			Provisioned: d.Kind == spillway.Provisioned.String(),
		})
	}
	return all
}

func utilizationOf(im *imports.Import, o Diagnosis) iter.Seq[Utilization] {
	return func(yield func(Utilization) bool) {
		for u := range im.Utilization(o.From, o.To) {
			if !yield(Utilization(u)) {
				return
			}
		}
	}
}
