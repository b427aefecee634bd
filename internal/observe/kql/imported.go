package kql

import "strings"

// Imported is one of Azure's tables as an export has it: its own columns, and
// those of the export that it lacks, which are text unless their name ends as
// AzureDiagnostics marks another type.
func Imported(table string, names []string) Table {
	t := Table{Name: table, Time: "TimeGenerated"}
	known := map[string]bool{}
	for _, one := range Azure() {
		if one.Name == table {
			t.Columns = append(t.Columns, one.Columns...)
		}
	}
	for _, col := range t.Columns {
		known[strings.ToLower(col.Name)] = true
	}
	for _, name := range names {
		if known[strings.ToLower(name)] || len(t.Columns) >= maxColumns-10 {
			continue
		}
		known[strings.ToLower(name)] = true
		typ := String
		if i := len(name) - 2; i > 0 && name[i] == '_' {
			if marked, ok := map[byte]Type{'d': Real, 'b': Bool, 't': Datetime}[name[i+1]]; ok {
				typ = marked
			}
		}
		t.Columns = append(t.Columns, Column{name, typ})
	}
	return t
}

// ImportedName is what a column of an export is called in Azure's table: it may
// be written in another case, with a time zone, or as a diagnostic setting
// writes it.
func ImportedName(table, name string) string {
	name = strings.TrimSpace(name)
	for _, zone := range []string{" [", " ("} {
		if i := strings.Index(name, zone); i > 0 {
			name = name[:i]
		}
	}
	if other, ok := map[string]string{"time": "TimeGenerated", "timestamp": "TimeGenerated", "properties": "properties_s", "durationms_d": "DurationMs"}[strings.ToLower(name)]; ok {
		return other
	}
	for _, t := range Azure() {
		for _, col := range t.Columns {
			if t.Name == table && strings.EqualFold(col.Name, name) {
				return col.Name
			}
		}
	}
	return name
}

// JSONView is the SQL that reads the table from a file with a JSON object of
// texts on each line.
func (t Table) JSONView(path string) string {
	fields, list := make([]string, len(t.Columns)), make([]string, len(t.Columns))
	for i, col := range t.Columns {
		name := quote(col.Name)
		fields[i] = quoteString(col.Name) + ": 'VARCHAR'"
		text := "nullif(" + name + ", '')"
		switch col.Type {
		case String, Dynamic:
			list[i] = name
		case Datetime:
			list[i] = "TRY_CAST(" + text + " AS TIMESTAMPTZ) AS " + name
		case Long, Timespan:
			list[i] = "TRY_CAST(TRY_CAST(" + text + " AS DECIMAL(38, 6)) AS BIGINT) AS " + name
		default:
			list[i] = "TRY_CAST(" + text + " AS " + sqlTypes[col.Type] + ") AS " + name
		}
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM read_json(" + quoteString(path) + ", format = 'newline_delimited', columns = {" + strings.Join(fields, ", ") + "})"
}
