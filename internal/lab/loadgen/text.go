package loadgen

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	r.writeCounts(&b)
	r.writeTimings(&b)
	r.writeClasses(&b)
	for _, m := range r.Messages {
		if m.Status != 0 {
			fmt.Fprintf(&b, "%d× %d: %s\n", m.Count, m.Status, m.Text)
		} else {
			fmt.Fprintf(&b, "%d× no response: %s\n", m.Count, m.Text)
		}
	}
	for _, text := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", text)
	}
	for _, a := range r.Assertions {
		verdict := "met   "
		if !a.Met {
			verdict = "MISSED"
		}
		fmt.Fprintf(&b, "%s %s (measured %s)\n", verdict, a.Text, a.measured())
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) writeCounts(b *bytes.Buffer) {
	if r.Workload != "" {
		fmt.Fprintf(b, "%s\n", r.Workload)
	}
	interrupted := ""
	if r.Interrupted {
		interrupted = ", interrupted"
	}
	fmt.Fprintf(b, "%d calls in %.1f s, %.1f per second, at most %d in flight%s\n", r.Offered, r.WallSeconds, r.OfferedRPS, r.PeakInFlight, interrupted)
	fmt.Fprintf(b, "goodput %.2f per second, attainment %s; errors %s, truncated %s, spilled %s\n",
		r.GoodputRPS, percent(r.Attainment), percent(r.ErrorRate), percent(r.Truncated), percent(r.Spilled))
	fmt.Fprintf(b, "tokens: %d in (%d cached), %d out, %.0f out per second\n", r.PromptTokens, r.CachedTokens, r.CompletionTokens, r.TokensPerSecond)
	var parts []string
	for _, name := range outcomeNames {
		if n := r.Outcomes[name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", name, n))
		}
	}
	fmt.Fprintf(b, "outcomes: %s\n", strings.Join(parts, ", "))
	parts = parts[:0]
	for _, counts := range [...]map[string]int{r.Statuses, r.Failures} {
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
		}
	}
	fmt.Fprintf(b, "attempts: %d (%d retries of %d calls): %s\n\n", r.Attempts, r.Retries, r.Retried, strings.Join(parts, ", "))
}

func (r *Report) writeTimings(b *bytes.Buffer) {
	t := table(b)
	fmt.Fprintln(t, "\tmean\tp50\tp90\tp95\tp99\tp99.9\tmax\tcount\t")
	for _, row := range [...]struct {
		name string
		d    Distribution
	}{
		{"TTFT from intended start", r.TTFT.Intended},
		{"TTFT from send", r.TTFT.Sent},
		{"TBT", r.TBT},
		{"TPOT", r.TPOT},
		{"E2E from intended start", r.E2E.Intended},
		{"E2E from send", r.E2E.Sent},
		{"start after intended start", r.Lateness},
	} {
		if row.d.Count == 0 {
			continue
		}
		fmt.Fprintf(t, "%s", row.name)
		for _, ms := range [...]float64{row.d.Mean, row.d.P50, row.d.P90, row.d.P95, row.d.P99, row.d.P999, row.d.Max} {
			fmt.Fprintf(t, "\t%s", milliseconds(ms))
		}
		fmt.Fprintf(t, "\t%d\t\n", row.d.Count)
	}
	flush(t, b)
}

func (r *Report) writeClasses(b *bytes.Buffer) {
	if len(r.Classes) < 2 {
		return
	}
	t := table(b)
	fmt.Fprintln(t, "class\tcalls\tattainment\terrors\ttruncated\tTTFT p50\tp99\tE2E p50\tp99\t")
	for i := range r.Classes {
		c := &r.Classes[i]
		name := c.Name
		if name == "" {
			name = "(none)"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name, c.Offered, percent(c.Attainment), percent(c.ErrorRate), percent(c.Truncated),
			milliseconds(c.TTFT.P50), milliseconds(c.TTFT.P99), milliseconds(c.E2E.P50), milliseconds(c.E2E.P99))
	}
	flush(t, b)
}

func table(b *bytes.Buffer) *tabwriter.Writer { return tabwriter.NewWriter(b, 0, 0, 2, ' ', 0) }

func flush(t *tabwriter.Writer, b *bytes.Buffer) {
	_ = t.Flush() // into memory
	b.WriteByte('\n')
}

func percent(share float64) string {
	if share > 0 && share < 0.001 {
		return fmt.Sprintf("%.3f%%", share*100)
	}
	return fmt.Sprintf("%.2f%%", share*100)
}

// measured words the assertion's value in the unit of its bound.
func (a *Assertion) measured() string {
	if a.none {
		return "nothing"
	}
	if _, _, timed := timing(a.metric); timed {
		return milliseconds(a.Value)
	}
	if strings.HasSuffix(a.Text, "%") {
		return percent(a.Value)
	}
	return fmt.Sprintf("%.4g", a.Value)
}

// names lists the keys of a table.
func names[T any](of map[string]T) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), ", ")
}
