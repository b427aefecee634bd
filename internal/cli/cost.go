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
	Store  []string         `sep:"none" type:"path" placeholder:"DIR" help:"Record store of a gateway, running or not; once for each replica. Default: the store in --config."`
	Config string           `short:"c" type:"path" placeholder:"FILE" help:"Gateway configuration with PTUs and prices."`
	From   string           `placeholder:"TIME" help:"Only requests since this time: 2026-11-22T10:00:00Z, or a duration before now such as 720h. PTUs are billed from this time."`
	To     string           `placeholder:"TIME" help:"Only requests before this time."`
	By     []cost.Dimension `enum:"deployment,caller,tenant,class,model" default:"deployment,caller" help:"Group by: deployment, caller, tenant, class, model; separate several with commas."`
	Format string           `enum:"text,json" default:"text" help:"Output format: text or json."`
}

// Help is what the command's help says beyond its options.
func (c *costCommand) Help() string {
	return `Adds up the token cost of standard deployments, from the records, and the hourly cost of
provisioned capacity, allocated by the work done. docs/COST.md describes the prices.

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
		"prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens", "reasoning_tokens", "usage_known", "service_tier",
		"attempts.deployment", "attempts.kind", "attempts.end_ms", "attempts.failure", "attempts.tokens", "attempts.cost_usd", "attempts.served_by",
		"attempts.response_service_tier",
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
	var table models.Table
	dirs := c.Store
	if c.Config != "" {
		cfg, err := loadToRead(c.Config)
		if err != nil {
			return nil, err
		}
		deployments, table = priced(cfg), cfg.ModelTable()
		if dir := cfg.Store.Dir; len(dirs) == 0 && dir != "" {
			dirs = []string{dir}
		}
	}
	if len(dirs) == 0 {
		return nil, errors.New("no records given: set --store DIR, or --config FILE with a store")
	}
	if err := distinct(dirs); err != nil {
		return nil, err
	}
	sums := cost.NewCollector(deployments, c.By)
	for _, dir := range dirs {
		s, err := store.Open(dir)
		if err != nil {
			return nil, err
		}
		for r, err := range s.Records(store.Query{From: from, To: to, Columns: billed()}) {
			if err != nil {
				return nil, fmt.Errorf("read the store %s: %w", dir, err)
			}
			sums.Add(r)
		}
	}
	b := sums.Bill(from, to, func(model string) spillway.TokenPrice {
		p, _ := table.Price(model, spillway.Global)
		return p
	})
	b.Prices = "configured prices, else those published in " + models.PricesAsOf + " (docs/COST.md)"
	if b.Total.Requests == 0 {
		return nil, noRequests(dirs)
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
			x := cost.Deployment{Deployment: d, PTUHourUSD: hour[d.Name]}
			if x.PTUHourUSD == 0 {
				x.PTUHourUSD = models.PriceOfPTU(d.Scope).Hour
			}
			all = append(all, x)
		}
	}
	return all
}
