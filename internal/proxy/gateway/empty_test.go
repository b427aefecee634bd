package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
)

// responsesPath is where Responses are created.
const responsesPath = "/openai/v1/responses"

// TestEmptyResponse has a deployment end its response without one: that is a failure,
// the next deployment is tried, and without one the client sees an error. The record
// says the same.
func TestEmptyResponse(t *testing.T) {
	const (
		filters = `data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}` + "\n\n"
		role    = `data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n"
		usage   = `data: {"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":0}}` + "\n\n"
	)
	for name, tt := range map[string]struct{ path, body string }{
		"end mark alone":           {chatPath, doneEvent},
		"end mark without a blank": {chatPath, "data: [DONE]"},
		"filters":                  {chatPath, filters + doneEvent},
		"filters and usage":        {chatPath, filters + usage + doneEvent},
		"role":                     {chatPath, filters + role + doneEvent},
		"comments":                 {chatPath, ": wait\n\n" + doneEvent},
		"no choices":               {chatPath, `{"id":"c","object":"chat.completion","choices":[]}`},
		"no choices but usage":     {chatPath, `{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":0}}`},
		"no choices of a completion": {
			strings.Replace(chatPath, "chat/", "", 1), `data: {"id":"c","object":"text_completion","choices":[]}` + "\n\n" + doneEvent,
		},
		"no Response": {responsesPath, doneEvent},
		"no body":     {chatPath, ""},
		"blank lines": {chatPath, "\n\n \r\n"},
	} {
		for form, more := range map[string]string{"streamed": `,"stream":true`, "synchronous": ""} {
			for _, deployments := range []int{1, 2} {
				t.Run(name+" "+form, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, two()[:deployments], func(w *world) {
							w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, tt.body) }))
							w.upstream("east", "http://east.test")
						})
						got := w.do(http.MethodPost, tt.path, emptyAsk(tt.path, more))
						rec := w.record()
						if deployments == 2 {
							w.want(got, 200)
							if rec.Outcome != spillway.OutcomeOK && rec.Outcome != spillway.OutcomeOKClientCap || got.header.Get("x-spillway-deployment") != "west" {
								t.Errorf("outcome %v: %v", rec.Outcome, got.header)
							}
						} else if w.want(got, 502); rec.Outcome != spillway.OutcomeUpstreamError {
							t.Errorf("outcome %v: %s", rec.Outcome, got.body)
						}
						if class := rec.Attempts[0].Class; class != spillway.FailureUnreadable && class != spillway.FailureCut {
							t.Errorf("class %v", class)
						}
						w.idle()
					})
				})
			}
		}
	}
}

// emptyAsk is a request for path with more in it.
func emptyAsk(path, more string) string {
	switch {
	case path == responsesPath:
		return `{"model":"gpt-4o-mini","input":"hello"` + more + `}`
	case !strings.Contains(path, "chat"):
		return `{"prompt":"hello","max_tokens":5` + more + `}`
	}
	return chat("5", more)
}

// TestCompleteWithoutItsEnd delivers a response whose choices have all ended, however
// its stream ends, and takes one that has not for broken off.
func TestCompleteWithoutItsEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		tail     string
		complete bool
	}{
		"nothing":                    {finishChunk, true},
		"an open event":              {strings.TrimRight(finishChunk, "\n"), true},
		"an open line":               {strings.TrimSuffix(finishChunk, "\n"), true},
		"half of the usage":          {finishChunk + `data: {"id":"c","choices":[],"usa`, true},
		"half of the end mark":       {finishChunk + `data: [DO`, true},
		"an open end mark":           {finishChunk + `data: [DONE]`, true},
		"half of a comment":          {finishChunk + `: wa`, true},
		"half of the last event":     {finishChunk[:len(finishChunk)/2], false},
		"nothing before the finish":  {"", false},
		"half of the first line end": {strings.TrimSuffix(textChunk, "\n"), false},
	} {
		for form, more := range map[string]string{"streamed": `,"stream":true`, "synchronous": ""} {
			for end, abort := range map[string]bool{"closed": true, "ended": false} {
				t.Run(name+" "+form+" "+end, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
							rw.Header().Set("Content-Type", "text/event-stream")
							send(rw, textChunk)
							send(rw, tt.tail)
							if abort {
								panic(http.ErrAbortHandler)
							}
						}, nil)
						got := w.post(chat("5", more))
						rec := w.record()
						if ok := rec.Outcome == spillway.OutcomeOK; ok != tt.complete {
							t.Errorf("outcome %v, %d:\n%s", rec.Outcome, got.status, got.body)
						}
						switch {
						case tt.complete && more == "":
							w.want(got, 200)
							if c := w.completion(got.body).Choices[0]; c.Message.Content != "all of it" || c.FinishReason != "stop" {
								t.Errorf("response %s", got.body)
							}
						case tt.complete:
							w.want(got, 200)
							if !strings.HasPrefix(got.body, textChunk+finishChunk) || !strings.HasSuffix(got.body, "\n\n") && !strings.HasSuffix(got.body, ": wa") {
								t.Errorf("stream %q", got.body)
							}
						case more != "" && !strings.Contains(got.body, `"error"`), more == "" && got.status != 502:
							t.Errorf("the client sees no error: %d %q", got.status, got.body)
						}
						w.idle()
					})
				})
			}
		}
	}
}
