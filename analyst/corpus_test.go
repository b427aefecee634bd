package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/kql"
	"github.com/spillway-ai/spillway/internal/observe/kql/answer"
)

// gatewayRow, tokenRow and serviceRow are rows of Azure's tables as the tests
// know them: answers are computed from these in Go.
type gatewayRow struct {
	at                                    time.Time
	id, api, caller, backend, reason, url string
	code, backendCode                     int // backendCode 0: no backend was asked
	total, backendTime, size              int
	retries, attempts                     int
	address                               string
}

type tokenRow struct {
	at                    time.Time
	id, model, deployment string
	prompt, completion    int
	stream                bool
}

type serviceRow struct {
	at                                             time.Time
	id, resource, operation, code, address, stream string
	took                                           int
}

// monday is when the rows begin; it is a Sunday.
var begin = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func gatewayRows() []gatewayRow {
	all := make([]gatewayRow, 0, 120)
	for i := range 120 {
		r := gatewayRow{
			at: begin.Add(time.Duration(i)*time.Minute + time.Duration(i*7%60)*time.Second), id: fmt.Sprintf("call-%03d", i),
			api: []string{"chat", "chat", "embed"}[i%3], caller: []string{"team-a", "team-b", "team-b", "team-c", "guest"}[i%5],
			backend: []string{"ptu-east", "std-west"}[i/2%2], code: 200, backendCode: 200, total: 200 + i*37%2900, size: 1000 + i*13%700,
			retries: i % 4 / 3, attempts: 1 + i%6/5, address: fmt.Sprintf("10.%d.0.%d", i%2, i%9),
		}
		switch {
		case i%11 == 3:
			r.code, r.backendCode, r.reason, r.total = 429, 429, "BackendThrottled", 15
		case i%17 == 5:
			r.code, r.backendCode, r.reason, r.backend = 408, 0, "Timeout", ""
		case i%29 == 7:
			r.code, r.backendCode, r.reason = 503, 502, "BackendConnectionFailure"
		}
		if r.backendCode != 0 {
			r.backendTime = r.total - 10
		}
		r.url = fmt.Sprintf("https://apim.example/openai/deployments/gpt-%d/chat/completions?api-version=2024-10-2%d", i%2, i%3)
		all = append(all, r)
	}
	return all
}

func tokenRows() []tokenRow {
	var all []tokenRow
	for i, g := range gatewayRows() {
		if g.code != 200 || i%13 == 1 {
			continue
		}
		all = append(all, tokenRow{g.at, g.id, []string{"gpt-4o", "gpt-4o-mini-2024-07-18"}[i%2], []string{"gpt-0", "gpt-1"}[i%2], 100 + i*29%1900, 20 + i*17%600, i%4 == 0})
	}
	return all
}

func serviceRows() []serviceRow {
	var all []serviceRow
	for i, g := range gatewayRows() {
		if i%2 == 0 || g.backendCode == 0 {
			continue
		}
		all = append(all, serviceRow{
			g.at, g.id, []string{"AOAI-EAST", "AOAI-WEST"}[i/2%2], []string{"ChatCompletions_Create", "Embeddings_Create"}[i%3/2],
			fmt.Sprint(g.backendCode), g.address, []string{"Streaming", "Non-Streaming"}[i%5%2], g.total - 10,
		})
	}
	return all
}

