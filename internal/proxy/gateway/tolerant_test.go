package gateway

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// TestTolerantStream plays one response in every form that a browser would read, in
// whole and byte by byte, to both kinds of clients.
func TestTolerantStream(t *testing.T) {
	const plain = textChunk + finishChunk + doneEvent
	chunks := strings.TrimSuffix(plain, doneEvent)
	long := `{"id":"c","choices":[{"index":0,"delta":{"content":""}}],"padding":"` + strings.Repeat("x", 2<<20) + `"}`
	for name, script := range map[string]string{
		"plain":                 plain,
		"CRLF":                  strings.ReplaceAll(plain, "\n", "\r\n"),
		"CR":                    strings.ReplaceAll(plain, "\n", "\r"),
		"mixed line ends":       strings.Replace(strings.Replace(plain, "\n\n", "\r\n\n", 1), "\n\n", "\r\r", 1),
		"byte order mark":       "\ufeff" + plain,
		"no space":              strings.ReplaceAll(plain, "data: ", "data:"),
		"more spaces":           strings.ReplaceAll(plain, "data: ", "data:   "),
		"comments":              ": OPENROUTER PROCESSING\n\n" + strings.ReplaceAll(plain, "\n\n", "\n: ping\n\n: ping\n\n"),
		"other fields":          "retry: 5\n\n" + strings.ReplaceAll(plain, "data: ", "id: 7\nevent: message\nfoo: bar\nfoo\ndata: "),
		"an id with NUL":        strings.ReplaceAll(plain, "data: ", "id: \x00\ndata: "),
		"lines of data":         strings.ReplaceAll(plain, `,"`, ",\ndata: \""),
		"indented":              strings.ReplaceAll(strings.ReplaceAll(plain, `,"`, ", \t\""), "data: {", "data: { "),
		"a name twice":          strings.ReplaceAll(plain, `{"id":"c"`, `{"id":"b","id":"c"`),
		"unknown members":       strings.ReplaceAll(plain, `{"id":"c"`, `{"x":{"choices":[{"delta":{"content":"no"}}]},"y":[[],{}],"id":"c"`),
		"large numbers":         strings.ReplaceAll(plain, `{"id":"c"`, `{"n":123456789012345678901234567890,"e":-1.5E+300,"id":"c"`),
		"padded end mark":       chunks + "data:  [DONE] \t\n\n",
		"end mark with more":    chunks + "data: [DONE]{}\n\n",
		"end mark on two lines": chunks + "data: [DONE]\ndata: [DONE]\n\n",
		"end mark with a name":  chunks + "event: done\ndata: [DONE]\n\n",
		"after the end mark":    plain + "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"late\"}}]}\n\n<html>garbage",
		"open end mark":         chunks + "data: [DONE]",
		"half an end mark":      chunks + "data: [DON",
		"no final blank line":   strings.TrimSuffix(plain, "\n"),
		"no end mark":           chunks,
		"a long line":           "data: " + long + "\n\n" + plain,
	} {
		for form, more := range map[string]string{"streamed": `,"stream":true`, "synchronous": ""} {
			for _, piece := range []int{len(script), 1} {
				if piece == 1 && len(script) > 1<<16 {
					piece = 4093
				}
				t.Run(name+" "+form, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
							rw.Header().Set("Content-Type", "text/event-stream")
							for rest := script; rest != ""; rest = rest[min(piece, len(rest)):] {
								send(rw, rest[:min(piece, len(rest))])
							}
						}, nil)
						got := w.post(chat("5", more))
						w.want(got, 200)
						if rec := w.record(); rec.Outcome != spillway.OutcomeOK || rec.Finish != spillway.FinishStop {
							t.Errorf("outcome %v, finish %v", rec.Outcome, rec.Finish)
						}
						if more == "" {
							if c := w.completion(got.body).Choices; len(c) != 1 || c[0].Message.Content != "all of it" || c[0].FinishReason != "stop" {
								t.Errorf("response %.300s", got.body)
							}
						} else if all := readStream(t, spillway.APIChat, []byte(got.body)); all.finish != spillway.FinishStop || all.tokens != 1 || all.failed {
							t.Errorf("the client read %+v: %.300q", all, got.body)
						}
						w.idle()
					})
				})
			}
		}
	}
}

