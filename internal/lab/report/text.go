package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spillway-ai/spillway/internal/numeral"
)

// The terminal's layout: labels, then one column for each policy, with what
// changed against the first one behind its value.
const (
	labelWidth  = 24
	valueWidth  = 9
	changeWidth = 7
	perBlock    = 6 // policies side by side in 120 columns
)

// WriteText writes the comparison as tables for a terminal, at most 120
// columns wide.
func WriteText(w io.Writer, c Comparison) error {
	t := &textTable{}
	t.heading(c)
	for _, block := range blocks(c.Policies) {
		t.figures(block)
	}
	t.verdicts(c.Policies)
	t.bands(c.Policies)
	t.depths(c.Depths)
	t.sweep(c.Sweep)
	if _, err := w.Write(t.out.Bytes()); err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}

// blocks divides policies into sets that fit side by side. Each begins with
// the first policy, which the others are compared with.
func blocks(policies []Summary) [][]Summary {
	if len(policies) <= perBlock {
		return [][]Summary{policies}
	}
	var all [][]Summary
	for set := range slices.Chunk(policies[1:], perBlock-1) {
		all = append(all, append([]Summary{policies[0]}, set...))
	}
	return all
}

// textTable gathers aligned lines. Cells are padded by runes, not bytes.
type textTable struct{ out bytes.Buffer }

// line ends a line without the blanks at its end.
func (t *textTable) line(cells ...string) {
	t.out.WriteString(strings.TrimRight(strings.Join(cells, ""), " "))
	t.out.WriteByte('\n')
}

func (t *textTable) heading(c Comparison) {
	if c.Title != "" {
		t.line(c.Title)
	}
	t.line(provenance(c))
}

// provenance says what the figures rest on.
func provenance(c Comparison) string {
	s := fmt.Sprintf("seed %d", c.Seed)
	if c.Seeds > 1 {
		s = fmt.Sprintf("means of %d seeds from %d", c.Seeds, c.Seed)
	}
	if c.Requests > 0 {
		s += "; " + numeral.Whole(float64(c.Requests)) + " tries"
		if c.WallSeconds > 0 {
			s += " in " + formatMillis(1000*c.WallSeconds)
		}
	}
	return s
}

// figures writes the main table for some policies, the first of which is what
// the others are compared with.
func (t *textTable) figures(policies []Summary) {
	if len(policies) == 0 {
		return
	}
	t.line()
	names := []string{left("", labelWidth)}
	for i, s := range policies {
		room := valueWidth
		if i > 0 {
			room += changeWidth
		}
		names = append(names, right(clip(s.Name, room-1), room))
	}
	t.line(names...)
	for _, g := range groups {
		rows := t.rows(g, policies)
		if len(rows) == 0 {
			continue
		}
		t.line(g.title)
		for _, cells := range rows {
			t.line(cells...)
		}
	}
	for _, s := range policies {
		if len(s.UnpricedModels) > 0 {
			t.line(s.Name, ": no cost, the price is unknown for ", strings.Join(s.UnpricedModels, ", "))
		}
	}
}

func (t *textTable) rows(g group, policies []Summary) [][]string {
	var rows [][]string
	for _, f := range g.figures {
		if !f.brief || !anyHas(f, policies) {
			continue
		}
		cells := []string{left("  "+f.title, labelWidth)}
		for i := range policies {
			cells = append(cells, right(cell(f, &policies[i]), valueWidth))
			cells = append(cells, left(changed(f, policies, i), changeWidth))
		}
		rows = append(rows, cells)
	}
	return rows
}

// anyHas reports whether a figure has a value for any policy.
func anyHas(f figure, policies []Summary) bool {
	for i := range policies {
		if _, ok := f.value(&policies[i]); ok {
			return true
		}
	}
	return false
}

// cell is a figure's value, or a dash where there is none.
func cell(f figure, s *Summary) string {
	v, ok := f.value(s)
	if !ok {
		return "–"
	}
	return f.unit.format(v)
}

// changed is how a policy's figure differs from that of the first, where a
// percentage says more than the two values: not for rates and shares.
func changed(f figure, policies []Summary, i int) string {
	if i == 0 || f.unit == unitShare || f.unit == unitWhole {
		return ""
	}
	base, ok := f.value(&policies[0])
	v, also := f.value(&policies[i])
	if !ok || !also {
		return ""
	}
	if c := change(base, v); c != "" {
		return " " + c
	}
	return ""
}

