package imports

import (
	"fmt"
	"strings"
	"testing"
)

// Tables are recognized by their columns, however exports write them; where a
// column is missing the error names it.
func TestRecognize(t *testing.T) {
	for _, tc := range []struct {
		columns string
		table   string // "" for an error
		err     string
	}{
		{"TimeGenerated CorrelationId ResponseCode", gatewayTable, ""},
		{"timeGenerated_t,correlationId_g,responseCode_d", gatewayTable, ""},
		{"ResponseCode CorrelationId TimeGenerated Foo Bar", gatewayTable, ""},
		{"TimeGenerated CorrelationId PromptTokens CompletionTokens", llmTable, ""},
		{"time correlationId inputTokens outputTokens", llmTable, ""},
		{"TimeGenerated CorrelationId ResponseCode PromptTokens CompletionTokens", gatewayTable, ""},
		{"time category correlationId properties", serviceTable, ""},
		{"TimeGenerated Category CorrelationId ResultSignature", serviceTable, ""},
		{"TimeGenerated MetricName Average", metricTable, ""},
		{"TimeGenerated MetricName Average CorrelationId ResponseCode", metricTable, ""},
		{"TimeGenerated ResponseCode", "", "the columns look like ApiManagementGatewayLogs; missing: CorrelationId."},
		{"ResponseCode", "", "the columns look like ApiManagementGatewayLogs; missing: TimeGenerated, CorrelationId."},
		{"TimeGenerated CorrelationId PromptTokens", "", "the columns look like ApiManagementGatewayLlmLog; missing: CompletionTokens."},
		{"CorrelationId properties time", "", "the columns look like AzureDiagnostics; missing: Category."},
		{"TimeGenerated MetricName Maximum", "", "the columns look like Azure Monitor metrics; missing: Average."},
		{"TimeGenerated CorrelationId", "", "the columns match no known log."},
		{"", "", "the columns match no known log."},
	} {
		columns := strings.FieldsFunc(tc.columns, func(r rune) bool { return r == ' ' || r == ',' })
		got, err := recognize(columns)
		switch {
		case tc.table != "" && (err != nil || got.name != tc.table):
			t.Errorf("%q: %s, %v, want %s", tc.columns, got.name, err, tc.table)
		case tc.table == "" && (err == nil || !strings.HasPrefix(err.Error(), tc.err)):
			t.Errorf("%q: %v, want %q", tc.columns, err, tc.err)
		}
	}
}

// The names of columns are unambiguous, and each table needs only columns that
// have a title to ask for.
func TestColumnNames(t *testing.T) {
	by := map[string]column{}
	for c := range colCount {
		for _, name := range c.names() {
			if before, ok := by[name]; ok {
				t.Errorf("%q names the columns %d and %d", name, before, c)
			}
			by[name] = c
			if plain(name) != name {
				t.Errorf("%q is not in its plain form, %q", name, plain(name))
			}
		}
		if len(c.names()) == 0 {
			t.Errorf("column %d has no name", c)
		}
		if title := c.title(); title != "" && by[plain(title)] != c {
			t.Errorf("%q is not a name of column %d", title, c)
		}
	}
	for _, table := range tables() {
		for _, c := range append(table.needs, table.marks...) {
			if c.title() == "" && c != colProperties {
				t.Errorf("%s needs a column without a title: %v", table.name, c.names())
			}
		}
	}
}

// Of several names for one column the best is used, whatever their order, and an
// empty value is none.
func TestBestName(t *testing.T) {
	best, second := place{colUser, 0}, place{colUser, 1}
	for _, tc := range []struct {
		name   string
		values []string // best first: "0=x" sets the best name
		want   string
	}{
		{"the best", []string{"0=user"}, "user"},
		{"the second", []string{"1=object"}, "object"},
		{"both", []string{"0=user", "1=object"}, "user"},
		{"both, the other way round", []string{"1=object", "0=user"}, "user"},
		{"the best is empty", []string{"1=object", "0="}, "object"},
		{"the best twice", []string{"0=a", "0=b"}, "a"},
	} {
		var r row
		for _, v := range tc.values {
			rank, text, _ := strings.Cut(v, "=")
			p := best
			if rank == "1" {
				p = second
			}
			r.set(p, text)
		}
		if got := r.values[colUser]; got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestListed(t *testing.T) {
	var many []string
	for i := range 25 {
		many = append(many, fmt.Sprint("c", i))
	}
	if got := listed(many); !strings.HasSuffix(got, "c19, and 5 more") {
		t.Errorf("%q", got)
	}
	if got := listed([]string{strings.Repeat("ä", 50), "b\xff"}); got != strings.Repeat("ä", 20)+"…, b?" {
		t.Errorf("%q", got)
	}
	if got := listed(nil); got != "" {
		t.Errorf("%q", got)
	}
}

func TestDivider(t *testing.T) {
	for line, want := range map[string]byte{
		"a,b,c": ',', "a;b;c": ';', "a\tb\tc": '\t', "a": ',', "": ',', "a;b,c;d": ';', `"a;b;c;d",e,f`: ',', `a,"x;y;z;w";b`: ',', "a;b\tc\td": '\t',
	} {
		if got := divider([]byte(line)); got != want {
			t.Errorf("%q is divided by %q, want %q", line, got, want)
		}
	}
}

// The header of a CSV is the first line that names a time, within a bound.
func TestHeader(t *testing.T) {
	const header = "TimeGenerated,CorrelationId,ResponseCode\n"
	for _, tc := range []struct {
		name, text string
		before     int // lines
		comma      byte
		err        string
	}{
		{"at once", header, 0, ',', ""},
		{"after a title", "Report of today\n" + header, 1, ',', ""},
		{"after a hint for Excel", "sep=;\n" + strings.ReplaceAll(header, ",", ";"), 1, ';', ""},
		{"after a quoted hint", `"sep=;"` + "\n" + strings.ReplaceAll(header, ",", ";"), 1, ';', ""},
		{"after empty lines", "\n\r\n" + header, 2, ',', ""},
		{"as late as may be", strings.Repeat("x\n", maxPreamble) + header, maxPreamble, ',', ""},
		{"too late", strings.Repeat("x\n", maxPreamble+1) + header, 0, 0, "neither CSV nor JSON: the first line is \"x\""},
		{"quoted", `"TimeGenerated [UTC]","CorrelationId","ResponseCode"` + "\n", 0, ',', ""},
		{"no lines", "\n\n\n", 0, 0, "no header line found"},
		{"no time", "a,b\n1,2\n", 0, 0, "the columns match no known log"},
	} {
		f := &file{aliases: aliases()}
		err := f.detectCSV([]byte(tc.text))
		switch {
		case tc.err == "" && (err != nil || f.before != tc.before || f.comma != tc.comma || f.table.name != gatewayTable):
			t.Errorf("%s: %v, header after %d lines, divided by %q", tc.name, err, f.before, f.comma)
		case tc.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.err)):
			t.Errorf("%s: %v, want %q", tc.name, err, tc.err)
		}
	}
}

