package answer

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

// WriteText writes the answer for a terminal of that many columns; 0 does not
// bound it. A chart that the query asks for stands above the table.
func (a Answer) WriteText(w io.Writer, width int) error {
	out := bufio.NewWriter(w)
	if a.Render.Title != "" {
		fmt.Fprintf(out, "%s\n\n", a.Render.Title)
	}
	most := len(a.Rows)
	if a.chart(out, width) {
		fmt.Fprintln(out)
		most = min(most, rowsBesideChart)
	}
	a.table(out, width, most)
	return out.Flush()
}

// separator stands between columns.
const separator = "  "

// rowsBesideChart are the rows of the table below a chart.
const rowsBesideChart = 40

// table writes so many rows, the first ones.
func (a Answer) table(w io.Writer, width, most int) {
	cells := make([][]string, 0, len(a.Rows)+1)
	head := make([]string, len(a.Columns))
	for i, c := range a.Columns {
		head[i] = c.Name
	}
	cells = append(cells, head)
	for _, row := range a.Rows[:most] {
		line := make([]string, len(row))
		for i, v := range row {
			line[i] = short(v, a.Columns[i])
		}
		cells = append(cells, line)
	}
	if widths, fits := fit(cells, a.Columns, width); fits {
		writeTable(w, a.Columns, cells, widths)
	} else {
		writeRows(w, cells, width)
	}
	if len(a.Rows) == 1 {
		fmt.Fprintln(w, "1 row")
		return
	}
	if most < len(a.Rows) {
		fmt.Fprintf(w, "%d rows; showing the first %d, use --format csv for all\n", len(a.Rows), most)
		return
	}
	fmt.Fprintf(w, "%d rows\n", len(a.Rows))
}

func writeTable(w io.Writer, columns []kql.Column, cells [][]string, widths []int) {
	for n, line := range cells {
		writeLine(w, columns, line, widths)
		if n == 0 {
			rule := make([]string, len(widths))
			for i, size := range widths {
				rule[i] = strings.Repeat("─", size)
			}
			fmt.Fprintln(w, strings.Join(rule, separator))
		}
	}
}

// writeRows writes each row as a block of lines, one for each value that there
// is: for rows that are wider than the terminal.
func writeRows(w io.Writer, cells [][]string, width int) {
	head := cells[0]
	names := 0
	for _, name := range head {
		names = max(names, utf8.RuneCountInString(name))
	}
	for n, line := range cells[1:] {
		fmt.Fprintf(w, "── row %d\n", n+1)
		for i, text := range line {
			if text != "" {
				fmt.Fprintf(w, "%-*s%s%s\n", names, head[i], separator, cut(text, max(width-names-len(separator), textLeast)))
			}
		}
	}
}

func writeLine(w io.Writer, columns []kql.Column, line []string, widths []int) {
	var b strings.Builder
	for i, text := range line {
		if i > 0 {
			b.WriteString(separator)
		}
		text = cut(text, widths[i])
		room := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
		if t := columns[i].Type; t == kql.Long || t == kql.Real || t == kql.Timespan {
			text = room + text
		} else {
			text += room
		}
		b.WriteString(text)
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}

// textLeast is how narrow a column of text may get.
const textLeast = 12

// fit takes from the widest columns of text until all fit, if they do: a number
// or a time that is cut is another one. A width of 0 is none.
func fit(cells [][]string, columns []kql.Column, width int) (widths []int, fits bool) {
	widths = make([]int, len(columns))
	total := len(separator) * (len(widths) - 1)
	for i := range widths {
		for _, line := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(line[i]))
		}
		total += widths[i]
	}
	for ; width > 0 && total > width; total-- {
		widest := -1
		for i, c := range columns {
			if (c.Type == kql.String || c.Type == kql.Dynamic) && widths[i] > textLeast && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return widths, false
		}
		widths[widest]--
	}
	return widths, true
}

// cut shortens a text to so many characters.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width-1, 0)]) + "…"
}
