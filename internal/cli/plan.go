package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/plan"
	"github.com/spillway-ai/spillway/internal/lab/setup"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

type planCommand struct {
	traffic `embed:""`
	SLO     string `name:"slo" default:"408<0.1%,429<0.1%,truncated<5%" help:"Service level, such as '408<0.1%,429<0.1%,p99_e2e<30s,ttft_p95<2s,attainment>97%,truncated<3%'." placeholder:"LIST"`
	Model   string `help:"Model to plan for. Default: the trace's. Calls of other models are skipped." placeholder:"NAME"`
	Scope   string `default:"global" enum:"global,data-zone,regional" help:"Deployment type: global, data-zone or regional."`

	Policy   string        `type:"existingfile" help:"Gateway configuration with classes, settings and standard deployments. Default: the measured clamp." placeholder:"FILE"`
	Fleet    string        `type:"existingfile" help:"Fleet file with the speed of the provisioned deployment, and the standard ones to spill over to." placeholder:"FILE"`
	Standard int           `default:"2" help:"Without --fleet: standard deployments to spill over to; 0 is none." placeholder:"N"`
	TPM      int           `name:"tpm" default:"10000000" help:"Without --fleet: tokens per minute of each standard deployment." placeholder:"N"`
	Retries  int           `default:"2" help:"Retries of each call by its client." placeholder:"N"`
	TTFT     time.Duration `name:"ttft" help:"Objective of attainment: time to the first token." placeholder:"D"`
	TBT      time.Duration `name:"tbt" help:"Objective of attainment: mean time between tokens." placeholder:"D"`

	Buy   string             `default:"month" enum:"hourly,month,year" help:"How PTUs are bought: hourly, or reserved for a month or year."`
	Price map[string]float64 `mapsep:"," help:"Price in USD instead of the published one: ptu_hour, ptu_month, ptu_year, and input, cached, output per million tokens." placeholder:"NAME=USD"`
	Hours float64            `default:"730" help:"Hours per month in which traffic is like the workload." placeholder:"H"`

	Depth  time.Duration   `default:"60s" help:"Depth of the PTU meter at which the plan must hold." placeholder:"D"`
	Depths []time.Duration `default:"10s,30s,60s,120s" help:"Depths of the PTU meter at which to show the plan." placeholder:"D"`
	Seed   uint64          `default:"1" help:"The first seed." placeholder:"N"`
	Seeds  int             `default:"3" help:"Number of seeds; the plan must hold with each." placeholder:"N"`
	Sample time.Duration   `help:"Simulate the busiest part of this length. Default: at most 10 minutes and 100,000 calls." placeholder:"D"`
	Whole  bool            `help:"Simulate the whole workload."`
	Format string          `default:"text" enum:"text,json" help:"Output format: text or json." placeholder:"NAME"`
}

