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

// Engine is the shared state of one pool: the attempts at its deployments, and
// what has been learned about them. It is not safe for concurrent use.
type Engine struct {
	cfg         Config
	rnd         func() float64
	deployments []*deployment // in tier order
	lengths     *length.Model
	retries     *retry.Budget
	queue       *admit.Queue[*Flight]

	candidates []route.Candidate // buffer of one pick
	actions    []spillway.Action // of the current step
	ready      []*Flight         // that the driver must wake
	delivered  int               // how many of them Ready has returned
	free       []*Flight
}

// New returns the engine of a pool that has served nothing yet. rnd draws
// uniformly from [0, 1).
func New(cfg Config, rnd func() float64) (*Engine, error) {
	e := &Engine{rnd: rnd, lengths: length.New(length.Config{})}
	if err := e.Apply(cfg); err != nil {
		return nil, err
	}
	return e, nil
}

// Apply replaces the policy. Deployments that remain keep what was learned about
// them, and their meter while their capacity is the same. Attempts under way
// finish where they are.
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

// Forgive forgets a deployment's failures, refusals and silence, because its address or
// credential has changed.
func (e *Engine) Forgive(name string) {
	if d := e.find(name); d != nil {
		d.breaker = breaker.New(e.cfg.Breaker)
		d.meter.Resume()
		d.silence.broken()
		e.wakeQueue()
	}
}

// arrange lists the pool's deployments in tier order, reusing known ones. On
// error, nothing has changed.
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

// find returns the deployment of that name, or nil.
func (e *Engine) find(name string) *deployment {
	for _, d := range e.deployments {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// requeue moves the waiting flights to a new queue, and evicts those that do not
// fit.
func (e *Engine) requeue(to *admit.Queue[*Flight]) {
	from := e.queue
	e.queue = to
	for from != nil {
		f, ok := from.Pop()
		if !ok {
			return
		}
		// It keeps its time of arrival, and so its rank and its longest wait.
		f.queued = false
		f.evicted = !f.enqueue(f.queuedAt)
		e.wake(f)
	}
}

// Begin starts a flight for a request. The request remains the caller's and must
// not change until the flight has settled.
func (e *Engine) Begin(now time.Time, req *spillway.Request) (*Flight, spillway.Step) {
	f := e.newFlight()
	e.actions = e.actions[:0]
	f.begin(now, req)
	return f, f.step()
}

// Ready returns a flight to which the driver must send an EventWake now, or nil
// when there is none left. Drivers call it after every Begin and On.
func (e *Engine) Ready() *Flight {
	for e.delivered < len(e.ready) {
		f := e.ready[e.delivered]
		e.ready[e.delivered] = nil
		e.delivered++
		f.woken = false
		if !f.settled {
			return f
		}
	}
	e.ready, e.delivered = e.ready[:0], 0
	return nil
}

// Waiting is the number of flights in the queue.
func (e *Engine) Waiting() int { return e.queue.Len() }

// wake lists f for Ready.
func (e *Engine) wake(f *Flight) {
	if !f.woken {
		f.woken = true
		e.ready = append(e.ready, f)
	}
}

// newFlight returns an empty flight, from the free list where it has one.
func (e *Engine) newFlight() *Flight {
	last := len(e.free) - 1
	if last < 0 {
		f := &Flight{engine: e}
		f.record.Attempts = f.attemptRoom[:0]
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
