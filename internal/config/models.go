package config

import (
	"cmp"
	"fmt"
	"strings"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/models"
	"github.com/spillway-ai/spillway/internal/policy/speed"
)

// Model is the figures of one model, in place of the published ones.
type Model struct {
	Name             string      `yaml:"name" required:"true" doc:"Model, as in deployments, in any case. Dated versions, such as NAME-2026-01-31, have the same figures unless they have an element of their own. Not a pattern."`
	InputTPMPerPTU   int         `yaml:"input_tpm_per_ptu" min:"0" doc:"Input tokens per minute that one PTU buys."`
	OutputRatio      float64     `yaml:"output_ratio" min:"0" doc:"Input tokens that one output token counts as on provisioned deployments."`
	CachedRatio      float64     `yaml:"cached_ratio" min:"0" max:"1" doc:"What a cached input token counts as on provisioned deployments, relative to another input token."`
	TokensPerSecond  float64     `yaml:"tokens_per_second" min:"0" doc:"Speed of one response, used until there are enough samples; 0 is unknown."`
	Reasoning        bool        `yaml:"reasoning" doc:"The model uses hidden tokens, and chat uses max_completion_tokens. When empty, by its name, as for deployments."`
	Price            *TokenPrice `yaml:"price" doc:"Price of global standard deployments. Data zone and regional ones cost 10% more."`
	PTUSizes         *PTUSizes   `yaml:"ptu_sizes" doc:"Sizes in which global and data zone provisioned deployments are sold, for spillway plan."`
	RegionalPTUSizes *PTUSizes   `yaml:"regional_ptu_sizes" doc:"Sizes in which regional provisioned deployments are sold."`
}

// TokenPrice is the price of a model's tokens.
type TokenPrice struct {
	Input  float64 `yaml:"input" min:"0" doc:"USD per million uncached prompt tokens."`
	Cached float64 `yaml:"cached" min:"0" doc:"USD per million cached prompt tokens. When empty, the input price."`
	Output float64 `yaml:"output" min:"0" doc:"USD per million completion tokens, including hidden ones; 0 for embedding models."`
	// The prices above are those of the default service tier.
	CacheWrite float64 `yaml:"cache_write" min:"0" doc:"USD per million prompt tokens that are written to the prompt cache. When empty, the input price."`
	Flex       float64 `yaml:"flex" min:"0" doc:"Price at service tier flex, as a multiple of the prices above. When empty, the published one."`
	Priority   float64 `yaml:"priority" min:"0" doc:"Price at service tier priority, as a multiple of the prices above. When empty, the published one."`
}

// PTUSizes is the sizes in which provisioned deployments are sold.
type PTUSizes struct {
	Min  int `yaml:"min" required:"true" min:"1" max:"100000" doc:"Fewest PTUs."`
	Step int `yaml:"step" required:"true" min:"1" max:"100000" doc:"Step between sizes, in PTU."`
}

// ModelTable is the figures of all models: the configured ones in place of the
// published ones.
func (c *Config) ModelTable() models.Table { return modelTable(c.Models) }

// ModelTable is the figures of all models: the fleet's in place of the published ones.
func (f *Fleet) ModelTable() models.Table { return modelTable(f.Models) }

func modelTable(list []Model) models.Table {
	own := make([]models.Model, len(list))
	for i := range list {
		own[i] = list[i].figures()
	}
	return models.NewTable(own)
}

// figures is the model as the table has it.
func (m *Model) figures() models.Model {
	out := models.Model{
		Capacity: models.Capacity{
			Name: m.Name, InputTPMPerPTU: m.InputTPMPerPTU, OutputRatio: m.OutputRatio, CachedRatio: m.CachedRatio,
			TokensPerSecond: m.TokensPerSecond,
		},
		Reasoning: m.Reasoning,
	}
	if p := m.Price; p != nil && (p.Input > 0 || p.Output > 0) {
		out.Price = spillway.TokenPrice{
			Input: p.Input, Cached: cmp.Or(p.Cached, p.Input), Output: p.Output, CacheWrite: p.CacheWrite, Flex: p.Flex, Priority: p.Priority,
		}
	}
	if m.PTUSizes != nil {
		out.Global = models.Purchase(*m.PTUSizes)
	}
	if m.RegionalPTUSizes != nil {
		out.Regional = models.Purchase(*m.RegionalPTUSizes)
	}
	return out
}

