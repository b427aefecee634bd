package answer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/chart"
	"github.com/spillway-ai/spillway/internal/observe/kql"
)

// series is one line or bar group of a chart.
type series struct {
	name   string
	column string // that the values are of
	points []point
}

// point is a value at an instant (of a timechart, in seconds) or a label.
type point struct {
	at    float64
	label string
	value float64
}

// seriesOf sorts the values into series: one for each numeric column and each
// combination of the texts beside it. Of a timechart the first datetime is the
// axis, of bars the texts and datetimes are the labels.
func (a Answer) seriesOf() []series {
	timed := a.timed()
	axis := slices.IndexFunc(a.Columns, func(c kql.Column) bool { return c.Type == kql.Datetime })
	if timed && axis < 0 {
		return nil
	}
	labeled := slices.ContainsFunc(a.Columns, func(c kql.Column) bool { return labels(c, timed) })
	values := 0
	for i, c := range a.Columns {
		if a.draws(c) && (timed || labeled || i > 0) {
			values++
		}
	}
	var all []series
	index := map[string]int{}
	for _, row := range a.Rows {
		var words []string
		for i, c := range a.Columns {
			if labels(c, timed) || !timed && !labeled && i == 0 {
				words = append(words, cmp.Or(short(row[i], c), "(empty)"))
			}
		}
		label := strings.Join(words, ", ")
		p := point{label: label}
		if n, ok := row[0].(json.Number); ok && !timed && !labeled {
			p.at, _ = n.Float64()
		}
		if timed {
			at, err := time.Parse(time.RFC3339Nano, exact(row[axis]))
			if err != nil {
				continue
			}
			p.at = float64(at.UnixMicro()) / 1e6
		}
		for i, c := range a.Columns {
			n, ok := row[i].(json.Number)
			if !a.draws(c) || !ok || !timed && !labeled && i == 0 {
				continue
			}
			p.value, _ = n.Float64()
			name := c.Name
			if timed && label != "" {
				if name = label; values > 1 {
					name = label + " " + c.Name
				}
			}
			if _, ok := index[name]; !ok {
				index[name] = len(all)
				all = append(all, series{name: name, column: c.Name})
			}
			s := &all[index[name]]
			s.points = append(s.points, p)
		}
	}
	for _, s := range all {
		switch {
		case timed, !labeled: // the axis is a time or a number
			slices.SortStableFunc(s.points, func(a, b point) int { return cmp.Compare(a.at, b.at) })
		case a.Columns[slices.IndexFunc(a.Columns, func(c kql.Column) bool { return labels(c, timed) })].Type == kql.Datetime:
			slices.SortStableFunc(s.points, func(a, b point) int { return cmp.Compare(a.label, b.label) })
		}
	}
	return all
}

// largest are the series that a chart has room for, and how many it has not:
// those with the least in all.
func largest(all []series) (shown []series, more int) {
	if len(all) <= maxSeries {
		return all, 0
	}
	sum := func(s series) (total float64) {
		for _, p := range s.points {
			total += p.value
		}
		return total
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b series) int { return cmp.Compare(sum(b), sum(a)) })
	return all[:maxSeries], len(all) - maxSeries
}

// groups are the series that share a scale: those of one column, or all of
// the columns that the query chose.
func (a Answer) groups(all []series) [][]series {
	if len(a.Render.YColumns) > 0 {
		return [][]series{all}
	}
	return byColumn(all)
}

// byColumn groups series of one column: they share a scale.
func byColumn(all []series) [][]series {
	var groups [][]series
	for _, s := range all {
		i := slices.IndexFunc(groups, func(g []series) bool { return g[0].column == s.column })
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], s)
	}
	return groups
}

func drawn(c kql.Column) bool { return c.Type == kql.Long || c.Type == kql.Real }

// draws reports whether the values of a column are drawn.
func (a Answer) draws(c kql.Column) bool {
	return drawn(c) && (len(a.Render.YColumns) == 0 || slices.Contains(a.Render.YColumns, c.Name))
}

// labels reports whether a column's values name what is drawn.
func labels(c kql.Column, timed bool) bool {
	return c.Type == kql.String || c.Type == kql.Bool || c.Type == kql.Datetime && !timed
}

// maxSeries bounds what a chart shows.
const maxSeries = 12

// chart draws what the query asks for, and reports whether it drew.
func (a Answer) chart(w io.Writer, width int) bool {
	if a.undrawn() {
		return false
	}
	a = a.unrolled()
	all := a.seriesOf()
	if len(all) == 0 {
		return false
	}
	if width <= 0 {
		width = 80
	}
	all, more := largest(all)
	if a.timed() {
		timechart(w, a.groups(all), width)
	} else {
		bars(w, all, width, a.Render.Kind == "piechart")
	}
	if more > 0 {
		fmt.Fprintf(w, "and %d smaller series\n", more)
	}
	return true
}

