package cost

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spillway-ai/spillway/internal/numeral"
)

// WriteText writes the bill for a terminal.
func WriteText(w io.Writer, b *Bill) error {
	var out bytes.Buffer
	const form = "2006-01-02 15:04"
	fmt.Fprintf(&out, "%s – %s UTC, %s h: %s requests, %s (%s token cost, %s provisioned)\n",
		b.From.Format(form), b.To.Format(form), decimals(b.Hours, 2), numeral.Whole(float64(b.Total.Requests)),
		numeral.USD(b.Total.USD()), numeral.USD(b.Total.TokenUSD), numeral.USD(b.Total.PTUUSD))
	for _, g := range b.Groups {
		g.Lines = shortened(g.Lines)
		out.WriteString("\n")
		t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
		width := utf8.RuneCountInString(string(g.By))
		for i := range g.Lines {
			width = max(width, utf8.RuneCountInString(g.Lines[i].Name))
		}
		fmt.Fprintf(t, "%-*s\trequests\tprompt\tcached\tcompletion\treasoning\ttoken cost\tprovisioned\tper 1,000 requests\t\n", width, g.By)
		for i := range g.Lines {
			writeLine(t, &g.Lines[i], width)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if len(b.Provisioned) > 0 {
		out.WriteString("\n")
		t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(t, "provisioned\tPTU\tPTU hours\tprice per hour\tcost\tused\tat token price\t\n")
		for _, p := range b.Provisioned {
			would := "?"
			if p.AllTokensUSD > 0 {
				would = numeral.USD(p.AllTokensUSD)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", p.Name, numeral.Whole(float64(p.PTU)), decimals(p.PTUHours, 1), numeral.USD(p.HourUSD), numeral.USD(p.USD),
				decimals(100*p.Used, 1)+"%", would)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	out.WriteString("\n")
	for _, note := range b.notes() {
		out.WriteString(note + "\n")
	}
	_, err := w.Write(out.Bytes())
	return err
}

// maxShown bounds the lines of one group in a terminal.
const maxShown = 20

// shortened puts the cheapest lines into one, where there are too many.
func shortened(lines []Line) []Line {
	if len(lines) <= maxShown {
		return lines
	}
	rest := Line{Name: fmt.Sprintf("(%d more)", len(lines)-maxShown+1)}
	for i := range lines[maxShown-1:] {
		l := &lines[maxShown-1+i]
		rest.Requests += l.Requests
		rest.PromptTokens += l.PromptTokens
		rest.CachedTokens += l.CachedTokens
		rest.CacheWriteTokens += l.CacheWriteTokens
		rest.CompletionTokens += l.CompletionTokens
		rest.ReasoningTokens += l.ReasoningTokens
		rest.TokenUSD += l.TokenUSD
		rest.PTUUSD += l.PTUUSD
	}
	return append(slices.Clone(lines[:maxShown-1]), rest)
}

func writeLine(t io.Writer, l *Line, width int) {
	each := ""
	if l.Requests > 0 {
		each = numeral.USD(1000 * l.USD() / float64(l.Requests))
	}
	fmt.Fprintf(t, "%-*s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", width, l.Name, numeral.Whole(float64(l.Requests)), numeral.Whole(float64(l.PromptTokens)), numeral.Whole(float64(l.CachedTokens)),
		numeral.Whole(float64(l.CompletionTokens)), numeral.Whole(float64(l.ReasoningTokens)), numeral.USD(l.TokenUSD), numeral.USD(l.PTUUSD), each)
}

// notes say what the figures rest on.
func (b *Bill) notes() []string {
	var all []string
	t := &b.Total
	records, usage := 0.0, 0.0
	for _, c := range b.Checks {
		records, usage = records+c.RecordsUSD, usage+c.UsageUSD
	}
	if len(b.Checks) > 0 {
		note := "check: reported usage at today's prices is " + numeral.USD(usage) + ", the records contain " + numeral.USD(records)
		if math.Abs(usage-records) > 0.005*math.Max(usage, records) {
			note += ": prices have changed in between"
		}
		all = append(all, note)
	}
	if t.EstimatedUSD > 0 {
		all = append(all, "estimated: "+numeral.USD(t.EstimatedUSD)+" of attempts whose deployment reported no usage")
	}
	if t.UnusedUSD > 0 {
		all = append(all, "unused: "+numeral.USD(t.UnusedUSD)+" of attempts whose response no client received (retries, hedges)")
	}
	if t.Unpriced > 0 {
		all = append(all, "not priced: "+numeral.Whole(float64(t.Unpriced))+" attempts at models without a known price: set deployments[].price")
	}
	if b.UnusedPTUUSD > 0 {
		all = append(all, "idle: "+numeral.USD(b.UnusedPTUUSD)+" of provisioned deployments without work, in the total but in no line")
	}
	if b.Prices != "" {
		all = append(all, "prices: "+b.Prices)
	}
	if len(b.UnknownPTU) > 0 {
		all = append(all, "not billed: the PTUs of "+strings.Join(b.UnknownPTU, ", ")+" are unknown: set --config")
	}
	return all
}

func decimals(v float64, n int) string { return strconv.FormatFloat(v, 'f', n, 64) }