// deriveModels fills in the published figures that the file does not replace.
func (d *decoder) deriveModels(list []Model) {
	for i := range list {
		m := &list[i]
		published, _ := models.Table{}.Find(m.Name)
		absent := func(option string) bool { return !d.given(fmt.Sprintf("models[%d].%s", i, option)) }
		if absent("input_tpm_per_ptu") {
			m.InputTPMPerPTU = published.InputTPMPerPTU
		}
		if absent("output_ratio") {
			m.OutputRatio = published.OutputRatio
		}
		if absent("cached_ratio") {
			m.CachedRatio = published.CachedRatio
		}
		if absent("tokens_per_second") {
			m.TokensPerSecond = published.TokensPerSecond
		}
		if absent("reasoning") {
			m.Reasoning = published.Reasoning
		}
		switch p := published.Price; {
		case absent("price") && p.Known():
			m.Price = &TokenPrice{p.Input, p.Cached, p.Output, p.CacheWrite, p.Flex, p.Priority}
		case m.Price != nil:
			m.Price.Flex, m.Price.Priority = cmp.Or(m.Price.Flex, p.Flex), cmp.Or(m.Price.Priority, p.Priority)
		}
		if absent("ptu_sizes") && published.Global != (models.Purchase{}) {
			m.PTUSizes = new(PTUSizes(published.Global))
		}
		if absent("regional_ptu_sizes") && published.Regional != (models.Purchase{}) {
			m.RegionalPTUSizes = new(PTUSizes(published.Regional))
		}
	}
}

// models checks the figures of models.
func (d *decoder) models(list []Model) {
	d.unique("models", len(list), func(i int) string { return strings.ToLower(list[i].Name) })
	for i := range list {
		m, path := &list[i], fmt.Sprintf("models[%d]", i)
		if strings.ContainsAny(m.Name, "*?") {
			d.addAt(path+".name", d.shown(path+".name", m.Name)+" is a pattern", "write an element for each model; dated versions of a model need none")
		}
		if (m.InputTPMPerPTU > 0) != (m.OutputRatio > 0) {
			d.addAt(path, "needs both input_tpm_per_ptu and output_ratio to meter provisioned deployments", "set both, or neither")
		}
		if d.given(path+".price") && !(d.given(path+".price.input") && d.given(path+".price.output")) {
			d.addAt(path+".price", priceIncomplete, priceFix)
		}
	}
}

// What is wrong with a price of which a part is missing, and the fix.
const (
	priceIncomplete = "a token price needs both input and output"
	priceFix        = "set both, in USD per million tokens; an embedding model has output: 0"
)

// adviseModels notes figures of models that no deployment has.
func (d *decoder) adviseModels(c *Config) {
	used := map[string]bool{}
	table := c.ModelTable()
	var names []string
	for i := range c.Deployments {
		m, _ := table.Find(c.Deployments[i].Model)
		used[m.Name] = true
		names = append(names, c.Deployments[i].Model)
	}
	for i := range c.Models {
		if name := c.Models[i].Name; !used[name] {
			d.addAt(fmt.Sprintf("models[%d]", i), "is unused: no deployment has this model", cmp.Or(similar(name, names), "remove it"))
		}
	}
}

// adviseModel notes that little is known of the model of the deployment at path, and
// what follows from that.
func (d *decoder) adviseModel(p *Deployment, path string, table models.Table) {
	m, known := table.Find(p.Model)
	provisioned := p.Kind == spillway.Provisioned.String()
	priced := p.Price != nil && p.Price.Input > 0
	switch {
	case provisioned && !m.Provisioned() && (p.InputTPMPerPTU == 0 || p.OutputRatio == 0):
		d.addAt(path, "has no published provisioned throughput as of "+models.FiguresAsOf+": it is metered like gpt-4o",
			cmp.Or(similar(p.Model, table.Names()), "set input_tpm_per_ptu and output_ratio, here or for the model under models"))
	case !known && !provisioned && !priced:
		message := "is not a known model as of " + models.FiguresAsOf + ": its requests have no known cost"
		if p.TokensPerSecond == 0 {
			message += fmt.Sprintf(", and %v tokens per second are assumed until its speed is measured", speed.DefaultTokensPerSecond)
		}
		d.addAt(path, message, cmp.Or(similar(p.Model, table.Names()), "set price and tokens_per_second, or add the model to models"))
	}
}

// similar is the fix that suggests one of names if word looks like a slip of it; ""
// for none. Models differ in one digit or syllable, which is no slip.
func similar(word string, names []string) string {
	if len(word) < 4 {
		return ""
	}
	for _, name := range names {
		a, b := strings.ToLower(word), strings.ToLower(name)
		if distance(a, b) == 1 && digits(a) == digits(b) {
			return didYouMean(name)
		}
	}
	return ""
}

// digits are the digits of a text.
func digits(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, text)
}
