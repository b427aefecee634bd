// Package models contains published figures about models on provisioned
// throughput: capacity, output ratio, latency target, and units of sale, with
// their sources, so that a meter, a simulated fleet and a plan use the same
// figures.
package models

import (
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
	// TokensPerSecond is the latency target: the speed of one answer.
	TokensPerSecond float64
	// Global is for global and data zone deployments, Regional for the others.
	Global, Regional Purchase
}

// table is constant, from Microsoft's "Provisioned throughput unit
// (PTU) costs and onboarding", April 2026: input TPM per PTU, throughput ratio,
// latency target, minimum and increment.
//
// gpt-4o-mini: the page of December 2024, and the worked sizing examples that
// are still published, have a ratio of 3. gpt-5.5: no ratio is published; the
// highest of its family stands in.
//
// The targets of gpt-4o, gpt-4o-mini, o3-mini and o1 are averages per minute
// over a month, the others medians per five minutes: neither is a promise for
// each request.
var table = [...]Model{
	{"gpt-4o-mini", 37_000, 4, 33, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-4o", 2_500, 4, 25, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-4.1", 3_000, 4, 80, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-4.1-mini", 14_900, 4, 90, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-4.1-nano", 59_400, 4, 100, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-5", 4_750, 8, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.1", 4_750, 8, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5-mini", 23_750, 8, 80, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-5.2", 3_400, 8, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.3-codex", 3_400, 8, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.4", 2_400, 6, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.5", 1_200, 8, 100, Purchase{15, 5}, Purchase{50, 50}},
	{"o3", 3_000, 4, 80, Purchase{15, 5}, Purchase{50, 50}},
	{"o4-mini", 5_400, 4, 90, Purchase{15, 5}, Purchase{25, 25}},
	{"o3-mini", 2_500, 4, 66, Purchase{15, 5}, Purchase{25, 25}},
	{"o1", 230, 4, 25, Purchase{15, 5}, Purchase{25, 50}},
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

// Fill returns the deployment with its zero InputTPMPerPTU, OutputRatio,
// TokensPerSecond and Price set from what is published about its model, and the
// first two from gpt-4o where nothing is: its speed and price stay unknown.
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
	if d.TokensPerSecond <= 0 {
		d.TokensPerSecond = facts.TokensPerSecond
	}
	if d.Price == (spillway.TokenPrice{}) {
		d.Price, _ = Price(d.Model, d.Scope)
	}
	return d
}
