package diagnosis

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/retry"
)

// bare serves the world as a plain Azure API Management would: it passes on
// what comes, to one after the other of the deployments, waits for nothing and
// tries nothing again.
func (w *world) bare(tb testing.TB) []spillway.Record {
	tb.Helper()
	w.settle()
	for i := range w.pools {
		w.pools[i] = w.pool(w.pools[i].Pool.Name, w.pools[i].Pool.Tiers...)
		w.pools[i].Queue = admit.Config{MaxLength: -1}
		w.pools[i].Pool.SpillAt = math.MaxFloat64
		w.pools[i].Retry = retry.Config{MaxAttempts: 1, Ratio: -1, MinPerSecond: -1}
		w.pools[i].Breaker = breaker.Config{MinRequests: math.MaxInt32, ConsecutiveFailures: math.MaxInt32}
	}
	w.class.Sync = spillway.SyncPass
	all := served(tb, whatif.Config{
		Fleet: w.fleet, Client: w.client, Seed: w.seed, Policy: whatif.Policy{Name: "served", Pools: w.pools, Default: &w.class},
	}, workload.Slice(w.calls))
	for i := range all {
		// The core spares a deployment that asked for patience. A gateway that
		// does not is refused by it meanwhile.
		if r := &all[i]; r.Status == 429 && len(r.Attempts) == 0 {
			d := w.pools[0].Deployments[0]
			r.Attempts = []spillway.Attempt{{Deployment: d.Name, Kind: d.Kind, Status: 429, Utilization: -1}}
			if d.Kind == spillway.Provisioned {
				r.Attempts[0].Utilization = 1
			}
		}
	}
	return all
}

// served are the records of a run.
func served(tb testing.TB, cfg whatif.Config, calls workload.Source) []spillway.Record {
	tb.Helper()
	var all []spillway.Record
	cfg.OnRecord = func(r *spillway.Record) {
		one := *r
		one.Attempts = slices.Clone(r.Attempts)
		all = append(all, one)
	}
	if _, err := whatif.Run(cfg, calls); err != nil {
		tb.Fatal(err)
	}
	return all
}

// correlation is the correlation id of a record.
func correlation(i int) string {
	return fmt.Sprintf("%08x-1c2d-4e5f-8a9b-%012x", uint32(i)*2654435761, i)
}

const portalTime = "1/2/2006, 3:04:05.000 PM"

// last is the attempt that the client's answer came of.
func last(r *spillway.Record) spillway.Attempt {
	if len(r.Attempts) == 0 {
		return spillway.Attempt{}
	}
	return r.Attempts[len(r.Attempts)-1]
}

