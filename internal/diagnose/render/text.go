package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// textWidth is how long lines of prose may get.
const textWidth = 100

// Text writes the diagnosis for a terminal.
func Text(w io.Writer, d *diagnose.Diagnosis) error {
	var b bytes.Buffer
	writeSources(&b, d.Sources)
	if d.Tries == 0 {
		b.WriteString("No requests in that period.\n")
		_, err := w.Write(b.Bytes())
		return err
	}
	fmt.Fprintf(&b, "%s: %s calls, %s tries at %s\n", period(d.From, d.To), numeral.Whole(float64(d.Calls)), numeral.Whole(float64(d.Tries)), names(d.DeploymentNames))
	if d.Blind {
		b.WriteString("Their outcomes are unknown.\n")
	} else {
		fmt.Fprintf(&b, "408 %s · cut at the deadline %s · 429 %s · failed %s of tries\n", numeral.Percent(d.Timeout), numeral.Percent(d.Cut), numeral.Percent(d.Refused), numeral.Percent(d.Failed))
	}
	switch {
	case d.Healthy:
		b.WriteByte('\n')
		wrap(&b, "", "No problem found. Checked, as far as the data allows: "+strings.Join(looked(), ", ")+".")
	case len(d.Findings) == 0 && d.Tries >= diagnose.MinTries && !d.Blind && d.Failed >= diagnose.Unexplained:
		b.WriteByte('\n')
		wrap(&b, "", "No cause found for the failures. Checked, as far as the data allows: "+strings.Join(looked(), ", ")+".")
	case len(d.Findings) == 0 && d.Tries >= diagnose.MinTries:
		b.WriteString("\nNo problem found, but too much data is missing to call the traffic healthy.\n")
	case len(d.Findings) == 0:
		fmt.Fprintf(&b, "\nNot enough data: %d tries; a diagnosis needs at least %d.\n", d.Tries, diagnose.MinTries)
	}
	for i := range d.Findings {
		writeFinding(&b, i+1, &d.Findings[i], d)
	}
	if r := d.Replay; r != nil {
		writeReplay(&b, r)
	}
	if len(d.Coverage) > 0 {
		b.WriteString("\nMissing data:\n")
		for _, m := range d.Coverage {
			wrap(&b, "  "+pad(numeral.Percent(m.Share), 5)+"  ", m.Text)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// looked names all causes.
func looked() []string {
	var all []string
	for _, c := range diagnose.Codes() {
		all = append(all, strings.ReplaceAll(string(c), "_", " "))
	}
	return all
}

func writeFinding(b *bytes.Buffer, n int, f *diagnose.Finding, d *diagnose.Diagnosis) {
	fmt.Fprintf(b, "\n%d. %s  %s\n", n, strings.ToUpper(string(f.Severity)), f.Title)
	about := string(f.Code)
	if f.Subject != "" {
		about += " · " + f.Subject
	}
	fmt.Fprintf(b, "   %s · %s · confidence %s\n", about, period(f.From, f.To), numeral.Decimals(f.Confidence, 2))
	width := 0
	for i := range f.Evidence {
		width = max(width, len([]rune(f.Evidence[i].Name)))
	}
	for i := range f.Evidence {
		e := &f.Evidence[i]
		fmt.Fprintf(b, "   %s  %s  %s\n", padRight(e.Name, width), pad(value(e), 12), e.Source)
	}
	for _, r := range f.RuledOut {
		wrap(b, "   it is  ", r.Text)
	}
	wrap(b, "   fix    ", f.Remedy.Text)
	for line := range strings.Lines(f.Remedy.Config) {
		b.WriteString("            " + strings.TrimRight(line, "\n") + "\n")
	}
	switch {
	case f.Effect != nil:
		wrap(b, "   effect ", f.Effect.Text)
	case d.Replay != nil && d.Replay.Reproduced && f.Remedy.Simulable():
		wrap(b, "   effect ", "unknown: not simulated")
	}
}

func writeReplay(b *bytes.Buffer, r *diagnose.Replay) {
	text := fmt.Sprintf("%s, %s calls simulated: out of time %s (observed %s), 429 %s (observed %s).",
		period(r.From, r.To), numeral.Whole(float64(r.Calls)), numeral.Percent(r.Replayed.OutOfTime()), numeral.Percent(r.Observed.OutOfTime()),
		numeral.Percent(r.Replayed.Refused), numeral.Percent(r.Observed.Refused))
	if !r.Reproduced {
		text += " The difference is too large to predict the effect of a fix."
	}
	b.WriteString("\n")
	wrap(b, "Replay: ", text)
}

// period writes a time range in UTC.
func period(from, to time.Time) string {
	const day, minute = "2006-01-02 15:04", "15:04"
	if from.Format(time.DateOnly) == to.Format(time.DateOnly) {
		return from.Format(day) + "–" + to.Format(minute) + " UTC"
	}
	return from.Format(day) + " – " + to.Format(day) + " UTC"
}

// names lists some names.
func names(all []string) string {
	const most = 4
	if len(all) > most {
		return strings.Join(all[:most], ", ") + fmt.Sprintf(" and %d more", len(all)-most)
	}
	return strings.Join(all, ", ")
}

// wrap writes a paragraph behind a head, its further lines indented.
func wrap(b *bytes.Buffer, head, text string) {
	b.WriteString(head)
	column := len([]rune(head))
	indent := column
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > textWidth:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	b.WriteByte('\n')
}

func pad(s string, width int) string {
	return strings.Repeat(" ", max(0, width-len([]rune(s)))) + s
}

func padRight(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-len([]rune(s))))
}

// value writes a measurement with its unit.
func value(e *diagnose.Evidence) string {
	switch e.Unit {
	case "share":
		return numeral.Percent(e.Value)
	case "ms":
		return numeral.Seconds(e.Value / 1000)
	case "s":
		return numeral.Seconds(e.Value)
	case "tokens":
		return numeral.Whole(e.Value) + " tokens"
	case "per_minute":
		return numeral.Whole(e.Value) + "/min"
	case "ratio":
		return "×" + numeral.Decimals(e.Value, 1)
	case "r":
		return numeral.Decimals(e.Value, 2)
	}
	return numeral.Whole(e.Value)
}