// TestErrorsInStreams ends a stream with an error in every form that services use,
// before the first token and after it.
func TestErrorsInStreams(t *testing.T) {
	for name, event := range map[string]string{
		"member":        "data: {\"error\":{\"message\":\"broken\",\"type\":\"server_error\",\"code\":null}}\n\n",
		"vLLM":          "data: {\"error\":{\"message\":\"broken\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}}\n\n" + doneEvent,
		"flat":          "data: {\"object\":\"error\",\"message\":\"broken\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}\n\n" + doneEvent,
		"named event":   "event: error\ndata: {\"message\":\"broken\",\"code\":\"server_error\"}\n\n",
		"named, member": "event: error\ndata: {\"error\":{\"message\":\"broken\"}}\n\n",
		"text":          "data: {\"error\":\"broken\"}\n\n",
		"in a chunk":    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}],\"error\":{\"code\":502,\"message\":\"broken\"}}\n\n" + doneEvent,
		"open":          "data: {\"error\":{\"message\":\"broken\"}}",
	} {
		for _, begun := range []string{"", textChunk} {
			for form, more := range map[string]string{"streamed": `,"stream":true`, "synchronous": ""} {
				t.Run(name+" "+form, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
							rw.Header().Set("Content-Type", "text/event-stream")
							send(rw, begun)
							pause(r, time.Second) // else the response has not begun when the error comes
							send(rw, event)
						}, nil)
						got := w.post(chat("5", more))
						rec := w.record()
						if more != "" && begun != "" {
							if all := readStream(t, spillway.APIChat, []byte(got.body)); got.status != 200 || !all.failed || rec.Outcome != spillway.OutcomePartial {
								t.Errorf("outcome %v, the client read %+v: %d %q", rec.Outcome, all, got.status, got.body)
							}
						} else if got.status < 500 || rec.Outcome != spillway.OutcomeUpstreamError {
							t.Errorf("outcome %v: %d %s", rec.Outcome, got.status, got.body)
						}
						if !strings.Contains(got.body, "broken") {
							t.Errorf("the client does not see the message: %s", got.body)
						}
						w.idle()
					})
				})
			}
		}
	}
}

// TestImagesOnly has a deployment send images and no text, more than one event may
// have, to both kinds of clients.
func TestImagesOnly(t *testing.T) {
	const limit = 64 << 10
	image := base64.StdEncoding.EncodeToString(make([]byte, limit/2))
	event := func(name, rest string) string {
		return "event: " + name + "\ndata: {\"type\":\"" + name + "\"," + rest + "}\n\n"
	}
	item := `{"id":"ig_1","type":"image_generation_call","status":"completed","result":"` + image + `"}`
	final := `{"id":"resp_1","object":"response","status":"completed","output":[],"usage":{"input_tokens":9,"output_tokens":20,"total_tokens":29}}`
	for partial := range 3 {
		for form, more := range map[string]string{"streamed": `,"stream":true`, "synchronous": ""} {
			t.Run(form, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
						rw.Header().Set("Content-Type", "text/event-stream")
						send(rw, event("response.created", `"response":{"id":"resp_1","object":"response","status":"in_progress","output":[]}`))
						for range partial {
							send(rw, event("response.image_generation_call.partial_image", `"item_id":"ig_1","output_index":0,"partial_image_b64":"`+image+`"`))
						}
						send(rw, event("response.output_item.done", `"output_index":0,"item":`+item))
						send(rw, event("response.output_item.done", `"output_index":1,"item":`+item))
						send(rw, event("response.completed", `"response":`+final))
					}, func(w *world) { w.cfg.Limits.MaxEventBytes = limit })
					got := w.do(http.MethodPost, responsesPath, `{"model":"gpt-4o-mini","input":"draw"`+more+`}`)
					w.want(got, 200)
					if n := strings.Count(got.body, `"result":"`+image); n != 2 {
						t.Errorf("%d images, want 2: %.300s", n, got.body)
					}
					if rec := w.record(); rec.Outcome != spillway.OutcomeOK || rec.Usage.Completion != 20 {
						t.Errorf("outcome %v, usage %+v", rec.Outcome, rec.Usage)
					}
					w.idle()
				})
			})
		}
	}
}