// azureTables are the rows as an import writes them: objects of texts.
func azureTables() map[string][]map[string]string {
	stamp := func(t time.Time) string { return t.Format(time.RFC3339) }
	tables := map[string][]map[string]string{}
	for _, r := range gatewayRows() {
		row := map[string]string{
			"TimeGenerated": stamp(r.at), "CorrelationId": r.id, "ApiId": r.api, "ApimSubscriptionId": r.caller, "BackendId": r.backend, "LastErrorReason": r.reason, "Url": r.url,
			"ResponseCode": fmt.Sprint(r.code), "TotalTime": fmt.Sprint(r.total), "RequestSize": fmt.Sprint(r.size), "ResponseSize": fmt.Sprint(2 * r.size), "CallerIpAddress": r.address,
			"IsRequestSuccess": fmt.Sprint(r.code < 400), "Cache": []string{"hit", "miss"}[r.size%2], "Method": "POST", "OperationId": r.api, "_ResourceId": "/apim/one", "ClientTlsVersion": "1.3",
			"RequestHeaders": fmt.Sprintf(`{"x-stainless-retry-count":"%d"}`, r.retries), "ResponseHeaders": fmt.Sprintf(`{"x-ratelimit-remaining-tokens":"%d"}`, 5000-r.size),
		}
		var trace []string
		for n := range r.attempts {
			trace = append(trace, fmt.Sprintf(`{"source":"attempt","metadata":{"attempt":%d,"code":%d}}`, n+1, r.backendCode))
		}
		trace = append(trace, fmt.Sprintf(`{"source":"who","metadata":{"name":"%s"}}`, strings.ToUpper(r.caller)))
		row["TraceRecords"] = "[" + strings.Join(trace, ",") + "]"
		if r.backendCode != 0 {
			row["BackendResponseCode"], row["BackendTime"], row["BackendUrl"] = fmt.Sprint(r.backendCode), fmt.Sprint(r.backendTime), "https://"+r.backend+".example/openai"
		}
		if r.code == 200 {
			row["ResponseBody"] = fmt.Sprintf(`{"model":"gpt-4o","usage":{"prompt_tokens":%d,"total_tokens":%d}}`, r.size, r.size+10)
		}
		if r.code == 429 {
			row["LastErrorMessage"] = fmt.Sprintf("retry after %d seconds", r.size%50)
		}
		tables["ApiManagementGatewayLogs"] = append(tables["ApiManagementGatewayLogs"], row)
	}
	for _, r := range tokenRows() {
		tables["ApiManagementGatewayLlmLog"] = append(tables["ApiManagementGatewayLlmLog"], map[string]string{
			"TimeGenerated": stamp(r.at), "CorrelationId": r.id, "ModelName": r.model, "DeploymentName": r.deployment, "PromptTokens": fmt.Sprint(r.prompt), "CompletionTokens": fmt.Sprint(r.completion),
			"TotalTokens": fmt.Sprint(r.prompt + r.completion), "IsStreamCompletion": fmt.Sprint(r.stream), "SequenceNumber": "0",
			"RequestMessages": `[{"role":"user","content":"hi"}]`, "ResponseMessages": `[{"role":"assistant","content":"hello"}]`,
		})
	}
	for _, r := range serviceRows() {
		tables["AzureDiagnostics"] = append(tables["AzureDiagnostics"], map[string]string{
			"TimeGenerated": stamp(r.at), "CorrelationId": r.id, "Resource": r.resource, "OperationName": r.operation, "ResultSignature": r.code, "CallerIPAddress": r.address, "DurationMs": fmt.Sprint(r.took),
			"Category": "RequestResponse", "ResourceProvider": "MICROSOFT.COGNITIVESERVICES", "_ResourceId": "/aoai/" + r.resource, "location_s": "eastus", "_BilledSize": "512",
			"properties_s": fmt.Sprintf(`{"modelDeploymentName":"gpt","modelName":"gpt-4o","streamType":"%s","apiName":"Azure OpenAI API version 2024-10-21","requestLength":%d}`, r.stream, r.took),
		})
	}
	for i := range 24 {
		for _, metric := range []string{"AzureOpenAIRequests", "GeneratedTokens", "AzureOpenAIProvisionedManagedUtilizationV2"} {
			tables["AzureMetrics"] = append(tables["AzureMetrics"], map[string]string{
				"TimeGenerated": stamp(begin.Add(time.Duration(i) * 5 * time.Minute)), "MetricName": metric, "Total": fmt.Sprint(i * 10), "Count": "1", "Average": fmt.Sprint(i), "Maximum": fmt.Sprint(i + 1), "Minimum": "0",
				"UnitName": "Count", "Resource": "AOAI-EAST", "_ResourceId": "/subscriptions/x/deployments/gpt",
			})
		}
	}
	return tables
}

