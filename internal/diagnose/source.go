package diagnose

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/numeral"
)

// Source is a file that observations were imported from, and how well it could
// be read.
type Source struct {
	Name  string    `json:"name"`
	Table string    `json:"table"`
	Rows  int       `json:"rows"`
	Other int       `json:"other_rows"` // of no use here
	Bad   int       `json:"bad_rows"`   // cannot be read; Samples has the first few
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	// Notes say how it was read, where that is not plain.
	Notes   []string `json:"notes,omitempty"`
	Samples []string `json:"samples,omitempty"`
}

// Told is what there is to say of the source beyond its name and size.
func (s *Source) Told() []string {
	var all []string
	if s.Other > 0 {
		all = append(all, "rows left out as of no use here: "+numeral.Whole(float64(s.Other)))
	}
	if s.Bad > 0 {
		all = append(all, fmt.Sprintf("rows that cannot be read: %s (%s)", numeral.Whole(float64(s.Bad)), strings.Join(s.Samples, "; ")))
	}
	return append(all, s.Notes...)
}

// Period is the time that it covers.
func (s *Source) Period() string {
	if s.To.IsZero() {
		return ""
	}
	return period(s.From, s.To)
}

func writeSources(b *bytes.Buffer, all []Source) {
	if len(all) == 0 {
		return
	}
	name, table, rows := 0, 0, 0
	for i := range all {
		name, table = max(name, len([]rune(all[i].Name))), max(table, len(all[i].Table))
		rows = max(rows, len(numeral.Whole(float64(all[i].Rows))))
	}
	b.WriteString("Read (rows may come in any order; times without a zone are UTC):\n")
	for i := range all {
		s := &all[i]
		b.WriteString(strings.TrimRight(fmt.Sprintf("  %s  %s  %s rows  %s", padRight(s.Name, name), padRight(s.Table, table), pad(numeral.Whole(float64(s.Rows)), rows), s.Period()), " ") + "\n")
		for _, text := range s.Told() {
			wrap(b, "    ", text)
		}
	}
	b.WriteString("\n")
}
