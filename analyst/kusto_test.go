package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/kql"
)

// records are the schemas of the store's tables.
func records() map[string]string {
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

// official is what Microsoft's parser finds wrong with each query on tables.
func official(t *testing.T, tables map[string]string, queries []string) [][]string {
	t.Helper()
	in, err := json.Marshal(map[string]any{"tables": tables, "queries": queries})
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "check.js")
	node.Dir = "testdata/kusto"
	node.Stdin = bytes.NewReader(in)
	out, err := node.Output()
	if err != nil {
		t.Fatalf("running Microsoft's parser (make setup installs it): %v", err)
	}
	var problems [][]string
	if err := json.Unmarshal(out, &problems); err != nil || len(problems) != len(queries) {
		t.Fatalf("%d queries got %d answers: %v", len(queries), len(problems), err)
	}
	return problems
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
	problems := official(t, records(), queries)
	if len(problems[0]) != 1 || !strings.Contains(problems[0][0], "outcom") {
		t.Fatalf("the parser has this to say of an unknown column: %q", problems[0])
	}
	for i, file := range files {
		for _, p := range problems[i+1] {
			t.Errorf("%s: %s", filepath.Base(file), p)
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
	for i, problems := range official(t, map[string]string{
		"ApiManagementGatewayLogs": `(TimeGenerated:datetime, CorrelationId:string, ResponseCode:int, TotalTime:long, BackendResponseCode:int, BackendTime:long,
			BackendId:string, BackendUrl:string, Url:string, ApimSubscriptionId:string, LastErrorReason:string, RequestHeaders:dynamic,
			BackendResponseHeaders:dynamic, BackendRequestBody:string, RequestBody:string)`,
		"ApiManagementGatewayLlmLog": `(TimeGenerated:datetime, CorrelationId:string, PromptTokens:int, CompletionTokens:int, DeploymentName:string,
			ModelName:string, IsStreamCompletion:bool, SequenceNumber:int)`,
		"AzureDiagnostics": `(TimeGenerated:datetime, CorrelationId:string, Category:string, ResourceProvider:string, OperationName:string,
			ResultSignature:string, DurationMs:long, Resource:string, CallerIPAddress:string, properties_s:string)`,
	}, queries) {
		if len(problems) > 0 {
			t.Errorf("%s\n%v", queries[i], problems)
		}
	}
}
