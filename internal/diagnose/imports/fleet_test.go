package imports

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// gatewayAt is a row that went to an address.
func gatewayAt(second int, id, backend string) string {
	return strings.Replace(gatewayRow(second, id, 200, 9, "200"), api, backend, 1)
}

// Deployments are named by what tells them apart, and what is known of them
// only in part is completed.
func TestNames(t *testing.T) {
	const path = ".openai.azure.com/openai/deployments/"
	for name, c := range map[string]struct {
		backends []string
		want     []string
	}{
		"one":                  {[]string{"https://east" + path + "gpt/chat/completions"}, []string{"gpt"}},
		"two of one name":      {[]string{"https://east" + path + "gpt/chat/completions", "https://west" + path + "gpt/chat/completions"}, []string{"gpt@east", "gpt@west"}},
		"two names":            {[]string{"https://east" + path + "gpt/chat/completions", "https://east" + path + "mini/chat/completions"}, []string{"gpt", "mini"}},
		"an address without":   {[]string{"https://east" + path + "gpt/chat/completions", "https://east.openai.azure.com/openai/v1/responses"}, []string{"gpt", "gpt"}},
		"one of several":       {[]string{"https://east" + path + "gpt/chat/completions", "https://east" + path + "mini/chat/completions", "https://east.openai.azure.com/openai/v1/responses"}, []string{"gpt", "mini", "east"}},
		"no deployment at all": {[]string{"https://east.openai.azure.com/openai/v1/responses"}, []string{"east"}},
		"no address":           {[]string{""}, []string{""}},
	} {
		var text strings.Builder
		text.WriteString(gatewayHead)
		for i, backend := range c.backends {
			text.WriteString(gatewayAt(i, fmt.Sprint(i), backend))
		}
		var got []string
		for _, o := range observed(t, read(t, write(t, text.String())...), time.Time{}, time.Time{}) {
			got = append(got, o.Attempts[0].Deployment)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A metric of utilization finds its deployment, in whichever form it comes.
func TestUtilization(t *testing.T) {
	const path = ".openai.azure.com/openai/deployments/"
	logs := gatewayHead + gatewayAt(1, "a", "https://east"+path+"gpt/chat/completions") + gatewayAt(2, "b", "https://west"+path+"gpt/chat/completions") +
		gatewayAt(3, "c", "https://west"+path+"mini/chat/completions")
	point := func(metric, account, deployment string, value float64) string {
		return fmt.Sprintf(`{"id":"/subscriptions/0/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/%s/providers/Microsoft.Insights/metrics/m","name":{"value":"%s"},"timeseries":[{"metadatavalues":[{"name":{"value":"modeldeploymentname"},"value":"%s"}],"data":[{"timeStamp":"2026-11-22T10:00:00Z","average":%v},{"timeStamp":"2026-11-22T10:01:00Z"}]}]}`, account, metric, deployment, value)
	}
	answer := func(points ...string) string {
		return `{"cost":1,"timespan":"x","interval":"PT1M","value":[` + strings.Join(points, ",") + `]}`
	}
	const v1, v2, newest = "AzureOpenAIProvisionedManagedUtilization", "AzureOpenAIProvisionedManagedUtilizationV2", "ProvisionedUtilization"
	for name, c := range map[string]struct {
		metrics string
		want    map[string]float64
	}{
		"api":          {answer(point(v2, "EAST", "GPT", 50), point(v2, "west", "mini", 70)), map[string]float64{"gpt@east": 0.5, "mini": 0.7}},
		"two answers":  {answer(point(v2, "east", "gpt", 50)) + "\n" + answer(point(v2, "west", "mini", 70)), map[string]float64{"gpt@east": 0.5, "mini": 0.7}},
		"old and new":  {answer(point(v1, "east", "gpt", 50), point(newest, "east", "gpt", 60)), map[string]float64{"gpt@east": 0.6}},
		"old":          {answer(point(v1, "east", "gpt", 50)), map[string]float64{"gpt@east": 0.5}},
		"others":       {answer(point("AzureOpenAIRequests", "east", "gpt", 50)), map[string]float64{}},
		"which is it":  {answer(point(v2, "", "gpt", 50)), map[string]float64{}},
		"table":        {"TimeGenerated [UTC],Resource,MetricName,Average,Maximum\n\"11/22/2026, 10:00:00.000 AM\",EAST," + newest + ",40,90\n", map[string]float64{"gpt@east": 0.4}},
		"table, which": {"TimeGenerated [UTC],Resource,MetricName,Average\n\"11/22/2026, 10:00:00.000 AM\",WEST," + newest + ",40\n", map[string]float64{}},
		"chart":        {"Metric,Provisioned-managed Utilization V2\nResource,east\n\nTimestamp (UTC),gpt\n2026-11-22 10:00,\"40,5\"\n", map[string]float64{"gpt@east": 0.405}},
		"chart's series": {
			"\"Timestamp\",\"Provisioned-managed Utilization V2 (Max), mini\",\"Provisioned-managed Utilization V2 (Max), gpt, west\"\n2026-11-22 10:00,40,30\n2026-11-22 10:01,,\n",
			map[string]float64{"mini": 0.4, "gpt@west": 0.3},
		},
	} {
		im := read(t, write(t, c.metrics, logs)...)
		got := map[string]float64{}
		for u := range im.Utilization(time.Time{}, time.Time{}) {
			got[u.Deployment] = u.Ratio
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		for _, o := range observed(t, im, time.Time{}, time.Time{}) {
			_, measured := c.want[o.Attempts[0].Deployment]
			if (o.Attempts[0].Kind == spillway.Provisioned) != measured {
				t.Errorf("%s: %s is %v", name, o.Attempts[0].Deployment, o.Attempts[0].Kind)
			}
		}
	}
}

// The samples are what exports look like.
func TestSamples(t *testing.T) {
	for _, c := range []struct {
		files    []string
		requests int
		missing  string // begins one of the notes
	}{
		{[]string{"gateway.csv"}, 120, "no token rows"},
		{[]string{"gateway.csv", "llm.csv", "metrics.json"}, 120, "4 of 107 responses have no token row"},
		{[]string{"llm.csv"}, 103, "only token logs, no request log"},
		{[]string{"diagnostics.json.gz"}, 120, "no gateway log"},
		{[]string{"requestresponse.csv", "azuremetrics.csv"}, 60, "no rows of category AzureOpenAIRequestUsage"},
		{[]string{"query.json", "chart.csv"}, 120, "max_tokens is not in these logs"},
		{[]string{"german.csv"}, 60, "client retries unknown"},
		{[]string{"gatewaylogs.json"}, 60, "no utilization of provisioned deployments"},
	} {
		var paths []string
		for _, name := range c.files {
			paths = append(paths, filepath.Join("testdata", name))
		}
		im := read(t, paths...)
		if got := im.Requests(); got != c.requests {
			t.Errorf("%v: %d requests, want %d", c.files, got, c.requests)
		}
		var notes strings.Builder
		for _, m := range im.Missing() {
			notes.WriteString("\n" + m.Text)
		}
		if !strings.Contains(notes.String(), "\n"+c.missing) {
			t.Errorf("%v: %s\nwant %q", c.files, notes.String(), c.missing)
		}
		timeouts := 0
		for _, o := range observed(t, im, time.Time{}, time.Time{}) {
			if o.Outcome == spillway.OutcomeTimeout && o.E2E > 59*time.Second && o.Attempts[0].Deployment != "" {
				timeouts++
			}
		}
		if want := c.requests / 14; timeouts != want && timeouts != want+1 && !im.Blind() {
			t.Errorf("%v: %d timeouts, want about %d", c.files, timeouts, want)
		}
	}
}

// Whatever a file holds, it is read or refused.
func FuzzRead(f *testing.F) {
	names, err := filepath.Glob("testdata/*")
	if err != nil || len(names) < 8 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			f.Fatal(err)
		}
		if info.IsDir() {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text[:min(len(text), 4000)])
	}
	f.Add([]byte(gatewayHead + gatewayRow(1, "a", 200, 9, "200")))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		im, err := Read(t.Context(), []string{path}, Options{Dir: t.TempDir()})
		if err != nil {
			return
		}
		n := 0
		for _, err := range im.Observations(time.Time{}, time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != im.Requests() {
			t.Errorf("%d observations of %d requests", n, im.Requests())
		}
		_, _ = im.Missing(), im.Sources()
		if err := im.Close(); err != nil {
			t.Error(err)
		}
	})
}
