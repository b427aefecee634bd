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
const PricesAsOf = "October 2026"

// prices is constant: global standard deployments, in USD per million tokens,
// as of PricesAsOf. Source: tables made from the public list of model prices
// and the Azure retail price service, not the price page itself; configured
// prices should win. Prompts above 272,000 tokens cost more than the table says
// from gpt-5.4 on.
//
// cacheWrite is 0 where writing to the prompt cache costs nothing extra. priority is the
// price at service tier priority, as a multiple of the others. Source: OpenAI's page
// "Priority Processing for API Customers", 2026, and for the 5.6 and GPT-6 models the
// public list of model prices; Azure's own figures were not found. It is 0 where none
// is published.
//
// An entry without figures is a version that is sold at another price.
var prices = [...]struct {
	model                 string
	input, cached, output float64
	cacheWrite, priority  float64
}{
	{"gpt-4o-mini", 0.15, 0.075, 0.60, 0, 5. / 3},
	{"gpt-4o", 2.50, 1.25, 10, 0, 1.7},
	{"gpt-4o-2024-05-13", 0, 0, 0, 0, 0},
	{"gpt-4.1", 2, 0.50, 8, 0, 1.75},
	{"gpt-4.1-mini", 0.40, 0.10, 1.60, 0, 1.75},
	{"gpt-4.1-nano", 0.10, 0.025, 0.40, 0, 2},
	{"gpt-5", 1.25, 0.125, 10, 0, 2},
	{"gpt-5.1", 1.25, 0.125, 10, 0, 2},
	{"gpt-5-mini", 0.25, 0.025, 2, 0, 1.8},
	{"gpt-5-nano", 0.05, 0.005, 0.40, 0, 0},
	{"gpt-5.2", 1.75, 0.175, 14, 0, 2},
	{"gpt-5.4", 2.50, 0.25, 15, 0, 2},
	{"gpt-5.4-mini", 0.75, 0.075, 4.50, 0, 2},
	{"gpt-5.5", 5, 0.50, 30, 0, 2.5},
	{"gpt-5.6-sol", 4, 0.40, 20, 5, 2},
	{"gpt-5.6-terra", 2, 0.20, 12, 2.50, 2},
	{"gpt-5.6-luna", 0.20, 0.02, 1.20, 0.25, 0},
	{"gpt-6-astra", 10, 1, 50, 12.50, 2},
	{"gpt-6-sol", 2, 0.20, 10, 2.50, 2},
	{"gpt-6-luna", 0.10, 0.01, 0.50, 0.125, 0},
	{"gpt-6.1-sol", 2, 0.10, 10, 2.50, 2},
}

// flexFactor is what a token costs at service tier flex, as a multiple of the default
// tier's price: half, for every model that offers it. Source: Microsoft's documentation
// of flex processing, June 2026.
const flexFactor = 0.5

// nearFactor is what a standard deployment that stays in a data zone or region
// costs of the global one: 10% more, from the same tables.
const nearFactor = 1.1

// Price returns the standard price of a model in a scope, and whether it is known.
// Dated names are those of Find.
func (t Table) Price(model string, scope spillway.Scope) (spillway.TokenPrice, bool) {
	m, _ := t.Find(model)
	return inScope(m.Price, scope), m.Price.Known()
}

// publishedPrice returns the name and global price of the entry for a model; "" where
// there is none with figures.
func publishedPrice(model string) (string, spillway.TokenPrice) {
	best, found := "", spillway.TokenPrice{}
	for _, p := range prices {
		if IsVersion(model, p.model) && len(p.model) > len(best) {
			best, found = p.model, spillway.TokenPrice{
				Input: p.input, Cached: p.cached, Output: p.output, CacheWrite: p.cacheWrite, Flex: flexFactor, Priority: p.priority,
			}
		}
	}
	if !found.Known() {
		return "", spillway.TokenPrice{}
	}
	return best, found
}

// inScope returns what a global price is in a scope.
func inScope(p spillway.TokenPrice, scope spillway.Scope) spillway.TokenPrice {
	if scope != spillway.Global {
		p.Input *= nearFactor
		p.Cached *= nearFactor
		p.Output *= nearFactor
		p.CacheWrite *= nearFactor
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