// imported opens the rows as spillway query --import does.
func imported(t *testing.T) (*sql.DB, []kql.Table) {
	t.Helper()
	dir := t.TempDir()
	o := options{dirs: dirs{dir}, memory: "1GB", threads: 1}
	var tables []kql.Table
	rows := azureTables()
	for _, table := range kql.Azure() {
		path := filepath.Join(dir, table.Name+".jsonl")
		var b bytes.Buffer
		for _, row := range rows[table.Name] {
			line, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(append(line, '\n'))
		}
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
		o.views = append(o.views, view{table.Name, table.JSONView(path)})
	}
	db, err := open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, tables
}

// resolve runs a query, as often as it needs names of columns, and returns its
// rows.
func resolve(t *testing.T, db *sql.DB, tables []kql.Table, query string) (kql.Query, answer.Answer, error) {
	t.Helper()
	var found [][]kql.Name
	for {
		q, err := kql.Translate(instant, query, tables, found...)
		if err != nil {
			return q, answer.Answer{}, err
		}
		text := q.SQL
		if q.Names != "" {
			text = q.Names
		}
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		if err := answerRows(t, db, text, w); err != nil {
			return q, answer.Answer{}, fmt.Errorf("%w\n%s", err, text)
		}
		if q.Names == "" {
			a, err := answer.Read(&out, q)
			return q, a, err
		}
		names, err := answer.ReadNames(&out)
		if err != nil || len(found) > 5 {
			return q, answer.Answer{}, fmt.Errorf("names of columns: %w", err)
		}
		found = append(found, names)
	}
}

func answerRows(t *testing.T, db *sql.DB, text string, w *bufio.Writer) error {
	t.Helper()
	if err := answerSQL(t.Context(), db, text, w); err != nil {
		return err
	}
	return w.Flush()
}

// corpus are the queries of testdata/corpus.txt.
func corpus(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// TestCorpus runs queries as people write them: at least 150, of which at least
// 95% must have an answer. Those that are right in the eyes of Microsoft's
// parser must be right here, with the same columns.
func TestCorpus(t *testing.T) {
	db, tables := imported(t)
	queries := corpus(t)
	if len(queries) < 150 {
		t.Fatalf("%d queries", len(queries))
	}
	opinions := official(t, azureSchemas(), queries)
	ran := 0
	for i, query := range queries {
		q, a, err := resolve(t, db, tables, query)
		valid := len(opinions[i].Problems) == 0
		switch {
		case err != nil && valid:
			t.Errorf("%s\nis right there, and here: %v", query, err)
			continue
		case err != nil:
			t.Logf("%s\nhas no answer here: %v", query, err)
			continue
		case !valid && !strings.Contains(query, "NoSuchTable_CL"):
			t.Errorf("%s\nis not right there: %s", query, opinions[i].Problems)
		}
		ran++
		if a.Rows == nil && !strings.Contains(query, "or Url contains") && !strings.Contains(query, "> ago(5m)") {
			t.Errorf("%s\nhas no rows", query)
		}
		ours := make([]string, len(q.Columns))
		for n, c := range q.Columns {
			ours[n] = c.Name + ":" + c.Type.String()
		}
		if strings.Contains(query, "evaluate ") { // its columns are those of the rows
			continue
		}
		if theirs := named(opinions[i].Columns); !slices.Equal(named(ours), theirs) {
			t.Errorf("%s\nhas here  %s\nand there %s", query, ours, theirs)
		}
	}
	t.Logf("%d of %d queries have an answer", ran, len(queries))
	if ran*100 < 95*len(queries) {
		t.Errorf("only %d of %d queries have an answer", ran, len(queries))
	}
}

// azureSchemas are those of Azure's tables.
func azureSchemas() map[string]string {
	types := map[kql.Type]string{kql.Bool: "bool", kql.Long: "long", kql.Real: "real", kql.String: "string", kql.Datetime: "datetime", kql.Dynamic: "dynamic"}
	tables := map[string]string{}
	for _, table := range kql.Azure() {
		var columns []string
		for _, c := range table.Columns {
			columns = append(columns, "['"+c.Name+"']: "+types[c.Type])
		}
		tables[table.Name] = "(" + strings.Join(columns, ", ") + ")"
	}
	return tables
}
