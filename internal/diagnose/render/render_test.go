package render

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// basis is an hour of traffic without any finding.
func basis() diagnose.Diagnosis {
	return diagnose.Diagnosis{
		From: noon, To: noon.Add(time.Hour), Tries: 26_672, Calls: 26_266, DeploymentNames: []string{"ptu-eastus", "std-westus"},
		Findings: []diagnose.Finding{}, Coverage: []diagnose.Missing{},
	}
}

// oversized is a finding with everything that one can have.
func oversized() diagnose.Finding {
	return diagnose.Finding{
		Code: diagnose.OversizedRequests, Severity: diagnose.Critical, Confidence: 0.95, Subject: "ptu-eastus", Affected: 0.0176,
		Title: "1.76% of tries ran out of their 60 s window; responses up to 2,016 tokens fit", From: noon, To: noon.Add(12 * time.Minute),
		Evidence: []diagnose.Evidence{
			{Name: "tries that ran out of time while generating", Value: 469, Unit: "count", Source: "outcome"},
			{Name: "their token limit, p50 (0: none)", Value: 16384, Unit: "tokens", Source: "ask_tokens"},
			{Name: "time between tokens, p50", Value: 9.2, Unit: "ms", Source: "tbt_mean_ms"},
			{Name: "<b>correlation</b>", Value: -0.41, Unit: "r", Source: "regression"},
		},
		RuledOut: []diagnose.RuledOut{
			{Code: diagnose.PTUSaturation, Text: "not capacity: utilization p95 27%, inverse to running out of time, r = −0.41"},
		},
		Remedy: diagnose.Remedy{
			Text:      "limit responses to what fits (2,016 tokens), and stream longer ones",
			Config:    "classes:\n  - {name: sync, window: 60s, budget: {mode: clamp, quantile: 0.99}}",
			CapTokens: 2016, WindowS: 60,
		},
		Effect: &diagnose.Effect{
			Text:  "cap 2,016: 408 1.91% → 0%, 429 0% → 0%, cut at the deadline 0% → 0.02%, 1.98% truncated, −62% tokens generated, −42% received",
			Calls: 26_266, Now: diagnose.Rates{Timeout: 0.0191}, Then: diagnose.Rates{Cut: 0.0002, Truncated: 0.0198},
		},
	}
}

// diagnoses are the forms that a diagnosis can have.
func diagnoses() map[string]diagnose.Diagnosis {
	all := map[string]diagnose.Diagnosis{}
	add := func(name string, change func(d *diagnose.Diagnosis)) {
		d := basis()
		change(&d)
		all[name] = d
	}
	replay := func(d *diagnose.Diagnosis, reproduced bool) {
		d.Replay = &diagnose.Replay{
			From: noon, To: noon.Add(12 * time.Minute), Calls: 26_266, Reproduced: reproduced,
			Observed: diagnose.Rates{Timeout: 0.0176}, Replayed: diagnose.Rates{Timeout: 0.0191},
		}
	}
	add("empty", func(d *diagnose.Diagnosis) { *d = diagnose.Diagnosis{} })
	add("healthy", func(d *diagnose.Diagnosis) { d.Healthy = true })
	add("little", func(d *diagnose.Diagnosis) { d.Tries, d.Calls = 49, 49 })
	add("unexplained", func(d *diagnose.Diagnosis) { d.Failed, d.Refused = 0.03, 0.02 })
	add("unclear", func(d *diagnose.Diagnosis) { d.Failed = 0.005 })
	add("finding", func(d *diagnose.Diagnosis) {
		d.Timeout, d.Failed = 0.0176, 0.0176
		d.Findings = []diagnose.Finding{oversized()}
		d.Coverage = []diagnose.Missing{
			{Text: "time to first token unknown: not checked for slow prefill", Share: 1},
			{Text: "4 of 107 responses have no token row: their work, length and speed are unknown", Share: 0.0374},
		}
		replay(d, true)
	})
	add("findings", func(d *diagnose.Diagnosis) {
		retries := diagnose.Finding{
			Code: diagnose.RetryAmplification, Severity: diagnose.Warning, Confidence: 0.7, Title: "retries multiply the load", Affected: 0.005,
			From: noon.AddDate(0, 0, -1), To: noon, Evidence: []diagnose.Evidence{{Name: "tries per call", Value: 2.4, Unit: "ratio", Source: "client_retry"}},
			Remedy: diagnose.Remedy{Text: "allow at most two retries in the clients", FewRetries: true},
		}
		first := oversized()
		first.Effect = nil
		d.Findings = []diagnose.Finding{first, retries}
		replay(d, true)
	})
	add("not reproduced", func(d *diagnose.Diagnosis) {
		first := oversized()
		first.Effect = nil
		d.Findings = []diagnose.Finding{first}
		replay(d, false)
	})
	add("imported", func(d *diagnose.Diagnosis) {
		d.Blind = true
		d.Sources = []diagnose.Source{
			{
				Name: "gateway.csv", Table: "ApiManagementGatewayLogs", Rows: 1210, Other: 7, Bad: 2, From: noon, To: noon.Add(time.Hour),
				Samples: []string{"line 6: the row has 3 columns, the header has 10", "line 9: it has no time"},
				Notes:   []string{"dates are read day first, since some have a first number above 12"},
			},
			{Name: "métriques.json", Table: "Azure Monitor metrics", Rows: 13},
		}
	})
	return all
}

// golden compares with, or with -update writes, a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "_"))
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