// Run plans, and ends with status 1 where nothing meets the service level.
func (c *planCommand) Run(w *world) error {
	in, err := c.inputs()
	if err != nil {
		return w.refuse(err)
	}
	calls, err := c.open()
	if err != nil {
		return err
	}
	var files closers
	defer files.close()
	in.Open, in.Seeded = files.keep(calls.open), c.Scenario != ""
	watch := w.newTrials()
	in.Each, in.Stopped = watch.each, func() bool { return w.ctx.Err() != nil }
	made, err := plan.Make(in)
	watch.clear()
	if w.ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	if c.Format == "json" {
		e := json.NewEncoder(w.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(made)
	} else {
		err = made.WriteText(w.stdout)
	}
	if err == nil && !made.Met {
		return errNo
	}
	return err
}

// inputs are what the flags say, without the workload.
func (c *planCommand) inputs() (plan.Inputs, error) {
	slo, err := plan.ParseSLO(c.SLO)
	if err != nil {
		return plan.Inputs{}, fmt.Errorf("--slo: %w", err)
	}
	if err := c.check(); err != nil {
		return plan.Inputs{}, err
	}
	in := plan.Inputs{
		Model: c.Model, SLO: slo, Policy: plan.DefaultPolicy(), Client: fleet.OpenAISDK(), Purchase: plan.Purchase(c.Buy),
		Depth: c.Depth, Depths: c.Depths, Sample: c.Sample, Whole: c.Whole, Hours: c.Hours,
	}
	in.Client.Retries = c.Retries
	for _, scope := range [...]spillway.Scope{spillway.Global, spillway.DataZone, spillway.Regional} {
		if scope.String() == c.Scope {
			in.Scope = scope
		}
	}
	for i := range c.Seeds {
		in.Seeds = append(in.Seeds, c.Seed+uint64(i))
	}
	var paths []string
	if c.Policy != "" {
		paths = append(paths, c.Policy)
	}
	configs, err := loadConfigs(paths)
	if err != nil {
		return in, err
	}
	for _, cfg := range configs {
		if in.Policy, err = setup.Policy(policyName(c.Policy), cfg); err != nil {
			return in, err
		}
	}
	if err = c.setFleet(&in, configs); err != nil {
		return in, err
	}
	in.Objective = whatif.Objective{Window: in.Policy.Default.Window, TTFT: c.TTFT, TBT: c.TBT}
	in.Prices = c.prices
	return in, nil
}

// check reports flags that make no sense.
func (c *planCommand) check() error {
	for name, usd := range c.Price {
		if !slices.Contains(priceNames[:], name) {
			return fmt.Errorf("--price: unknown price %q: use one of %s", name, strings.Join(priceNames[:], ", "))
		}
		if !(usd >= 0 && usd <= 1e9) {
			return fmt.Errorf("--price: %s must be from 0 to 1e9 USD, got %v", name, usd)
		}
	}
	switch {
	case c.Seeds < 1 || c.Seeds > 100:
		return fmt.Errorf("--seeds: must be from 1 to 100, got %d", c.Seeds)
	case c.Standard < 0 || c.Standard > 100:
		return fmt.Errorf("--standard: must be from 0 to 100, got %d", c.Standard)
	case c.TPM < 0:
		return fmt.Errorf("--tpm: must not be negative, got %d", c.TPM)
	case c.Depth <= 0 || slices.ContainsFunc(c.Depths, func(d time.Duration) bool { return d <= 0 }):
		return errors.New("--depth, --depths: meter depth must be positive")
	case c.Sample < 0:
		return fmt.Errorf("--sample: must not be negative, got %v", c.Sample)
	case !(c.Hours > 0 && c.Hours <= 744):
		return fmt.Errorf("--hours: must be from 0 to 744, got %v", c.Hours)
	}
	return nil
}

// priceNames is constant.
var priceNames = [...]string{"ptu_hour", "ptu_month", "ptu_year", "input", "cached", "output"}

// prices replaces published prices by those of the flags.
func (c *planCommand) prices(published plan.Prices) plan.Prices {
	p := published
	for i, at := range [...]*float64{&p.PTU.Hour, &p.PTU.Month, &p.PTU.Year, &p.Tokens.Input, &p.Tokens.Cached, &p.Tokens.Output} {
		if usd, ok := c.Price[priceNames[i]]; ok {
			*at = usd
		}
	}
	return p
}

// setFleet sets the fleet whose speeds are planned with, and the figures of models.
func (c *planCommand) setFleet(in *plan.Inputs, configs []*config.Config) (err error) {
	usual := plan.DefaultFleet(c.Standard, c.TPM)
	if len(configs) > 0 {
		in.Models = configs[0].ModelTable()
	}
	switch {
	case c.Fleet != "":
		in.Fleet, in.Models, err = loadFleet(c.Fleet, configs...)
	case len(configs) > 0:
		in.Fleet, err = setup.FleetOf(configs...)
		if !slices.ContainsFunc(in.Fleet.Deployments, func(d fleet.Deployment) bool { return d.Kind == spillway.Provisioned }) {
			in.Fleet.Deployments = append(in.Fleet.Deployments, usual.Deployments[0])
		}
	case c.Scenario == incident:
		in.Fleet, err = setup.IncidentFleet(c.Scale)
	default:
		in.Fleet = usual
	}
	return err
}

// closers close the traces that a command has not read to their end.
type closers []func()

// keep is open, with what it opens to be closed.
func (c *closers) keep(open func(uint64) (workload.Source, error)) func(uint64) (workload.Source, error) {
	return func(seed uint64) (workload.Source, error) {
		src, err := open(seed)
		if t, ok := src.(*traceFile); ok {
			*c = append(*c, t.close)
		}
		return src, err
	}
}

func (c *closers) close() {
	for _, done := range *c {
		done()
	}
}

// trials does simulations, one per processor at a time, and shows how many are
// done on a terminal.
type trials struct {
	w     *world
	shown bool // a person watches
	mu    sync.Mutex
	done  int
}

func (w *world) newTrials() *trials {
	return &trials{w: w, shown: isTerminal(w.stderr)}
}

// each calls do for 0 to n-1 and returns the first error, after which it
// begins nothing more.
func (t *trials) each(n int, do func(int) error) error {
	ctx, stop := context.WithCancelCause(t.w.ctx)
	defer stop(nil)
	queue := make(chan int)
	var running sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		running.Go(func() {
			for i := range queue {
				if err := do(i); err != nil {
					stop(err)
				}
				t.tell()
			}
		})
	}
	for i := range n {
		select {
		case queue <- i:
		case <-ctx.Done():
		}
	}
	close(queue)
	running.Wait()
	return context.Cause(ctx)
}

func (t *trials) tell() {
	if !t.shown {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done++
	fmt.Fprintf(t.w.stderr, "\rplanning: %d simulations\x1b[K", t.done)
}

// clear removes the line of progress.
func (t *trials) clear() {
	if t.shown {
		fmt.Fprint(t.w.stderr, "\r\x1b[K")
	}
}
