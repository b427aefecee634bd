package workload

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/telemetry"
)

// recorded is a record of a chat call that arrived so many milliseconds after
// the first.
func recorded(at int, change func(*spillway.Record)) string {
	r := spillway.Record{
		Time: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(at) * ms), Caller: "app", Class: "chat",
		Model: "gpt-4o-mini", API: spillway.APIChat, Outcome: spillway.OutcomeOK, Status: 200, AskTokens: 4000,
		PromptEstimate: 90, Usage: spillway.Usage{Prompt: 100, Completion: 20, Known: true},
	}
	if change != nil {
		change(&r)
	}
	return string(telemetry.AppendRecord(nil, &r))
}

func TestReadRecords(t *testing.T) {
	text := recorded(500, nil) +
		recorded(0, func(r *spillway.Record) { r.Tenant, r.Stream, r.Choices, r.Usage.Completion = "acme", true, 2, 30 }) +
		recorded(510, func(r *spillway.Record) { r.ClientRetry = 1 }) +
		recorded(520, func(r *spillway.Record) { r.API = spillway.APIEmbeddings }) +
		recorded(530, func(r *spillway.Record) { r.Outcome = spillway.OutcomeRefusedInvalid }) +
		recorded(540, func(r *spillway.Record) { r.Outcome, r.Usage = spillway.OutcomeThrottled, spillway.Usage{} })
	r, got, err := readAll(text, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	plain := Call{Client: "app", Class: "chat", Model: "gpt-4o-mini", PromptTokens: 100, OutputTokens: 20, MaxTokens: 4000}
	first, second, third := plain, plain, plain
	first.Client, first.Stream, first.OutputTokens, first.MaxTokens = "acme", true, 30, 8000
	second.At = 500 * ms
	third.At, third.PromptTokens = 540*ms, 90
	if want := []Call{first, second, third}; !reflect.DeepEqual(got, want) {
		t.Errorf("got=%+v, want=%+v", got, want)
	}
	if n := r.Tally(); n.Format != FormatRecords || n.Rows != 3 || n.Retries != 1 || n.Others != 2 || n.Censored != 1 {
		t.Errorf("got=%+v", n)
	}
}

// A response that was cut at 300 tokens was longer; how long, other responses of
// the class say.
func TestCensored(t *testing.T) {
	cut := recorded(30, func(r *spillway.Record) { r.Outcome, r.Usage.Completion = spillway.OutcomeTruncatedDeadline, 300 })
	lost := recorded(40, func(r *spillway.Record) {
		r.Outcome, r.Usage.Completion = spillway.OutcomeTimeout, 0
		r.Attempts = []spillway.Attempt{{Tokens: 900}}
	})
	known := func(tokens int) string {
		return recorded(tokens/100, func(r *spillway.Record) { r.Usage.Completion = tokens })
	}
	for _, c := range []struct {
		name string
		opt  Censored
		text string
		want string
	}{
		{"a longer one", CensoredImpute, known(200) + known(700) + cut, "[200 700 700]"},
		{"none is longer", CensoredImpute, known(200) + cut, "[200 300]"},
		{"nothing known", CensoredImpute, cut, "[300]"},
		{"not beyond the client's limit", CensoredImpute, known(5000) + cut, "[4000 5000]"},
		{"as an attempt saw", CensoredImpute, known(200) + lost, "[200 900]"},
		{"another one each time", CensoredImpute, known(700) + known(800) + cut + cut + cut, "[700 800 700 800 700]"},
		{"worst case", CensoredLimit, known(700) + cut, "[700 4000]"},
		{"left out", CensoredSkip, known(700) + cut, "[700]"},
	} {
		_, calls, err := readAll(c.text, ReadOptions{Censored: c.opt})
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, call := range calls {
			got = append(got, call.OutputTokens)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: got=%v, want=%v", c.name, got, c.want)
		}
	}
	if _, _, err := readAll(cut, ReadOptions{Censored: "guess"}); err == nil {
		t.Error("an unknown treatment is accepted")
	}
}

func TestRecordsBeyondTheWindow(t *testing.T) {
	text := recorded(3000, nil) + recorded(7000, nil) + recorded(4500, nil) + recorded(1000, nil) + recorded(8000, nil)
	_, got, err := readAll(text, ReadOptions{Window: 3 * time.Second})
	if len(got) != 1 || err == nil || !strings.HasPrefix(err.Error(), "t:4: arrived 6s before earlier records") {
		t.Errorf("got=%v, %v", got, err)
	}
	r, got, err := readAll(text, ReadOptions{Window: 3 * time.Second, SkipBad: true})
	if err != nil || len(got) != 4 || r.Skipped() != 1 || got[1].At != 1500*ms {
		t.Errorf("got=%v, %v", got, err)
	}
}

// Whatever the order of completion, calls come in order of arrival.
func TestReorder(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	var text strings.Builder
	for i := range 2000 {
		text.WriteString(recorded(10*i+rng.IntN(900), nil))
	}
	_, all, err := readAll(text.String(), ReadOptions{Window: time.Second})
	if err != nil || len(all) != 2000 || !slices.IsSortedFunc(all, func(a, b Call) int { return cmp.Compare(a.At, b.At) }) {
		t.Errorf("got=%d calls, %v", len(all), err)
	}
}

func TestRecordErrors(t *testing.T) {
	const head = `{"time":"2026-05-01T12:00:00Z","outcome":"ok","class":"\u0061\"","usage":{"prompt_tokens":1,"completion_tokens":2}}` + "\n"
	_, got, err := readAll(head, ReadOptions{})
	if err != nil || got[0].Class != `a"` || got[0].OutputTokens != 2 {
		t.Errorf("got=%+v, %v", got, err)
	}
	for _, c := range []struct{ line, want string }{
		{`{"outcome":"ok"}`, "time is missing"},
		{`{"time":"2026-05-01T12:00:00Z"}`, "outcome is missing"},
		{`{"time":5,"outcome":"ok"}`, `time "5" is not a string`},
		{`{"time":"yesterday","outcome":"ok"}`, `time "yesterday" is not a time`},
		{`{"time":"2026-05-01T12:00:00Z","outcome":"ok","usage":{"completion_tokens":-2}}`, "completion_tokens -2 is negative"},
		{`{"time":"2026-05-01T12:00:00Z","outcome":"ok","usage":7}`, `usage "7" is not an object`},
		{`{"time":"2026-05-01T12:00:00Z","outcome":"ok","attempts":{}}`, `attempts "{}" is not an array`},
		{`{"time":"2026-05-01T12:00:00Z","outcome":"ok","attempts":[{"tokens":"x"}]}`, "tokens \"\\\"x\\\"\" is not a number"},
		{`{"time":"2026-05-01T12:00:00Z","outcome":"o`, "not valid JSON"},
		{`{"time":"2026-05-01T12:00:00Z","outcome":"ok"} x`, "not valid JSON"},
		{`{"time":"2026-05-01T12:00:00Z" "outcome":"ok"}`, "not valid JSON"},
		{`[1]`, "not valid JSON"},
	} {
		_, _, err := readAll(head+c.line, ReadOptions{})
		if err == nil || !strings.HasPrefix(err.Error(), "t:2: "+c.want) {
			t.Errorf("%s: got=%v, want=%s", c.line, err, c.want)
		}
	}
}

func BenchmarkReadRecords(b *testing.B) {
	var text strings.Builder
	for i := range 10_000 {
		text.WriteString(recorded(10*i, func(r *spillway.Record) {
			r.ID, r.Attempts = "req_a862ce43949df8077a87a3edc54b45a4", []spillway.Attempt{{Deployment: "ptu-eastus", Status: 200, Tokens: 20}}
		}))
	}
	calls := 0
	for b.Loop() {
		_, all, err := readAll(text.String(), ReadOptions{Window: time.Second})
		if err != nil {
			b.Fatal(err)
		}
		calls += len(all)
	}
	b.ReportMetric(float64(calls)/b.Elapsed().Seconds()/1e6, "Mcalls/s")
}
