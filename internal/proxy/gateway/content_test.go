package gateway

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

const wholeChat = `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,` +
	`"message":{"role":"assistant","content":"ab"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`

// TestMislabeledResponse has streams and whole responses under every type that servers
// and proxies give them: each is read as what it is.
func TestMislabeledResponse(t *testing.T) {
	const mark = "\xef\xbb\xbf"
	bodies := map[string]struct {
		parts  []string
		stream bool
	}{
		"stream":             {[]string{firstEvent, finalEvent + doneEvent}, true},
		"stream in pieces":   {[]string{"d", "a", "ta", firstEvent[4:], finalEvent, doneEvent}, true},
		"comment first":      {[]string{"\r\n", ": wait\n\n", firstEvent + finalEvent, doneEvent}, true},
		"marked stream":      {[]string{mark, firstEvent, finalEvent, doneEvent}, true},
		"response":           {[]string{wholeChat}, false},
		"blanks before JSON": {[]string{"\n\n", " ", wholeChat}, false},
		"marked JSON":        {[]string{mark + wholeChat}, false},
	}
	types := []string{
		"text/event-stream", "Text/Event-Stream; Charset=UTF-8", "application/json", "text/plain", "application/octet-stream", "x", "",
	}
	for name, body := range bodies {
		for _, kind := range types {
			for form, more := range map[string]string{"streamed": `,"stream":true`, "synchronous": ""} {
				t.Run(name+" "+kind+" "+form, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
							rw.Header()["Content-Type"] = nil
							if kind != "" {
								rw.Header().Set("Content-Type", kind)
							}
							for _, part := range body.parts {
								send(rw, part)
							}
						}, nil)
						got := w.post(chat("5", more))
						w.want(got, 200)
						want := "application/json"
						if body.stream && more != "" {
							want = "text/event-stream"
							if !strings.HasSuffix(got.body, firstEvent+finalEvent+doneEvent) {
								t.Errorf("stream %q", got.body)
							}
						} else if c := w.completion(got.body); c.Choices[0].Message.Content != "ab" {
							t.Errorf("response %s", got.body)
						}
						sent := got.header.Get("Content-Type")
						if relabeled := body.stream || strings.HasPrefix(strings.ToLower(kind), "text/event-stream"); relabeled && !strings.HasPrefix(strings.ToLower(sent), want) {
							t.Errorf("content type %q, want %q", sent, want)
						}
						if rec := w.record(); rec.Outcome != spillway.OutcomeOK || rec.Finish != spillway.FinishStop || rec.Attempts[0].Class != spillway.FailureNone {
							t.Errorf("outcome %v, finish %v, %+v", rec.Outcome, rec.Finish, rec.Attempts)
						}
						w.idle()
					})
				})
			}
		}
	}
}

// TestMislabeledStreamIsNotKept forwards the first event of a mislabeled stream before
// the second is there.
func TestMislabeledStreamIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			send(rw, firstEvent)
			pause(r, 10*time.Second)
			send(rw, finalEvent+doneEvent)
		}, nil)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway.test"+chatPath, strings.NewReader(chat("5", `,"stream":true`)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("api-key", "demo")
		began := time.Now()
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadFull(resp.Body, make([]byte, len(firstEvent))); err != nil || time.Since(began) >= 10*time.Second {
			t.Errorf("first event after %v: %v", time.Since(began), err)
		}
		rest, err := io.ReadAll(resp.Body)
		if err != nil || string(rest) != finalEvent+doneEvent {
			t.Errorf("%q, %v", rest, err)
		}
		w.idle()
		w.client.CloseIdleConnections()
	})
}

// TestLongRetryAfter passes an error on without the waits that no client should obey.
func TestLongRetryAfter(t *testing.T) {
	const problem = `{"error":{"code":"429","message":"slow down"}}`
	for value, want := range map[string]map[string]string{
		"864000": {"Retry-After": "60", "Retry-After-Ms": "60000", "X-Ms-Retry-After-Ms": "60000"},
		"-5":     {}, "NaN": {}, "later": {}, "1e300": {},
		"2": {"Retry-After": "2", "Retry-After-Ms": "2", "X-Ms-Retry-After-Ms": "2"},
	} {
		for _, path := range []string{chatPath, "/openai/v1/files"} {
			for _, status := range []int{429, 503, 400} {
				synctest.Test(t, func(t *testing.T) {
					w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
						for _, name := range []string{"Retry-After", "Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
							rw.Header().Set(name, value)
						}
						rw.WriteHeader(status)
						io.WriteString(rw, problem)
					}, nil)
					got := w.do(http.MethodPost, path, chat("5", ""), "x-spillway-deadline-ms", "1000")
					for _, name := range []string{"Retry-After", "Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
						have := got.header.Get(name)
						// The gateway may give a hint of its own.
						wait, err := strconv.Atoi(have)
						own := err == nil && wait >= 1 && wait <= 1000 && (wait <= 60 || name != "Retry-After")
						if got.body == problem && have != want[name] && !own {
							t.Errorf("%s, %d, %q: %s is %q, want %q", path, status, value, name, have, want[name])
						}
					}
					if got.status != status {
						t.Errorf("status %d, want %d: %s", got.status, status, got.body)
					}
				})
			}
		}
	}
}

