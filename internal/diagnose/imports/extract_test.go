package imports

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// extract turns one row of a table into its piece, and says of what kind it is.
// Values are given by the names that exports have for their columns.
func extract(t *testing.T, tableName string, values map[string]string) (piece, *names, bool, error) {
	t.Helper()
	f := &file{aliases: aliases(), known: map[string]place{}, comma: ','}
	for _, table := range tables() {
		if table.name == tableName {
			f.table = table
		}
	}
	if f.table.name == "" {
		t.Fatalf("no table %s", tableName)
	}
	var r row
	backend := false
	for name, value := range values {
		p, ok := f.aliases[plain(name)]
		if !ok {
			t.Fatalf("no column %s", name)
		}
		r.set(p, value)
		backend = backend || p.column == colBackendCode
	}
	x := &extractor{f: f, names: newNames(), backend: backend}
	used, err := x.piece(&r)
	return x.p, x.names, used, err
}

// describe lists the facts of a piece, names as texts.
func describe(p *piece, n *names) string {
	labels := [factCount]string{
		factStatus: "status", factTook: "took", factBackendStatus: "backend", factBackendTook: "backend took", factReason: "reason",
		factPrompt: "prompt", factCompletion: "completion", factCached: "cached", factAsk: "ask", factFirst: "first", factRetry: "retry",
		factTimeout: "timeout", factUtilization: "utilization", factStream: "stream", factAbout: "about", factAccount: "account",
		factDeployment: "deployment", factPool: "pool", factModel: "model", factCaller: "caller", factRegion: "region",
	}
	var all []string
	for f, label := range labels {
		if label == "" || !p.knows(fact(f)) {
			continue
		}
		v := p.get(fact(f))
		switch fact(f) {
		case factTook, factBackendTook, factFirst, factTimeout:
			all = append(all, fmt.Sprint(label, "=", time.Duration(v)*time.Microsecond))
		case factAccount, factDeployment, factPool, factModel, factCaller, factRegion:
			all = append(all, label+"="+n.name(v))
		default:
			all = append(all, fmt.Sprint(label, "=", v))
		}
	}
	return strings.Join(all, " ")
}