func (t *textTable) verdicts(policies []Summary) {
	if len(policies) < 2 {
		return
	}
	t.line()
	t.line("Against ", policies[0].Name)
	width := 0
	for _, s := range policies[1:] {
		width = max(width, min(utf8.RuneCountInString(s.Name), 18))
	}
	for _, s := range policies[1:] {
		t.line("  ", left(clip(s.Name, width), width+2), Verdict(policies[0], s))
	}
}

// banded are the figures whose spread over seeds a terminal shows.
var banded = [...]string{
	"rate_408", "rate_429", "truncated_rate", "goodput_rps", "completion_tokens_per_request", "call_e2e_ms.p99",
}

func (t *textTable) bands(policies []Summary) {
	const width = 18
	shown := false
	for _, s := range policies {
		if len(s.Bands) == 0 {
			continue
		}
		if !shown {
			shown = true
			t.line()
			t.line("Range over seeds")
			cells := []string{left("", 15)}
			for _, h := range []string{"408", "429", "truncated", "goodput/s", "tokens/call", "call p99"} {
				cells = append(cells, right(h, width-1))
			}
			t.line(cells...)
		}
		cells := []string{left("  "+clip(s.Name, 12), 15)}
		for _, key := range banded {
			cells = append(cells, right(formatBand(key, s.Bands), width-1))
		}
		t.line(cells...)
	}
}

// formatBand writes a band as low–high, once where both read the same.
func formatBand(key string, bands map[string]Band) string {
	b, ok := bands[key]
	f, known := figureOf(key)
	if !ok || !known {
		return "–"
	}
	low, high := f.unit.format(b.Low), f.unit.format(b.High)
	if low == high {
		return low
	}
	if l, unit, ok := strings.Cut(low, " "); ok && strings.HasSuffix(high, " "+unit) {
		low = l
	} else if strings.HasSuffix(high, "%") {
		low = strings.TrimSuffix(low, "%")
	}
	return low + "–" + high
}

// figureOf finds a figure by its key.
func figureOf(key string) (figure, bool) {
	for _, g := range groups {
		for _, f := range g.figures {
			if f.key == key {
				return f, true
			}
		}
	}
	return figure{}, false
}

// depths writes 408 and 429 of each policy at each depth of the PTU meter.
func (t *textTable) depths(depths []Depth) {
	if len(depths) == 0 {
		return
	}
	const nameWidth = 18
	t.line()
	t.line("Depth of the PTU meter, which Azure does not publish: 408 / 429 of tries")
	for from := 0; from < len(depths[0].Policies); from += perBlock {
		head := []string{left("  depth", 8)}
		for _, p := range depths[0].from(from) {
			head = append(head, right(clip(p.Name, nameWidth-1), nameWidth))
		}
		t.line(head...)
		for _, d := range depths {
			cells := []string{left("  "+formatValue(d.Seconds)+" s", 8)}
			for _, p := range d.from(from) {
				cells = append(cells, right(numeral.Share(p.Rate408)+" / "+numeral.Share(p.Rate429), nameWidth))
			}
			t.line(cells...)
		}
	}
}

// from returns as many policies as fit side by side, from the i-th on.
func (d Depth) from(i int) []DepthPolicy {
	return d.Policies[min(i, len(d.Policies)):min(i+perBlock, len(d.Policies))]
}

// sweep writes the frontiers, one line for each value.
func (t *textTable) sweep(points []Point) {
	parameter := ""
	for _, p := range points {
		if p.Parameter != parameter {
			parameter = p.Parameter
			t.line()
			t.line("Sweep of ", parameter)
			t.line(left("  value", 10), right("408", 11), right("429", 11), right("truncated", 12),
				right("tokens/call", 14), right("goodput/s", 13), right("USD/1,000", 13))
		}
		cost := "–"
		if p.CostUSDPer1K != nil {
			cost = unitUSD.format(*p.CostUSDPer1K)
		}
		t.line(left("  "+formatValue(p.Value), 10), right(numeral.Share(p.Rate408), 11), right(numeral.Share(p.Rate429), 11),
			right(numeral.Share(p.TruncatedRate), 12), right(unitTokens.format(p.CompletionTokensPerRequest), 14),
			right(unitRate.format(p.GoodputRPS), 13), right(cost, 13))
	}
}

// formatValue writes a parameter's value: a token cap with its commas, a
// quantile with the digits that it has.
func formatValue(v float64) string {
	if v >= 1 || v == 0 {
		return numeral.Whole(v)
	}
	return fmt.Sprintf("%.4g", v)
}

// left and right pad a text with blanks to a width in runes.
func left(s string, width int) string {
	return s + strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
}

func right(s string, width int) string {
	return strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0)) + s
}

// clip shortens a text to a width in runes.
func clip(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(width-1, 0)]) + "…"
}
