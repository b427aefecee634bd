package imports

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rowsOf reads a file of that content, and writes its rows as
// table: name=value, ….
func rowsOf(t *testing.T, name, content string) ([]string, int, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []string
	bad, err := Rows(t.Context(), path, func(table string, cells []Cell) error {
		var row []string
		for _, c := range cells {
			if c.Value != "" {
				row = append(row, c.Name+"="+c.Value)
			}
		}
		slices.Sort(row[1:]) // the time stays first
		all = append(all, table+": "+strings.Join(row, ", "))
		return nil
	})
	return all, bad, err
}

// Rows have all columns of an export, whatever its layout.
func TestRows(t *testing.T) {
	for _, tt := range []struct{ name, content, want string }{
		{
			"portal.csv", "\"TimeGenerated [UTC]\",CorrelationId,ResponseCode,Custom_s\n\"11/22/2026, 10:00:00.000 AM\",a,200,x\n",
			"ApiManagementGatewayLogs: TimeGenerated=2026-11-22T10:00:00Z, CorrelationId=a, Custom_s=x, ResponseCode=200, TimeGenerated [UTC]=11/22/2026, 10:00:00.000 AM",
		},
		{
			"continental.csv", "TimeGenerated;MetricName;Average\n2026-11-22T10:00:00Z;Requests;1.234,5\n",
			"AzureMetrics: TimeGenerated=2026-11-22T10:00:00Z, Average=1234.5, MetricName=Requests, TimeGenerated=2026-11-22T10:00:00Z",
		},
		{
			"objects.json", `[{"TimeGenerated":"2026-11-22T10:00:00Z","CorrelationId":"a","PromptTokens":5,"CompletionTokens":7,"RequestMessages":[{"role":"user"}]}]`,
			`ApiManagementGatewayLlmLog: TimeGenerated=2026-11-22T10:00:00Z, CompletionTokens=7, CorrelationId=a, PromptTokens=5, RequestMessages=[{"role":"user"}], TimeGenerated=2026-11-22T10:00:00Z`,
		},
		{
			"storage.jsonl", `{"time":"2026-11-22T10:00:00Z","category":"GatewayLogs","correlationId":"g","properties":{"responseCode":429,"lastError":{"reason":"RateLimitExceeded"}}}`,
			`ApiManagementGatewayLogs: TimeGenerated=2026-11-22T10:00:00Z, category=GatewayLogs, correlationId=g, lastErrorreason=RateLimitExceeded, properties_s={"responseCode":429,"lastError":{"reason":"RateLimitExceeded"}}, responseCode=429, time=2026-11-22T10:00:00Z`,
		},
		{
			"PT1H.json", `{"records":[{"time":"2026-11-22T10:00:00Z","category":"GatewayLogs","correlationId":"g","properties":{"responseCode":429}}]}`,
			`ApiManagementGatewayLogs: TimeGenerated=2026-11-22T10:00:00Z, category=GatewayLogs, correlationId=g, properties_s={"responseCode":429}, responseCode=429, time=2026-11-22T10:00:00Z`,
		},
		{
			"response.json", `{"tables":[{"name":"PrimaryResult","columns":[{"name":"TimeGenerated","type":"datetime"},{"name":"CorrelationId","type":"string"},{"name":"ResponseCode","type":"int"}],"rows":[["2026-11-22T10:00:00Z","a",408]]}]}`,
			"ApiManagementGatewayLogs: TimeGenerated=2026-11-22T10:00:00Z, CorrelationId=a, ResponseCode=408, TimeGenerated=2026-11-22T10:00:00Z",
		},
		{
			"metrics.json", `{"timespan":"x","value":[{"id":"/subscriptions/1/providers/Microsoft.Insights/x","name":{"value":"ProvisionedUtilization"},"timeseries":[{"data":[{"timeStamp":"2026-11-22T10:00:00Z","average":55.5,"maximum":90}]}]}]}`,
			"AzureMetrics: TimeGenerated=2026-11-22T10:00:00Z, Average=55.5, Maximum=90, MetricName=ProvisionedUtilization, Resource=/subscriptions/1",
		},
	} {
		got, bad, err := rowsOf(t, tt.name, tt.content)
		if err != nil || bad != 0 || len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s: %v, %d bad\n got %s\nwant %s", tt.name, err, bad, strings.Join(got, "\n"), tt.want)
		}
	}
}

// A few bad rows are left away and counted; a file that cannot be read says so.
func TestRowsThatCannotBeRead(t *testing.T) {
	const header = "TimeGenerated,CorrelationId,ResponseCode\n"
	got, bad, err := rowsOf(t, "some.csv", header+strings.Repeat("2026-11-22T10:00:00Z,a,200\n", 20)+"soon,b,200\n")
	if err != nil || bad != 1 || len(got) != 20 {
		t.Errorf("%d rows, %d bad, %v", len(got), bad, err)
	}
	for name, content := range map[string]string{
		"empty.csv": "", "none.csv": header, "other.csv": "a,b\n1,2\n", "bad.csv": header + "soon,a,200\n", "torn.json": `[{"TimeGenerated":"2026-11-22T10:00:00Z","CorrelationId":"a","ResponseCode":1},{"Ti`,
	} {
		if _, _, err := rowsOf(t, name, content); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
