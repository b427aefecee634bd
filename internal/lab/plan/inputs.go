package plan

import (
	"errors"
	"fmt"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/models"
	"github.com/spillway-ai/spillway/internal/policy"
)

// Inputs are what a plan is made from. Open, SLO and Fleet are needed; of the
// others the zero value is usable and stands beside them.
type Inputs struct {
	// Open begins the workload anew: of one seed it is the same every time.
	// Seeded says that it differs between seeds.
	Open   func(seed uint64) (workload.Source, error)
	Seeded bool
	Model  string // "" takes the workload's own
	Scope  spillway.Scope
	SLO    SLO
	// Models has the figures of the model.
	Models models.Table
	// Fleet has the speeds: its first provisioned deployment of the model
	// is the one to be sized, the standard ones are what is spilled to. See DefaultFleet.
	Fleet fleet.Config
	// Policy is what the gateway does; the pools' deployments and tiers are
	// those of each candidate. Without a class it is DefaultPolicy.
	Policy    whatif.Policy
	Client    fleet.Client
	Objective whatif.Objective // of attainment
	// Prices replaces the published prices; nil leaves them.
	Prices   func(published Prices) Prices
	Purchase Purchase // to recommend by; "" takes Month
	// Depth of the meter at which the plan must hold; 0 takes 60 s. Depths
	// are others to show it at.
	Depth  time.Duration
	Depths []time.Duration
	Seeds  []uint64 // at least one
	// Sample is how much of the workload to simulate: its busiest part of that
	// length; 0 takes at most 10 minutes and 100,000 calls. Whole takes all.
	Sample time.Duration
	Whole  bool
	// Hours of a month in which traffic is like the workload's; 0 takes 730.
	Hours float64

	// Each calls do for 0 to n-1, perhaps several at once, and returns its
	// first error. nil calls one after the other.
	Each func(n int, do func(int) error) error
	// Stopped ends the plan with whatif.ErrStopped once it returns true; it
	// may be called by several of Each's at once. nil never does.
	Stopped func() bool
}

// DefaultFleet is a provisioned deployment and standard ones, each in a region
// of its own with that many tokens per minute, at the speeds that package
// fleet assumes.
func DefaultFleet(standard, tpm int) fleet.Config {
	f := fleet.Config{Deployments: []fleet.Deployment{{
		Deployment: spillway.Deployment{Name: "ptu", Region: "region-0", Kind: spillway.Provisioned},
	}}}
	for i := range standard {
		f.Deployments = append(f.Deployments, fleet.Deployment{Deployment: spillway.Deployment{
			Name: fmt.Sprintf("standard-%d", i+1), Region: fmt.Sprintf("region-%d", i+1), TPM: tpm,
		}})
	}
	return f
}

// DefaultPolicy is the measured clamp: synchronous responses get as many tokens
// as fit 60 s at the speed that 99 of 100 have been seen to keep.
func DefaultPolicy() whatif.Policy {
	return whatif.Policy{
		Name: "measured clamp",
		Default: &spillway.Class{
			Name: "sync", Window: time.Minute, Budget: spillway.BudgetRule{Mode: spillway.BudgetClamp},
		},
	}
}

// withDefaults returns the inputs with every zero field replaced by what its
// comment states, or what is wrong with them.
func (in Inputs) withDefaults() (Inputs, error) {
	var errs []error
	if in.Open == nil {
		errs = append(errs, errors.New("a workload is required"))
	}
	if len(in.SLO) == 0 {
		errs = append(errs, errors.New("a service level is required"))
	}
	if len(in.Seeds) == 0 {
		errs = append(errs, errors.New("at least one seed is required"))
	}
	if in.provisioned("") == nil {
		errs = append(errs, errors.New("the fleet needs a provisioned deployment, for its speed"))
	}
	if in.Policy.Default == nil {
		in.Policy = DefaultPolicy()
	}
	if in.Depth == 0 {
		in.Depth = time.Minute
	}
	if in.Purchase == "" {
		in.Purchase = Month
	}
	if in.Hours == 0 {
		in.Hours = hoursPerMonth
	}
	if in.Each == nil {
		in.Each = inTurn
	}
	return in, errors.Join(errs...)
}

func inTurn(n int, do func(int) error) error {
	for i := range n {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

// provisioned is the deployment to be sized: the first of the model, or the
// first; nil when there is none.
func (in *Inputs) provisioned(model string) *fleet.Deployment {
	all := in.of(spillway.Provisioned, model)
	if len(all) == 0 {
		return nil
	}
	return &all[0]
}

// standards are the deployments that can be spilled to.
func (in *Inputs) standards(model string) []fleet.Deployment { return in.of(spillway.Standard, model) }

// of is the deployments of a kind that serve a model, or all of the kind where
// none is said to.
func (in *Inputs) of(kind spillway.Kind, model string) []fleet.Deployment {
	var all, of []fleet.Deployment
	for _, d := range in.Fleet.Deployments {
		if d.Kind != kind {
			continue
		}
		all = append(all, d)
		if d.Model == model {
			of = append(of, d)
		}
	}
	if len(of) > 0 {
		return of
	}
	return all
}

// setup is one candidate: what is bought, and how it is used.
type setup struct {
	direct bool // clients call the PTUs themselves, without a gateway
	ptu    int
	spill  bool // the standard deployments are there
	depth  time.Duration
}

// fleet is what a candidate buys.
func (in *Inputs) fleet(s setup, model string, seed uint64) fleet.Config {
	out := fleet.Config{Seed: seed}
	if s.ptu > 0 {
		d := *in.provisioned(model)
		d.PTU, d.MeterDepth = s.ptu, s.depth
		out.Deployments = append(out.Deployments, d)
	}
	if s.spill {
		out.Deployments = append(out.Deployments, in.standards(model)...)
	}
	for i := range out.Deployments {
		d := &out.Deployments[i].Deployment
		if d.Model != model { // its figures are another model's
			d.Model, d.InputTPMPerPTU, d.OutputRatio, d.CachedRatio, d.TokensPerSecond, d.Price = model, 0, 0, 0, 0, spillway.TokenPrice{}
		}
		*d = in.Models.Fill(*d)
	}
	for _, f := range in.Fleet.Faults {
		for _, d := range out.Deployments {
			if f.Deployment == "" || f.Deployment == d.Name {
				out.Faults = append(out.Faults, f)
				break
			}
		}
	}
	return out
}

// policy is how a candidate's fleet is used. The gateway does not know the
// depth of the meter.
func (in *Inputs) policy(s setup, f *fleet.Config, model string) whatif.Policy {
	if s.direct {
		return whatif.Policy{Name: "no policy", Direct: f.Deployments[0].Name}
	}
	var pool policy.Config
	if len(in.Policy.Pools) > 0 {
		pool = in.Policy.Pools[0]
	}
	pool.Pool.Name, pool.Pool.Models, pool.Pool.Tiers, pool.Deployments = model, nil, nil, nil
	var provisioned, standard []string
	for _, d := range f.Deployments {
		core := d.Deployment
		core.MeterDepth = 0
		pool.Deployments = append(pool.Deployments, core)
		if d.Kind == spillway.Provisioned {
			provisioned = append(provisioned, d.Name)
		} else {
			standard = append(standard, d.Name)
		}
	}
	for _, tier := range [][]string{provisioned, standard} {
		if len(tier) > 0 {
			pool.Pool.Tiers = append(pool.Pool.Tiers, tier)
		}
	}
	out := in.Policy
	out.Pools, out.Changes = []policy.Config{pool}, nil
	return out
}
