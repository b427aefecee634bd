package plan

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Make makes a plan. An error is a workload that cannot be read or inputs that
// make no sense; that nothing meets the service level is a plan that says so.
func Make(in Inputs) (*Plan, error) {
	p, err := newPlanner(in)
	if err != nil {
		return nil, err
	}
	out := p.head()
	alone := setup{depth: p.in.Depth}
	if alone.ptu, err = p.fewest(alone, p.in.SLO, 0); err != nil {
		return nil, err
	}
	if alone.ptu == 0 {
		alone.ptu = p.sizes.at(p.largest())
		if err := p.all(alone); err != nil {
			return nil, err
		}
		out.Reasons = p.reasons(alone)
		alone.ptu = 0
	} else {
		out.Alone = new(p.option(alone))
	}
	if out.NoPolicy, err = p.noPolicy(); err != nil {
		return nil, err
	}
	if out.Frontier, err = p.frontier(alone); err != nil {
		return nil, err
	}
	out.Cheapest = map[Purchase]int{}
	for _, by := range purchases {
		if best := p.cheapest(out.Frontier, by); best >= 0 {
			out.Cheapest[by] = out.Frontier[best].PTU
			if by == p.in.Purchase {
				out.Recommended = new(out.Frontier[best])
			}
		}
	}
	out.Met = out.Recommended != nil
	if out.Depths, err = p.depths(out.Recommended, out.Alone); err != nil {
		return nil, err
	}
	out.Saving = p.saving(out)
	out.Simulations = len(p.done)
	out.Sentence = out.sentence()
	return out, nil
}

// head is what the plan starts from.
func (p *planner) head() *Plan {
	first := &p.samples[0].part
	n := float64(max(p.whole.calls, 1))
	out := &Plan{
		Model: p.name, Scope: p.in.Scope.String(), SLO: p.in.SLO.String(), Policy: p.in.Policy.Name, Purchase: p.in.Purchase,
		DepthSeconds: p.in.Depth.Seconds(), Seeds: len(p.in.Seeds), Standards: len(p.in.standards(p.name)),
		Sold: Sold{Min: p.sizes.Min, Step: p.sizes.Step},
		Workload: Workload{
			Calls: p.whole.calls, SpanSeconds: p.whole.span().Seconds(), RPS: n / p.whole.span().Seconds(),
			InputMean: p.whole.input / n, OutputMean: p.whole.output / n, FluidPTU: p.fluid(&p.whole),
			SampleFrom: (first.from - p.whole.from).Seconds(), SampleSeconds: first.span().Seconds(),
			SampleCalls: first.calls, SampleFluidPTU: p.fluid(first), HoursPerMonth: p.in.Hours,
		},
		Prices: Figures{
			PTUHour: p.prices.PTU.Hour, PTUMonth: p.prices.PTU.Month, PTUYear: p.prices.PTU.Year,
			Input: p.prices.Tokens.Input, Cached: p.prices.Tokens.Cached, Output: p.prices.Tokens.Output,
		},
		TokenMS: tokenMS(p.in.provisioned(p.name)),
	}
	if standard := p.in.standards(p.name); len(standard) > 0 {
		out.StandardTokenMS = tokenMS(&standard[0])
	}
	return out
}

// tokenMS is a deployment's mean time between tokens.
func tokenMS(d *fleet.Deployment) float64 {
	return float64(d.WithDefaults().Service.TBTMean) / float64(time.Millisecond)
}

