package whatif

import (
	"strconv"

	spillway "github.com/spillway-ai/spillway"
)

// The parameters of a sweep.
const (
	SweepCap      = "cap"      // a fixed cap on output tokens
	SweepQuantile = "quantile" // of learned speed, for the measured cap
)

// Variant is a policy that stands for one value of a parameter.
type Variant struct {
	Parameter string
	Value     float64
	Policy    Policy
}

// Sweep is the variant of base that clamps, with that value of the parameter.
func Sweep(base Policy, parameter string, value float64) Variant {
	name := parameter + "=" + strconv.FormatFloat(value, 'g', -1, 64)
	p := base.WithBudget(name, func(b *spillway.BudgetRule) {
		b.Mode, b.MaxOutputTokens = spillway.BudgetClamp, 0
		if parameter == SweepCap {
			b.MaxOutputTokens = int(value)
		} else {
			b.Quantile = value
		}
	})
	return Variant{Parameter: parameter, Value: value, Policy: p}
}
