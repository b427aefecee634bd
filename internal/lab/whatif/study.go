package whatif

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// Study compares policies on one workload and fleet.
type Study struct {
	Title     string
	Fleet     fleet.Config // its Seed is not used
	Client    fleet.Client
	Objective Objective
	Policies  []Policy
	Seeds     []uint64 // at least one; each is one run of every policy
	// OpenWorkload returns the workload from its beginning; the same seed gives the
	// same calls.
	OpenWorkload func(seed uint64) (workload.Source, error)
	// Span is how much of the workload is to be expected, for progress; 0 is
	// unknown.
	Span time.Duration
	// Depths are further depths of the PTU meters to run DepthPolicies at.
	Depths        []time.Duration
	DepthPolicies []Policy
	// Sweep are policies that each stand for one value of a parameter.
	Sweep []Variant
	// NoOracle leaves out the bound of what any policy could reach.
	NoOracle bool
	// OnRecord, if not nil, receives the records of the last policy at the first
	// seed, from one goroutine. They begin at Start, unless it is zero.
	OnRecord func(*spillway.Record)
	Start    time.Time
	// Workers bounds the simulations at one time; 0 takes one per processor.
	Workers int
	// Now measures how long things take; nil leaves that out.
	Now func() time.Time
	// OnProgress, if not nil, receives the share of work done, 0–1, from one
	// goroutine at a time.
	OnProgress func(share float64)
}

// task is one simulation of a study and its result.
type task struct {
	policy   *Policy
	fleet    fleet.Config
	seed     uint64
	oracle   bool // the bound, instead of a policy
	recorded bool // its records go to OnRecord
	bound    int  // calls; 0 where it is not known
	out      report.Summary
}

// Check reports what makes the study impossible to run, before any of it does.
func (s *Study) Check() error {
	policies := slices.Clone(s.Policies)
	for _, v := range s.Sweep {
		policies = append(policies, v.Policy)
	}
	for _, p := range policies {
		if _, err := newSim(Config{Fleet: s.Fleet, Policy: p}); err != nil {
			return err
		}
	}
	return nil
}

// Run runs all simulations and returns the comparison. The first error ends
// it, and so does ctx.
func (s *Study) Run(ctx context.Context) (report.Comparison, error) {
	elapsed := s.stopwatch()
	main := s.tasks(s.Policies, s.Fleet)
	main[len(main)-len(s.Seeds)].recorded = true
	var oracles, depths, sweep []*task
	if !s.NoOracle {
		for _, seed := range s.Seeds {
			oracles = append(oracles, &task{oracle: true, fleet: s.Fleet, seed: seed})
		}
	}
	for _, depth := range s.Depths {
		depths = append(depths, s.tasks(s.DepthPolicies, deep(s.Fleet, depth))...)
	}
	for i := range s.Sweep {
		sweep = append(sweep, s.tasks([]Policy{s.Sweep[i].Policy}, s.Fleet)...)
	}
	rest := slices.Concat(main, depths, sweep)
	progress := progress{total: float64(len(oracles) + len(rest)), onProgress: s.OnProgress}
	if err := s.runAll(ctx, oracles, &progress); err != nil {
		return report.Comparison{}, err
	}
	for i := range oracles {
		for k := i; k < len(main); k += len(oracles) {
			main[k].bound = oracles[i].bound
		}
	}
	if err := s.runAll(ctx, rest, &progress); err != nil {
		return report.Comparison{}, err
	}
	out := report.NewComparison(s.Title, s.merge(main)...)
	n := len(s.DepthPolicies) * len(s.Seeds)
	for i, depth := range s.Depths {
		out.Depths = append(out.Depths, report.DepthOf(depth.Seconds(), s.merge(depths[i*n:(i+1)*n])...))
	}
	for i, v := range s.Sweep {
		merged := s.merge(sweep[i*len(s.Seeds) : (i+1)*len(s.Seeds)])
		out.Sweep = append(out.Sweep, report.PointOf(v.Parameter, v.Value, merged[0]))
	}
	out.Requests = 0
	for _, t := range rest {
		out.Requests += t.out.Requests
	}
	out.WallSeconds = elapsed().Seconds()
	return out, nil
}

// stopwatch returns a function that returns the time since this call.
func (s *Study) stopwatch() func() time.Duration {
	if s.Now == nil {
		return func() time.Duration { return 0 }
	}
	begin := s.Now()
	return func() time.Duration { return s.Now().Sub(begin) }
}

// tasks returns one simulation per policy and seed; those of a policy are
// adjacent.
func (s *Study) tasks(policies []Policy, f fleet.Config) []*task {
	var out []*task
	for i := range policies {
		for _, seed := range s.Seeds {
			out = append(out, &task{policy: &policies[i], fleet: f, seed: seed})
		}
	}
	return out
}