// option is a candidate that has run with every seed.
func (p *planner) option(s setup) Option {
	runs := p.measures(s)
	all := make([]report.Summary, len(runs))
	o := Option{PTU: s.ptu, Spill: s.spill, Seeds: len(runs), SeedsMet: p.seedsThatHold(s, p.in.SLO)}
	o.Met = o.SeedsMet == o.Seeds
	for i, m := range runs {
		all[i] = m.Summary
		o.StandardUSD += m.standard / float64(len(runs))
		o.Work += m.work / float64(len(runs))
	}
	if s.spill && !p.prices.known() {
		o.StandardUSD = 0
	} else {
		o.USD = new(p.prices.monthly(s.ptu, o.StandardUSD))
	}
	mean := report.MergeSeeds(all...)
	o.Rate408, o.Rate429, o.Truncated, o.Errors = mean.Rate408, mean.Rate429, mean.TruncatedRate, mean.ErrorRate
	o.Attainment, o.Spilled, o.E2EP99 = mean.Attainment, mean.SpilledRate, mean.E2E.P99
	o.Conditions, _ = p.in.SLO.Check(summaries(runs)...)
	return o
}

// noPolicy is what clients get that call the provisioned deployment
// themselves. Where no size meets the service level, the conditions that no size
// meets are left aside, so that there is something to compare with.
func (p *planner) noPolicy() (NoPolicy, error) {
	s := setup{direct: true, depth: p.in.Depth}
	var out NoPolicy
	ptu, err := p.fewest(s, p.in.SLO, 0)
	if err != nil {
		return out, err
	}
	slo := p.in.SLO
	if ptu == 0 {
		s.ptu = p.sizes.at(p.largest())
		if err := p.all(s); err != nil {
			return out, err
		}
		held, _ := slo.Check(summaries(p.measures(s))...)
		slo = nil
		for i, h := range held {
			if h.Met {
				slo = append(slo, p.in.SLO[i])
			} else {
				out.Aside = append(out.Aside, h)
			}
		}
		out.Reasons = p.reasons(s)
		if ptu, err = p.fewest(s, slo, 0); err != nil {
			return out, err
		}
	}
	if ptu > 0 {
		s.ptu = ptu
		out.Option = new(p.option(s))
	}
	return out, nil
}

// reasons says why a candidate of more than enough size misses the service level.
func (p *planner) reasons(s setup) []string {
	held, _ := p.in.SLO.Check(summaries(p.measures(s))...)
	var out []string
	for i, h := range held {
		if !h.Met {
			out = append(out, p.reason(&p.in.SLO[i], &h, s))
		}
	}
	return out
}

func (p *planner) reason(l *Condition, h *ConditionResult, s setup) string {
	best := fmt.Sprintf("%s: %s at best", l.Text, l.format(h.Value))
	o := p.option(s)
	switch l.term {
	case "rate_408":
		if s.direct {
			return best + ". The 408s come from responses longer than the completion window: PTUs do not prevent that; use a cap or streaming."
		}
		return best + ". Some responses cannot start or end within the window at any size: stream them, or set a budget for their class."
	case "truncated_rate":
		return best + ". That share of the responses is longer than what fits the window at the reliable speed: stream them, increase the window, or allow more."
	case "attainment", "complete_rate":
		return fmt.Sprintf("%s. At any size, %s of the calls are truncated and %s fail; the rest miss an objective.", best, numeral.Share(o.Truncated), numeral.Share(o.Errors))
	case "error_rate":
		return fmt.Sprintf("%s, including 408s of %s of tries: responses longer than the window fail at any size.", best, numeral.Share(o.Rate408))
	}
	if l.timed() {
		return best + ". An idle deployment is no faster: the cause is its speed and the output length, not its size."
	}
	return best + ". More PTUs do not change that."
}

// Sizes of the frontier: points of the first grid besides its ends, and
// rounds of halving the distance around the cheapest.
const (
	gridPoints  = 6
	refinements = 2
)