func TestText(t *testing.T) {
	for name, d := range diagnoses() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Text(&b, &d); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				if line != strings.TrimRight(line, " \n")+"\n" {
					t.Errorf("the line %q ends in spaces", line)
				}
			}
			golden(t, name+".txt", b.Bytes())
		})
	}
}

// style is what all pages have in common.
var style = regexp.MustCompile(`(?s)<style>.*</style>`)

func TestHTML(t *testing.T) {
	for name, d := range diagnoses() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := HTML(&b, &d); err != nil {
				t.Fatal(err)
			}
			balanced(t, b.String())
			golden(t, name+".html", style.ReplaceAll(b.Bytes(), []byte("<style>…</style>")))
		})
	}
}

// balanced holds a page to XML's rules, but for the doctype and tags without an
// end.
func balanced(t *testing.T, page string) {
	t.Helper()
	page = regexp.MustCompile(`<!DOCTYPE html>|<meta [^>]*>|<br>`).ReplaceAllString(page, "")
	d := xml.NewDecoder(strings.NewReader(page))
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, page)
		}
	}
}

// What clients or operators have named is text, never markup, and the page loads
// nothing.
func TestHTMLEscapes(t *testing.T) {
	d := basis()
	d.DeploymentNames = []string{`<script>alert(1)</script>`}
	f := oversized()
	f.Subject, f.Remedy.Config = `"><img src=x>`, "</pre><script>"
	d.Findings = []diagnose.Finding{f}
	d.Sources = []diagnose.Source{{Name: "<script>.csv", Notes: []string{"<b>"}}}
	d.Charts = charts()
	d.Charts.Pace[0].Deployment = "<script>"
	var b bytes.Buffer
	if err := HTML(&b, &d); err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"<script", "<img", "http://", "https://", "url(", "@import"} {
		if strings.Contains(strings.ReplaceAll(b.String(), `xmlns="http://www.w3.org/2000/svg"`, ""), never) {
			t.Errorf("the page has %s", never)
		}
	}
}

// failing takes some bytes and then no more.
type failing struct{ left int }

func (w *failing) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errors.New("the disk is full")
	}
	return len(b), nil
}

func TestWriteErrors(t *testing.T) {
	for name, d := range diagnoses() {
		for _, room := range []int{0, 500} {
			if err := HTML(&failing{room}, &d); err == nil {
				t.Errorf("%s: a page that was not written is no error", name)
			}
		}
		if err := Text(&failing{0}, &d); err == nil {
			t.Errorf("%s: a text that was not written is no error", name)
		}
	}
}

func TestValue(t *testing.T) {
	for _, tc := range []struct {
		unit  string
		value float64
		want  string
	}{
		{"share", 0.123, "12%"},
		{"ms", 9.2, "9 ms"},
		{"ms", 1500, "1.5 s"},
		{"s", 20, "20 s"},
		{"s", 600, "10 min"},
		{"tokens", 16384, "16,384 tokens"},
		{"per_minute", 1234.4, "1,234/min"},
		{"ratio", 2.44, "×2.4"},
		{"r", -0.414, "−0.41"},
		{"count", 469, "469"},
		{"furlongs", 3, "3"},
	} {
		if got := value(&diagnose.Evidence{Unit: tc.unit, Value: tc.value}); got != tc.want {
			t.Errorf("%v %s: %q, want %q", tc.value, tc.unit, got, tc.want)
		}
	}
}

func TestPeriod(t *testing.T) {
	for _, tc := range []struct {
		from, to time.Time
		want     string
	}{
		{noon, noon.Add(20 * time.Minute), "2026-03-04 12:00–12:20 UTC"},
		{noon, noon, "2026-03-04 12:00–12:00 UTC"},
		{noon, noon.Add(13 * time.Hour), "2026-03-04 12:00 – 2026-03-05 01:00 UTC"},
		{noon, noon.AddDate(1, 0, 0), "2026-03-04 12:00 – 2027-03-04 12:00 UTC"},
	} {
		if got := period(tc.from, tc.to); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tc := range []struct {
		all  string
		want string
	}{
		{"a", "a"}, {"a b c d", "a, b, c, d"}, {"a b c d e f", "a, b, c, d and 2 more"}, {"", ""},
	} {
		if got := names(strings.Fields(tc.all)); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.all, got, tc.want)
		}
	}
}

// Paragraphs keep within the width, continue under their first word, and lose no
// word.
func TestWrap(t *testing.T) {
	for _, tc := range []struct{ head, text string }{
		{"", "short"},
		{"   fix    ", strings.Repeat("word ", 60)},
		{"  100%  ", strings.Repeat("wörter−mit–zeichen ", 20)},
		{"", strings.Repeat("x", 150) + " and more"},
		{"head ", ""},
	} {
		var b bytes.Buffer
		wrap(&b, tc.head, tc.text)
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		for i, line := range lines {
			if n := len([]rune(line)); n > textWidth && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("line of %d: %q", n, line)
			}
			if i > 0 && !strings.HasPrefix(line, strings.Repeat(" ", len([]rune(tc.head)))) {
				t.Errorf("the line %q is not under the head %q", line, tc.head)
			}
		}
		if got := strings.Join(strings.Fields(strings.TrimPrefix(b.String(), tc.head)), " "); got != strings.Join(strings.Fields(tc.text), " ") {
			t.Errorf("%q became %q", tc.text, got)
		}
	}
}
