package export

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/observe/store"
)

var update = flag.Bool("update", false, "write the files under deploy anew")

// The files under deploy are written from the columns of the store, so that
// none is forgotten.
func TestDeploy(t *testing.T) {
	for path, want := range map[string]string{
		"../../../deploy/data-explorer/records.kql": explorerScript(store.Columns()),
		"../../../deploy/clickhouse/records.sql":    clickHouseScript(store.Columns()),
	} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is not what the store's columns ask for: run make generate (%v)", path, err)
		}
	}
}

// attemptsOf are the columns of the request that each of its attempts has too.
var attemptsOf = []string{"caller", "tenant", "class", "model"}

// split tells the list of attempts from the other columns.
func split(columns []store.Column) (plain, attempts []store.Column) {
	for _, c := range columns {
		if c.Type == "list" {
			attempts = c.Elements
			continue
		}
		plain = append(plain, c)
	}
	return plain, attempts
}

const explorerHead = `// Spillway's records in Azure Data Explorer. Run this script in the database. It
// can be run again: it creates what is missing and keeps the records. It is
// generated from the columns of the store (make generate).
.execute database script with (ThrowOnErrors=true) <|
`

var explorerTypes = map[string]string{
	"timestamp": "datetime", "string": "string", "bool": "bool", "long": "long", "ms": "real", "double": "real", "list": "dynamic",
}

// explorerScript makes the table, its mapping, its policies and the function
// that stands for the table of attempts.
func explorerScript(columns []store.Column) string {
	type mapping struct {
		Column     string
		Properties map[string]string
	}
	var table []string
	var parquet []mapping
	for _, c := range columns {
		table = append(table, fmt.Sprintf("    ['%s']: %s", c.Name, explorerTypes[c.Type]))
		parquet = append(parquet, mapping{c.Name, map[string]string{"Path": "$." + c.Name}})
	}
	var lines []string
	for _, m := range parquet {
		var line bytes.Buffer
		e := json.NewEncoder(&line)
		_ = e.Encode(m)
		lines = append(lines, "    "+strings.TrimSpace(line.String()))
	}
	_, attempts := split(columns)
	var fields []string
	for _, c := range attempts {
		fields = append(fields, fmt.Sprintf("        ['%[1]s'] = to%[2]s(attempts['%[1]s'])", c.Name, explorerTypes[c.Type]))
	}
	commands := []string{
		"// One row is one request. A column that is new in a later version is added.\n" +
			".create-merge table requests (\n" + strings.Join(table, ",\n") + ")",
		"// Mapping of a segment's columns.\n" +
			".create-or-alter table requests ingestion parquet mapping \"requests_parquet\"\n```\n[\n" + strings.Join(lines, ",\n") + "\n]\n```",
		"// Retention of the records.\n.alter-merge table requests policy retention softdelete = 90d recoverability = enabled",
		"// One row is one attempt. Queries use it like a table.\n" +
			".create-or-alter function with (docstring = \"Attempts at deployments, from the records of Spillway\") attempts() {\n" +
			"    requests\n    | where attempt_count > 0\n" +
			"    | project request_id = id, request_time = ['time'], " + strings.Join(attemptsOf, ", ") + ", attempts\n" +
			"    | mv-expand with_itemindex = item attempts\n    | project\n        request_id, request_time, " + strings.Join(attemptsOf, ", ") +
			",\n        number = tolong(item) + 1,\n" + strings.Join(fields, ",\n") + "\n}",
	}
	return explorerHead + strings.Join(commands, "\n\n") + "\n"
}

const clickHouseHead = `-- Spillway's records in ClickHouse. Run this script in the database, with
--   clickhouse client --database D --queries-file records.sql
-- It can be run again, as after an update with new columns: it creates what is missing
-- and keeps the records. It is generated from the columns of the store (make generate).
-- On a cluster use ENGINE = ReplicatedMergeTree, which deduplicates by itself:
-- non_replicated_deduplication_window is for a single server.
`

var clickHouseTypes = map[string]string{
	"timestamp": "DateTime64(6, 'UTC')", "string": "LowCardinality(String)", "bool": "Bool", "long": "Int64", "ms": "Float64", "double": "Float64",
}

func clickHouseType(c store.Column) string {
	switch {
	case c.Name == "id", c.Name == "upstream_request_id":
		return "String" // no two are alike
	case c.Null:
		return "Nullable(" + clickHouseTypes[c.Type] + ")"
	}
	return clickHouseTypes[c.Type]
}

// clickHouseScript makes the table and the view of attempts.
func clickHouseScript(columns []store.Column) string {
	plain, attempts := split(columns)
	var table, added, tuple, fields []string
	for _, c := range plain {
		column := fmt.Sprintf("`%s` %s", c.Name, clickHouseType(c))
		table = append(table, "    "+column)
		added = append(added, "    ADD COLUMN IF NOT EXISTS "+column)
	}
	for _, c := range attempts {
		tuple = append(tuple, fmt.Sprintf("        `%s` %s", c.Name, clickHouseType(c)))
		fields = append(fields, fmt.Sprintf("    attempt.%[1]s AS `%[1]s`", c.Name))
	}
	list := "`attempts` Array(Tuple(\n" + strings.Join(tuple, ",\n") + "))"
	table, added = append(table, "    "+list), append(added, "    MODIFY COLUMN "+list)
	return clickHouseHead + "\nCREATE TABLE IF NOT EXISTS requests\n(\n" + strings.Join(table, ",\n") + "\n)\n" +
		"ENGINE = MergeTree\nPARTITION BY toYYYYMM(time)\nORDER BY (time, id)\nTTL toDateTime(time) + INTERVAL 90 DAY\n" +
		"SETTINGS non_replicated_deduplication_window = 10000;\n\n" +
		"-- Columns that a table of an earlier version lacks.\nALTER TABLE requests\n" + strings.Join(added, ",\n") + ";\n\n" +
		"CREATE OR REPLACE VIEW attempts AS\nSELECT\n    id AS request_id,\n    time AS request_time,\n    " + strings.Join(attemptsOf, ",\n    ") +
		",\n    number,\n" + strings.Join(fields, ",\n") + "\nFROM requests\nARRAY JOIN attempts AS attempt, arrayEnumerate(attempts) AS number;\n"
}
