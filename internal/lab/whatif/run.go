package whatif

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
)

// sim is one simulation under way.
type sim struct {
	cfg     Config
	servers map[string]*server
	order   []*server // the fleet's order
	pools   []*pool
	byModel map[string]*pool
	changes []Change
	rng     *rand.Rand

	start     time.Time
	clock     time.Duration // since start
	tick      time.Duration // the next instant at which the fleet is sampled
	agenda    agenda
	freeCalls []*call
	result    Result
}

// pool is one engine.
type pool struct {
	name   string
	engine *policy.Engine
}

// epoch is the default start of virtual time.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Run simulates the workload to the end of its last call.
func Run(cfg Config, calls workload.Source) (Result, error) {
	s, err := newSim(cfg)
	if err != nil {
		return Result{}, err
	}
	if err := s.run(calls); err != nil {
		return Result{}, err
	}
	s.completeResult()
	return s.result, nil
}

func newSim(cfg Config) (*sim, error) {
	if cfg.Start.IsZero() {
		cfg.Start = epoch
	}
	f, err := fleet.New(cfg.Fleet, cfg.Start)
	if err != nil {
		return nil, err
	}
	if err := cfg.check(f); err != nil {
		return nil, err
	}
	s := &sim{
		cfg: cfg, start: cfg.Start, servers: map[string]*server{}, changes: cfg.Policy.Changes,
		rng: rand.New(rand.NewPCG(cfg.Seed, 0x5b111)),
	}
	for _, name := range f.Names() {
		sv := newServer(name, f.Server(name))
		s.servers[name] = sv
		s.order = append(s.order, sv)
	}
	if cfg.Policy.Direct != "" {
		return s, nil
	}
	return s, s.apply(cfg.Policy.Pools)
}

// apply creates or reconfigures the pools.
func (s *sim) apply(pools []policy.Config) error {
	s.byModel = map[string]*pool{}
	for _, cfg := range pools {
		i := slices.IndexFunc(s.pools, func(p *pool) bool { return p.name == cfg.Pool.Name })
		if i < 0 {
			engine, err := policy.New(cfg, s.rng.Float64)
			if err != nil {
				return fmt.Errorf("policy %s: %w", s.cfg.Policy.Name, err)
			}
			i = len(s.pools)
			s.pools = append(s.pools, &pool{cfg.Pool.Name, engine})
		} else if err := s.pools[i].engine.Apply(cfg); err != nil {
			return fmt.Errorf("policy %s: %w", s.cfg.Policy.Name, err)
		}
		for _, model := range append([]string{cfg.Pool.Name}, cfg.Pool.Models...) {
			s.byModel[model] = s.pools[i]
		}
	}
	for _, p := range s.pools {
		s.wakeReady(p)
	}
	return nil
}

// run processes arrivals and due calls in the order of time. At equal instants,
// running calls come before new ones.
func (s *sim) run(calls workload.Source) error {
	next, err := calls.Next()
	if errors.Is(err, io.EOF) {
		return errors.New("the workload is empty")
	}
	for {
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the workload: %w", err)
		}
		arriving := err == nil
		at, c, due := s.agenda.first()
		if !arriving && !due {
			return nil
		}
		arrives := arriving && (!due || next.At < at)
		if arrives {
			at = next.At
		}
		if len(s.changes) > 0 && s.changes[0].At <= at {
			if err := s.applyChange(arriving); err != nil {
				return err
			}
			continue // a woken call may be due before the current one
		}
		if err := s.advance(at, arriving); err != nil {
			return err
		}
		if arrives {
			s.arrive(next)
			next, err = calls.Next()
		} else {
			c.run()
		}
	}
}

// applyChange advances the clock to the next policy change and applies it.
func (s *sim) applyChange(offered bool) error {
	next := s.changes[0]
	s.changes = s.changes[1:]
	if err := s.advance(max(s.clock, next.At), offered); err != nil {
		return err
	}
	return s.apply(next.Pools)
}

// advance moves the clock, and samples the fleet once per second on the way.
func (s *sim) advance(to time.Duration, offered bool) error {
	for s.tick <= to {
		if offered {
			for _, sv := range s.order {
				sv.sample(s.start.Add(s.tick))
			}
		}
		if s.cfg.OnProgress != nil && !s.cfg.OnProgress(s.tick) {
			return ErrStopped
		}
		s.tick += time.Second
	}
	s.clock = to
	return nil
}

// now is the virtual instant.
func (s *sim) now() time.Time { return s.start.Add(s.clock) }

// arrive begins a call.
func (s *sim) arrive(from workload.Call) {
	s.result.Calls++
	s.result.Offered = from.At
	c := s.newCall()
	c.index, c.call = uint64(s.result.Calls), from
	c.start()
}

// newCall returns an unused call, recycled if possible.
func (s *sim) newCall() *call {
	last := len(s.freeCalls) - 1
	if last < 0 {
		return &call{s: s, agendaIndex: -1}
	}
	c := s.freeCalls[last]
	s.freeCalls = s.freeCalls[:last]
	return c
}

// wakeReady wakes the flights that the last use of the engine made ready.
func (s *sim) wakeReady(p *pool) {
	for ready := p.engine.Ready(); ready != nil; ready = p.engine.Ready() {
		if c, ok := ready.Driver.(*call); ok {
			c.onWake()
			c.finishStep()
		}
	}
}

// completeResult completes the result.
func (s *sim) completeResult() {
	s.result.Ended = s.clock
	for _, sv := range s.order {
		s.result.Deployments = append(s.result.Deployments, sv.usage(s.now(), s.result.Offered))
	}
}

// server is one deployment with its statistics.
type server struct {
	name string
	*fleet.Server
	cached  int
	samples int
	workMax float64
	meter   []int32 // samples by utilization, in steps of 1%
}

func newServer(name string, f *fleet.Server) *server {
	return &server{name: name, Server: f, meter: make([]int32, meterSteps)}
}

// meterSteps is the number of 1% steps in which utilization is counted.
const meterSteps = 201

// sample records the deployment's load; it is called once per second.
func (sv *server) sample(now time.Time) {
	st := sv.State(now)
	sv.samples++
	sv.workMax = max(sv.workMax, st.Load)
	sv.meter[min(int(st.Utilization*100), meterSteps-1)]++
}

// usage returns what the deployment did over the offered time.
func (sv *server) usage(now time.Time, offered time.Duration) Usage {
	d := sv.Deployment()
	u := Usage{
		Name: sv.name, Kind: d.Kind, Model: d.Model, PTU: d.PTU, Price: d.Price, Counts: sv.State(now).Counts, CachedTokens: sv.cached,
	}
	if capacity := float64(d.PTU) * float64(d.InputTPMPerPTU) * offered.Minutes(); d.Kind == spillway.Provisioned && capacity > 0 {
		u.Work = (float64(u.PromptTokens-u.CachedTokens) + d.CachedRatio*float64(u.CachedTokens) + d.OutputRatio*float64(u.OutputTokens)) / capacity
	}
	if d.Kind == spillway.Provisioned && sv.samples > 0 {
		u.WorkMax = sv.workMax
		u.MeterP95 = sv.meterQuantile(0.95)
	}
	return u
}

// meterQuantile is a quantile of the meter's utilization over time.
func (sv *server) meterQuantile(q float64) float64 {
	rank, seen := int32(q*float64(sv.samples)), int32(0)
	for i, n := range sv.meter {
		if seen += n; seen > rank {
			return float64(i) / 100
		}
	}
	return 0
}
