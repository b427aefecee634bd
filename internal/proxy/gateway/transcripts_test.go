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
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(file, ".sse") + ".json")
		complete := err == nil && !strings.HasSuffix(name, "_cut") && !strings.HasSuffix(name, "_parts") && !strings.HasSuffix(name, "_failed")
		for form, streams := range map[string]bool{"streamed": true, "assembled": false} {
			t.Run(name+" "+form, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, api, got := playTranscript(t, name, script, streams)
					if !complete {
						checkBroken(w, api, got)
						return
					}
					w.want(got, 200)
					rec := w.record()
					sent := readStream(t, api, script)
					checkRecord(t, rec, sent)
					if streams {
						checkStreamed(t, rec, sent, readStream(t, api, []byte(got.body)))
					} else {
						checkAssembled(t, rec, sent, got.body, want)
					}
				})
			})
		}
	}
}

// playTranscript plays one stream to one client.
func playTranscript(t *testing.T, name string, script []byte, streams bool) (*world, spillway.API, answer) {
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
	switch {
	case strings.Contains(name, "two_choices"), name == "completions":
		body = strings.TrimSuffix(body, "}") + `,"n":2}`
	case name == "chat_cut":
		body = strings.TrimSuffix(body, "}") + `,"n":3}`
	}
	w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		rw.Write(script)
	}, nil)
	return w, api, w.do(http.MethodPost, path, body)
}

// checkBroken checks that the client of a stream that breaks off, or ends with an
// error, sees that, and that the record says so.
func checkBroken(w *world, api spillway.API, got answer) {
	w.Helper()
	rec := w.record()
	switch rec.Outcome {
	case spillway.OutcomePartial: // the response had begun
		if client := readStream(w.T, api, []byte(got.body)); got.status != 200 || client.tokens == 0 || !client.failed {
			w.Errorf("the client read %+v:\n%s", client, got.body)
		}
	case spillway.OutcomeUpstreamError, spillway.OutcomeThrottled:
		begunEarly := got.status == 200 && strings.HasPrefix(got.body, ":") && readStream(w.T, api, []byte(got.body)).failed
		if rec.Status < 400 || got.status != rec.Status && !begunEarly || !strings.Contains(got.body, `"error"`) {
			w.Errorf("status %d, recorded %d:\n%s", got.status, rec.Status, got.body)
		}
	default:
		w.Errorf("outcome %v of a broken stream: %d\n%s", rec.Outcome, got.status, got.body)
	}
	w.idle()
}

// checkRecord checks that the record says what the deployment sent.
func checkRecord(t *testing.T, rec spillway.Record, sent streamSummary) {
	t.Helper()
	switch rec.Outcome {
	case spillway.OutcomeOK:
	case spillway.OutcomeOKClientCap, spillway.OutcomeTruncatedBudget:
		if rec.Finish != spillway.FinishLength {
			t.Errorf("outcome %v, finish %v", rec.Outcome, rec.Finish)
		}
	default:
		t.Errorf("outcome %v", rec.Outcome)
	}
	if rec.Usage.Known != sent.usage.Known || sent.usage.Known && rec.Usage != sent.usage {
		t.Errorf("recorded usage %+v, sent %+v", rec.Usage, sent.usage)
	}
	if rec.Finish != sent.finish {
		t.Errorf("recorded finish %v, sent %v", rec.Finish, sent.finish)
	}
}

// checkStreamed checks that a client that streams reads what the deployment sent, and
// no usage that it has not asked for.
func checkStreamed(t *testing.T, rec spillway.Record, sent, client streamSummary) {
	t.Helper()
	if !client.done && sent.done || client.finish != rec.Finish || client.tokens != sent.tokens || client.usageOnly || client.failed {
		t.Errorf("the client read %+v, sent %+v", client, sent)
	}
	if rec.API != spillway.APIResponses && client.hasUsage {
		t.Errorf("the client gets a usage that it has not asked for: %+v", client)
	}
}

// checkAssembled checks that a client that does not stream gets what its provider
// gives outside streams, and sees the usage that is recorded.
func checkAssembled(t *testing.T, rec spillway.Record, sent streamSummary, body string, want []byte) {
	t.Helper()
	var have, expected any
	if err := json.Unmarshal([]byte(body), &have); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(want, &expected); err != nil {
		t.Fatal(err)
	}
	if !sent.usage.Known && rec.API != spillway.APIResponses { // the gateway adds its own count
		delete(have.(map[string]any), "usage")
	}
	if !reflect.DeepEqual(telling(have), telling(expected)) {
		t.Errorf("the client got\n%s\nwant\n%s", body, want)
	}
	sum, readable := wire.Summarize(rec.API, []byte(body))
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
	failed    bool // an event was an error
	hasUsage  bool // an event had a member usage
}

func readStream(t *testing.T, api spillway.API, script []byte) (all streamSummary) {
	t.Helper()
	scanner := sse.Scanner{MaxEvent: len(script) + 1}
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
		all.failed = all.failed || sig.Err != nil
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
