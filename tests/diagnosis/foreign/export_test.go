package foreign

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A level says which exports there are.
type level struct {
	name    string
	gateway int // 0: none, 1: without headers and bodies, 2: with them
	llm     bool
	service bool
	usage   bool
	metrics bool
	config  bool

	more  bool       // measured where many worlds are
	least [4]float64 // precision and recall of the top finding, and of all
}

func levels() []level {
	all := []level{
		{name: "gateway", gateway: 2},
		{name: "gateway, bare", gateway: 1},
		{name: "gateway+llm", gateway: 2, llm: true},
		{name: "gateway+metrics", gateway: 2, metrics: true, more: true},
		{name: "gateway+llm+metrics", gateway: 2, llm: true, metrics: true},
		{name: "gateway+llm, bare", gateway: 1, llm: true, more: true},
		{name: "gateway+llm+metrics, bare", gateway: 1, llm: true, metrics: true},
		{name: "gateway+llm+metrics+config", gateway: 2, llm: true, metrics: true, config: true},
		{name: "gateway+config", gateway: 2, config: true, more: true},
		{name: "all", gateway: 2, llm: true, metrics: true, service: true, usage: true, config: true, more: true},
		{name: "service", service: true},
		{name: "service+usage", service: true, usage: true, more: true},
		{name: "service+metrics", service: true, metrics: true, more: true},
		{name: "service+usage+metrics", service: true, usage: true, metrics: true},
		{name: "service+usage+metrics+config", service: true, usage: true, metrics: true, config: true, more: true},
		{name: "llm", llm: true, more: true},
		{name: "usage", usage: true, more: true},
		{name: "metrics", metrics: true, more: true},
	}
	for i := range all {
		all[i].least = [4]float64{0.95, 0.90, 0.95, 0.85}
		if !all[i].tokens() { // what it can show
			all[i].least = [4]float64{0.90, 0.85, 0.90, 0.85}
		}
	}
	return all
}

func levelNamed(name string) level {
	for _, l := range levels() {
		if l.name == name {
			return l
		}
	}
	panic("no level " + name)
}

// A sheet is a table of an export.
type sheet struct {
	name    string
	columns []string
	rows    [][]any
}

// stamp writes a time as Azure does.
func (w *world) stamp(t float64) string {
	return w.from.Add(time.Duration(t * float64(time.Second))).UTC().Format("2006-01-02T15:04:05.0000000Z")
}

func ms(seconds float64) int { return int(math.Round(1000 * seconds)) }

func (w *world) id(i int) string {
	h := uint64(i+1)*0x9E3779B97F4A7C15 ^ w.seed
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", uint32(h), uint16(h>>32), uint16(h>>48)&0xfff, i&0xfff, i)
}

func (d *deployment) backend(c *call) string {
	op := "chat/completions"
	if c.app.embeds {
		op = "embeddings"
	}
	return fmt.Sprintf("https://%s.openai.azure.com/openai/deployments/%s/%s?api-version=2024-10-21", d.resource, d.name, op)
}

// logged reports whether the gateway's sampling keeps a row, and with it its copies.
func (w *world) logged(i int) bool {
	return w.sample == 1 || rand.New(rand.NewPCG(w.seed, uint64(i/w.copied))).Float64() < w.sample
}

// optional is the number, or nothing for a negative one.
func optional(n int) any {
	if n < 0 {
		return nil
	}
	return n
}

