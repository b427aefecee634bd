package diagnosis

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/app"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// noon is when the traffic of export begins.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// export writes logs line by line, as a script would that knows Azure's columns and
// nothing of this program's model: evenly spaced requests of a fixed length.
type export struct {
	tb  testing.TB
	dir string

	gateway, tokens, service strings.Builder
	n                        int
}

func newExport(tb testing.TB) *export {
	e := &export{tb: tb, dir: tb.TempDir()}
	e.gateway.WriteString("TimeGenerated,CorrelationId,ResponseCode,TotalTime,BackendResponseCode,BackendTime,BackendUrl,LastErrorReason\n")
	e.tokens.WriteString("TimeGenerated,CorrelationId,DeploymentName,ModelName,PromptTokens,CompletionTokens\n")
	return e
}

// request is one row of each log. Took is in ms; without output there is no row
// of tokens.
type request struct {
	at           time.Duration
	account      string
	deployment   string
	status, took int
	output       int
	reason       string
	first        int // ms to the first token, of the service's log; 0 leaves it out
}

func (e *export) add(r request) {
	e.n++
	at := noon.Add(r.at).Format(time.RFC3339Nano)
	backend := fmt.Sprint(r.status)
	if r.status == 499 || r.status == 0 {
		backend = ""
	}
	fmt.Fprintf(&e.gateway, "%s,c%d,%d,%d,%s,%d,https://%s.openai.azure.com/openai/deployments/%s/chat/completions,%s\n",
		at, e.n, r.status, r.took, backend, r.took, r.account, r.deployment, r.reason)
	if r.output > 0 {
		fmt.Fprintf(&e.tokens, "%s,c%d,%s,gpt-4o-mini,300,%d\n", at, e.n, r.deployment, r.output)
	}
	first := ""
	if r.first > 0 && r.status == 200 {
		first = fmt.Sprintf(`,"timeToFirstTokenMs":%d`, r.first)
	}
	id := "/subscriptions/x/resourceGroups/r/providers/Microsoft.CognitiveServices/accounts/" + r.account
	fmt.Fprintf(&e.service, `{"time":%q,"resourceId":%q,"operationName":"ChatCompletions_Create","correlationId":"c%d","durationMs":%d,"category":"RequestResponse","resultSignature":"%d","properties":{"modelDeploymentName":%q,"modelName":"gpt-4o-mini"%s}}`+"\n",
		at, id, e.n, r.took, r.status, r.deployment, first)
	if r.output > 0 {
		fmt.Fprintf(&e.service, `{"time":%q,"resourceId":%q,"operationName":"ChatCompletions_Create","correlationId":"c%d","durationMs":%d,"category":"AzureOpenAIRequestUsage","properties":{"modelDeploymentName":%q,"promptTokens":300,"generatedTokens":%d}}`+"\n",
			at, id, e.n, r.took, r.deployment, r.output)
	}
}

// write writes a file and returns its path.
func (e *export) write(name, text string) string {
	path := filepath.Join(e.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		e.tb.Fatal(err)
	}
	return path
}

func (e *export) gatewayFile() string { return e.write("gateway.csv", e.gateway.String()) }
func (e *export) tokensFile() string  { return e.write("tokens.csv", e.tokens.String()) }
func (e *export) serviceFile() string { return e.write("service.json", e.service.String()) }

// serviceRecords is the service's log in the lists that diagnostic settings write
// to storage.
func (e *export) serviceRecords() string {
	lines := strings.Split(strings.TrimSpace(e.service.String()), "\n")
	half := len(lines) / 2
	return e.write("PT1H.json", `{"records": [`+strings.Join(lines[:half], ",\n")+"]}\n"+`{"records": [`+strings.Join(lines[half:], ",")+"]}")
}

// metricFile is the utilization of a deployment, in percent; a negative value leaves
// the column empty.
func (e *export) metricFile(account string, minutes int, average, maximum float64) string {
	var b strings.Builder
	b.WriteString("TimeGenerated,Resource,MetricName,Average,Maximum\n")
	for m := range minutes {
		most := fmt.Sprint(maximum)
		if maximum < 0 {
			most = ""
		}
		fmt.Fprintf(&b, "%s,%s,AzureOpenAIProvisionedManagedUtilizationV2,%v,%s\n", noon.Add(time.Duration(m)*time.Minute).Format(time.RFC3339), strings.ToUpper(account), average, most)
	}
	return e.write("metric-"+account+".csv", b.String())
}

// long adds ten minutes of requests, of which one in sixteen is cut off after a
// minute with that status.
func (e *export) long(status int, first int) {
	for i := range 160 {
		r := request{at: time.Duration(i) * 3750 * time.Millisecond, account: "contoso-eus", deployment: "chat", status: 200, output: 280 + 40*(i%6), first: first}
		if r.took = 10*r.output + first; i%16 == 7 {
			r.status, r.took, r.output = status, 60_200, 0
		}
		e.add(r)
	}
}

