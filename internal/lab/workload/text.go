package workload

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the statistics for people.
func (d *Description) WriteText(w io.Writer) error {
	var b bytes.Buffer
	span := time.Duration(d.SpanSeconds * float64(time.Second)).Round(100 * time.Millisecond)
	fmt.Fprintf(&b, "calls      %s in %v: %s per second\n", grouped(d.Calls), span, decimal(d.RatePerS))
	fmt.Fprintf(&b, "arrivals   CV %.2f overall, %.2f within clients\n", d.CV, d.ClientCV)
	for _, u := range d.Bursts {
		fmt.Fprintf(&b, "bursts     calls in %d s over their mean: p99 %.2f, max %.2f\n", u.WindowSeconds, u.P99, u.Max)
	}
	fmt.Fprintf(&b, "long       %s of the calls have more than %s output tokens: %s of all output tokens\n",
		percent(d.LongCalls), grouped(longOutput), percent(d.LongTokens))
	fmt.Fprintf(&b, "streams    %s of the calls; another %s could stream\n", percent(d.Stream), percent(d.CanStream))
	if d.Prefixed > 0 {
		fmt.Fprintf(&b, "prefixes   %s of the prompts have cacheable blocks\n", percent(d.Prefixed))
	}
	if n := d.Clients; n.Count == 0 {
		fmt.Fprintln(&b, "clients    unknown")
	} else {
		atLeast := ""
		if n.More {
			atLeast = "more than "
		}
		fmt.Fprintf(&b, "clients    %s%s: the first has %s of the calls, the first ten %s; Zipf exponent %.2f\n",
			atLeast, grouped(n.Count), percent(n.Top1), percent(n.Top10), n.Zipf)
	}
	fmt.Fprintln(&b)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "tokens\tmean\tp50\tp90\tp95\tp99\tmax\t")
	row := func(name string, k Tokens) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name, decimal(k.Mean), grouped(k.P50), grouped(k.P90), grouped(k.P95), grouped(k.P99), grouped(k.Max))
	}
	row("input", d.InputTokens)
	row("output", d.OutputTokens)
	if d.Limited > 0 {
		row("max_tokens", d.MaxTokens)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("format the statistics: %w", err)
	}
	if d.Limited > 0 && d.Limited < 1 {
		fmt.Fprintf(&b, "%s of the calls set max_tokens.\n", percent(d.Limited))
	}
	for _, g := range []struct {
		title string
		rows  []Segment
	}{{"class", d.Classes}, {"model", d.Models}} {
		if err := writeSegments(&b, g.title, g.rows); err != nil {
			return err
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeSegments writes a table of classes or models, unless the trace names
// none.
func writeSegments(b *bytes.Buffer, title string, rows []Segment) error {
	if len(rows) == 1 && rows[0].Name == "" {
		return nil
	}
	fmt.Fprintln(b)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s\tcalls\tshare\tinput mean\toutput mean\toutput p99\tmax_tokens\tstream\tcan stream\t\n", title)
	for _, r := range rows {
		name := r.Name
		if name == "" {
			name = "(none)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name, grouped(r.Calls), percent(r.Share), decimal(r.InputMean),
			decimal(r.OutputMean), grouped(r.OutputP99), grouped(r.MaxTokens), percent(r.Stream), percent(r.CanStream))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("format the statistics: %w", err)
	}
	return nil
}

// grouped writes n with commas between thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && c != '-' && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// decimal writes a number with one decimal, or three digits where it is small.
func decimal(f float64) string {
	switch {
	case f >= 1000:
		return grouped(int(f + 0.5))
	case f >= 10 || f == 0:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.3g", f)
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }
