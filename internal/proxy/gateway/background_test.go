package gateway

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
)

// TestBackgroundStream streams a Response that runs in the background, and resumes it
// after some of its events: the client gets each event as it came, and the record has
// the usage that the terminal event reports.
func TestBackgroundStream(t *testing.T) {
	script, err := os.ReadFile("../wire/testdata/transcripts/responses_background.sse")
	if err != nil {
		t.Fatal(err)
	}
	whole := string(script)
	after := strings.Index(whole, "event: response.output_text.delta")
	for name, tt := range map[string]struct {
		method, path, ask, body string
		outcome                 spillway.Outcome
		usage                   spillway.Usage
	}{
		"begun":                {"POST", responsesPath, `{"model":"gpt-4o-mini","input":"a","background":true,"stream":true}`, whole, spillway.OutcomeOK, spillway.Usage{Prompt: 20, Completion: 3, Known: true}},
		"resumed":              {"GET", responsesPath + "/resp_67cc?stream=true&starting_after=5", "", whole[after:], spillway.OutcomeOK, spillway.Usage{Prompt: 20, Completion: 3, Known: true}},
		"resumed, and open":    {"GET", responsesPath + "/resp_67cc?stream=true&starting_after=2", "", whole[after-200 : after], spillway.OutcomeOK, spillway.Usage{}},
		"resumed from the end": {"GET", responsesPath + "/resp_67cc?stream=true&starting_after=12", "", "", spillway.OutcomeOK, spillway.Usage{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked string
				w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
					asked = r.URL.RawQuery
					rw.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
					send(rw, tt.body)
				}, nil)
				got := w.do(tt.method, tt.path, tt.ask)
				if w.want(got, 200); got.body != tt.body {
					t.Errorf("body %q", got.body)
				}
				if tt.method == "GET" && !strings.Contains(asked, strings.SplitN(tt.path, "?", 2)[1]) {
					t.Errorf("asked for %q", asked)
				}
				if rec := w.record(); rec.Outcome != tt.outcome || rec.Usage != tt.usage {
					t.Errorf("outcome %v, usage %+v; want %v, %+v", rec.Outcome, rec.Usage, tt.outcome, tt.usage)
				}
				w.idle()
			})
		})
	}
}

// TestBackgroundStates polls a Response in each of its states, which are no failures.
func TestBackgroundStates(t *testing.T) {
	for _, status := range []string{"queued", "in_progress", "completed", "incomplete", "cancelled"} {
		synctest.Test(t, func(t *testing.T) {
			body := `{"id":"resp_1","object":"response","background":true,"status":"` + status + `","error":null,"output":[],"usage":null}`
			w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "application/json")
				send(rw, body)
			}, nil)
			for _, ask := range []struct{ method, path, body string }{
				{"POST", responsesPath, `{"model":"gpt-4o-mini","input":"a","background":true}`},
				{"GET", responsesPath + "/resp_1", ""},
				{"POST", responsesPath + "/resp_1/cancel", ""},
			} {
				if got := w.do(ask.method, ask.path, ask.body); got.status != 200 || got.body != body {
					t.Errorf("%s %s while %s: %d %s", ask.method, ask.path, status, got.status, got.body)
				}
			}
			if err := w.gateway.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, rec := range w.rec.records {
				if rec.Outcome != spillway.OutcomeOK {
					t.Errorf("%s: outcome %v", status, rec.Outcome)
				}
			}
			w.idle()
		})
	}
}

// TestBackgroundCut cuts the stream of a Response in the background: the Response goes
// on, so nothing may tell the client that it has ended.
func TestBackgroundCut(t *testing.T) {
	script, err := os.ReadFile("../wire/testdata/transcripts/responses_background.sse")
	if err != nil {
		t.Fatal(err)
	}
	begun, _, _ := strings.Cut(string(script), "event: response.output_text.done")
	for _, background := range []string{"true", "false"} {
		t.Run(background, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Content-Type", "text/event-stream")
					send(rw, strings.ReplaceAll(begun, `"background":true`, `"background":`+background))
					<-r.Context().Done()
				}, nil)
				got := w.do(http.MethodPost, responsesPath, `{"model":"gpt-4o-mini","input":"a","background":`+background+`,"stream":true}`, "x-spillway-deadline-ms", "2000")
				w.want(got, 200)
				if ended := strings.Contains(got.body, "response.incomplete"); ended != (background == "false") || !strings.Contains(got.body, "response.output_text.delta") {
					t.Errorf("body %s", got.body)
				}
				if rec := w.record(); rec.Outcome != spillway.OutcomeTruncatedDeadline {
					t.Errorf("outcome %v", rec.Outcome)
				}
				w.idle()
			})
		})
	}
}