// TestErrorInEvent reads an error that came as an event of a stream, with a status that
// says so.
func TestErrorInEvent(t *testing.T) {
	const problem = `{"error":{"message":"no such parameter","type":"invalid_request_error","param":"x","code":null}}`
	for name, body := range map[string]string{
		"event":         "data: " + problem + "\n\n",
		"named event":   ": wait\n\nevent: error\ndata: " + problem + "\n\ndata: [DONE]\n\n",
		"open event":    "data: " + problem,
		"several lines": "data: {\ndata: " + problem[1:] + "\r\n\r\n",
	} {
		for _, kind := range []string{"text/event-stream", "text/plain", "application/json"} {
			for form, more := range map[string]string{"streamed": `,"stream":true`, "synchronous": ""} {
				t.Run(name+" "+kind+" "+form, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
							rw.Header().Set("Content-Type", kind)
							rw.WriteHeader(http.StatusBadRequest)
							io.WriteString(rw, body)
						}, nil)
						got := w.post(chat("5", more))
						w.want(got, 400)
						if strings.ReplaceAll(got.body, "\n", "") != problem || got.header.Get("Content-Type") != "application/json" {
							t.Errorf("%v: %q", got.header, got.body)
						}
						if rec := w.record(); rec.Outcome != spillway.OutcomeRefusedInvalid {
							t.Errorf("outcome %v", rec.Outcome)
						}
						w.idle()
					})
				})
			}
		}
	}
}

// TestFlatErrorEvent reads an error whose members stand in the event itself, before the
// response has begun.
func TestFlatErrorEvent(t *testing.T) {
	const members = `"code":"invalid_prompt","message":"no such item","param":"input[0]"`
	const want = `"error":{"code":"invalid_prompt","message":"no such item","type":null,"param":"input[0]"`
	for name, event := range map[string]string{
		"typed":           `data: {"type":"error","sequence_number":0,` + members + "}\n\n",
		"named":           "event: error\ndata: {" + members + "}\n\n",
		"typed and named": `event: error` + "\n" + `data: {"type":"error",` + members + "}\n\n",
	} {
		for path, body := range map[string]string{
			chatPath:      `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]`,
			responsesPath: `{"model":"gpt-4o-mini","input":"hi"`,
		} {
			for form, more := range map[string]string{"streamed": `,"stream":true}`, "synchronous": "}"} {
				t.Run(name+" "+path+" "+form, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
							rw.Header().Set("Content-Type", "text/event-stream")
							io.WriteString(rw, event)
						}, nil)
						got := w.do("POST", path, body+more)
						w.want(got, 400)
						if !strings.Contains(got.body, want) {
							t.Errorf("%s, want %s", got.body, want)
						}
						w.idle()
					})
				})
			}
		}
	}
}

// TestFlatErrorAfterOutput streams an error whose members stand in the event itself. SDKs
// for chat look into "error"; those for the Responses API know events of type error.
func TestFlatErrorAfterOutput(t *testing.T) {
	const members = `"code":"server_error","message":"broken","param":"n"`
	const begun = `data: {"choices":[{"index":0,"delta":{"content":"a"}}]}` + "\n\n"
	const nested = `data: {"error":{"code":"server_error","message":"broken","type":null,"param":"n","request_id":"`
	const created = `data: {"type":"response.created","response":{"id":"r","status":"in_progress"}}` + "\n\n" +
		`data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"a"}` + "\n\n"
	const typed = `data: {"type":"error",` + members + "}\n\n"
	for name, tt := range map[string]struct{ path, body, begun, event, want string }{
		"typed":     {chatPath, chat("5", `,"stream":true`), begun, typed, nested},
		"named":     {chatPath, chat("5", `,"stream":true`), begun, "event: error\ndata: {" + members + "}\n\n", nested},
		"object":    {chatPath, chat("5", `,"stream":true`), begun, `data: {"object":"error",` + members + "}\n\n", nested},
		"null":      {chatPath, chat("5", `,"stream":true`), begun, `data: {"error":null,"type":"error",` + members + "}\n\n", nested},
		"nested":    {chatPath, chat("5", `,"stream":true`), begun, "data: {\"error\":{" + members + "}}\n\n", "data: {\"error\":{" + members + "}}\n\n"},
		"responses": {responsesPath, `{"model":"gpt-4o-mini","input":"hi","stream":true}`, created, typed, typed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Type", "text/event-stream")
					io.WriteString(rw, tt.begun)
					http.NewResponseController(rw).Flush()
					time.Sleep(time.Second)
					io.WriteString(rw, tt.event)
				}, nil)
				got := w.do("POST", tt.path, tt.body)
				w.want(got, 200)
				begun, _, found := strings.Cut(got.body, tt.want)
				if !found || !strings.Contains(begun, `"a"`) || strings.Count(got.body, "broken") != 1 {
					t.Errorf("%q, want %s after the output", got.body, tt.want)
				}
				if rec := w.record(); rec.Outcome != spillway.OutcomePartial {
					t.Errorf("outcome %v", rec.Outcome)
				}
				w.idle()
			})
		})
	}
}
