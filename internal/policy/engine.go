package policy

import (
	"fmt"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/length"
	"github.com/spillway-ai/spillway/internal/policy/retry"
	"github.com/spillway-ai/spillway/internal/policy/route"
)

// DefaultMaxHops bounds the gateways that one request may pass where the
// configuration does not.
const DefaultMaxHops = 3

// Engine is the shared state of one pool: what its deployments are doing and
// what has been learned about them. It is not safe for concurrent use.
type Engine struct {
	cfg         Config
	rnd         func() float64
	deployments []*deployment // in tier order
	lengths     *length.Model
	retries     *retry.Budget
	queue       *admit.Queue[*Flight]

	candidates []route.Candidate // scratch of one pick
	actions    []spillway.Action // of the step under way
	ready      []*Flight         // to be woken by the driver
	called     int               // of them, those that the driver has been told
	free       []*Flight
}

// New returns the engine of a pool that nobody has used yet. rnd draws
// uniformly from [0, 1).
func New(cfg Config, rnd func() float64) (*Engine, error) {
	e := &Engine{rnd: rnd, lengths: length.New(length.Config{})}
	if err := e.Apply(cfg); err != nil {
		return nil, err
	}
	return e, nil
}

// Apply replaces the policy. Deployments that stay keep what was learned about
// them, and their meter while their capacity is the same; flights under way
// finish at the deployments that they are using.
func (e *Engine) Apply(cfg Config) error {
	deployments, err := e.arrange(cfg)
	if err != nil {
		return fmt.Errorf("pool %s: %w", cfg.Pool.Name, err)
	}
	if e.retries == nil || e.cfg.Retry != cfg.Retry {
		e.retries = retry.NewBudget(cfg.Retry)
	}
	if e.queue == nil || e.cfg.Queue != cfg.Queue {
		e.requeue(admit.NewQueue[*Flight](cfg.Queue))
	}
	e.cfg, e.deployments = cfg, deployments
	e.candidates = make([]route.Candidate, 0, len(deployments))
	e.wakeQueue()
	return nil
}

// Forgive forgets what the breaker holds against a deployment: it has been
// given another address or credential.
func (e *Engine) Forgive(name string) {
	if d := e.find(name); d != nil {
		d.breaker = breaker.New(e.cfg.Breaker)
		e.wakeQueue()
	}
}

// arrange lists the pool's deployments in tier order, reusing known ones. On an
// error nothing has changed.
func (e *Engine) arrange(cfg Config) ([]*deployment, error) {
	named := make(map[string]spillway.Deployment, len(cfg.Deployments))
	for _, d := range cfg.Deployments {
		named[d.Name] = d
	}
	count := 0
	for _, tier := range cfg.Pool.Tiers {
		for _, name := range tier {
			if _, ok := named[name]; !ok {
				return nil, fmt.Errorf("%q: %w", name, spillway.ErrUnknownDeployment)
			}
			count++
		}
	}
	if count == 0 {
		return nil, fmt.Errorf("no tier names a deployment: %w", spillway.ErrUnknownDeployment)
	}
	if count > maxDeployments {
		return nil, fmt.Errorf("%d deployments in one pool; at most %d are supported", count, maxDeployments)
	}
	all := make([]*deployment, 0, count)
	for tier, names := range cfg.Pool.Tiers {
		for _, name := range names {
			d := newDeployment(cfg, named[name], e.find(name))
			d.tier = tier
			all = append(all, d)
		}
	}
	return all, nil
}

// find is the deployment of that name, or nil.
func (e *Engine) find(name string) *deployment {
	for _, d := range e.deployments {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// requeue moves those that wait to a new queue. What does not fit is evicted.
func (e *Engine) requeue(to *admit.Queue[*Flight]) {
	from := e.queue
	e.queue = to
	for from != nil {
		f, ok := from.Pop()
		if !ok {
			return
		}
		// It keeps its time of arrival, and so its place and its patience.
		f.queued = false
		f.evicted = !f.enqueue(f.queuedAt)
		e.wake(f)
	}
}

// Begin starts the life of a request. The request stays the caller's and must
// not change until the flight has settled.
func (e *Engine) Begin(now time.Time, req *spillway.Request) (*Flight, spillway.Step) {
	f := e.take()
	e.actions = e.actions[:0]
	f.begin(now, req)
	return f, f.step()
}

// Ready returns a flight that must be given an EventWake now, or nil when none
// is left. Drivers ask after every Begin and On.
func (e *Engine) Ready() *Flight {
	for e.called < len(e.ready) {
		f := e.ready[e.called]
		e.ready[e.called] = nil
		e.called++
		f.woken = false
		if !f.settled {
			return f
		}
	}
	e.ready, e.called = e.ready[:0], 0
	return nil
}

// Waiting is the number of flights in the queue.
func (e *Engine) Waiting() int { return e.queue.Len() }

// wake asks the driver to give f an EventWake.
func (e *Engine) wake(f *Flight) {
	if !f.woken {
		f.woken = true
		e.ready = append(e.ready, f)
	}
}

// take returns a flight to use, from the free list where there is one.
func (e *Engine) take() *Flight {
	last := len(e.free) - 1
	if last < 0 {
		f := &Flight{engine: e}
		f.record.Attempts = f.room[:0]
		return f
	}
	f := e.free[last]
	e.free[last] = nil
	e.free = e.free[:last]
	return f
}

func (e *Engine) maxHops() int {
	if e.cfg.MaxHops <= 0 {
		return DefaultMaxHops
	}
	return e.cfg.MaxHops
}
