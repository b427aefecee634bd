package diagnose

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// record has a value in every field that an observation may be made of.
func record() *spillway.Record {
	r := &spillway.Record{
		Time: noon, Pool: "chat", Caller: "search", Tenant: "acme", Class: "sync", Model: "gpt-4o-mini", Stream: true,
		Outcome: spillway.OutcomeOK, Spill: spillway.SpillRefused, Status: 200, ClientRetry: 2, Choices: 3, AskTokens: 500, PromptEstimate: 280,
		Window: time.Minute, Queue: time.Second, TTFT: 2 * time.Second, E2E: 3 * time.Second, TBTMean: 4 * time.Millisecond,
		Attempts: []spillway.Attempt{{Deployment: "ptu", Status: 200, Utilization: 0.5}},
	}
	r.Usage.Prompt, r.Usage.Cached, r.Usage.Completion, r.Usage.Known = 300, 128, 100, true
	return r
}

func TestFromRecord(t *testing.T) {
	want := Observation{
		Time: noon, Pool: "chat", Model: "gpt-4o-mini", Class: "sync", Caller: "search", Tenant: "acme", Stream: true, Outcome: spillway.OutcomeOK,
		Spill: spillway.SpillRefused, Status: 200, Retry: 2, AskTokens: 1500, PromptTokens: 300, CachedTokens: 128, CompletionTokens: 100,
		Window: time.Minute, Queue: time.Second, TTFT: 2 * time.Second, E2E: 3 * time.Second, TBT: 4 * time.Millisecond,
	}
	for _, tc := range []struct {
		name   string
		change func(r *spillway.Record)
		want   func(o *Observation)
	}{
		{"all is known", func(*spillway.Record) {}, func(*Observation) {}},
		{"one choice", func(r *spillway.Record) { r.Choices = 1 }, func(o *Observation) { o.AskTokens = 500 }},
		{"choices not given", func(r *spillway.Record) { r.Choices = 0 }, func(o *Observation) { o.AskTokens = 500 }},
		{"no limit", func(r *spillway.Record) { r.AskTokens = 0 }, func(o *Observation) { o.AskTokens = 0 }},
		{"no usage", func(r *spillway.Record) { r.Usage = spillway.Usage{} }, func(o *Observation) {
			o.PromptTokens, o.CachedTokens, o.CompletionTokens = 280, -1, 0
		}},
		{"nothing cached", func(r *spillway.Record) { r.Usage.Cached = 0 }, func(o *Observation) { o.CachedTokens = 0 }},
	} {
		r := record()
		tc.change(r)
		expected := want
		tc.want(&expected)
		expected.Attempts = r.Attempts
		if got := FromRecord(r); !reflect.DeepEqual(got, expected) {
			t.Errorf("%s: %+v, want %+v", tc.name, got, expected)
		}
	}
}

