package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

// The table and the function that are shipped for Azure Data Explorer are
// right in the eyes of Microsoft's parser, and have the columns that the
// shipped queries are written for.
func TestDataExplorerScript(t *testing.T) {
	text, err := os.ReadFile("../deploy/data-explorer/records.kql")
	if err != nil {
		t.Fatal(err)
	}
	_, script, found := strings.Cut(string(text), "<|\n")
	if !found {
		t.Fatal("the script is not one")
	}
	commands := strings.Split(strings.TrimSpace(script), "\n\n")
	create := regexp.MustCompile(`(?s)\.create-merge table requests (\(.*?\n?\))`).FindStringSubmatch(script)
	function := regexp.MustCompile(`(?s)attempts\(\) \{\n(.*)\n\}`).FindStringSubmatch(script)
	if create == nil || function == nil {
		t.Fatal("there is no table or no function")
	}
	columns := regexp.MustCompile(`\['(\w+)'\]: (\w+)`).FindAllStringSubmatch(create[1], -1)
	var got []string
	for _, c := range columns {
		if c[1] != "attempts" { // the queries use the function
			got = append(got, c[1]+":"+c[2])
		}
	}
	tables := kql.Records()
	if want := columnsIn(tables[0]); !slices.Equal(got, want) {
		t.Errorf("the table has\n%q, want\n%q", got, want)
	}
	problems, answer := parse(t, create[1], append(commands, ".create-merge tabl x"), function[1])
	for i, found := range problems {
		if wrong := i == len(commands); wrong != (len(found) > 0) {
			t.Errorf("the parser finds %q", found)
		}
	}
	if want := columnsIn(tables[1]); !slices.Equal(answer, want) {
		t.Errorf("the function has\n%q, want\n%q", answer, want)
	}
}

func columnsIn(table kql.Table) (all []string) {
	types := map[kql.Type]string{kql.Bool: "bool", kql.Long: "long", kql.Real: "real", kql.String: "string", kql.Datetime: "datetime"}
	for _, c := range table.Columns {
		all = append(all, c.Name+":"+types[c.Type])
	}
	return all
}

// parse asks Microsoft's parser about commands and a query.
func parse(t *testing.T, table string, commands []string, query string) (problems [][]string, columns []string) {
	t.Helper()
	in, err := json.Marshal(map[string]any{"table": table, "commands": commands, "query": query})
	if err != nil {
		t.Fatal(err)
	}
	node := kusto(t, "columns.js")
	node.Stdin = bytes.NewReader(in)
	out, err := node.Output()
	if err != nil {
		t.Fatalf("running Microsoft's parser (make setup installs it): %v", err)
	}
	var answer struct {
		Problems [][]string
		Columns  []string
	}
	if err := json.Unmarshal(out, &answer); err != nil || len(answer.Problems) != len(commands)+1 {
		t.Fatalf("%v: %s", err, out)
	}
	return answer.Problems, answer.Columns
}
