package gateway

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

// TestTranscripts plays every stream of the wire's corpus to a client that reads it as it
// comes and to one that does not stream. The record must say what each client got.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("../wire/testdata/*/*.sse")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".sse")
		want, err := os.ReadFile(strings.TrimSuffix(file, ".sse") + ".json")
		if err != nil || strings.HasSuffix(name, "_cut") || strings.HasSuffix(name, "_parts") || strings.HasSuffix(name, "_failed") {
			continue // no complete response
		}
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, streams := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { checkTranscript(t, name, script, want, streams) })
			})
		}
	}
}

// checkTranscript plays one stream to one client.
func checkTranscript(t *testing.T, name string, script, want []byte, streams bool) {
	api, path, body := spillway.APIChat, chatPath, chat("5", `,"max_tokens":100000`)
	switch {
	case strings.HasPrefix(name, "completions"):
		api, path, body = spillway.APICompletions, strings.Replace(chatPath, "chat/", "", 1), `{"prompt":"hello","max_tokens":100000}`
	case strings.HasPrefix(name, "responses"):
		api, path, body = spillway.APIResponses, responsesPath, `{"model":"gpt-4o-mini","input":"hello","max_output_tokens":100000}`
	}
	if streams {
		body = strings.TrimSuffix(body, "}") + `,"stream":true}`
	}
	if strings.Contains(name, "two_choices") || name == "completions" { // which have two choices
		body = strings.TrimSuffix(body, "}") + `,"n":2}`
	}
	w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		rw.Write(script)
	}, nil)
	got := w.do(http.MethodPost, path, body)
	w.want(got, 200)
	rec := w.record()
	switch rec.Outcome {
	case spillway.OutcomeOK:
	case spillway.OutcomeOKClientCap, spillway.OutcomeTruncatedBudget:
		if rec.Finish != spillway.FinishLength {
			t.Errorf("outcome %v, finish %v", rec.Outcome, rec.Finish)
		}
	default:
		t.Errorf("outcome %v", rec.Outcome)
	}
	sent := readStream(t, api, script)
	if rec.Usage.Known != sent.usage.Known || sent.usage.Known && rec.Usage != sent.usage {
		t.Errorf("recorded usage %+v, sent %+v", rec.Usage, sent.usage)
	}
	if rec.Finish != sent.finish {
		t.Errorf("recorded finish %v, sent %v", rec.Finish, sent.finish)
	}
	if streams {
		client := readStream(t, api, []byte(got.body))
		if !client.done && sent.done || client.finish != rec.Finish || client.tokens != sent.tokens || client.usageOnly {
			t.Errorf("the client read %+v, sent %+v", client, sent)
		}
		if api != spillway.APIResponses && client.hasUsage {
			t.Errorf("the client gets a usage that it has not asked for:\n%s", got.body)
		}
		return
	}
	var have, expected any
	if err := json.Unmarshal([]byte(got.body), &have); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(want, &expected); err != nil {
		t.Fatal(err)
	}
	if !sent.usage.Known && api != spillway.APIResponses { // the gateway adds its own count
		delete(have.(map[string]any), "usage")
	}
	if !reflect.DeepEqual(telling(have), telling(expected)) {
		t.Errorf("the client got\n%s\nwant\n%s", got.body, want)
	}
	sum, readable := wire.Summarize(api, []byte(got.body))
	if usage := sum.Usage; !readable || usage.Completion != rec.Usage.Completion || usage.Prompt != rec.Usage.Prompt {
		t.Errorf("the client sees usage %+v, recorded %+v", usage, rec.Usage)
	}
}

// telling returns a value without null, empty text, and empty objects and arrays in it;
// nil if nothing is left.
func telling(value any) any {
	switch v := value.(type) {
	case string:
		if v == "" {
			return nil
		}
	case map[string]any:
		for name, member := range v {
			if v[name] = telling(member); v[name] == nil {
				delete(v, name)
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = telling(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	}
	return value
}

// streamSummary is what a stream says.
type streamSummary struct {
	usage     spillway.Usage
	finish    spillway.Finish
	tokens    int
	done      bool
	usageOnly bool // an event was nothing but usage
	hasUsage  bool // an event had a member usage
}

func readStream(t *testing.T, api spillway.API, script []byte) (all streamSummary) {
	t.Helper()
	var scanner sse.Scanner
	var s wire.Stream
	s.Reset(api)
	take := func(ev sse.Event) {
		sig, err := s.Observe(ev)
		if err != nil {
			t.Fatalf("%v: %s", err, ev.Data)
		}
		if sig.Usage != (spillway.Usage{}) {
			all.usage = sig.Usage
		}
		if sig.Finish != spillway.FinishUnknown {
			all.finish = sig.Finish
		}
		all.tokens += sig.Tokens
		all.done = all.done || sig.Done
		all.usageOnly = all.usageOnly || sig.UsageOnly
		var members map[string]json.RawMessage
		_ = json.Unmarshal(ev.Data, &members) // [DONE] has none
		all.hasUsage = all.hasUsage || members["usage"] != nil
	}
	scanner.Feed(script)
	for ev, more := scanner.Next(); more; ev, more = scanner.Next() {
		take(ev)
	}
	if ev, open := scanner.Finish(); open {
		take(ev)
	}
	return all
}
