package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
)

// TestAbsurdUsage has the deployment report usage that cannot be, in each form of
// response: the record is flagged, the meter does not move, and a usage that the client
// has not asked for does not reach it.
func TestAbsurdUsage(t *testing.T) {
	for _, count := range []string{"999999999", "-7", `"7"`, "7.5", "9007199254740993", "9223372036854775808"} {
		usage := `"usage":{"prompt_tokens":9,"completion_tokens":` + count + `}`
		for form, more := range map[string]string{"stream": `,"stream":true`, "assembled": "", "whole": ""} {
			t.Run(form+" "+count, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
						if form == "whole" {
							io.WriteString(rw, `{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}],`+usage+`}`)
							return
						}
						rw.Header().Set("Content-Type", "text/event-stream")
						send(rw, firstEvent+finalEvent+`data: {"id":"c","choices":[],`+usage+"}\n\n"+doneEvent)
					}, func(w *world) {
						if form == "whole" {
							w.class.Sync = spillway.SyncPass
						}
					})
					got := w.post(chat("5", more+`,"max_tokens":100`))
					w.want(got, 200)
					if form == "stream" && strings.Contains(got.body, "usage") {
						t.Errorf("body %s", got.body)
					}
					if u := w.record().Usage; !u.Suspect || u.Known || u.Completion > 100 {
						t.Errorf("usage %+v", u)
					}
					w.idle()
					if d := w.gateway.Status(nil)[0].Deployments[0]; d.Utilization > 0.01 {
						t.Errorf("utilization %v", d.Utilization)
					}
				})
			})
		}
	}
}

// TestUsageOutsideChat records the usage of operations that are relayed, and of
// Responses that are polled or only begun, where they report one: there is no
// other count.
func TestUsageOutsideChat(t *testing.T) {
	const counts = `"usage":{"input_tokens":12,"output_tokens":40,"total_tokens":52}`
	reported := spillway.Usage{Prompt: 12, Completion: 40, Known: true}
	deployed := "/openai/deployments/gpt-4o-mini/"
	for name, tt := range map[string]struct {
		method, path, ask, kind, body string
		want                          spillway.Usage
	}{
		"image":          {"POST", deployed + "images/generations", `{"prompt":"a"}`, "application/json", `{"created":1,"data":[{"b64_json":"` + strings.Repeat("A", 100_000) + `"}],` + counts + `}`, reported},
		"image stream":   {"POST", deployed + "images/generations", `{"prompt":"a","stream":true}`, "text/event-stream", "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\"," + counts + "}\n\n", reported},
		"image without":  {"POST", deployed + "images/generations", `{"prompt":"a"}`, "application/json", `{"created":1,"data":[]}`, spillway.Usage{}},
		"speech":         {"POST", deployed + "audio/speech", `{"input":"a"}`, "audio/mpeg", `{` + counts + `}`, spillway.Usage{}},
		"transcript":     {"POST", deployed + "audio/transcriptions", `{}`, "application/json; charset=utf-8", `{"text":"a","usage":{"type":"tokens","input_tokens":12,"output_tokens":40}}`, reported},
		"seconds":        {"POST", deployed + "audio/transcriptions", `{}`, "application/json", `{"text":"a","usage":{"type":"duration","seconds":7}}`, spillway.Usage{}},
		"absurd":         {"POST", deployed + "images/generations", `{"prompt":"a"}`, "application/json", `{"usage":{"input_tokens":12,"output_tokens":-4}}`, spillway.Usage{Suspect: true}},
		"compact":        {"POST", "/openai/v1/responses/compact", `{"model":"gpt-4o-mini","input":"a"}`, "application/json", `{"object":"response.compaction","output":[],` + counts + `}`, reported},
		"poll":           {"GET", "/openai/v1/responses/resp_1", "", "application/json", `{"id":"resp_1","status":"completed","output":[],` + counts + `}`, reported},
		"poll at a tier": {"GET", "/openai/v1/responses/resp_1", "", "application/json", `{"id":"resp_1","status":"completed","service_tier":"flex","output":[],` + counts + `}`, reported},
		"poll before":    {"GET", "/openai/v1/responses/resp_1", "", "application/json", `{"id":"resp_1","status":"in_progress","output":[],"usage":null}`, spillway.Usage{}},
		"begun":          {"POST", responsesPath, `{"model":"gpt-4o-mini","input":"a","background":true}`, "application/json", `{"id":"resp_1","object":"response","status":"queued","output":[],"usage":null}`, spillway.Usage{}},
		"finished":       {"POST", responsesPath, `{"model":"gpt-4o-mini","input":"a"}`, "application/json", `{"id":"resp_1","object":"response","status":"completed","output":[],` + counts + `}`, reported},
		"file":           {"GET", "/openai/v1/files/x", "", "application/json", `{"id":"file-1"}`, spillway.Usage{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Type", tt.kind)
					io.WriteString(rw, tt.body)
				}, nil)
				got := w.do(tt.method, tt.path, tt.ask)
				if w.want(got, 200); got.body != tt.body {
					t.Errorf("body %.200q", got.body)
				}
				rec := w.record()
				if rec.Usage != tt.want || rec.Outcome != spillway.OutcomeOK {
					t.Errorf("outcome %v, usage %+v; want %+v", rec.Outcome, rec.Usage, tt.want)
				}
				if tier := rec.Attempts[0].ServiceTier; (tier == "flex") != strings.Contains(tt.body, "flex") {
					t.Errorf("service tier %q", tier)
				}
				w.idle()
			})
		})
	}
}