// eighths are blocks of one to eight eighths.
var eighths = [...]string{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}

// timechart draws each series as an area below its name, all on one axis and
// those of one column on one scale. A point is as wide as the least distance
// between two; of those that share a place the highest is drawn.
func timechart(w io.Writer, groups [][]series, width int) {
	all := slices.Concat(groups...)
	from, to, _ := bounds(all)
	height := 8
	if len(all) > 1 {
		height = max(2, 8/len(all))
	}
	step := leastStep(all)
	scale := 1.0
	if to+step > from {
		scale = float64(width) / (to + step - from)
	}
	for _, group := range groups {
		_, _, most := bounds(group)
		for _, s := range group {
			peaks := make([]float64, width)
			highest := math.Inf(-1)
			for _, p := range s.points {
				first := min(int((p.at-from)*scale), width-1)
				last := min(max(int((p.at+step-from)*scale)-1, first), width-1)
				for x := first; x <= last; x++ {
					peaks[x] = max(peaks[x], p.value)
				}
				highest = max(highest, p.value)
			}
			fmt.Fprintln(w, cut(fmt.Sprintf("%s  (max %s)", s.name, grouped(highest)), width))
			area(w, peaks, most, height)
		}
	}
	fmt.Fprintln(w, axis(from, to, to+step-from, width))
}

// axis is the line of times below a chart: the first instant, round ones while
// there is room, and the last.
func axis(from, to, length float64, width int) string {
	start, end := instantText(from), instantText(to)
	line := []rune(start + strings.Repeat(" ", max(1, width-len(start)-len(end))) + end)
	if length <= 0 {
		return string(line)
	}
	instants, layout := chart.Instants(from, to, 8)
	for _, at := range instants {
		text := "┬" + instant(at).Format(layout)
		x := int((at - from) / length * float64(width))
		if x <= len(start) || x+len(text) > width-len(end)-1 || strings.TrimSpace(string(line[x-1:x+len(text)])) != "" {
			continue
		}
		copy(line[x:], []rune(text))
	}
	return string(line)
}

// area fills the space below the peaks; what is above zero shows.
func area(w io.Writer, peaks []float64, most float64, height int) {
	for row := height - 1; row >= 0; row-- {
		var b strings.Builder
		for _, v := range peaks {
			level := v/most*float64(8*height) - float64(8*row)
			if v > 0 && row == 0 {
				level = max(level, 1)
			}
			b.WriteString(eighths[int(min(max(math.Round(level), 0), 8))])
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// leastStep is the least distance between two instants, in seconds; 0 without.
func leastStep(all []series) float64 {
	var instants []float64
	for _, s := range all {
		for _, p := range s.points {
			instants = append(instants, p.at)
		}
	}
	slices.Sort(instants)
	step := 0.0
	for i := 1; i < len(instants); i++ {
		if d := instants[i] - instants[i-1]; d > 0 && (step == 0 || d < step) {
			step = d
		}
	}
	return step
}

// bounds are the ends of the axis and the highest value, at least a little
// above zero.
func bounds(all []series) (from, to, most float64) {
	from, to, most = math.Inf(1), math.Inf(-1), math.SmallestNonzeroFloat32
	for _, s := range all {
		for _, p := range s.points {
			from, to, most = min(from, p.at), max(to, p.at), max(most, p.value)
		}
	}
	return from, to, most
}

func instantText(seconds float64) string {
	return time.UnixMicro(int64(seconds * 1e6)).UTC().Format("2006-01-02 15:04:05Z")
}

// maxBars bounds the bars of one series.
const maxBars = 50

// bars draws a bar for each label, from left to right, with its share of them
// all where that is wanted.
func bars(w io.Writer, all []series, width int, shares bool) {
	for _, s := range all {
		_, _, most := bounds([]series{s})
		fmt.Fprintln(w, cut(s.name, width))
		room := 0
		shown := s.points[:min(len(s.points), maxBars)]
		for _, p := range shown {
			room = max(room, len([]rune(p.label)))
		}
		room = min(room, width/2)
		for _, p := range shown {
			label := cut(p.label, room)
			pad := strings.Repeat(" ", room-len([]rune(label)))
			cells := max(p.value, 0) / most * float64(max(width-room-14, 8))
			whole := int(cells)
			bar := strings.Repeat("█", whole) + [...]string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}[int((cells-float64(whole))*8)]
			fmt.Fprintf(w, "%s%s │%s %s%s\n", label, pad, bar, number(p.value), s.share(p, shares))
		}
		if more := len(s.points) - len(shown); more > 0 {
			fmt.Fprintf(w, "and %d more\n", more)
		}
	}
}
