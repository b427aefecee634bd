package imports

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// write puts texts into files and returns their paths.
func write(t *testing.T, texts ...string) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, text := range texts {
		path := filepath.Join(dir, fmt.Sprintf("file%d", i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// read imports files.
func read(t *testing.T, paths ...string) *Import {
	t.Helper()
	im, err := Read(t.Context(), paths, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := im.Close(); err != nil {
			t.Error(err)
		}
	})
	return im
}

// observed are an import's observations, with attempts of their own.
func observed(t *testing.T, im *Import, from, to time.Time) []diagnose.Observation {
	t.Helper()
	var all []diagnose.Observation
	for o, err := range im.Observations(from, to) {
		if err != nil {
			t.Fatal(err)
		}
		one := *o
		one.Attempts = append([]spillway.Attempt(nil), o.Attempts...)
		all = append(all, one)
	}
	return all
}

const (
	gatewayHead = "TimeGenerated,CorrelationId,ResponseCode,TotalTime,BackendResponseCode,BackendTime,BackendUrl,Url,ApimSubscriptionId,LastErrorReason\n"
	api         = "https://east.openai.azure.com/openai/deployments/gpt/chat/completions"
)

// gatewayRow is one of the gateway's log. How is what the backend answered, and
// the gateway's reason.
func gatewayRow(second int, id string, code, took int, how string) string {
	backend, reason, _ := strings.Cut(how, " ")
	return fmt.Sprintf("2026-11-22T10:00:%02dZ,%s,%d,%d,%s,%d,%s,https://api/chat/completions,team,%s\n", second, id, code, took, backend, took, api, reason)
}

// What a row of the gateway's log comes to.
func TestGatewayOutcomes(t *testing.T) {
	for _, c := range []struct {
		code, took      int
		backend, reason string
		want            spillway.Outcome
		attempt         int // its status, or -1 for no attempt
		class           spillway.FailureClass
	}{
		{200, 900, "200", "", spillway.OutcomeOK, 200, 0},
		{408, 60000, "408", "", spillway.OutcomeTimeout, 408, 0},
		{504, 60000, "504", "", spillway.OutcomeTimeout, 408, 0},
		{504, 20, "504", "", spillway.OutcomeUpstreamError, 504, spillway.FailureBroken},
		{500, 30000, "", "Timeout", spillway.OutcomeTimeout, 0, 0},
		{429, 3, "429", "", spillway.OutcomeThrottled, 429, spillway.FailureRefused},
		{429, 0, "", "RateLimitExceeded", spillway.OutcomeThrottled, -1, 0},
		{429, 0, "", "", spillway.OutcomeThrottled, -1, 0},
		{503, 9, "429", "", spillway.OutcomeThrottled, 429, spillway.FailureRefused},
		{500, 60000, "408", "", spillway.OutcomeTimeout, 408, 0},
		{503, 9, "503", "", spillway.OutcomeUpstreamError, 503, spillway.FailureBroken},
		{500, 0, "", "BackendConnectionFailure", spillway.OutcomeUpstreamError, 0, spillway.FailureBroken},
		{503, 0, "", "", spillway.OutcomeUpstreamError, -1, spillway.FailureBroken},
		{200, 9000, "200", "BackendConnectionFailure", spillway.OutcomePartial, 200, spillway.FailureCut},
		{200, 9000, "200", "ClientConnectionFailure", spillway.OutcomeClientGone, 200, spillway.FailureGone},
		{499, 9000, "", "", spillway.OutcomeClientGone, 0, spillway.FailureGone},
		{0, 9000, "", "", spillway.OutcomeClientGone, 0, spillway.FailureGone},
		{200, 900, "500", "", spillway.OutcomeOK, 500, spillway.FailureBroken},
		{400, 5, "400", "", spillway.OutcomeRefusedInvalid, 400, 0},
		{401, 1, "", "SubscriptionKeyInvalid", spillway.OutcomeRefusedInvalid, 0, 0},
	} {
		im := read(t, write(t, gatewayHead+gatewayRow(1, "a", c.code, c.took, c.backend+" "+c.reason))...)
		all := observed(t, im, time.Time{}, time.Time{})
		if len(all) != 1 {
			t.Fatalf("%+v: %d observations", c, len(all))
		}
		o := all[0]
		attempt, class := -1, spillway.FailureClass(0)
		if len(o.Attempts) > 0 {
			attempt, class = o.Attempts[0].Status, o.Attempts[0].Class
		} else {
			class = c.class
		}
		if o.Outcome != c.want || attempt != c.attempt || class != c.class || o.Status != c.code {
			t.Errorf("%+v: %v, attempt %d, %v", c, o.Outcome, attempt, class)
		}
		if o.Status == 429 && attempt < 0 && o.Pool != ownLimits {
			t.Errorf("%+v: pool %q, want that of the gateway's own limits", c, o.Pool)
		}
	}
}

// Everything that is known of a request comes together, whatever log and file
// and row it is in, and once.
func TestJoin(t *testing.T) {
	gateway := "TimeGenerated,CorrelationId,ResponseCode,TotalTime,BackendResponseCode,BackendTime,BackendUrl,ApimSubscriptionId,RequestHeaders,BackendResponseHeaders,MaxTokens\n" +
		"2026-11-22T10:00:09Z,B,200,2100,200,2000," + api + `,team,"{""x-stainless-retry-count"":""2"",""X-Stainless-Read-Timeout"":""30"",""Authorization"":""k""}","{""azure-openai-deployment-utilization"":""82.5%"",""x-ms-region"":[""East US""]}",4096` + "\n" +
		"2026-11-22T10:00:01Z,A,408,60000,408,60000," + api + ",team,,,\n" +
		"2026-11-22T10:00:01Z,A,408,60000,408,60000," + api + ",team,,,\n"
	llm := "TimeGenerated,CorrelationId,SequenceNumber,DeploymentName,ModelName,PromptTokens,CompletionTokens,IsStreamCompletion,RequestMessages\n" +
		"2026-11-22T10:00:09Z,B,2,gpt,gpt-4o,0,0,true,\"said\nby a client\"\n" +
		"2026-11-22T10:00:09Z,B,0,gpt,gpt-4o,700,300,true,\n" +
		"2026-11-22T10:00:09Z,lost,0,gpt,gpt-4o,7,3,true,\n"
	usage := `{"time":"2026-11-22T10:00:09Z","category":"AzureOpenAIRequestUsage","correlationId":"B","properties":"{\"promptTokens\":[700],\"generatedTokens\":[100,200],\"cachedTokens\":[512],\"timeToFirstTokenMs\":500}"}` + "\n" +
		`{"time":"2026-11-22T10:00:09Z","category":"RequestResponse","operationName":"ChatCompletions_Create","correlationId":"elsewhere","resultSignature":"200","durationMs":9,"properties":{"modelDeploymentName":"gpt"}}` + "\n" +
		`{"time":"2026-11-22T10:00:09Z","category":"Audit","correlationId":"B"}`
	paths := write(t, llm, usage, gateway)
	im := read(t, paths...)
	all := observed(t, im, time.Time{}, time.Time{})
	if len(all) != 2 || all[0].Status != 408 || all[0].Model != "gpt-4o" || all[0].AskTokens != -1 || all[0].CachedTokens != -1 {
		t.Fatalf("%+v, want the 408 first, of the deployment's model, and nothing that nobody said", all)
	}
	got := fmt.Sprintf("%+v", all[1])
	want := fmt.Sprintf("%+v", diagnose.Observation{
		Time: time.Date(2026, 11, 22, 10, 0, 9, 0, time.UTC), Model: "gpt-4o", Caller: "team", Stream: true, Outcome: spillway.OutcomeOK, Status: 200,
		Retry: 2, AskTokens: 4096, PromptTokens: 700, CachedTokens: 512, CompletionTokens: 300, ClientTimeout: 30 * time.Second,
		TTFT: 500 * time.Millisecond, E2E: 2100 * time.Millisecond, TBT: 1500 * time.Millisecond / 299,
		Attempts: []spillway.Attempt{{
			Deployment: "gpt", Region: "eastus", Kind: spillway.Provisioned, End: 2 * time.Second, TTFT: 500 * time.Millisecond, Status: 200, Tokens: 300, Utilization: 0.8250000000000001,
		}},
	})
	if got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	j := im.joined
	if j.duplicates != 1 || j.unmatched[kindLLM] != 1 || j.unmatched[kindService] != 1 || j.answered != 1 || j.counted != 1 {
		t.Errorf("%+v, want one of each", j)
	}
	// From and to are bounds, and a second range is like the first.
	nine := time.Date(2026, 11, 22, 10, 0, 9, 0, time.UTC)
	if n := len(observed(t, im, nine, time.Time{})); n != 1 {
		t.Errorf("%d from its time on, want 1", n)
	}
	if n := len(observed(t, im, time.Time{}, nine)); n != 1 {
		t.Errorf("%d before its time, want 1", n)
	}
	if n := len(observed(t, im, time.Time{}, time.Time{})); n != 2 {
		t.Errorf("%d the second time, want 2", n)
	}
}

func wide(text string, mark bool, swap bool) string {
	var b []byte
	for i, c := range utf16.Encode([]rune(text)) {
		pair := []byte{byte(c), byte(c >> 8)}
		if i == 0 && mark {
			b = append(b, 0xff, 0xfe)
		}
		b = append(b, pair...)
	}
	if swap {
		for i := 0; i < len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
	}
	return string(b)
}

func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // into memory
	_ = w.Close()
	return b.String()
}

// However a table is written, it says the same.
func TestForms(t *testing.T) {
	plain := gatewayHead + gatewayRow(1, "a", 408, 60000, "408") + gatewayRow(2, "ä𝄞", 200, 1234, "200")
	const object = `{"TimeGenerated":"2026-11-22T10:00:%02dZ","CorrelationId":"%s","ResponseCode":%d,"TotalTime":%d,"BackendResponseCode":%d,"BackendTime":%d,"BackendUrl":"` + api + `","Url":"https://api/chat/completions","ApimSubscriptionId":"team","LastErrorReason":null}`
	one, two := fmt.Sprintf(object, 1, "a", 408, 60000, 408, 60000), fmt.Sprintf(object, 2, "b", 200, 1234, 200, 1234)
	semicolons := "sep=;\r\n" + strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(plain, ",", ";"), ";1234;", ";1.234,0;"), "\n", "\r\n")
	forms := map[string]string{
		"plain": plain, "no last newline": strings.TrimSuffix(plain, "\n"), "mark": "\ufeff" + plain, "crlf": strings.ReplaceAll(plain, "\n", "\r\n"),
		"utf-16": wide(plain, true, false), "utf-16 big": wide(plain, true, true), "utf-16 without mark": wide(plain, false, false),
		"gzip": packed(plain), "semicolons": semicolons, "tabs": strings.ReplaceAll(plain, ",", "\t"), "blank lines first": "\n\n" + plain,
		"lines": one + "\n" + two + "\n", "list": "[" + one + ",\n" + two + "]", "packed list": packed(" [" + one + "," + two + "]\n"), "together": one + two,
		"suffixes":                  strings.Replace(strings.ReplaceAll(plain, "ResponseCode", "responseCode_d"), "TimeGenerated", "TimeGenerated [UTC]", 1),
		"columns that nobody knows": strings.ReplaceAll(strings.ReplaceAll(plain, ",team,", ",team,0,"), "ApimSubscriptionId,", "ApimSubscriptionId,Foo,"),
		"answer":                    `{"tables":[{"name":"PrimaryResult","columns":[{"name":"TimeGenerated","type":"datetime"},{"name":"CorrelationId"},{"name":"ResponseCode"},{"name":"TotalTime"},{"name":"BackendUrl"}],"rows":[["2026-11-22T10:00:01Z","a",408,60000,"` + api + `"],["2026-11-22T10:00:02Z","b",200,1234,"` + api + `"]]},{"name":"Statistics","columns":[],"rows":[["x"]]}]}`,
	}
	for name, text := range forms {
		im := read(t, write(t, text)...)
		all := observed(t, im, time.Time{}, time.Time{})
		if len(all) != 2 || all[0].Outcome != spillway.OutcomeTimeout || all[1].E2E != 1234*time.Millisecond || all[1].Attempts[0].Deployment != "gpt" {
			t.Errorf("%s: %+v", name, all)
		}
		for _, f := range im.files {
			if f.bad > 0 || f.rows != 2 {
				t.Errorf("%s: %d rows, of them bad %d: %v", name, f.rows, f.bad, f.samples)
			}
		}
	}
}