// gatewayLog is ApiManagementGatewayLogs. Headers stand in columns of their own,
// as the documented query extracts them, or as the table has them.
func (w *world) gatewayLog(detail int, raw bool) sheet {
	s := sheet{name: "gateway", columns: strings.Split("TimeGenerated,CorrelationId,ResponseCode,TotalTime,BackendResponseCode,BackendTime,BackendId,BackendUrl,Url,ApimSubscriptionId,LastErrorReason,Method,IsRequestSuccess", ",")}
	switch {
	case detail == 2 && raw:
		s.columns = append(s.columns, "RequestHeaders", "BackendResponseHeaders", "MaxTokens")
	case detail == 2:
		s.columns = append(s.columns, "RetryCount", "ClientTimeout", "Utilization", "BackendRegion", "MaxTokens")
	}
	for i, b := range w.rows {
		if !w.logged(i) {
			continue
		}
		code := b.backendCode
		if code == 0 {
			code = -1
		}
		row := []any{
			w.stamp(b.at), w.id(i), b.code, ms(b.took), optional(code), ms(b.backendTook), "backend-" + b.d.name, b.d.backend(b.c),
			w.address(b), b.c.app.name, b.reason, "POST", b.code < 400,
		}
		timeout, retry := -1, -1
		if x := b.c.app.sdk; x.tells {
			timeout, retry = int(x.timeout), b.retry
		}
		level := ""
		if b.level >= 0 && !b.d.silent && b.backendCode != 408 && b.backendCode > 0 {
			level = fmt.Sprintf("%.1f%%", 100*b.level)
		}
		switch {
		case detail == 2 && raw:
			asked, answered := map[string]string{"Host": "apim-contoso.azure-api.net"}, map[string]string{"Content-Type": "application/json"}
			if retry >= 0 {
				asked["x-stainless-retry-count"], asked["x-stainless-read-timeout"] = strconv.Itoa(retry), strconv.Itoa(timeout)
			}
			if level != "" {
				answered["azure-openai-deployment-utilization"] = level
			}
			answered["x-ms-region"] = b.d.region
			row = append(row, object(asked), object(answered), b.c.limit)
		case detail == 2:
			row = append(row, optional(retry), optional(timeout), level, b.d.region, b.c.limit)
		}
		s.rows = append(s.rows, row)
	}
	if w.seed%6 == 4 { // some exports have less
		s.drop("BackendTime", "BackendId", "Method", "IsRequestSuccess")
	}
	return s
}

// drop removes columns.
func (s *sheet) drop(names ...string) {
	for i := len(s.columns) - 1; i >= 0; i-- {
		if slices.Contains(names, s.columns[i]) {
			s.columns = slices.Delete(s.columns, i, i+1)
			for j := range s.rows {
				s.rows[j] = slices.Delete(s.rows[j], i, i+1)
			}
		}
	}
}

