// Package models contains published figures about models: capacity, output ratio,
// latency target and units of sale of provisioned throughput, prices, and whether they
// reason, with their sources, so that a meter, a simulated fleet, a bill and a plan use
// the same figures. A Table puts configured figures in their place.
package models

import (
	"cmp"
	"strings"

	"github.com/spillway-ai/spillway"
)

// Purchase is how provisioned throughput is sold, in PTU: at least Min, in
// steps of Step. The zero value is not sold.
type Purchase struct{ Min, Step int }

// Capacity is what is published about a model on provisioned throughput.
type Capacity struct {
	Name           string
	InputTPMPerPTU int     // input tokens per minute that one PTU buys
	OutputRatio    float64 // input tokens that one output token weighs
	// CachedRatio is what a cached input token weighs, as a part of another's.
	CachedRatio float64
	// TokensPerSecond is the latency target: the speed of one answer; 0 where none is
	// published.
	TokensPerSecond float64
	// Global is for global and data zone deployments, Regional for the others.
	Global, Regional Purchase
}

// Model is what is known about a model. A zero figure is unknown.
type Model struct {
	Capacity
	// Price is that of global standard deployments.
	Price spillway.TokenPrice
	// Reasoning says that it spends hidden tokens, as Reasons does.
	Reasoning bool
}

// Provisioned reports whether provisioned throughput of the model can be metered.
func (m *Model) Provisioned() bool { return m.InputTPMPerPTU > 0 && m.OutputRatio > 0 }

// defaultModel is the model whose figures meter one that is not in the table: among
// the dearest and slowest of those in common use.
const defaultModel = "gpt-4o"

// Table is the published figures, with configured ones in their place. The zero value
// is the published figures alone. A table is immutable.
type Table struct{ own []Model }

// NewTable returns the published figures with those of own in the place of the
// models of these names. An element replaces all figures of its model: take it from
// Table{}.Find to replace some. The table keeps the slice.
func NewTable(own []Model) Table { return Table{own} }

// Find returns what is known about a model, and whether anything is. A dated name is
// the model without its date: gpt-4o-mini-2024-07-18 is gpt-4o-mini. A name that only
// begins like a known model, such as gpt-5-nano, is a different model. Of two names
// that fit, the longer one counts, and a configured one before a published one.
func (t Table) Find(model string) (Model, bool) {
	best := -1
	for i := range t.own {
		if IsVersion(model, t.own[i].Name) && (best < 0 || len(t.own[i].Name) > len(t.own[best].Name)) {
			best = i
		}
	}
	if best >= 0 {
		return t.own[best], true
	}
	m := Model{Reasoning: Reasons(model)}
	for i := range table {
		if name := table[i].Name; IsVersion(model, name) && len(name) > len(m.Name) {
			m.Capacity = table[i]
		}
	}
	name := ""
	name, m.Price = publishedPrice(model)
	if m.Name == "" {
		m.Name = name
	}
	return m, m.Name != ""
}

// IsVersion reports whether a model is the one of that name, or a dated version of it.
// Case does not matter.
func IsVersion(model, name string) bool {
	if len(model) < len(name) || !strings.EqualFold(model[:len(name)], name) {
		return false
	}
	rest := model[len(name):]
	return rest == "" || dated(rest)
}

// dated reports whether what follows a model's name is a date: -2024-07-18,
// -0613.
func dated(rest string) bool {
	return len(rest) >= 5 && rest[0] == '-' && strings.Trim(rest, "-0123456789") == ""
}

// Names are the names of all models in the table.
func (t Table) Names() []string {
	var names []string
	for i := range t.own {
		names = append(names, t.own[i].Name)
	}
	for i := range table {
		names = append(names, table[i].Name)
	}
	for i := range prices {
		names = append(names, prices[i].model)
	}
	return names
}

// Reasons is the function Reasons, unless the table is configured to say otherwise.
func (t Table) Reasons(model string) bool {
	m, _ := t.Find(model)
	return m.Reasoning
}

// Fill returns the deployment with its zero InputTPMPerPTU, OutputRatio, CachedRatio,
// TokensPerSecond and Price set from what is known about its model, and the
// first three from gpt-4o where nothing is: its speed and price stay unknown.
// Nothing is published of MeterDepth, which stays as it is.
func (t Table) Fill(d spillway.Deployment) spillway.Deployment {
	facts, _ := t.Find(d.Model)
	if !facts.Provisioned() {
		usual, _ := t.Find(defaultModel)
		if !usual.Provisioned() { // a configuration took its figures away
			usual, _ = Table{}.Find(defaultModel)
		}
		facts.InputTPMPerPTU, facts.OutputRatio, facts.CachedRatio = usual.InputTPMPerPTU, usual.OutputRatio, usual.CachedRatio
	}
	if d.InputTPMPerPTU <= 0 {
		d.InputTPMPerPTU = facts.InputTPMPerPTU
	}
	if d.OutputRatio <= 0 {
		d.OutputRatio = facts.OutputRatio
	}
	if d.CachedRatio <= 0 {
		d.CachedRatio = facts.CachedRatio
	}
	if d.TokensPerSecond <= 0 {
		d.TokensPerSecond = facts.TokensPerSecond
	}
	d.Price = fillPrice(d.Price, inScope(facts.Price, d.Scope))
	return d
}

// fillPrice returns a configured price with what it lacks from the published one.
func fillPrice(price, published spillway.TokenPrice) spillway.TokenPrice {
	if !price.Known() {
		price.Input, price.Cached, price.Output = published.Input, published.Cached, published.Output
		price.CacheWrite = cmp.Or(price.CacheWrite, published.CacheWrite)
	}
	price.Flex = cmp.Or(price.Flex, published.Flex)
	price.Priority = cmp.Or(price.Priority, published.Priority)
	return price
}

// Fill is that of the published figures, for deployments that no table has filled.
// One that has both InputTPMPerPTU and OutputRatio has its figures, zero ones
// included, and stays as it is.
func Fill(d spillway.Deployment) spillway.Deployment {
	if d.InputTPMPerPTU > 0 && d.OutputRatio > 0 {
		return d
	}
	return Table{}.Fill(d)
}