// full adds ten minutes of requests, of which one in four is refused.
func (e *export) full(account, deployment string, every int) {
	for i := range 600 {
		r := request{at: time.Duration(i) * time.Second, account: account, deployment: deployment, status: 200, took: 1500, output: 100}
		if every > 0 && i%every == every-1 {
			r.status, r.took, r.output = 429, 20, 0
		}
		e.add(r)
	}
}

// Exports in which the cause is plain to a reader: what is said of them, and what
// must not be said.
func TestReported(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files func(e *export) []string
		want  []diagnose.Code
		says  []string
		never []string
	}{
		{
			"long responses", func(e *export) []string {
				e.long(408, 0)
				return []string{e.serviceFile()}
			}, []diagnose.Code{diagnose.OversizedRequests}, []string{"ran out of their 60 s window"}, nil,
		},
		{
			"long responses, in lists as diagnostic settings write them", func(e *export) []string {
				e.long(408, 0)
				return []string{e.serviceRecords()}
			}, []diagnose.Code{diagnose.OversizedRequests}, []string{"ran out of their 60 s window"}, nil,
		},
		{
			"long responses, with first tokens of what was answered", func(e *export) []string {
				e.long(408, 400)
				return []string{e.serviceFile()}
			}, []diagnose.Code{diagnose.OversizedRequests}, []string{"ran out of their 60 s window"}, nil,
		},
		{
			"long responses, behind clients that wait a minute", func(e *export) []string {
				e.long(499, 0)
				return []string{e.gatewayFile(), e.tokensFile()}
			}, []diagnose.Code{diagnose.OversizedRequests}, []string{"ran out of their 60 s window"}, []string{"far from 60 s", "too short"},
		},
		{
			"long responses, whose tokens nobody logged", func(e *export) []string {
				e.long(408, 0)
				return []string{e.gatewayFile()}
			}, []diagnose.Code{diagnose.OversizedRequests}, []string{"probably", "ApiManagementGatewayLlmLog"}, []string{"steady"},
		},
		{
			"full for moments", func(e *export) []string {
				e.full("contoso-eus", "chat", 4)
				return []string{e.gatewayFile(), e.tokensFile(), e.metricFile("contoso-eus", 10, 62, 99)}
			}, []diagnose.Code{diagnose.PTUSaturation}, []string{"in bursts shorter than a minute", "99%"}, []string{"not reservations"},
		},
		{
			"refusals beside a low mean", func(e *export) []string {
				e.full("contoso-eus", "chat", 4)
				return []string{e.gatewayFile(), e.tokensFile(), e.metricFile("contoso-eus", 10, 25, -1)}
			}, []diagnose.Code{diagnose.PTUSaturation}, []string{"probably in bursts", "aggregation Maximum"}, []string{"not reservations"},
		},
		{
			"full beside another that is full", func(e *export) []string {
				e.full("contoso-eus", "chat", 4)
				e.full("contoso-wus", "other-team", 0)
				return []string{e.gatewayFile(), e.tokensFile(), e.metricFile("contoso-eus", 10, 101, 110), e.metricFile("contoso-wus", 10, 98, 100)}
			}, []diagnose.Code{diagnose.PTUSaturation}, nil, []string{"spare capacity"},
		},
		{
			"full beside another of which nothing is known", func(e *export) []string {
				e.full("contoso-eus", "chat", 4)
				e.full("contoso-wus", "other-team", 0)
				return []string{e.gatewayFile(), e.tokensFile()}
			}, []diagnose.Code{diagnose.QuotaExhausted}, nil, []string{"spare capacity"},
		},
		{
			"full beside another that is idle", func(e *export) []string {
				e.full("contoso-eus", "chat", 4)
				e.full("contoso-wus", "other-team", 0)
				return []string{e.gatewayFile(), e.tokensFile(), e.metricFile("contoso-eus", 10, 101, 110), e.metricFile("contoso-wus", 10, 30, 40)}
			}, []diagnose.Code{diagnose.QuotaFragmentation}, []string{"spare capacity at other-team", "70%"}, nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, text := imported(t, app.Diagnosis{NoReplay: true}, tc.files(newExport(t))...)
			if got := codes(d); !slices.Equal(got, tc.want) {
				t.Errorf("found %v, want %v\n%s", got, tc.want, text)
			}
			flat := strings.Join(strings.Fields(text), " ")
			for _, s := range tc.says {
				if !strings.Contains(flat, s) {
					t.Errorf("does not say %q\n%s", s, text)
				}
			}
			for _, s := range tc.never {
				if strings.Contains(flat, s) {
					t.Errorf("says %q\n%s", s, text)
				}
			}
		})
	}
}
