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