func object(m any) string {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// llmLog is ApiManagementGatewayLlmLog, with rows of messages where raw.
func (w *world) llmLog(raw bool) sheet {
	s := sheet{name: "llm", columns: strings.Split("TimeGenerated,CorrelationId,DeploymentName,ModelName,PromptTokens,CompletionTokens,TotalTokens,IsStreamCompletion", ",")}
	if raw {
		s.columns = append(s.columns, "SequenceNumber", "RequestMessages")
	}
	for i, b := range w.rows {
		if b.code != 200 || !w.logged(i) {
			continue
		}
		row := []any{w.stamp(b.at + b.took), w.id(i), b.d.name, b.d.model, b.c.prompt, b.generated, b.c.prompt + b.generated, b.c.stream}
		if raw {
			row = append(row, 0, nil)
			s.rows = append(s.rows, []any{w.stamp(b.at + b.took), w.id(i), b.d.name, b.d.model, nil, nil, nil, b.c.stream, 1, `[{"role":"user","content":"…"}]`})
		}
		s.rows = append(s.rows, row)
	}
	return s
}

// serviceLog is AzureDiagnostics of the deployments' resources. Its correlation
// ids are its own, and its clock is not the gateway's.
func (w *world) serviceLog(responses, usage bool) sheet {
	s := sheet{name: "service", columns: strings.Split("TimeGenerated,CorrelationId,Category,OperationName,ResultSignature,DurationMs,Resource,CallerIPAddress,properties_s", ",")}
	n := 0
	for _, d := range w.deps {
		for _, a := range d.log {
			n++
			if a.code == 0 {
				continue // it never arrived
			}
			op, stream := "ChatCompletions_Create", "Non-Streaming"
			if a.c.app.embeds {
				op = "Embeddings_Create"
			}
			if a.c.stream {
				stream = "Streaming"
			}
			properties := map[string]any{"apiName": "Azure OpenAI API", "modelDeploymentName": d.name, "modelName": d.model, "modelVersion": "1", "streamType": stream, "objectId": a.c.app.name}
			row := func(category string) []any {
				return []any{w.stamp(a.at + w.skew), "svc-" + w.id(n), category, op, strconv.Itoa(a.code), ms(a.took), strings.ToUpper(d.resource), "10.0.0.x", object(properties)}
			}
			if responses {
				s.rows = append(s.rows, row("RequestResponse"))
			}
			if usage && a.code == 200 {
				properties["promptTokens"], properties["generatedTokens"], properties["cachedTokens"] = []int{a.c.prompt}, []int{a.generated}, []int{a.c.cached}
				properties["timeToFirstTokenMs"] = ms(a.ttft)
				s.rows = append(s.rows, row("AzureOpenAIRequestUsage"))
			}
		}
	}
	return s
}

// records are the service's log as a diagnostic setting keeps it.
func (w *world) records(s sheet) string {
	var lines []string
	for _, row := range s.rows {
		var properties map[string]any
		if err := json.Unmarshal([]byte(row[8].(string)), &properties); err != nil {
			panic(err)
		}
		lines = append(lines, object(map[string]any{
			"time": row[0], "correlationId": row[1], "category": row[2], "operationName": row[3], "resultSignature": row[4], "durationMs": row[5],
			"resourceId": "/SUBSCRIPTIONS/X/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/" + row[6].(string), "properties": properties,
		}))
	}
	if w.seed%4 == 0 {
		return `{"records":[` + strings.Join(lines, ",\n") + `]}`
	}
	return strings.Join(lines, "\n")
}

// metricsTable is a table of the metric, which has no deployments: where a
// resource has only one, it is that one's.
func (w *world) metricsTable() sheet {
	s := sheet{name: "metrics", columns: []string{"TimeGenerated [UTC]", "Resource", "MetricName", "Average", "Maximum"}}
	for _, d := range w.deps {
		if !d.provisioned() || d.silent {
			continue
		}
		for m := range min(int(w.length/60), len(d.used)) {
			s.rows = append(s.rows, []any{
				w.from.Add(time.Duration(m) * time.Minute).Format("1/2/2006, 3:04:05.000 PM"), strings.ToUpper(d.resource),
				"AzureOpenAIProvisionedManagedUtilizationV2", fmt.Sprintf("%.2f", 100*d.used[m]), fmt.Sprintf("%.1f", 100*d.peak[m]),
			})
		}
	}
	return s
}

// gatewayRecords are the gateway's log as a diagnostic setting keeps it, which has
// no headers.
func (w *world) gatewayRecords() string {
	var lines []string
	for i, b := range w.rows {
		if !w.logged(i) {
			continue
		}
		properties := map[string]any{
			"method": "POST", "url": w.address(b), "backendUrl": b.d.backend(b.c), "responseCode": b.code, "backendTime": ms(b.backendTook),
			"backendId": "backend-" + b.d.name, "apimSubscriptionId": b.c.app.name, "clientProtocol": "HTTP/1.1", "cache": "none",
		}
		if b.backendCode > 0 {
			properties["backendResponseCode"] = b.backendCode
		}
		if b.reason != "" {
			properties["lastError"] = map[string]any{"elapsed": ms(b.took), "reason": b.reason, "scope": "api", "section": "backend", "source": "forward-request"}
		}
		lines = append(lines, object(map[string]any{
			"time": w.stamp(b.at), "category": "GatewayLogs", "operationName": "Microsoft.ApiManagement/GatewayLogs", "correlationId": w.id(i),
			"durationMs": ms(b.took), "isRequestSuccess": b.code < 400, "callerIpAddress": "10.1.2.3", "location": "East US",
			"resourceId": "/SUBSCRIPTIONS/X/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.APIMANAGEMENT/SERVICE/APIM-CONTOSO", "properties": properties,
		}))
	}
	return strings.Join(lines, "\n")
}

// address is what the client called: a gateway with several backends has one name
// for them.
func (w *world) address(b *row) string {
	return "https://apim-contoso.azure-api.net/openai/deployments/" + b.c.app.route.backends[0].name + "/chat/completions"
}

// metricsREST is the answer of the metrics API for one resource.
func (w *world) metricsREST(resource string) (string, bool) {
	var series []any
	for _, d := range w.deps {
		if d.resource != resource || !d.provisioned() || d.silent {
			continue
		}
		var data []any
		for m := range int(w.length / 60) {
			p := map[string]any{"timeStamp": w.from.Add(time.Duration(m) * time.Minute).Format(time.RFC3339)}
			if m < len(d.used) {
				p["average"], p["maximum"] = 100*d.used[m], 100*d.peak[m]
			} else {
				p["average"], p["maximum"] = 0.0, 0.0
			}
			data = append(data, p)
		}
		series = append(series, map[string]any{"metadatavalues": []any{map[string]any{"name": map[string]string{"value": "modeldeploymentname"}, "value": d.name}}, "data": data})
	}
	if series == nil {
		return "", false
	}
	name := "AzureOpenAIProvisionedManagedUtilizationV2"
	return object(map[string]any{
		"cost": 1, "interval": "PT1M", "namespace": "Microsoft.CognitiveServices/accounts", "resourceregion": "eastus",
		"value": []any{map[string]any{
			"id":   "/subscriptions/x/resourceGroups/r/providers/Microsoft.CognitiveServices/accounts/" + resource + "/providers/Microsoft.Insights/metrics/" + name,
			"name": map[string]string{"value": name}, "unit": "Percent", "timeseries": series,
		}},
	}), true
}

// text is the sheet as CSV, or as the JSON that az prints.
func (s *sheet) text(asJSON bool) string {
	if asJSON {
		var all []map[string]any
		for _, row := range s.rows {
			m := map[string]any{"TableName": "PrimaryResult"}
			for i, c := range s.columns {
				m[c] = cell(row[i])
			}
			all = append(all, m)
		}
		return object(all)
	}
	var b strings.Builder
	c := csv.NewWriter(&b)
	_ = c.Write(s.columns)
	for _, row := range s.rows {
		line := make([]string, len(row))
		for i, v := range row {
			line[i] = cell(v)
		}
		_ = c.Write(line)
	}
	c.Flush()
	return b.String()
}

func cell(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// An arrangement says how the same facts are spread over files.
type arrangement struct {
	shuffled, split, doubled bool
}

// export writes the level's files.
func (w *world) export(t testing.TB, l level, how arrangement) (paths []string) {
	dir := t.TempDir()
	keep := how == arrangement{}
	write := func(name, text string) {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Error(err) // workers call it
		}
		paths = append(paths, p)
	}
	// once writes a set of files that several levels have.
	once := func(key string, do func()) {
		if had, ok := w.files[key]; ok && keep {
			paths = append(paths, had...)
			return
		}
		n := len(paths)
		do()
		if keep {
			w.files[key] = slices.Clone(paths[n:])
		}
	}
	r := rand.New(rand.NewPCG(w.seed, 3))
	table := func(s sheet, text func(*sheet) string, ext string) {
		if len(s.rows) == 0 {
			return
		}
		if how.shuffled {
			r.Shuffle(len(s.rows), func(i, j int) { s.rows[i], s.rows[j] = s.rows[j], s.rows[i] })
		}
		parts := []sheet{s}
		if how.split {
			n := len(s.rows) / 3
			parts = []sheet{{s.name, s.columns, s.rows[:n]}, {s.name, s.columns, s.rows[n:]}}
		}
		for i := range parts {
			write(fmt.Sprintf("%s-%d.%s", s.name, i, ext), text(&parts[i]))
			if how.doubled && i == 0 {
				write(fmt.Sprintf("%s-again.%s", s.name, ext), text(&parts[i]))
			}
		}
	}
	plain := func(asJSON bool) (func(*sheet) string, string) {
		if asJSON {
			return func(s *sheet) string { return s.text(true) }, "json"
		}
		return func(s *sheet) string { return s.text(false) }, "csv"
	}
	if l.gateway > 0 {
		text, ext := plain(w.seed%3 == 1)
		if l.gateway == 1 && w.seed%4 == 1 {
			text, ext = func(*sheet) string { return w.gatewayRecords() }, "json"
		}
		once(fmt.Sprint("gateway", l.gateway), func() { table(w.gatewayLog(l.gateway, w.seed%4 == 3), text, ext) })
	}
	if l.llm {
		text, ext := plain(w.seed%3 == 2)
		once("llm", func() { table(w.llmLog(w.seed%2 == 1), text, ext) })
	}
	if l.service || l.usage {
		text, ext := plain(false)
		if w.seed%2 == 0 {
			text, ext = func(s *sheet) string { return w.records(*s) }, "json"
		}
		once(fmt.Sprint("service", l.service, l.usage), func() { table(w.serviceLog(l.service, l.usage), text, ext) })
	}
	if l.metrics {
		once("metrics", func() { w.writeMetrics(write) })
	}
	return paths
}

func (w *world) writeMetrics(write func(name, text string)) {
	if w.seed%4 == 2 {
		if s := w.metricsTable(); len(s.rows) > 0 {
			write("metrics.csv", s.text(false))
		}
		return
	}
	done := map[string]bool{}
	for _, d := range w.deps {
		if text, ok := w.metricsREST(d.resource); ok && !done[d.resource] {
			done[d.resource] = true
			write("metrics-"+d.resource+".json", text)
		}
	}
}
