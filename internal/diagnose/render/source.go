package render

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// sourceNotes says how well a source could be read, beyond its name and size.
func sourceNotes(s *diagnose.Source) []string {
	var all []string
	if s.Other > 0 {
		all = append(all, "rows of no use here, skipped: "+numeral.Whole(float64(s.Other)))
	}
	if s.Bad > 0 {
		all = append(all, fmt.Sprintf("unreadable rows: %s (%s)", numeral.Whole(float64(s.Bad)), strings.Join(s.Samples, "; ")))
	}
	return append(all, s.Notes...)
}

// sourcePeriod is the time that a source covers; "" where it has no row.
func sourcePeriod(s *diagnose.Source) string {
	if s.To.IsZero() {
		return ""
	}
	return period(s.From, s.To)
}

func writeSources(b *bytes.Buffer, all []diagnose.Source) {
	if len(all) == 0 {
		return
	}
	name, table, rows := 0, 0, 0
	for i := range all {
		name, table = max(name, len([]rune(all[i].Name))), max(table, len(all[i].Table))
		rows = max(rows, len(numeral.Whole(float64(all[i].Rows))))
	}
	b.WriteString("Files (rows may be in any order; times without a zone are UTC):\n")
	for i := range all {
		s := &all[i]
		b.WriteString(strings.TrimRight(fmt.Sprintf("  %s  %s  %s rows  %s", padRight(s.Name, name), padRight(s.Table, table), pad(numeral.Whole(float64(s.Rows)), rows), sourcePeriod(s)), " ") + "\n")
		for _, text := range sourceNotes(s) {
			wrap(b, "    ", text)
		}
	}
	b.WriteString("\n")
}