func address(deployment string) string {
	return "https://aoai-" + deployment + ".openai.azure.com/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21"
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// reasonFor is the gateway's reason of a failure.
func reasonFor(r *spillway.Record) string {
	switch {
	case r.Outcome == spillway.OutcomeRefusedQueue:
		return "RateLimitExceeded"
	case r.Outcome == spillway.OutcomeClientGone:
		return "ClientConnectionFailure"
	case last(r).Class == spillway.FailureBroken && last(r).Status == 0:
		return "BackendConnectionFailure"
	}
	return ""
}

// gatewayLog writes ApiManagementGatewayLogs as the portal exports it.
func gatewayLog(tb testing.TB, dir string, records []spillway.Record) string {
	rows := [][]string{{
		"TimeGenerated [UTC]", "CorrelationId", "ResponseCode", "TotalTime", "BackendResponseCode", "BackendTime", "BackendUrl", "Url",
		"ApimSubscriptionId", "LastErrorReason", "RequestHeaders",
	}}
	for i := range records {
		r := &records[i]
		a := last(r)
		backend := ""
		if a.Status > 0 && r.Outcome != spillway.OutcomeClientGone {
			backend = strconv.Itoa(a.Status)
		}
		rows = append(rows, []string{
			r.Time.Format(portalTime), correlation(i), strconv.Itoa(r.Status), milliseconds(r.E2E), backend, milliseconds(a.End - a.Start), address(a.Deployment),
			"https://api.contoso.com/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21", r.Caller, reasonFor(r),
			fmt.Sprintf(`{"x-stainless-retry-count":"%d","User-Agent":"OpenAI/Python 1.109.1"}`, r.ClientRetry),
		})
	}
	return writeCSV(tb, filepath.Join(dir, "gateway.csv"), rows)
}

func answered(r *spillway.Record) bool { return r.Usage.Known && r.Status == 200 }

// tokenLog writes ApiManagementGatewayLlmLog: a row of usage, and one with a
// message, for each answer.
func tokenLog(tb testing.TB, dir string, records []spillway.Record) string {
	rows := [][]string{{
		"TimeGenerated [UTC]", "CorrelationId", "SequenceNumber", "DeploymentName", "ModelName", "PromptTokens", "CompletionTokens", "TotalTokens",
		"IsStreamCompletion", "RequestMessages",
	}}
	for i := range records {
		r := &records[i]
		if !answered(r) {
			continue
		}
		row := func(sequence, prompt, completion int, text string) []string {
			return []string{
				r.Time.Format(portalTime), correlation(i), strconv.Itoa(sequence), "gpt-4o-mini", "gpt-4o-mini", strconv.Itoa(prompt), strconv.Itoa(completion),
				strconv.Itoa(prompt + completion), strconv.FormatBool(r.Stream), text,
			}
		}
		rows = append(rows, row(1, 0, 0, `[{"role":"user","content":"`+secret+`, ""quoted""
and on two lines"}]`), row(0, r.Usage.Prompt, r.Usage.Completion, ""))
	}
	return writeCSV(tb, filepath.Join(dir, "llm.csv"), rows)
}

// secret is what nobody may find again.
const secret = "what a client wrote"

// serviceLog writes AzureDiagnostics as a storage account keeps it: JSON
// lines, and properties in a text.
func serviceLog(tb testing.TB, dir string, records []spillway.Record) string {
	path := filepath.Join(dir, "diagnostics.json")
	var out []byte
	add := func(v map[string]any, properties map[string]any) {
		text, err := json.Marshal(properties)
		if err != nil {
			tb.Fatal(err)
		}
		v["properties"] = string(text)
		line, err := json.Marshal(v)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(append(out, line...), '\n')
	}
	for i := range records {
		r := &records[i]
		a := last(r)
		row := func(category string) map[string]any {
			return map[string]any{
				"time": r.Time.Format("2006-01-02T15:04:05.0000000Z"), "category": category, "operationName": "ChatCompletions_Create", "correlationId": correlation(i),
				"resourceId": "/SUBSCRIPTIONS/0/RESOURCEGROUPS/AI/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/AOAI-" + a.Deployment,
			}
		}
		stream := map[bool]string{true: "Streaming", false: "Non-Streaming"}[r.Stream]
		about := map[string]any{"apiName": "Azure OpenAI API", "modelDeploymentName": "gpt-4o-mini", "modelName": "gpt-4o-mini", "streamType": stream, "objectId": r.Caller}
		one := row("RequestResponse")
		one["resultSignature"], one["durationMs"] = strconv.Itoa(r.Status), (a.End - a.Start).Milliseconds()
		if r.Outcome == spillway.OutcomeClientGone {
			one["resultSignature"] = "499"
		}
		add(one, about)
		if answered(r) {
			usage := map[string]any{"modelDeploymentName": "gpt-4o-mini", "promptTokens": []int{r.Usage.Prompt}, "generatedTokens": []int{r.Usage.Completion}, "cachedTokens": []int{r.Usage.Cached}}
			if r.TTFT > 0 {
				usage["timeToFirstTokenMs"] = r.TTFT.Milliseconds()
			}
			add(row("AzureOpenAIRequestUsage"), usage)
		}
	}
	if err := os.WriteFile(path, out, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// utilizationMetric writes the metrics API's answer: the utilization of the
// provisioned deployments, by minute; "" where there is none.
func utilizationMetric(tb testing.TB, dir string, records []spillway.Record) string {
	type point struct {
		TimeStamp string  `json:"timeStamp"`
		Average   float64 `json:"average"`
		Maximum   float64 `json:"maximum"`
	}
	sums := map[string]map[time.Time][]float64{}
	for i := range records {
		a := last(&records[i])
		if a.Utilization < 0 || a.Kind != spillway.Provisioned {
			continue
		}
		if sums[a.Deployment] == nil {
			sums[a.Deployment] = map[time.Time][]float64{}
		}
		at := records[i].Time.Add(a.Start).Truncate(time.Minute)
		sums[a.Deployment][at] = append(sums[a.Deployment][at], 100*a.Utilization)
	}
	if len(sums) == 0 {
		return ""
	}
	var value []any
	for deployment, minutes := range sums {
		var data []point
		for at, all := range minutes {
			sum := 0.0
			for _, v := range all {
				sum += v
			}
			data = append(data, point{at.Format(time.RFC3339), sum / float64(len(all)), slices.Max(all)})
		}
		value = append(value, map[string]any{
			"id":   "/subscriptions/0/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/aoai-" + deployment + "/providers/Microsoft.Insights/metrics/AzureOpenAIProvisionedManagedUtilizationV2",
			"name": map[string]any{"value": "AzureOpenAIProvisionedManagedUtilizationV2", "localizedValue": "Provisioned-managed Utilization V2"}, "unit": "Percent",
			"timeseries": []any{map[string]any{
				"metadatavalues": []any{map[string]any{"name": map[string]any{"value": "modeldeploymentname"}, "value": "gpt-4o-mini"}}, "data": data,
			}},
		})
	}
	out, err := json.Marshal(map[string]any{"cost": 0, "interval": "PT1M", "namespace": "Microsoft.CognitiveServices/accounts", "resourceregion": "eastus", "value": value})
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, "metrics.json")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func writeCSV(tb testing.TB, path string, rows [][]string) string {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := csv.NewWriter(f)
	if err := w.WriteAll(rows); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
	return path
}
