package models

import "github.com/spillway-ai/spillway"

// PTUPrice is what one provisioned throughput unit costs, in USD, whether it
// is used or not.
type PTUPrice struct {
	Hour float64 // without commitment, prorated for parts of an hour
	// Month and Year are the price of a reservation for the whole term. They
	// do not depend on the scope; what exceeds a reservation is billed hourly.
	Month, Year float64
}

// PricesAsOf is when the prices of the table were in force.
const PricesAsOf = "June 2026"

// prices is constant: global standard deployments, in USD per million tokens,
// as of PricesAsOf. Source: tables made from the public list of model prices
// and the Azure retail price service, not the price page itself; configured
// prices should win.
//
// An entry without figures is a version that is sold at another price.
var prices = [...]struct {
	model                 string
	input, cached, output float64
}{
	{"gpt-4o-mini", 0.15, 0.075, 0.60},
	{"gpt-4o", 2.50, 1.25, 10},
	{"gpt-4o-2024-05-13", 0, 0, 0},
	{"gpt-4.1", 2, 0.50, 8},
	{"gpt-4.1-mini", 0.40, 0.10, 1.60},
	{"gpt-4.1-nano", 0.10, 0.025, 0.40},
	{"gpt-5", 1.25, 0.125, 10},
	{"gpt-5.1", 1.25, 0.125, 10},
	{"gpt-5-mini", 0.25, 0.025, 2},
	{"gpt-5-nano", 0.05, 0.005, 0.40},
	{"gpt-5.2", 1.75, 0.175, 14},
	{"gpt-5.4", 2.50, 0.25, 15},
}

// nearFactor is what a standard deployment that stays in a data zone or region
// costs of the global one: 10% more, from the same tables.
const nearFactor = 1.1

// Price returns the standard price of a model in a scope, and whether it is known.
// Dated names are those of Find.
func (t Table) Price(model string, scope spillway.Scope) (spillway.TokenPrice, bool) {
	m, _ := t.Find(model)
	return inScope(m.Price, scope), m.Price != (spillway.TokenPrice{})
}

// publishedPrice returns the name and global price of the entry for a model; "" where
// there is none with figures.
func publishedPrice(model string) (string, spillway.TokenPrice) {
	best, found := "", spillway.TokenPrice{}
	for _, p := range prices {
		if IsVersion(model, p.model) && len(p.model) > len(best) {
			best, found = p.model, spillway.TokenPrice{Input: p.input, Cached: p.cached, Output: p.output}
		}
	}
	if found == (spillway.TokenPrice{}) {
		return "", found
	}
	return best, found
}

// inScope returns what a global price is in a scope.
func inScope(p spillway.TokenPrice, scope spillway.Scope) spillway.TokenPrice {
	if scope != spillway.Global {
		p.Input *= nearFactor
		p.Cached *= nearFactor
		p.Output *= nearFactor
	}
	return p
}

// PriceOfPTU returns the price of one PTU in a scope. Source: one public
// account of the price page, checked by its author in June 2026; configured
// prices should win.
func PriceOfPTU(scope spillway.Scope) PTUPrice {
	price := PTUPrice{Hour: 2, Month: 260, Year: 2_652}
	switch scope {
	case spillway.Global:
		price.Hour = 1
	case spillway.DataZone:
		price.Hour = 1.10
	case spillway.Regional:
	}
	return price
}