// merge merges the seeds of each policy.
func (s *Study) merge(tasks []*task) []report.Summary {
	var out []report.Summary
	for of := range slices.Chunk(tasks, len(s.Seeds)) {
		seeds := make([]report.Summary, len(of))
		for i, t := range of {
			seeds[i] = t.out
		}
		out = append(out, report.MergeSeeds(seeds...))
	}
	return out
}

// deep is the fleet with meters of another depth. The policies keep the configured depth.
func deep(f fleet.Config, depth time.Duration) fleet.Config {
	f.Deployments = slices.Clone(f.Deployments)
	for i := range f.Deployments {
		f.Deployments[i].MeterDepth = depth
	}
	return f
}

// runAll runs the tasks in parallel.
func (s *Study) runAll(ctx context.Context, tasks []*task, progress *progress) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	workers := s.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	queue := make(chan *task)
	var running sync.WaitGroup
	for range min(workers, len(tasks)) {
		running.Go(func() {
			for t := range queue {
				if err := s.runOne(ctx, t, progress); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, t := range tasks {
		select {
		case queue <- t:
		case <-ctx.Done():
		}
	}
	close(queue)
	running.Wait()
	return context.Cause(ctx)
}

// runOne runs one task.
func (s *Study) runOne(ctx context.Context, t *task, progress *progress) error {
	calls, err := s.OpenWorkload(t.seed)
	if err != nil {
		return err
	}
	t.fleet.Seed = t.seed
	cfg := Config{Fleet: t.fleet, Client: s.Client, Objective: s.Objective, Seed: t.seed}
	if t.oracle {
		defer progress.add(1)
		t.bound, err = Oracle(cfg, &contextSource{Source: calls, ctx: ctx})
		return err
	}
	told := 0.0
	defer func() { progress.add(1 - told) }()
	cfg.OnProgress = func(at time.Duration) bool {
		if s.Span > 0 && at <= s.Span {
			share := at.Seconds() / s.Span.Seconds()
			progress.add(share - told)
			told = share
		}
		return ctx.Err() == nil
	}
	if t.recorded {
		cfg.OnRecord, cfg.Start = s.OnRecord, s.Start
	}
	elapsed, collect := s.stopwatch(), report.NewCollector()
	cfg.Policy, cfg.OnTry = *t.policy, collect.Add
	result, err := Run(cfg, calls)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("policy %s, seed %d: %w", t.policy.Name, t.seed, err)
	}
	totals := result.Totals(t.seed, elapsed())
	if seconds := result.Offered.Seconds(); seconds > 0 {
		totals.OracleRPS = float64(t.bound) / seconds
	}
	t.out = collect.Finish(t.policy.Name, totals)
	return nil
}

// Totals returns what a report needs besides the tries. Provisioned deployments
// that the policy did not use are included: they are paid for.
func (r *Result) Totals(seed uint64, wall time.Duration) report.Totals {
	t := report.Totals{Seed: seed, Duration: r.Offered, Wall: wall, Offered: int64(r.Calls)}
	weight := 0.0
	for _, d := range r.Deployments {
		if d.Kind != spillway.Provisioned {
			t.Standard = append(t.Standard, report.Consumption{
				Model: d.Model, Price: d.Price, Prompt: int64(d.PromptTokens), Cached: int64(d.CachedTokens), Completion: int64(d.OutputTokens),
			})
			continue
		}
		t.PTU += d.PTU
		weight += float64(d.PTU)
		t.PTUUtilization += d.Work * float64(d.PTU)
		t.PTUUtilizationMax = max(t.PTUUtilizationMax, d.WorkMax)
		t.PTUMeterP95 = max(t.PTUMeterP95, d.MeterP95)
	}
	if weight > 0 {
		t.PTUUtilization /= weight
	}
	return t
}

// contextSource is a workload source that stops when its context ends.
type contextSource struct {
	workload.Source
	ctx context.Context
	n   int
}

// Next is the source's, unless the context has ended.
func (w *contextSource) Next() (workload.Call, error) {
	if w.n++; w.n%1024 == 0 && w.ctx.Err() != nil {
		return workload.Call{}, context.Cause(w.ctx)
	}
	return w.Source.Next()
}

// progress sums the finished work.
type progress struct {
	mu         sync.Mutex
	total      float64 // tasks
	sum        float64
	onProgress func(float64)
}

func (m *progress) add(tasks float64) {
	if m.onProgress == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sum += tasks
	m.onProgress(max(0, min(m.sum/m.total, 1)))
}
