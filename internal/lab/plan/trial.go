package plan

import (
	"errors"
	"fmt"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/models"
)

// trial is one simulation: a candidate, and the place of its seed.
type trial struct {
	setup
	seed int
}

// measure is what came of a trial.
type measure struct {
	report.Summary
	standard float64 // USD in a month
	// work is what the provisioned deployment was charged for over what it can
	// do in the sample's time; 1 is all of it.
	work float64
}

// sample is what is simulated of one seed's workload.
type sample struct {
	part
	calls []workload.Call
}

// planner makes one plan.
type planner struct {
	in      Inputs
	name    string // of the model
	model   models.Model
	prices  Prices
	sizes   sizes
	samples []sample // of each seed
	whole   part     // of the first seed
	done    map[trial]*measure
}

// newPlanner reads the workload.
func newPlanner(in Inputs) (*planner, error) {
	in, err := in.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &planner{in: in, done: map[trial]*measure{}}
	for i, seed := range in.Seeds {
		if i > 0 && !in.Seeded {
			p.samples = append(p.samples, p.samples[0])
			continue
		}
		if err := p.read(i, seed); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// read reads the workload of a seed twice: to find what to simulate, and to
// keep it.
func (p *planner) read(i int, seed uint64) error {
	src, err := p.in.Open(seed)
	if err != nil {
		return err
	}
	s, err := look(src)
	if err != nil {
		return err
	}
	if i == 0 {
		if err := p.choose(s); err != nil {
			return err
		}
	}
	slots := s.merged(p.name)
	chosen := s.choose(slots, p.in.Whole, p.in.Sample, &p.model)
	if i == 0 {
		p.whole = s.whole(slots)
	}
	if src, err = p.in.Open(seed); err != nil {
		return err
	}
	calls, err := s.cut(src, chosen, p.name)
	p.samples = append(p.samples, sample{chosen, calls})
	return err
}

// choose fixes the model, and what is published about it.
func (p *planner) choose(s *survey) error {
	name, err := s.model(p.in.Model)
	if err != nil {
		return err
	}
	facts, _ := p.in.Models.Find(name)
	if !facts.Provisioned() {
		return fmt.Errorf("model %s: no published provisioned throughput: set --model to a similar model, such as gpt-4o-mini, or add it to models in the file of --policy or --fleet", name)
	}
	p.name, p.model, p.sizes = name, facts, sizesOf(facts, p.in.Scope)
	if p.sizes.Min < 1 || p.sizes.Step < 1 {
		return fmt.Errorf("model %s: not sold as %s provisioned throughput: choose another --scope", name, p.in.Scope)
	}
	p.prices = pricesOf(p.in.Models, name, p.in.Scope)
	if p.in.Prices != nil {
		p.prices = p.in.Prices(p.prices)
	}
	return nil
}

// run makes sure that trials are done.
func (p *planner) run(trials ...trial) error {
	var missing []trial
	for _, t := range trials {
		if p.done[t] == nil {
			p.done[t] = &measure{}
			missing = append(missing, t)
		}
	}
	return p.in.Each(len(missing), func(i int) error {
		m, err := p.simulate(missing[i])
		*p.done[missing[i]] = m
		return err
	})
}

// all runs candidates with every seed.
func (p *planner) all(setups ...setup) error {
	var trials []trial
	for _, s := range setups {
		for i := range p.in.Seeds {
			trials = append(trials, trial{s, i})
		}
	}
	return p.run(trials...)
}

// measures are those of a candidate that has run with every seed.
func (p *planner) measures(s setup) []*measure {
	out := make([]*measure, len(p.in.Seeds))
	for i := range out {
		out[i] = p.done[trial{s, i}]
	}
	return out
}

// summaries are those of measures.
func summaries(of []*measure) []*report.Summary {
	out := make([]*report.Summary, len(of))
	for i, m := range of {
		out[i] = &m.Summary
	}
	return out
}

// simulate does one trial. It may run beside others.
func (p *planner) simulate(t trial) (measure, error) {
	seed := p.in.Seeds[t.seed]
	f := p.in.fleet(t.setup, p.name, seed)
	collect := report.NewCollector()
	cfg := whatif.Config{
		Fleet: f, Client: p.in.Client, Policy: p.in.policy(t.setup, &f, p.name),
		Objective: p.in.Objective, Seed: seed, OnTry: collect.Add,
	}
	if p.in.Stopped != nil {
		cfg.OnProgress = func(time.Duration) bool { return !p.in.Stopped() }
	}
	result, err := whatif.Run(cfg, workload.Slice(p.samples[t.seed].calls))
	if errors.Is(err, whatif.ErrStopped) {
		return measure{}, err
	}
	if err != nil {
		return measure{}, fmt.Errorf("simulate %d PTU: %w", t.ptu, err)
	}
	m := measure{Summary: collect.Finish("", result.Totals(seed, 0))}
	spent, kept := 0.0, 0.0 // at the price of standard tokens
	for _, d := range result.Deployments {
		cost := p.prices.Tokens.Cost(spillway.TokenCount{
			Prompt: int64(d.PromptTokens), Cached: int64(d.CachedTokens), Completion: int64(d.OutputTokens),
		})
		if d.Kind != spillway.Provisioned {
			spent += cost
			continue
		}
		kept = cost
		m.work = p.fluid(&part{until: p.samples[t.seed].span(), amount: amount{
			input: float64(d.PromptTokens-d.CachedTokens) + p.model.CachedRatio*float64(d.CachedTokens), output: float64(d.OutputTokens),
		}}) / float64(d.PTU)
	}
	if t.spill && m.work > 1 {
		// The meter began empty and took more than it drains. In the long run
		// that, too, is spilled.
		over := 1 - 1/m.work
		spent += over * kept
		m.SpilledRate += over * (1 - m.SpilledRate)
	}
	m.standard = spent * p.perMonth(&p.samples[t.seed].part)
	return m, nil
}

// perMonth is how many times a month repeats the sample: by the work of the
// whole workload, of which the sample may be the busiest part.
func (p *planner) perMonth(of *part) float64 {
	work := of.work(&p.model)
	if work == 0 {
		return 0
	}
	return p.in.Hours * p.whole.work(&p.model) / p.whole.span().Hours() / work
}

// fluid is the number of PTUs that a part's work keeps busy.
func (p *planner) fluid(of *part) float64 {
	return of.work(&p.model) / of.span().Minutes() / float64(p.model.InputTPMPerPTU)
}

// holds reports whether a measure of a candidate keeps a service level and,
// where nothing is spilled, whether it could go on like that: a sample may be
// too short to show that the meter fills.
func (s *setup) holds(m *measure, slo SLO) bool {
	_, met := slo.Check(&m.Summary)
	return met && (s.spill || m.work <= 1)
}
