package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

// opinion is what Microsoft's parser makes of a query.
type opinion struct {
	Problems []string
	Columns  []string // name:type
}

// schemas are those of the store's tables.
func schemas() map[string]string {
	types := map[kql.Type]string{kql.Bool: "bool", kql.Long: "long", kql.Real: "real", kql.String: "string", kql.Datetime: "datetime"}
	tables := map[string]string{}
	for _, table := range kql.Records() {
		var columns []string
		for _, c := range table.Columns {
			columns = append(columns, "['"+c.Name+"']: "+types[c.Type])
		}
		tables[table.Name] = "(" + strings.Join(columns, ", ") + ")"
	}
	return tables
}

// kusto is a program of testdata/kusto, which holds Microsoft's parser. It runs
// in the Node.js that scripts/setup.sh found or installed.
func kusto(t *testing.T, program string) *exec.Cmd {
	t.Helper()
	node, err := filepath.Abs("../.cache/bin/node")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, program)
	cmd.Dir = "testdata/kusto"
	return cmd
}

// official is what Microsoft's parser makes of each query on tables.
func official(t *testing.T, tables map[string]string, queries []string) []opinion {
	t.Helper()
	in, err := json.Marshal(map[string]any{"tables": tables, "queries": queries})
	if err != nil {
		t.Fatal(err)
	}
	node := kusto(t, "check.js")
	node.Stdin = bytes.NewReader(in)
	out, err := node.Output()
	if err != nil {
		t.Fatalf("running Microsoft's parser (make setup installs it): %v", err)
	}
	var opinions []opinion
	if err := json.Unmarshal(out, &opinions); err != nil || len(opinions) != len(queries) {
		t.Fatalf("%d queries got %d answers: %v", len(queries), len(opinions), err)
	}
	return opinions
}

// The shipped queries are right in the eyes of Microsoft's own parser, which
// does find what is wrong.
func TestShippedQueriesAreKusto(t *testing.T) {
	files, err := filepath.Glob("../queries/*.kql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	queries := []string{"requests | where outcom == 'timeout' | count"}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		queries = append(queries, string(text))
	}
	opinions := official(t, schemas(), queries)
	if p := opinions[0].Problems; len(p) != 1 || !strings.Contains(p[0], "outcom") {
		t.Fatalf("the parser has this to say of an unknown column: %q", p)
	}
	for i, file := range files {
		for _, p := range opinions[i+1].Problems {
			t.Errorf("%s: %s", filepath.Base(file), p)
		}
		if ours, theirs := headed(t, queries[i+1]), opinions[i+1].Columns; !slices.Equal(ours, theirs) {
			t.Errorf("%s\nhas here  %s\nand there %s", filepath.Base(file), ours, theirs)
		}
	}
}

// The queries that docs/IMPORT.md has people run in Azure are right on Azure's
// tables.
func TestImportQueriesAreKusto(t *testing.T) {
	text, err := os.ReadFile("../docs/IMPORT.md")
	if err != nil {
		t.Fatal(err)
	}
	var queries []string
	for _, m := range regexp.MustCompile("(?s)```kusto\n(.*?)```").FindAllSubmatch(text, -1) {
		queries = append(queries, string(m[1]))
	}
	if len(queries) != 3 {
		t.Fatalf("%d queries, want 3", len(queries))
	}
	for i, o := range official(t, map[string]string{
		"ApiManagementGatewayLogs": `(TimeGenerated:datetime, CorrelationId:string, ResponseCode:int, TotalTime:long, BackendResponseCode:int, BackendTime:long,
			BackendId:string, BackendUrl:string, Url:string, ApimSubscriptionId:string, LastErrorReason:string, RequestHeaders:dynamic,
			BackendResponseHeaders:dynamic, BackendRequestBody:string, RequestBody:string)`,
		"ApiManagementGatewayLlmLog": `(TimeGenerated:datetime, CorrelationId:string, PromptTokens:int, CompletionTokens:int, DeploymentName:string,
			ModelName:string, IsStreamCompletion:bool, SequenceNumber:int)`,
		"AzureDiagnostics": `(TimeGenerated:datetime, CorrelationId:string, Category:string, ResourceProvider:string, OperationName:string,
			ResultSignature:string, DurationMs:long, Resource:string, CallerIPAddress:string, properties_s:string)`,
	}, queries) {
		if len(o.Problems) > 0 {
			t.Errorf("%s\n%v", queries[i], o.Problems)
		}
	}
}

// headed are the columns of a query's answer as name:type.
func headed(t *testing.T, query string) []string {
	t.Helper()
	q, err := kql.Translate(instant, query, kql.Records())
	if err != nil {
		t.Fatalf("%s\n%v", query, err)
	}
	all := make([]string, len(q.Columns))
	for i, c := range q.Columns {
		all[i] = c.Name + ":" + c.Type.String()
	}
	return all
}
