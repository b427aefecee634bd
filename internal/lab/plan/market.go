package plan

import (
	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/models"
)

// maxPTU is the largest provisioned deployment that Azure sells.
const maxPTU = 100_000

// hoursPerMonth is what a deployment that stays is billed by the hour.
const hoursPerMonth = 730

// sizes are the sizes in which provisioned throughput is sold, by their place:
// the smallest is at 0.
type sizes models.Purchase

// at is the size at a place.
func (s sizes) at(i int) int { return s.Min + i*s.Step }

// last is the place of the largest.
func (s sizes) last() int { return (maxPTU - s.Min) / s.Step }

// from is the place of the smallest size that is at least ptu.
func (s sizes) from(ptu float64) int {
	if ptu <= float64(s.Min) {
		return 0
	}
	return min(s.last(), int((ptu-float64(s.Min))/float64(s.Step)+0.999999))
}

// sizesOf is how a model is sold in a scope.
func sizesOf(m models.Model, scope spillway.Scope) sizes {
	if scope == spillway.Regional {
		return sizes(m.Regional)
	}
	return sizes(m.Global)
}

// Prices are what capacity costs, in USD.
type Prices struct {
	PTU models.PTUPrice
	// Tokens is the price of the standard deployments; zero is unknown.
	Tokens spillway.TokenPrice
}

// pricesOf are what a table has for a model.
func pricesOf(t models.Table, model string, scope spillway.Scope) Prices {
	tokens, _ := t.Price(model, scope)
	return Prices{PTU: models.PriceOfPTU(scope), Tokens: tokens}
}

// known reports whether the tokens of standard deployments have a price.
func (p *Prices) known() bool { return p.Tokens.Known() }

// Monthly is a month's cost in USD, by how the PTUs are bought.
type Monthly struct {
	Hourly float64 `json:"hourly"` // without commitment, 730 hours
	Month  float64 `json:"month"`  // reserved month by month
	Year   float64 `json:"year"`   // reserved for a year, a twelfth of it
}

// monthly is the cost of a number of PTUs besides what standard deployments
// cost in a month.
func (p *Prices) monthly(ptu int, standard float64) Monthly {
	n := float64(ptu)
	return Monthly{
		Hourly: n*p.PTU.Hour*hoursPerMonth + standard,
		Month:  n*p.PTU.Month + standard,
		Year:   n*p.PTU.Year/12 + standard,
	}
}

// Purchase is how PTUs are bought.
type Purchase string

// The purchases.
const (
	Hourly Purchase = "hourly"
	Month  Purchase = "month"
	Year   Purchase = "year"
)

// purchases is constant: from the shortest commitment to the longest.
var purchases = [...]Purchase{Hourly, Month, Year}

// By is the cost by one way of buying.
func (m Monthly) By(p Purchase) float64 {
	switch p {
	case Hourly:
		return m.Hourly
	case Year:
		return m.Year
	case Month:
	}
	return m.Month
}
