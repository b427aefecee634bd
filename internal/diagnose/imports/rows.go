package imports

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Cell is one value of a row, as text, under the name that the export gives.
type Cell struct{ Name, Value string }

// Rows reads an export and calls visit with every row: the table that it is of
// in Azure Monitor, and its values. Cells are valid until the next row. The
// time is TimeGenerated, in RFC 3339. It returns how many rows could not be
// read; a file in which most cannot is an error.
func Rows(ctx context.Context, path string, visit func(table string, cells []Cell) error) (bad int, err error) {
	f, err := openFile(path)
	if err != nil {
		return 0, err
	}
	defer f.src.close()
	if f.wide != nil {
		return 0, fmt.Errorf("%s is a chart, not a table: export the metric with az monitor metrics list, or the AzureMetrics table", path)
	}
	var cells []Cell
	n := 0
	err = f.read(f.src.Reader, func(r *row) error {
		if n++; n%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		at, err := f.clock.parse(r.values[colTime])
		if err != nil {
			return err
		}
		cells = append(cells[:0], Cell{"TimeGenerated", at.UTC().Format(time.RFC3339Nano)})
		table, more := f.cells(r, cells)
		cells = more
		return visit(table, cells)
	})
	if err != nil {
		return f.bad, f.broken(err)
	}
	return f.bad, f.refused()
}

// cells adds a row's values to cells, and names its table.
func (f *file) cells(r *row, cells []Cell) (string, []Cell) {
	name := f.table.name
	switch f.layout {
	case asMetrics:
		for c, title := range map[column]string{colMetric: "MetricName", colAverage: "Average", colMaximum: "Maximum", colResource: "Resource", colDeployment: "Deployment"} {
			cells = append(cells, Cell{title, r.values[c]})
		}
	case asObjects, asRecords:
		_ = members(r.object, func(name, value []byte) { // it was read before
			cells = f.nested(cells, string(name), value)
		})
		switch k, _ := f.kindOf(r); {
		case name == serviceTable && k == kindGateway:
			name = gatewayTable
		case name == serviceTable && k == kindLLM:
			name = llmTable
		}
	default:
		for i, value := range r.cells {
			if i < len(f.header) {
				cells = append(cells, Cell{f.header[i], f.decimal(value)})
			}
		}
	}
	if name == metricTable {
		name = "AzureMetrics"
	}
	return name, cells
}

// nested adds a member of an object: of a diagnostic setting's properties, the
// members of a gateway log are columns of their own.
func (f *file) nested(cells []Cell, name string, value []byte) []Cell {
	if len(value) > 0 && value[0] == '{' && (strings.EqualFold(name, "properties") || strings.EqualFold(name, "lastError")) {
		below := ""
		if strings.EqualFold(name, "lastError") {
			below = "lastError"
		} else {
			cells = append(cells, Cell{"properties_s", string(value)})
		}
		_ = members(value, func(name, value []byte) { cells = f.nested(cells, below+string(name), value) })
		return cells
	}
	return append(cells, Cell{name, text(value)})
}

// decimal writes a number that has a comma before its fraction with a point.
func (f *file) decimal(value string) string {
	if !f.semicolons() || strings.Count(value, ",") != 1 || strings.Trim(value, "-0123456789.,") != "" {
		return value
	}
	plain := strings.Replace(strings.ReplaceAll(value, ".", ""), ",", ".", 1)
	if _, err := strconv.ParseFloat(plain, 64); errors.Is(err, strconv.ErrSyntax) {
		return value
	}
	return plain
}
