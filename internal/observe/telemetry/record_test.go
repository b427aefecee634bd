package telemetry

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

var update = flag.Bool("update", false, "rewrite golden files")

// accepted is when the test's requests are accepted.
var accepted = time.Date(2026, 3, 4, 5, 6, 7, 890123456, time.FixedZone("", 3600))

// fullRecord has a value in every field.
func fullRecord() *spillway.Record {
	return &spillway.Record{
		ID: "req-1", Time: accepted, Pool: "gpt-4o-mini", Caller: "search", Tenant: "acme",
		Class: "interactive", Model: "gpt-4o-mini", Route: "azure/chat", API: spillway.APIChat, Policy: "1a2b3c4d",
		TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		Stream:      true, Structured: true, Tools: true, Choices: 2, ServiceTier: "flex", ClientRetry: 1,
		AskTokens: 8000, PromptEstimate: 412, Window: time.Minute, Mode: spillway.BudgetClamp,
		TTFTObjective: 2 * time.Second, TBTObjective: 30 * time.Millisecond,
		BudgetTokens: 1955, BudgetBasis: spillway.BudgetMeasured, GrantTokens: 1955, ObservedGrant: 1900, Spill: spillway.SpillUtilization,
		Truncated: spillway.TruncatedBudget, Finish: spillway.FinishLength, Outcome: spillway.OutcomeTruncatedBudget,
		Refusal: spillway.RefusalDeadline, Status: 200, Queue: 1500 * time.Microsecond,
		TTFT: 312456 * time.Microsecond, E2E: 20*time.Second + 5*time.Microsecond,
		TBTMean: 9600 * time.Microsecond, TBTMax: 80 * time.Millisecond,
		Usage: spillway.Usage{Prompt: 400, Cached: 128, CacheWrite: 256, Completion: 1955, Reasoning: 64, Known: true, Suspect: true},
		Attempts: []spillway.Attempt{
			{
				Deployment: "ptu-eastus", Region: "eastus", Kind: spillway.Provisioned,
				Start: time.Millisecond, End: 40 * time.Millisecond, Status: 429, Class: spillway.FailureRefused,
				RetryAfter: 1250 * time.Millisecond, GrantTokens: 1955, Utilization: 1.02,
				ResetTokens: time.Minute, ResetRequests: 1500 * time.Millisecond,
				UpstreamRequestID: "0b8c1f9a-5a5e-4c62-9a0e-53f4f1fd6b7f", ServedRegion: "East US", Error: "429: too many",
			},
			{
				Deployment: "std-sweden", Region: "swedencentral", Tier: 1, Start: 41 * time.Millisecond,
				End: 20 * time.Second, TTFT: 271 * time.Millisecond, Status: 200, GrantTokens: 1955,
				Tokens: 1955, Utilization: -1, CostUSD: 0.0012234, Hedge: true, ServedBy: "std-native", ServiceTier: "default",
			},
		},
	}
}

func TestAppendRecord(t *testing.T) {
	tests := []struct {
		name   string
		record *spillway.Record
	}{
		{"full", fullRecord()},
		{"empty", &spillway.Record{Time: accepted}},
		{"refused", &spillway.Record{
			ID: "req-2", Time: accepted, Pool: "p", Class: "batch", API: spillway.APIResponses, Choices: 1,
			Mode: spillway.BudgetReject, BudgetTokens: 900, AskTokens: 4000, Status: 400,
			Outcome: spillway.OutcomeRefusedBudget, Refusal: spillway.RefusalTooLarge,
		}},
	}
	var got []byte
	for _, tt := range tests {
		line := AppendRecord(nil, tt.record)
		if !json.Valid(line) || bytes.Count(line, []byte{'\n'}) != 1 {
			t.Errorf("%s: not one line of JSON: %s", tt.name, line)
		}
		got = append(got, line...)
	}
	golden(t, "testdata/records.jsonl", got)
}

// Every field of the full record must show: a field added to Record must be
// added to the line, or to the exceptions here.
func TestAppendRecordLeavesNothingOut(t *testing.T) {
	var members map[string]any
	if err := json.Unmarshal(AppendRecord(nil, fullRecord()), &members); err != nil {
		t.Fatal(err)
	}
	const derived = 2 // cost_usd and error are those of the attempts
	if got, want := len(members), reflect.TypeFor[spillway.Record]().NumField()+derived; got != want {
		t.Errorf("got %d members, want %d", got, want)
	}
	seen := map[string]bool{}
	for _, a := range members["attempts"].([]any) {
		for name := range a.(map[string]any) {
			seen[name] = true
		}
	}
	if got, want := len(seen), reflect.TypeFor[spillway.Attempt]().NumField(); got != want {
		t.Errorf("got %d members of attempts, want %d", got, want)
	}
	usage := members["usage"].(map[string]any)
	if got, want := len(usage), reflect.TypeFor[spillway.Usage]().NumField(); got != want {
		t.Errorf("got %d members of usage, want %d", got, want)
	}
	reference, err := os.ReadFile("../../../docs/RECORDS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []map[string]any{members, usage, anyValues(seen)} {
		for name := range set {
			if !strings.Contains(string(reference), "`"+name+"`") {
				t.Errorf("docs/RECORDS.md does not describe %s", name)
			}
		}
	}
}

func anyValues(set map[string]bool) map[string]any {
	out := make(map[string]any, len(set))
	for name := range set {
		out[name] = nil
	}
	return out
}

func TestAppendString(t *testing.T) {
	long := strings.Repeat("é", maxStringBytes)
	tests := []struct{ in, want string }{
		{"plain", `"plain"`},
		{`a"b\c`, `"a\"b\\c"`},
		{"a\nb\tc\x00\x1f", `"a\nb\tc\u0000\u001f"`},
		{"é世\U0001F600", "\"é世\U0001F600\""},
		{"a\xffb\xc3", `"a\ufffdb\ufffd"`},
		{"\ufffd", "\"\ufffd\""},
		{long, `"` + long[:maxStringBytes] + `"`},
		{"x" + long, `"x` + long[:maxStringBytes-2] + `"`},
	}
	for _, tt := range tests {
		if got := string(appendString(nil, tt.in)); got != tt.want {
			t.Errorf("appendString(%q) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "a", "\x80", "\xe4\xb8", `"\`, "\u2028", strings.Repeat("世", 90)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if len(s) <= maxStringBytes && got != strings.ToValidUTF8(s, "\ufffd") && got != mendBytes(s) {
			t.Errorf("%q came back as %q", s, got)
		}
	})
}

// mendBytes replaces each byte that is not UTF-8, where ToValidUTF8 replaces
// each run of them.
func mendBytes(s string) string { return string([]rune(s)) }

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
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
		t.Errorf("%s differs (-update rewrites it); got:\n%s", path, got)
	}
}

func BenchmarkAppendRecord(b *testing.B) {
	r := fullRecord()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendRecord(buf[:0], r)
	}
}