// What a row of each table comes to, value by value.
func TestExtract(t *testing.T) {
	base := func(more ...string) map[string]string {
		values := map[string]string{"TimeGenerated": "2026-11-22T10:00:00Z", "CorrelationId": "a"}
		for i := 0; i < len(more); i += 2 {
			values[more[i]] = more[i+1]
		}
		return values
	}
	const url = "https://api.contoso.com/openai/deployments/gpt/chat/completions?api-version=1"
	for _, tc := range []struct {
		name, table string
		values      map[string]string
		want        string // "" for a row that is not used
	}{
		{"status and time", gatewayTable, base("ResponseCode", "200", "TotalTime", "1234.5", "Url", url), "status=200 took=1.2345s backend=200 reason=0 about=1 deployment=gpt pool=gpt"},
		{"the backend's own", gatewayTable, base("ResponseCode", "503", "TotalTime", "90", "BackendResponseCode", "429", "BackendTime", "80", "Url", url), "status=503 took=90ms backend=429 backend took=80ms reason=0 about=1 deployment=gpt pool=gpt"},
		{"no backend was asked", gatewayTable, base("ResponseCode", "429", "BackendResponseCode", "", "Url", url), "status=429 reason=0 about=1 deployment=gpt pool=gpt"},
		{"no status", gatewayTable, base("ResponseCode", "", "Url", url), "status=0 backend=0 reason=0 about=1 deployment=gpt pool=gpt"},
		{
			"the backend's deployment", gatewayTable, base("ResponseCode", "200", "Url", url, "BackendUrl", "https://East.openai.azure.com/openai/deployments/mini/chat/completions"),
			"status=200 backend=200 reason=0 about=1 account=east deployment=mini pool=gpt",
		},
		{"the backend's id", gatewayTable, base("ResponseCode", "200", "Url", url, "BackendId", "pool-1"), "status=200 backend=200 reason=0 about=1 account=pool-1 deployment=gpt pool=gpt"},
		{"another API", gatewayTable, base("ResponseCode", "200", "Url", "https://api.contoso.com/orders"), "status=200 backend=200 reason=0 about=0"},
		{"no address", gatewayTable, base("ResponseCode", "200"), "status=200 backend=200 reason=0 about=1"},
		{"embeddings", gatewayTable, base("ResponseCode", "200", "Url", "https://x/embeddings"), "status=200 backend=200 reason=0 about=1"},
		{"the subscription calls", gatewayTable, base("ResponseCode", "200", "ApimSubscriptionId", "team", "UserId", "u", "CallerIpAddress", "10.0.0.1"), "status=200 backend=200 reason=0 about=1 caller=team"},
		{"the user calls", gatewayTable, base("ResponseCode", "200", "UserId", "u", "CallerIpAddress", "10.0.0.1"), "status=200 backend=200 reason=0 about=1 caller=u"},
		{"an address calls", gatewayTable, base("ResponseCode", "200", "CallerIpAddress", "10.0.0.1"), "status=200 backend=200 reason=0 about=1 caller=10.0.0.1"},
		{"limits of the gateway", gatewayTable, base("ResponseCode", "429", "LastErrorReason", "TokenLimitExceeded"), "status=429 backend=429 reason=4 about=1"},
		{"the client left", gatewayTable, base("ResponseCode", "0", "LastErrorReason", "ClientConnectionFailure"), "status=0 backend=0 reason=1 about=1"},
		{
			"columns of queries", gatewayTable, base("ResponseCode", "200", "MaxTokens", "500", "RetryCount", "2", "ClientTimeout", "30", "Utilization", "82.5", "BackendRegion", "East US", "Stream", "true"),
			"status=200 backend=200 reason=0 ask=500 retry=2 timeout=30s utilization=8250 stream=1 about=1 region=East US",
		},
		{
			"headers", gatewayTable, base("ResponseCode", "200",
				"RequestHeaders", `{"X-Stainless-Retry-Count":"1","x-stainless-timeout":"600","Authorization":"secret"}`,
				"ResponseHeaders", `{"azure-openai-deployment-utilization":"71%","x-ms-region":["West US"]}`),
			"status=200 backend=200 reason=0 retry=1 timeout=10m0s utilization=7100 about=1 region=West US",
		},
		{"headers that are no JSON", gatewayTable, base("ResponseCode", "200", "RequestHeaders", `{"x-stainless-retry-count":`), "status=200 backend=200 reason=0 about=1"},
		{"headers that make no sense", gatewayTable, base("ResponseCode", "200", "RequestHeaders", `{"x-stainless-retry-count":"often"}`), "status=200 backend=200 reason=0 about=1"},
		{"a column before its header", gatewayTable, base("ResponseCode", "200", "RetryCount", "0", "RequestHeaders", `{"x-stainless-retry-count":"3"}`), "status=200 backend=200 reason=0 retry=0 about=1"},

		{
			"tokens of the gateway", llmTable, base("PromptTokens", "700", "CompletionTokens", "300", "ModelName", "gpt-4o", "DeploymentName", "gpt", "IsStreamCompletion", "false"),
			"prompt=700 completion=300 stream=0 about=1 deployment=gpt model=gpt-4o",
		},
		{"no tokens", llmTable, base("PromptTokens", "", "CompletionTokens", "", "ModelName", "gpt-4o"), ""},
		{"null for a count", llmTable, base("PromptTokens", "null", "CompletionTokens", "7"), "completion=7"},

		{
			"the service's answer", serviceTable, base("Category", "RequestResponse", "ResultSignature", "408", "DurationMs", "60000", "OperationName", "ChatCompletions_Create", "Resource", "/accounts/EAST", "Location", "eastus", "Properties", `{"modelDeploymentName":"gpt","streamType":"Streaming"}`),
			"status=408 took=1m0s backend=408 stream=1 about=1 account=east deployment=gpt region=eastus",
		},
		{"another operation", serviceTable, base("Category", "RequestResponse", "ResultSignature", "200", "OperationName", "ListModels"), ""},
		{"another operation of a deployment", serviceTable, base("Category", "RequestResponse", "ResultSignature", "200", "OperationName", "Custom", "Properties", `{"modelDeploymentName":"gpt"}`), "status=200 backend=200 about=1 deployment=gpt"},
		{
			"the service's tokens", serviceTable, base("Category", "AzureOpenAIRequestUsage", "Resource", "EAST", "Properties", `{"promptTokens":[700],"generatedTokens":[100,200],"cachedTokens":[512],"timeToFirstTokenMs":500}`),
			"prompt=700 completion=300 cached=512 first=500ms account=east",
		},
		{"an audit", serviceTable, base("Category", "Audit", "ResultSignature", "200"), ""},
		{"no category, but a status", serviceTable, base("ResultSignature", "200"), "status=200 backend=200 about=1"},
		{"neither", serviceTable, base("Resource", "east"), ""},
		{"the gateway's log, by way of AzureDiagnostics", serviceTable, base("Category", "GatewayLogs", "ResponseCode", "200"), "status=200 backend=200 reason=0 about=1"},
	} {
		p, n, used, err := extract(t, tc.table, tc.values)
		got := ""
		if used {
			got = describe(&p, n)
		}
		if err != nil || got != tc.want {
			t.Errorf("%s: %q, %v, want %q", tc.name, got, err, tc.want)
		}
	}
}