// RecordColumns names every field that FromRecord reads, by its name in the
// records' JSON.
func TestRecordColumns(t *testing.T) {
	columns := RecordColumns()
	text, err := os.ReadFile("observation.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(text), "func FromRecord(")
	body, _, _ = strings.Cut(body, "\n}")
	names := map[string]string{
		"Time": "time", "Pool": "pool", "Model": "model", "Class": "class", "Caller": "caller", "Tenant": "tenant", "Stream": "stream",
		"Outcome": "outcome", "Status": "status", "Spill": "spill", "ClientRetry": "client_retry", "AskTokens": "ask_tokens", "Choices": "choices",
		"Usage.Prompt": "prompt_tokens", "Usage.Cached": "cached_tokens", "Usage.Completion": "completion_tokens", "Usage.Known": "usage_known",
		"Window": "window_ms", "Queue": "queue_ms", "TTFT": "ttft_ms", "E2E": "e2e_ms", "TBTMean": "tbt_mean_ms",
		"PromptEstimate": "prompt_estimate_tokens", "Attempts": "attempts.deployment",
	}
	found := 0
	for _, m := range regexp.MustCompile(`\br\.((?:Usage\.)?\w+)`).FindAllStringSubmatch(body, -1) {
		found++
		if name := names[m[1]]; name == "" || !slices.Contains(columns, name) {
			t.Errorf("FromRecord reads %s, of which no column is read", m[1])
		}
	}
	if found < len(names) {
		t.Errorf("%d fields were found in FromRecord, of %d", found, len(names))
	}
}

func TestOutcomes(t *testing.T) {
	for _, tc := range []struct {
		outcome                         spillway.Outcome
		complete, late, refused, failed bool
	}{
		{spillway.OutcomeUnknown, false, false, false, false},
		{spillway.OutcomeOK, true, false, false, false},
		{spillway.OutcomeOKClientCap, true, false, false, false},
		{spillway.OutcomeTruncatedBudget, true, false, false, false},
		{spillway.OutcomeTruncatedDeadline, false, true, false, true},
		{spillway.OutcomeRefusedBudget, false, false, false, false},
		{spillway.OutcomeRefusedQueue, false, false, true, true},
		{spillway.OutcomeRefusedCapacity, false, false, true, true},
		{spillway.OutcomeRefusedInvalid, false, false, false, false},
		{spillway.OutcomeThrottled, false, false, true, true},
		{spillway.OutcomeTimeout, false, true, false, true},
		{spillway.OutcomeUpstreamError, false, false, false, true},
		{spillway.OutcomePartial, false, false, false, true},
		{spillway.OutcomeClientGone, false, false, false, true},
	} {
		o := &Observation{Outcome: tc.outcome}
		got := [...]bool{o.Complete(), o.Late(), o.Refused(), o.Failed()}
		if want := [...]bool{tc.complete, tc.late, tc.refused, tc.failed}; got != want {
			t.Errorf("%v: complete, late, refused, failed: %v, want %v", tc.outcome, got, want)
		}
	}
	if o := (&Observation{Caller: "search", Tenant: "acme"}); o.Who() != "acme" {
		t.Errorf("%q, want the tenant", o.Who())
	}
	if o := (&Observation{Caller: "search"}); o.Who() != "search" {
		t.Errorf("%q, want the caller", o.Who())
	}
}

// Codes lists the constants, each once.
func TestCodes(t *testing.T) {
	text, err := os.ReadFile("finding.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []Code
	for _, m := range regexp.MustCompile(`(?m)^\t\w+ +Code = "(\w+)"$`).FindAllStringSubmatch(string(text), -1) {
		want = append(want, Code(m[1]))
	}
	if len(want) == 0 || !slices.Equal(Codes(), want) {
		t.Errorf("%v, want %v", Codes(), want)
	}
}

func TestSimulable(t *testing.T) {
	for _, tc := range []struct {
		remedy Remedy
		want   bool
	}{
		{Remedy{Text: "see what changed", Config: "routing: {strategy: affinity}"}, false},
		{Remedy{WindowS: 60}, false},
		{Remedy{CapTokens: 2000}, true},
		{Remedy{RightSize: true}, true},
		{Remedy{Spill: true}, true},
		{Remedy{OnePool: true}, true},
		{Remedy{Queue: true}, true},
		{Remedy{FewRetries: true}, true},
		{Remedy{LowPriority: "batch"}, true},
	} {
		if got := tc.remedy.Simulable(); got != tc.want {
			t.Errorf("%+v: %t", tc.remedy, got)
		}
		d := Diagnosis{Findings: []Finding{{}, {Remedy: tc.remedy}}}
		if got := d.Simulable(); got != tc.want {
			t.Errorf("a diagnosis with %+v: %t", tc.remedy, got)
		}
	}
}

// Predict asks for the remedies that can be simulated, and keeps the responses.
func TestPredict(t *testing.T) {
	d := Diagnosis{Findings: []Finding{
		{Code: CacheLoss}, {Code: RPMBursts, Remedy: Remedy{Queue: true}}, {Code: PTUSaturation, Remedy: Remedy{Spill: true}},
	}}
	var asked []Code
	d.Predict(func(f *Finding) *Effect {
		asked = append(asked, f.Code)
		if f.Code == PTUSaturation {
			return nil
		}
		return &Effect{Text: "better"}
	})
	if !slices.Equal(asked, []Code{RPMBursts, PTUSaturation}) {
		t.Errorf("asked for %v", asked)
	}
	if d.Findings[0].Effect != nil || d.Findings[1].Effect.Text != "better" || d.Findings[2].Effect != nil {
		t.Errorf("%+v", d.Findings)
	}
}

func TestEffect(t *testing.T) {
	now := Rates{Timeout: 0.0176, Refused: 0.05, TokensPerCall: 400, Generated: 500}
	for _, tc := range []struct {
		name   string
		remedy Remedy
		now    Rates
		then   func(r *Rates)
		want   string
	}{
		{"no difference", Remedy{Spill: true}, now, func(*Rates) {}, "408 1.76% → 1.76%, 429 5.0% → 5.0%"},
		{"a cap", Remedy{CapTokens: 2000}, now, func(r *Rates) {
			r.Timeout, r.Truncated, r.Generated, r.TokensPerCall = 0, 0.02, 200, 240
		}, "cap 2,000: 408 1.76% → 0%, 429 5.0% → 5.0%, 2.0% truncated, −60% tokens generated, −40% received"},
		{
			"cut at the deadline",
			Remedy{Spill: true},
			now, func(r *Rates) { r.Timeout, r.Cut = 0, 0.0176 },
			"408 1.76% → 0%, 429 5.0% → 5.0%, cut at the deadline 0% → 1.76%",
		},
		{"hardly any cuts", Remedy{Spill: true}, now, func(r *Rates) { r.Cut = 0.00005 }, "408 1.76% → 1.76%, 429 5.0% → 5.0%"},
		{"more tokens", Remedy{Spill: true}, now, func(r *Rates) { r.TokensPerCall, r.Generated = 440, 500 }, "408 1.76% → 1.76%, 429 5.0% → 5.0%, +10% received"},
		{"less than a percent", Remedy{Spill: true}, now, func(r *Rates) { r.TokensPerCall = 403 }, "408 1.76% → 1.76%, 429 5.0% → 5.0%"},
		{"unknown before", Remedy{Spill: true}, Rates{}, func(r *Rates) { r.Generated = 100 }, "408 0% → 0%, 429 0% → 0%"},
	} {
		then := tc.now
		tc.then(&then)
		e := NewEffect(&tc.remedy, 1000, []Outcome{{tc.now, then}})
		if e.Text != tc.want || e.Calls != 1000 || e.Now != tc.now || e.Then != then || e.Low != then || e.High != then {
			t.Errorf("%s: %+v, want %q", tc.name, e, tc.want)
		}
	}
}

// Where the traffic may have gone in several ways, the effect is a range.
func TestEffectRange(t *testing.T) {
	rates := func(timeout, generated float64) Rates { return Rates{Timeout: timeout, Generated: generated} }
	e := NewEffect(&Remedy{CapTokens: 2000}, 1000, []Outcome{
		{rates(0.02, 500), rates(0.001, 300)}, {rates(0.021, 1000), rates(0, 400)}, {rates(0.02, 700), rates(0.002, 560)},
	})
	if want := "cap 2,000: 408 2.0% → 0% to 0.2%, 429 0% → 0%, −60 to −20% tokens generated"; e.Text != want {
		t.Errorf("%q, want %q", e.Text, want)
	}
	if e.Now.Timeout != 0.02 || e.Then.Timeout != 0.001 || e.Low.Timeout != 0 || e.High.Timeout != 0.002 || e.Low.Generated != 300 || e.High.Generated != 560 {
		t.Errorf("%+v", e)
	}
}

// A replay counts as the same within a quarter of a percentage point, or a quarter of
// what was observed, and a sixth of the tokens; cuts at the deadline count as timeouts.
func TestReproduced(t *testing.T) {
	for _, tc := range []struct {
		name               string
		observed, replayed Rates
		want               bool
	}{
		{"equal", Rates{Timeout: 0.02, Refused: 0.1}, Rates{Timeout: 0.02, Refused: 0.1}, true},
		{"cut in place of timed out", Rates{Timeout: 0.02}, Rates{Cut: 0.02}, true},
		{"a quarter more", Rates{Timeout: 0.02}, Rates{Timeout: 0.0249}, true},
		{"more than a quarter more", Rates{Timeout: 0.02}, Rates{Timeout: 0.0252}, false},
		{"less than three quarters", Rates{Timeout: 0.02}, Rates{Timeout: 0.0148}, false},
		{"clients that left", Rates{Gone: 0.02}, Rates{Timeout: 0.02}, true},
		{"about as many tokens", Rates{TokensPerCall: 300}, Rates{TokensPerCall: 340}, true},
		{"other lengths", Rates{TokensPerCall: 300}, Rates{TokensPerCall: 360}, false},
		{"tokens that nobody counted", Rates{}, Rates{TokensPerCall: 360}, true},
		{"nearly nothing", Rates{}, Rates{Timeout: 0.0024}, true},
		{"something where nothing was", Rates{}, Rates{Timeout: 0.0026}, false},
		{"refusals differ", Rates{Refused: 0.1}, Rates{Refused: 0.2}, false},
		{"other failures do not matter", Rates{Failed: 0.5}, Rates{}, true},
	} {
		r := NewReplay(noon, noon.Add(time.Hour), 7, tc.observed, tc.replayed)
		if r.Reproduced != tc.want {
			t.Errorf("%s: %t", tc.name, r.Reproduced)
		}
		if !r.From.Equal(noon) || !r.To.Equal(noon.Add(time.Hour)) || r.Calls != 7 || r.Observed != tc.observed || r.Replayed != tc.replayed {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
}

// Imported logs lack data, so a diagnosis of them is healthy only if next to
// nothing failed.
func TestSetImport(t *testing.T) {
	for _, tc := range []struct {
		name    string
		healthy bool
		failed  float64
		blind   bool
		want    bool
	}{
		{"well", true, 0.0005, false, true},
		{"one in a thousand failed", true, 0.001, false, false},
		{"nobody says how requests ended", true, 0, true, false},
		{"findings", false, 0, false, false},
	} {
		d := Diagnosis{Healthy: tc.healthy, Failed: tc.failed, Coverage: []Missing{{Text: "second"}}}
		d.SetImport([]Source{{Name: "a.csv"}}, []Missing{{Text: "first"}}, tc.blind)
		if d.Healthy != tc.want || d.Blind != tc.blind || len(d.Sources) != 1 || d.Coverage[0].Text != "first" || d.Coverage[1].Text != "second" {
			t.Errorf("%s: %+v", tc.name, d)
		}
	}
}

// The JSON has lists where they are empty, and leaves out what there is not.
func TestJSON(t *testing.T) {
	d := Diagnosis{
		From: noon, To: noon, Findings: []Finding{}, Coverage: []Missing{}, DeploymentNames: []string{}, Charts: &Charts{Intervals: 1},
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"from":"2026-03-04T12:00:00Z","to":"2026-03-04T12:00:00Z","tries":0,"calls":0,"rate_408":0,"rate_cut":0,"rate_429":0,"rate_failed":0,"healthy":false,"findings":[],"coverage":[],"deployments":[]}`
	if string(text) != want {
		t.Errorf("%s\nwant\n%s", text, want)
	}
	d.Findings = []Finding{{Code: RPMBursts, RuledOut: []RuledOut{}, Remedy: Remedy{Text: "wait", Queue: true}, Effect: &Effect{Text: "better"}}}
	if text, err = json.Marshal(d); err != nil {
		t.Fatal(err)
	}
	var back Diagnosis
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	back.Charts = d.Charts
	if !reflect.DeepEqual(back, d) {
		t.Errorf("%+v, want %+v", back, d)
	}
}
