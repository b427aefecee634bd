// Package models contains published figures about models on provisioned
// throughput: capacity, output ratio, latency target, and units of sale, with
// their sources, so that a meter, a simulated fleet and a plan use the same
// figures.
package models

import (
	"cmp"
	"strings"

	"github.com/spillway-ai/spillway"
)

// Purchase is how provisioned throughput is sold, in PTU: at least Min, in
// steps of Step.
type Purchase struct{ Min, Step int }

// Model is what is published about a model on provisioned throughput.
type Model struct {
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

// defaultModel is the model whose figures meter one that is not in the table: among
// the dearest and slowest of those in common use.
const defaultModel = "gpt-4o"

// Find returns what is published about a model. A dated name is the model
// without its date: gpt-4o-mini-2024-07-18 is gpt-4o-mini. A name that only
// begins like a known model, such as gpt-5-nano, is a different model.
func Find(model string) (Model, bool) {
	model = strings.ToLower(model)
	best := Model{}
	for _, m := range table {
		rest, ok := strings.CutPrefix(model, m.Name)
		if ok && (rest == "" || dated(rest)) && len(m.Name) > len(best.Name) {
			best = m
		}
	}
	return best, best.Name != ""
}

// dated reports whether what follows a model's name is a date: -2024-07-18,
// -0613.
func dated(rest string) bool {
	return len(rest) >= 5 && rest[0] == '-' && strings.Trim(rest, "-0123456789") == ""
}

// Fill returns the deployment with its zero InputTPMPerPTU, OutputRatio, CachedRatio,
// TokensPerSecond and Price set from what is published about its model, and the
// first three from gpt-4o where nothing is: its speed and price stay unknown.
// Nothing is published of MeterDepth, which stays as it is.
func Fill(d spillway.Deployment) spillway.Deployment {
	facts, known := Find(d.Model)
	if !known {
		facts, _ = Find(defaultModel)
		facts.TokensPerSecond = 0
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
	d.Price = fillPrice(d)
	return d
}

// fillPrice returns the price of a deployment, published where none is configured.
func fillPrice(d spillway.Deployment) spillway.TokenPrice {
	price := d.Price
	published, _ := Price(d.Model, d.Scope)
	if !price.Known() {
		price.Input, price.Cached, price.Output = published.Input, published.Cached, published.Output
		price.CacheWrite = cmp.Or(price.CacheWrite, published.CacheWrite)
	}
	price.Flex = cmp.Or(price.Flex, published.Flex)
	price.Priority = cmp.Or(price.Priority, published.Priority)
	return price
}