// What is wrong with a row is said in the terms of its table.
func TestExtractErrors(t *testing.T) {
	for _, tc := range []struct {
		table  string
		values map[string]string
		want   string
	}{
		{gatewayTable, map[string]string{"CorrelationId": "a", "ResponseCode": "200"}, "no time"},
		{gatewayTable, map[string]string{"TimeGenerated": "2026-11-22T10:00:00Z", "ResponseCode": "200"}, "no correlation id"},
		{gatewayTable, map[string]string{"TimeGenerated": "tomorrow", "CorrelationId": "a", "ResponseCode": "200"}, `time "tomorrow" is not like`},
		{gatewayTable, map[string]string{"TimeGenerated": "0001-01-01T00:00:00Z", "CorrelationId": "a", "ResponseCode": "200"}, "is before these services existed, or in the future"},
		{gatewayTable, map[string]string{"TimeGenerated": "2026-11-22T10:00:00Z", "CorrelationId": "a", "ResponseCode": "OK"}, `ResponseCode: "OK" is not a valid number`},
		{gatewayTable, map[string]string{"TimeGenerated": "2026-11-22T10:00:00Z", "CorrelationId": "a", "ResponseCode": "200", "TotalTime": "-5"}, `totaltime: "-5" is not a valid number`},
		{serviceTable, map[string]string{"TimeGenerated": "2026-11-22T10:00:00Z", "CorrelationId": "a", "Category": "RequestResponse"}, "no ResultSignature"},
		{serviceTable, map[string]string{"TimeGenerated": "2026-11-22T10:00:00Z", "CorrelationId": "a", "Category": "RequestResponse", "Properties": "[1]"}, "the properties are not a JSON object"},
	} {
		_, _, _, err := extract(t, tc.table, tc.values)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %q", tc.values, err, tc.want)
		}
	}
}

// Lists in AzureDiagnostics are one number per part.
func TestSum(t *testing.T) {
	for _, tc := range []struct{ list, want string }{
		{"[1]", "1"}, {"[100,200]", "300"}, {"[1, null, 2]", "3"}, {`[1,"x",2]`, "3"}, {"[]", ""}, {"[null]", ""}, {"[1,", "1"}, {"7", ""},
	} {
		if got := string(sum([]byte(tc.list))); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.list, got, tc.want)
		}
	}
}

// UUIDs are their own keys, in either case; other ids are hashed.
func TestKeyOf(t *testing.T) {
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	plain := keyOf(id)
	if want := (key{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}); plain != want {
		t.Errorf("%x, want %x", plain, want)
	}
	for _, same := range []string{id, strings.ToUpper(id)} {
		if keyOf(same) != plain {
			t.Errorf("%s has another key", same)
		}
	}
	if keyOf("Request-1 ") != keyOf("request-1") {
		t.Error("case and spaces make another key")
	}
	seen := map[key]string{plain: id}
	for _, other := range []string{"", "a", "b", strings.Replace(id, "-", "_", 1), strings.Replace(id, "0", "g", 1), id + "0", id[1:]} {
		k := keyOf(other)
		if before, ok := seen[k]; ok {
			t.Errorf("%q and %q have one key", other, before)
		}
		seen[k] = other
	}
	counts := make([]int, 16)
	for i := range 16_000 {
		counts[keyOf(fmt.Sprint("id-", i)).division(16)]++
	}
	for i, n := range counts {
		if n < 800 || n > 1200 {
			t.Errorf("division %d has %d of 16,000 keys", i, n)
		}
	}
}

// Names keep their numbers, and there are only so many of them.
func TestNamesAreNumbered(t *testing.T) {
	n := newNames()
	if n.id("") != -1 || n.name(-1) != "" || n.name(5) != "" {
		t.Error("no name has a number, or no number a name")
	}
	a, b := n.id("a"), n.id("b")
	if a == b || n.id("a") != a || n.name(a) != "a" || n.name(b) != "b" {
		t.Errorf("a is %d, b %d, names %q", a, b, n.all)
	}
	n.all = n.all[:2:2]
	n.all = append(n.all, make([]string, maxNames-2)...)
	c, d := n.id("c"), n.id("d")
	if c != d || n.name(c) != "(others)" || n.id("a") != a {
		t.Errorf("beyond the bound, c is %d (%q), d %d", c, n.name(c), d)
	}
}
