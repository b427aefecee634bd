package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

// TestAzureViews asks Azure's tables about the records of a store.
func TestAzureViews(t *testing.T) {
	glob := written(t)
	args := []string{"-table", "requests=" + glob, "-view", "attempts=" + kql.AttemptsView, "-threads", "1"}
	for _, table := range kql.Azure() {
		args = append(args, "-view", table.Name+"="+kql.AzureView(table.Name))
	}
	tables := append(kql.Records(), kql.Azure()...)
	for _, tt := range []struct{ query, want string }{
		{"ApiManagementGatewayLogs | summarize count(), countif(ResponseCode == 429), countif(IsRequestSuccess), max(TotalTime)", "[12,3,6,1200]"},
		{"ApiManagementGatewayLogs | where TimeGenerated >= datetime(2026-11-22 11:10) | project CorrelationId, ApimSubscriptionId, BackendResponseCode, BackendTime | order by CorrelationId asc", `["req_10","caller-0",200,50] ["req_11","caller-1",200,70]`},
		{"ApiManagementGatewayLogs | where ResponseCode == 0 | summarize count() by LastErrorReason", `["client_gone",3]`},
		{"ApiManagementGatewayLogs | top 1 by TimeGenerated asc | project toint(RequestHeaders['x-stainless-retry-count'])", "[0]"},
		{"ApiManagementGatewayLlmLog | summarize sum(PromptTokens), sum(TotalTokens - PromptTokens), countif(IsStreamCompletion)", "[6000,1950,3]"},
		{"ApiManagementGatewayLlmLog | join kind=leftouter ApiManagementGatewayLogs on CorrelationId | summarize count() by ApimSubscriptionId | order by ApimSubscriptionId asc", `["caller-0",3] ["caller-1",3]`},
		{"AzureDiagnostics | where Category == 'RequestResponse' | summarize count(), countif(ResultSignature == 429), max(DurationMs) by Resource | order by Resource asc", `["PTU-EASTUS",12,6,50] ["STD-SWEDEN",6,0,70]`},
		{"AzureDiagnostics | summarize count() by tostring(parse_json(properties_s).modelDeploymentName) | summarize sum(count_)", "[18]"},
		{"AzureMetrics | where MetricName == 'GeneratedTokens' | summarize sum(Total) by Resource | order by Resource asc", `["PTU-EASTUS",1800] ["STD-SWEDEN",2100]`},
		{"AzureMetrics | where MetricName == 'AzureOpenAIRequests' | summarize sum(Total)", "[12]"},
		{"union requests, ApiManagementGatewayLogs | count", "[24]"},
	} {
		q, err := kql.Translate(instant, tt.query, tables)
		if err != nil {
			t.Errorf("%s\n%v", tt.query, err)
			continue
		}
		var out bytes.Buffer
		if err := run(t.Context(), args, strings.NewReader(q.SQL), &out); err != nil {
			t.Errorf("%s\n%v\n%s", tt.query, err, q.SQL)
			continue
		}
		_, rows, _ := strings.Cut(out.String(), "\n")
		if got := strings.Join(strings.Fields(strings.ReplaceAll(rows, "\n", " ")), " "); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.query, got, tt.want)
		}
	}
}

// TestEmptyAzureTables has the columns of Azure's tables where there is nothing.
func TestEmptyAzureTables(t *testing.T) {
	var args []string
	for _, table := range kql.Azure() {
		args = append(args, "-view", table.Name+"="+table.EmptyView())
	}
	q, err := kql.Translate(instant, "union ApiManagementGatewayLogs, ApiManagementGatewayLlmLog, AzureDiagnostics, AzureMetrics | where isnotempty(CorrelationId) | count", kql.Azure())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), args, strings.NewReader(q.SQL), &out); err != nil || !strings.HasSuffix(out.String(), "\n[0]\n") {
		t.Errorf("%q, %v", out.String(), err)
	}
}
