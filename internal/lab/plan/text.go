package plan

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spillway-ai/spillway/internal/numeral"
)

// textWidth is the most columns of the text.
const textWidth = 110

// boughtBy is constant: how purchases are said.
var boughtBy = map[Purchase]string{
	Hourly: "PTUs by the hour", Month: "PTUs reserved monthly", Year: "PTUs reserved for a year",
}

// sentence is the recommendation.
func (p *Plan) sentence() string {
	r := p.Recommended
	if r == nil {
		return fmt.Sprintf("No: no number of PTUs of %s meets %s, alone or with standard deployments.", p.Model, p.SLO)
	}
	cost := ""
	if r.USD != nil {
		cost = fmt.Sprintf(" for %s a month", dollars(r.USD.By(p.Purchase)))
		if r.PTU > 0 {
			cost += ", " + boughtBy[p.Purchase]
		}
	}
	switch {
	case r.PTU == 0:
		return fmt.Sprintf("Buy no PTUs: %d standard %s of %s (%s) meet %s%s.", p.Standards, plural(p.Standards, "deployment"), p.Model, p.Scope, p.SLO, cost)
	case r.Spill:
		return fmt.Sprintf("Buy %s PTU of %s (%s) and spill over to %d standard %s: this meets %s%s.",
			numeral.Whole(float64(r.PTU)), p.Model, p.Scope, p.Standards, plural(p.Standards, "deployment"), p.SLO, cost)
	}
	return fmt.Sprintf("Buy %s PTU of %s (%s): alone they meet %s%s.", numeral.Whole(float64(r.PTU)), p.Model, p.Scope, p.SLO, cost)
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// WriteText writes the plan for people.
func (p *Plan) WriteText(w io.Writer) error {
	var b strings.Builder
	paragraph(&b, "", p.Sentence)
	for _, r := range p.Reasons {
		paragraph(&b, "  - ", r)
	}
	b.WriteByte('\n')
	p.writeFacts(&b)
	p.writeFrontier(&b)
	p.writeCertainty(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeFacts writes what was planned for, the fewest PTUs, and no policy.
func (p *Plan) writeFacts(b *strings.Builder) {
	wl := &p.Workload
	simulated := "all"
	if wl.SampleCalls < wl.Calls {
		simulated = fmt.Sprintf("the busiest %s: %s calls from %s, work for %s PTU",
			span(wl.SampleSeconds), numeral.Whole(float64(wl.SampleCalls)), span(wl.SampleFrom), numeral.Whole(wl.SampleFluidPTU))
	}
	fact(b, "workload", fmt.Sprintf("%s calls in %s (%.4g/s) of %s + %s tokens, work for %s PTU if even; simulated: %s",
		numeral.Whole(float64(wl.Calls)), span(wl.SpanSeconds), wl.RPS, numeral.Whole(wl.InputMean), numeral.Whole(wl.OutputMean),
		numeral.Whole(wl.FluidPTU), simulated))
	fact(b, "policy", p.Policy)
	if p.Alone != nil {
		fact(b, "PTUs alone", fmt.Sprintf("%s PTU are the fewest that meet it (from %d in steps of %d): %s",
			numeral.Whole(float64(p.Alone.PTU)), p.Sold.Min, p.Sold.Step, p.Alone.describe()))
	}
	p.writeNoPolicy(b)
	if s := p.Saving; s != nil {
		saved := ""
		if p.Alone != nil {
			saved = fmt.Sprintf("%s PTU and %s a month where PTUs serve alone; ", numeral.Whole(float64(s.PTU)), dollars(s.USD))
		}
		fact(b, "policy saves", fmt.Sprintf("%s%s a month with the recommendation (%s)", saved, dollars(s.RecommendedUSD), boughtBy[p.Purchase]))
	}
	b.WriteByte('\n')
}

func (p *Plan) writeNoPolicy(b *strings.Builder) {
	none := &p.NoPolicy
	label := "no policy"
	for _, r := range none.Reasons {
		fact(b, label, r)
		label = ""
	}
	var aside []string
	for _, h := range none.Aside {
		aside = append(aside, h.Text)
	}
	without := strings.Join(aside, ", ")
	switch {
	case none.Option == nil && len(aside) == 0:
		fact(b, label, "no number of PTUs meets the service level with every seed")
	case none.Option == nil:
		fact(b, label, "no other condition is met either")
	case len(aside) > 0:
		fact(b, label, fmt.Sprintf("without %s it takes %s PTU: %s", without, numeral.Whole(float64(none.Option.PTU)), none.Option.describe()))
	default:
		fact(b, label, fmt.Sprintf("it takes %s PTU: %s", numeral.Whole(float64(none.Option.PTU)), none.Option.describe()))
	}
}

// describe is an option in a line.
func (o *Option) describe() string {
	return fmt.Sprintf("408 %s, 429 %s, truncated %s, p99 %s, PTU busy %.0f%%",
		numeral.Share(o.Rate408), numeral.Share(o.Rate429), numeral.Share(o.Truncated), millis(o.E2EP99), 100*o.Work)
}

// shownOptions bounds the rows of the frontier in the text.
const shownOptions = 9

func (p *Plan) writeFrontier(b *strings.Builder) {
	if len(p.Frontier) == 0 {
		return
	}
	const row = "%10s %11s %11s %11s %11s %7s %9s  %-7s %s\n"
	fmt.Fprintf(b, row, "PTU", "hourly ", "1 month ", "1 year ", "standard", "spilled", "truncated", "SLO met", "tightest condition")
	for _, o := range p.shown() {
		cells := [3]string{"?", "?", "?"}
		standard, spilled := "?", numeral.Share(o.Spilled)
		if o.USD != nil {
			standard = dollars(o.StandardUSD)
			for i, by := range purchases {
				cells[i] = dollars(o.USD.By(by))
				if ptu, ok := p.Cheapest[by]; ok && ptu == o.PTU {
					cells[i] += "*"
				} else {
					cells[i] += " "
				}
			}
		}
		name := numeral.Whole(float64(o.PTU))
		if !o.Spill {
			name, standard = name+" only", "–"
		} else if o.PTU == 0 {
			spilled = "all"
		}
		met := fmt.Sprintf("%d of %d", o.SeedsMet, o.Seeds)
		fmt.Fprintf(b, row, name, cells[0], cells[1], cells[2], standard, spilled, numeral.Share(o.Truncated), met, o.tightest())
	}
	b.WriteString("USD a month by how PTUs are bought, standard tokens included; * is the cheapest that meets the SLO.\n\n")
}

// tightest is the condition with the least margin.
func (o *Option) tightest() string {
	if len(o.Conditions) == 0 {
		return ""
	}
	h := slices.MinFunc(o.Conditions, func(a, b ConditionResult) int { return cmp.Compare(a.Margin, b.Margin) })
	if !o.Met {
		return o.missed() + " missed"
	}
	return fmt.Sprintf("%s, %.0f%% left", h.Text, 100*h.Margin)
}

// missed is the conditions that some seed missed.
func (o *Option) missed() string {
	var out []string
	for _, h := range o.Conditions {
		if !h.Met {
			out = append(out, h.Text)
		}
	}
	if len(out) == 0 {
		return "capacity" // the work is more than the deployment can go on with
	}
	return strings.Join(out, ", ")
}

// shown is the rows of the frontier that the text has room for: the ends, the
// cheapest, and as many of the others as fit, evenly.
func (p *Plan) shown() []Option {
	keep := make([]bool, len(p.Frontier))
	kept := 0
	take := func(i int) {
		if !keep[i] {
			keep[i] = true
			kept++
		}
	}
	take(0)
	take(len(p.Frontier) - 1)
	for i := range p.Frontier {
		for _, ptu := range p.Cheapest {
			if p.Frontier[i].PTU == ptu {
				take(i)
			}
		}
	}
	most := p.Frontier[len(p.Frontier)-1].PTU
	for i := range p.Frontier {
		// The first at or above each eighth of the range.
		o := &p.Frontier[i]
		if i > 0 && kept < shownOptions && most > 0 && 8*o.PTU/most > 8*p.Frontier[i-1].PTU/most {
			take(i)
		}
	}
	var out []Option
	for i := range p.Frontier {
		if keep[i] {
			out = append(out, p.Frontier[i])
		}
	}
	return out
}

func (p *Plan) writeCertainty(b *strings.Builder) {
	if r := p.Recommended; r != nil {
		fact(b, "robustness", fmt.Sprintf("met with %d of %d seeds at a meter depth of %.4g s. Azure does not publish the depth:",
			r.SeedsMet, r.Seeds, p.DepthSeconds))
		for _, d := range p.Depths {
			fact(b, "", d.line())
		}
	}
	price := fmt.Sprintf("a PTU is $%.4g an hour, $%.6g reserved for a month, $%.6g for a year", p.Prices.PTUHour, p.Prices.PTUMonth, p.Prices.PTUYear)
	if p.Prices.Input > 0 {
		price += fmt.Sprintf("; $%.4g, cached $%.4g, out $%.4g per million standard tokens", p.Prices.Input, p.Prices.Cached, p.Prices.Output)
	} else {
		price += "; the price of standard tokens is unknown (set --price input=…,cached=…,output=…)"
	}
	fact(b, "prices", price)
	speed := fmt.Sprintf("%.3g ms between tokens on PTUs at 65%% load", p.TokenMS)
	if p.StandardTokenMS > 0 {
		speed += fmt.Sprintf(", %.3g ms on standard", p.StandardTokenMS)
	}
	fact(b, "speeds", speed+"; --fleet plans with your own")
	fact(b, "a month", fmt.Sprintf("is %.4g h of traffic like this and 730 h of PTUs", p.Workload.HoursPerMonth))
}

// line is a depth of the meter in a line.
func (d *Depth) line() string {
	o := &d.Option
	var parts []string
	switch {
	case o.PTU == 0:
	case o.Met:
		parts = append(parts, fmt.Sprintf("holds, spills %s", numeral.Share(o.Spilled)))
	default:
		parts = append(parts, fmt.Sprintf("misses %s with %d of %d seeds", o.missed(), o.Seeds-o.SeedsMet, o.Seeds))
	}
	if d.AlonePTU > 0 {
		parts = append(parts, fmt.Sprintf("PTUs alone would take %s", numeral.Whole(float64(d.AlonePTU))))
	}
	return fmt.Sprintf("at %3.4g s: %s", d.Seconds, strings.Join(parts, "; "))
}

// labelWidth is the room of the labels on the left.
const labelWidth = 14

// fact writes a labeled paragraph.
func fact(b *strings.Builder, label, text string) {
	paragraph(b, fmt.Sprintf("%-*s", labelWidth, label), text)
}

// paragraph writes text after a prefix, broken at the width and indented.
func paragraph(b *strings.Builder, prefix, text string) {
	column := len([]rune(prefix))
	indent := strings.Repeat(" ", column)
	b.WriteString(prefix)
	for i, word := range strings.Split(text, " ") {
		n := len([]rune(word))
		if i > 0 && column+1+n > textWidth {
			b.WriteString("\n" + indent)
			column = len(indent)
		} else if i > 0 {
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	b.WriteByte('\n')
}