// frontier is the mixes from standard deployments alone to PTUs alone, by
// size. alone has no PTUs where no size holds alone.
func (p *planner) frontier(alone setup) ([]Option, error) {
	var out []Option
	if alone.ptu > 0 {
		out = append(out, p.option(alone))
	}
	if len(p.in.standards(p.name)) == 0 {
		return out, nil
	}
	last := -1 // the place of the largest size that is mixed
	if alone.ptu > 0 {
		last = p.sizes.from(float64(alone.ptu)) - 1
	}
	places := []int{-1, last}
	for i := range gridPoints {
		places = append(places, -1+(last+1)*(i+1)/(gridPoints+1))
	}
	for round := 0; ; round++ {
		more, err := p.mixes(places, out)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
		slices.SortFunc(out, func(a, b Option) int { return cmp.Compare(a.PTU, b.PTU) })
		if round == refinements || len(more) == 0 {
			return out, nil
		}
		places = places[:0]
		for _, by := range purchases {
			if i := p.cheapest(out, by); i >= 0 {
				places = append(places, p.between(out, i-1), p.between(out, i))
			}
		}
	}
}

// place is that of a size; -1 for no PTUs.
func (p *planner) place(ptu int) int {
	if ptu == 0 {
		return -1
	}
	return p.sizes.from(float64(ptu))
}

// between is the place halfway from an option to the next.
func (p *planner) between(options []Option, i int) int {
	if i < 0 || i+1 >= len(options) {
		return -1
	}
	return (p.place(options[i].PTU) + p.place(options[i+1].PTU)) / 2
}

// mixes are the options of those places that are not known yet.
func (p *planner) mixes(places []int, known []Option) ([]Option, error) {
	slices.Sort(places)
	var setups []setup
	for _, i := range slices.Compact(places) {
		s := setup{spill: true, depth: p.in.Depth}
		if i >= 0 {
			s.ptu = p.sizes.at(i)
		}
		if !slices.ContainsFunc(known, func(o Option) bool { return o.PTU == s.ptu }) {
			setups = append(setups, s)
		}
	}
	if err := p.all(setups...); err != nil {
		return nil, err
	}
	out := make([]Option, len(setups))
	for i, s := range setups {
		out[i] = p.option(s)
	}
	return out, nil
}

// cheapest is the place of the option that costs least by one way of buying,
// of those that meet the service level with every seed; -1 for none. Where
// costs are not known it is the smallest that needs no standard deployment,
// or else the smallest.
func (p *planner) cheapest(options []Option, by Purchase) int {
	best, least := -1, math.Inf(1)
	for i := range options {
		o := &options[i]
		if !o.Met {
			continue
		}
		cost := math.MaxFloat64
		if o.USD != nil {
			cost = o.USD.By(by)
		}
		if cost < least {
			best, least = i, cost
		}
	}
	return best
}

// depths is how the recommended option does at other depths of the meter, and
// what PTUs alone would take there.
func (p *planner) depths(chosen, alone *Option) ([]Depth, error) {
	if chosen == nil {
		return nil, nil
	}
	depths := append([]time.Duration{p.in.Depth}, p.in.Depths...)
	slices.Sort(depths)
	var out []Depth
	for _, d := range slices.Compact(depths) {
		s := setup{ptu: chosen.PTU, spill: chosen.Spill, depth: d}
		if s.ptu == 0 {
			s.depth = p.in.Depth // there is no meter
		}
		if err := p.all(s); err != nil {
			return nil, err
		}
		row := Depth{Seconds: d.Seconds(), Option: p.option(s)}
		if alone != nil {
			var err error
			if row.AlonePTU, err = p.fewest(setup{depth: d}, p.in.SLO, alone.PTU); err != nil {
				return nil, err
			}
		}
		out = append(out, row)
	}
	return out, nil
}

// saving compares with no policy.
func (p *planner) saving(of *Plan) *Saving {
	without := of.NoPolicy.Option
	if without == nil || of.Recommended == nil {
		return nil
	}
	var s Saving
	cost := without.USD.By(p.in.Purchase)
	if of.Alone != nil {
		s.PTU, s.USD = without.PTU-of.Alone.PTU, cost-of.Alone.USD.By(p.in.Purchase)
	}
	if of.Recommended.USD != nil {
		s.RecommendedUSD = cost - of.Recommended.USD.By(p.in.Purchase)
	}
	return &s
}