// What a file's first bytes say of its layout.
func TestDetectLayout(t *testing.T) {
	for _, tc := range []struct {
		head string
		want layout
		err  bool
	}{
		{"TimeGenerated,CorrelationId,ResponseCode\n", asCSV, false},
		{`{"TimeGenerated":1}`, asObjects, false},
		{` [{"TimeGenerated":1}]`, asObjects, false},
		{`{"tables":[]}`, asTables, false},
		{`{"Tables":[]}`, asTables, false},
		{`{"tables":[{"name":"x","columns":[{"na`, asTables, false},
		{`{"cost":1,"timespan":"x","value":[]}`, asMetrics, false},
		{`{"value":[{"timeseries":[{"da`, asMetrics, false},
		{`{"value":[]}`, asRecords, false},
		{`{"records": [{"time":"x"}]}`, asRecords, false},
		{`{"records": [{"time":"x"`, asRecords, false},
		{`{"error":{"code":"Forbidden"}}`, asObjects, true},
		{`{"error":"x","TimeGenerated":1}`, asObjects, false},
		{"   ", asCSV, true},
	} {
		f := &file{aliases: aliases(), known: map[string]place{}}
		if err := f.detectLayout([]byte(tc.head)); (err != nil) != tc.err || f.layout != tc.want {
			t.Errorf("%s: layout %d, %v, want %d", tc.head, f.layout, err, tc.want)
		}
	}
}

// Columns that charts are made of are series of utilization, if any says so.
func TestWideSeries(t *testing.T) {
	for _, tc := range []struct {
		columns, above string
		want           int
	}{
		{"Timestamp|gpt|mini", "Metric,Provisioned-managed Utilization V2", 2},
		{"Timestamp|Provisioned-managed Utilization V2 (Max), gpt|Processed tokens, gpt", "", 1},
		{"Timestamp|gpt", "Metric,Processed Inference Tokens", 0},
		{"Timestamp", "Metric,Provisioned-managed Utilization V2", 0},
	} {
		got := wideSeries(strings.Split(tc.columns, "|"), 0, tc.above)
		if len(got) != tc.want {
			t.Errorf("%s under %q: %+v, want %d", tc.columns, tc.above, got, tc.want)
		}
		for _, s := range got {
			if is, _ := utilization(s.metric); !is || !s.loose || s.column == 0 {
				t.Errorf("%s under %q: %+v", tc.columns, tc.above, s)
			}
		}
	}
}

func TestUtilizationMetrics(t *testing.T) {
	for metric, want := range map[string][2]bool{
		"AzureOpenAIProvisionedManagedUtilization": {true, true}, "AzureOpenAIProvisionedManagedUtilizationV2": {true, false},
		"ProvisionedUtilization": {true, false}, "Provisioned-managed Utilization V2": {true, false}, "Provisioned-managed Utilization": {true, true},
		"AzureOpenAIRequests": {false, false}, "CPU Utilization": {false, false}, "": {false, false},
	} {
		if is, old := utilization(metric); is != want[0] || old != want[1] {
			t.Errorf("%q: %t, deprecated %t, want %v", metric, is, old, want)
		}
	}
}

// A file with a few bad rows is used; one with too many, or none that are good,
// is not.
func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		rows, bad int
		refused   bool
	}{
		{0, 0, true}, {1, 0, false}, {1, 1, true}, {5, 5, true}, {11, 10, false}, {12, 11, true}, {110, 11, false}, {109, 11, true}, {1_000_000, 100_000, false}, {1_000_000, 100_001, true},
	} {
		f := &file{path: "a.csv", rows: tc.rows, bad: tc.bad}
		if err := f.refused(); (err != nil) != tc.refused {
			t.Errorf("%d bad of %d rows: %v", tc.bad, tc.rows, err)
		}
	}
	var f file
	for i := range 5 {
		f.line = i + 1
		f.reject("it is bad")
	}
	if f.bad != 5 || len(f.samples) != maxSamples || f.samples[0] != "line 1: it is bad" {
		t.Errorf("%d bad rows, samples %q", f.bad, f.samples)
	}
}
