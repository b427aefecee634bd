package whatif

import (
	"errors"
	"fmt"
	"strings"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
)

// Policy is one way to serve a workload.
type Policy struct {
	Name string
	// Direct names the deployment that clients call without a gateway. Then
	// nothing below counts.
	Direct string

	// Pools are the engines' configurations. A call goes to the pool that its
	// model names, or to the first.
	Pools []policy.Config
	// Classes are by name. A call has the class that it names, or that its
	// client has in Callers, or Default, which must not be nil.
	Classes map[string]*spillway.Class
	Callers map[string]*spillway.Class
	Default *spillway.Class
	// StreamLong makes clients that can read streams ask for them when they
	// would accept more than StreamLong output tokens; 0 changes nothing.
	StreamLong int
	// Changes replace the pools' configuration at their instants, in order.
	Changes []Change
}

// Change is a new configuration, at an instant after the workload's beginning.
type Change struct {
	At    time.Duration
	Pools []policy.Config
}

// Objective is what a complete response must keep to count as goodput, under
// every policy alike. A zero condition is not checked.
type Objective struct {
	Window time.Duration // of synchronous requests: to the last byte
	TTFT   time.Duration
	TBT    time.Duration // mean over the response
}

// Config is one simulation.
type Config struct {
	Fleet     fleet.Config
	Client    fleet.Client
	Policy    Policy
	Objective Objective
	// Seed decides the clients' jitter and the core's draws. What the fleet
	// draws for a call depends on Fleet.Seed and the call's place in the
	// workload, so that every policy meets the same calls.
	Seed uint64
	// Start is the instant of the workload's beginning; zero takes a fixed one.
	Start time.Time
	// PromptBytes is the size of a call's prompt in its body, which is what the
	// core estimates its tokens from; nil takes four bytes per token.
	PromptBytes func(*workload.Call) int

	// OnTry, if not nil, receives each try of a client when it ends. It must
	// not retain the try.
	OnTry func(*report.Try)
	// OnRecord, if not nil, receives the record of each settled request. It
	// must not retain the record.
	OnRecord func(*spillway.Record)
	// OnProgress, if not nil, receives the virtual time once per virtual second.
	// It returns false to stop the simulation.
	OnProgress func(time.Duration) bool
}

// ErrStopped reports that OnProgress stopped the simulation.
var ErrStopped = errors.New("stopped")

// Result is the summary of a simulation; OnTry and OnRecord get the details.
type Result struct {
	Calls    int           // offered by the workload
	Tries    int           // of clients: calls and their retries
	Attempts int           // at deployments
	Offered  time.Duration // from the beginning to the last call
	Ended    time.Duration // the end of the last call
	// Deployments are in the fleet's order.
	Deployments []Usage
}

// Usage is what one deployment did.
type Usage struct {
	Name  string
	Kind  spillway.Kind
	Model string
	PTU   int
	Price spillway.TokenPrice // of its tokens; zero is unknown

	fleet.Counts
	CachedTokens int
	// Work is the work that the tokens of its responses made, as a share of the
	// provisioned capacity of the offered time; WorkMax is the largest share
	// that was under way in a second. They are 0 for standard deployments.
	Work, WorkMax float64
	// MeterP95 is the 95th percentile, by time, of the meter's utilization.
	MeterP95 float64
}

// bytesPerToken is the size of prompts by default.
const bytesPerToken = 4

// promptBytes is the size of a call's prompt.
func (c *Config) promptBytes(call *workload.Call) int {
	if c.PromptBytes != nil {
		return c.PromptBytes(call)
	}
	return call.PromptTokens * bytesPerToken
}

// check reports what makes a configuration impossible to run.
func (c *Config) check(f *fleet.Fleet) error {
	p := &c.Policy
	if p.Direct != "" {
		if f.Server(p.Direct) == nil {
			return missing(p.Name, p.Direct, f)
		}
		return nil
	}
	if len(p.Pools) == 0 || p.Default == nil {
		return fmt.Errorf("policy %s: needs a pool and a class", p.Name)
	}
	sets := [][]policy.Config{p.Pools}
	for _, change := range p.Changes {
		sets = append(sets, change.Pools)
	}
	for _, pools := range sets {
		for _, pool := range pools {
			for _, d := range pool.Deployments {
				if f.Server(d.Name) == nil {
					return missing(p.Name, d.Name, f)
				}
			}
		}
	}
	return nil
}

// missing is the error of a policy that counts on what the fleet does not have.
func missing(policy, deployment string, f *fleet.Fleet) error {
	return fmt.Errorf("policy %s: deployment %s is not in the fleet, which has %s: %w",
		policy, deployment, strings.Join(f.Names(), ", "), spillway.ErrUnknownDeployment)
}

// classOf is the class of a call.
func (p *Policy) classOf(call *workload.Call) *spillway.Class {
	if c := p.Classes[call.Class]; c != nil {
		return c
	}
	if c := p.Callers[call.Client]; c != nil {
		return c
	}
	return p.Default
}

// WithBudget returns the policy under another name, with the budget rule of
// every class changed.
func (p Policy) WithBudget(name string, change func(*spillway.BudgetRule)) Policy {
	p.Name = name
	changed := map[*spillway.Class]*spillway.Class{nil: nil}
	of := func(c *spillway.Class) *spillway.Class {
		if _, done := changed[c]; !done {
			other := *c
			change(&other.Budget)
			changed[c] = &other
		}
		return changed[c]
	}
	all := func(in map[string]*spillway.Class) map[string]*spillway.Class {
		out := make(map[string]*spillway.Class, len(in))
		for name, c := range in {
			out[name] = of(c)
		}
		return out
	}
	p.Classes, p.Callers, p.Default = all(p.Classes), all(p.Callers), of(p.Default)
	return p
}