// A file that cannot be read to its end, or not understood, is an error that
// says what and where.
func TestErrors(t *testing.T) {
	good := gatewayHead + strings.Repeat(gatewayRow(1, "a", 200, 9, "200"), 30)
	bad := "2026-11-22T10:00:01Z,a,OK,9,200,9,,,,\n"
	line := `{"TimeGenerated":"2026-11-22T10:00:01Z","CorrelationId":"a","ResponseCode":200}` + "\n"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":        {"", "the file is empty"},
		"spaces":         {" \n\n", "only spaces"},
		"picture":        {"\x89PNG\r\n\x1a\n\x00\x00", "the file is image/png, not CSV or JSON"},
		"workbook":       {"PK\x03\x04\x14\x00", "save the sheet as CSV"},
		"parquet":        {"PAR1\x15\x04", "a Parquet file"},
		"page":           {"<!DOCTYPE html><html>", "a sign-in page"},
		"prose":          {"Dear reader\nthis is prose\n", "neither CSV nor JSON: the first line is \"Dear reader\""},
		"other columns":  {"a,b\n1,2\n", "match no known log"},
		"one is missing": {"TimeGenerated,ResponseCode\n2026-11-22T10:00:01Z,200\n", "look like ApiManagementGatewayLogs; missing: CorrelationId"},
		"no rows":        {gatewayHead, "has no rows"},
		"empty list":     {"[]", "no rows"},
		"an error":       {`{"error":{"code":"Forbidden"}}`, "an error response of the service"},
		"too many bad":   {good + strings.Repeat(bad, 11), "11 of 41 rows are unreadable, too many to continue:\n  line 32: ResponseCode: \"OK\" is not a valid number"},
		"all bad":        {gatewayHead + bad, "1 of 1 rows are unreadable"},
		"cut line":       {good + "2026-11-22T10:00:01Z,a,200", "cannot read past line 32, row 31: too few columns"},
		"cut quote":      {good + `2026-11-22T10:00:01Z,"a`, "cannot read past line 32, row 31"},
		"cut object":     {line + line + line[:20], "cannot read past line 3, row 3: unexpected EOF"},
		"cut list":       {"[" + line + "," + line, "unexpected EOF"},
		"cut gzip":       {packed(good)[:len(packed(good))-12], "unexpected EOF"},
		"cut answer":     {`{"tables":[{"columns":[{"name":"TimeGenerated"},{"name":"CorrelationId"},{"name":"ResponseCode"}],"rows":[["2026-11-22T10:00:01Z","a",200],["2026`, "cannot read past line 1, row 2"},
		"no JSON":        {line + "}{", "expected the start of an object, got \"}\""},
		"metrics alone":  {"TimeGenerated,MetricName,Average\n2026-11-22T10:00:00Z,ProvisionedUtilization,50\n", "metrics contain no requests"},
		"other metrics":  {`{"interval":"PT1M","value":[]}`, "metrics contain no requests"},
		"days and months": {
			strings.ReplaceAll(gatewayHead+strings.Repeat(gatewayRow(1, "a", 200, 9, "200"), 12000), "2026-11-22T", "05/11/2026 ") + "13/11/2026 10:00:00,b,200,9,200,9,,,,\n",
			"row 12001: time \"13/11/2026 10:00:00\": day and month are in a different order",
		},
		"half UTF-16":     {wide(good, true, false) + "x", "unexpected EOF"},
		"no time at all":  {gatewayHead + "x" + gatewayRow(1, "a", 200, 9, "200"), "time \"x2026-11-22T10:00:01Z\" is not like"},
		"beyond all time": {gatewayHead + strings.Replace(gatewayRow(1, "a", 200, 9, "200"), "2026", "1970", 1), "is before these services existed, or in the future"},
	} {
		im, err := Read(t.Context(), write(t, c.text), Options{Dir: t.TempDir()})
		if err == nil {
			t.Errorf("%s: no error, %+v", name, im.joined)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "file0") && !strings.Contains(c.want, "metrics") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A few bad rows among many are counted and shown, and the others used.
func TestBadRows(t *testing.T) {
	var text strings.Builder
	text.WriteString(gatewayHead)
	for i := range 40 {
		text.WriteString(gatewayRow(i, fmt.Sprint(i), 200, 9, "200"))
		switch i {
		case 3:
			text.WriteString("2026-11-22T10:00:01Z,too,short\n")
		case 5:
			text.WriteString("2026-11-22T10:00:01Z,b\"ad,200,9,200,9,,,,\n")
		case 7, 8:
			text.WriteString("2026-11-22T10:00:01Z,,200,9,200,9,,,,\n")
		}
	}
	im := read(t, write(t, text.String())...)
	if n := len(observed(t, im, time.Time{}, time.Time{})); n != 40 {
		t.Errorf("%d requests, want 40", n)
	}
	s := im.Sources()[0]
	want := []string{"line 6: the row has 3 columns, the header has 10", "line 9: bare \" in non-quoted-field", "line 12: no correlation id"}
	if s.Bad != 4 || s.Rows != 44 || strings.Join(s.Samples, "|") != strings.Join(want, "|") {
		t.Errorf("%d bad of %d, %q, want %q", s.Bad, s.Rows, s.Samples, want)
	}
}

func TestTwice(t *testing.T) {
	paths := write(t, gatewayHead+gatewayRow(1, "a", 200, 9, "200"))
	link := paths[0] + "-again"
	if err := os.Symlink(paths[0], link); err != nil {
		t.Skip(err)
	}
	im := read(t, paths[0], link, paths[0])
	if n := im.Requests(); n != 1 || len(im.Sources()) != 1 || len(im.Sources()[0].Notes) != 1 {
		t.Errorf("%d requests, %+v", n, im.Sources())
	}
}
