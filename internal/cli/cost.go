package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/models"
	"github.com/spillway-ai/spillway/internal/observe/cost"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

type costCommand struct {
	Store  string           `type:"path" placeholder:"DIR" help:"Record store of a gateway, running or not. That of --config when it is not given."`
	Config string           `short:"c" type:"path" placeholder:"FILE" help:"The gateway's configuration: its PTUs and its prices."`
	From   string           `placeholder:"TIME" help:"Only requests from then on: 2026-11-22T10:00:00Z, or a duration before now such as 720h. PTUs are billed from then, too."`
	To     string           `placeholder:"TIME" help:"Only requests before then."`
	By     []cost.Dimension `enum:"deployment,caller,tenant,class,model" default:"deployment,caller" help:"What the lines are: deployment, caller, tenant, class, model; several with commas."`
	Format string           `enum:"text,json" default:"text" help:"text or json."`
}

// Help is what the command's help says beyond its options.
func (c *costCommand) Help() string {
	return `Adds up what requests cost: the tokens of standard deployments, as each record says, and
provisioned capacity by the hour, shared out by the work that was done there.
docs/COST.md tells where prices come from.

  spillway cost --config spillway.yaml --from 720h --by tenant,model`
}

// Run prints the bill.
func (c *costCommand) Run(w *world) error {
	b, err := c.bill()
	if err != nil {
		return w.refuse(err)
	}
	if c.Format == "json" {
		e := json.NewEncoder(w.stdout)
		e.SetIndent("", "  ")
		return e.Encode(b)
	}
	return cost.WriteText(w.stdout, b)
}

// billed are the columns that a bill reads.
func billed() []string {
	return []string{
		"time", "e2e_ms", "caller", "tenant", "class", "model", "prompt_estimate_tokens",
		"prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "usage_known",
		"attempts.deployment", "attempts.kind", "attempts.end_ms", "attempts.failure", "attempts.tokens", "attempts.cost_usd", "attempts.served_by",
	}
}

func (c *costCommand) bill() (*cost.Bill, error) {
	from, err := instant("--from", c.From)
	if err != nil {
		return nil, err
	}
	to, err := instant("--to", c.To)
	if err != nil {
		return nil, err
	}
	var deployments []cost.Deployment
	dir := c.Store
	if c.Config != "" {
		cfg, err := loadToRead(c.Config)
		if err != nil {
			return nil, err
		}
		deployments = priced(cfg)
		if dir == "" {
			dir = cfg.Store.Dir
		}
	}
	if dir == "" {
		return nil, errors.New("whose requests? Give --store DIR, or a --config with a store")
	}
	s, err := store.Open(dir)
	if err != nil {
		return nil, err
	}
	sums := cost.NewCollector(deployments, c.By)
	for r, err := range s.Records(store.Query{From: from, To: to, Columns: billed()}) {
		if err != nil {
			return nil, fmt.Errorf("reading the store: %w", err)
		}
		sums.Add(r)
	}
	b := sums.Bill(from, to, func(model string) spillway.TokenPrice {
		p, _ := models.Price(model, spillway.Global)
		return p
	})
	b.Prices = "as configured, else as published in " + models.PricesAsOf + " (docs/COST.md)"
	if b.Total.Requests == 0 {
		return nil, noRequests(dir)
	}
	return &b, nil
}

// priced are a configuration's deployments with what they cost.
func priced(cfg *config.Config) []cost.Deployment {
	hour := map[string]float64{}
	for i := range cfg.Deployments {
		if d := &cfg.Deployments[i]; d.Price != nil {
			hour[d.Name] = d.Price.PTUHour
		}
	}
	var all []cost.Deployment
	for _, pool := range cfg.Policies() {
		for _, d := range pool.Deployments {
			x := cost.Deployment{Deployment: models.Fill(d), PTUHourUSD: hour[d.Name]}
			if x.PTUHourUSD == 0 {
				x.PTUHourUSD = models.PriceOfPTU(d.Scope).Hour
			}
			all = append(all, x)
		}
	}
	return all
}
