package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/proxy/clientconn"
)

// TestUnreadable delivers a successful response that cannot be parsed: as it came if
// all of it was read, and otherwise as an error.
func TestUnreadable(t *testing.T) {
	const page, brokenStream = "<html>Maintenance</html>", "data: {\n\n"
	const cutJSON = `{"object":"chat.completion","choices":[{"index":0,"message":{"content":"hi"},"fin`
	for name, tt := range map[string]struct {
		more, contentType, body string
		status                  int
		want                    string
	}{
		"page":                     {"", "text/html", page, 200, page},
		"page for a stream":        {`,"stream":true`, "text/html", page, 200, page},
		"cut JSON":                 {"", "application/json", cutJSON, 502, "could not read"},
		"cut JSON for a stream":    {`,"stream":true`, "application/json", cutJSON, 502, "could not read"},
		"cut JSON, mislabeled":     {"", "text/plain", " [" + cutJSON, 502, "could not read"},
		"broken stream":            {`,"stream":true`, "text/event-stream", brokenStream, 502, "could not read"},
		"broken stream, assembled": {"", "text/event-stream", brokenStream, 502, "could not read"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, []fleet.Deployment{deployment("east")}, func(w *world) {
					w.upstream("east", "http://page.test")
					w.serve("page.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						rw.Header().Set("Content-Type", tt.contentType)
						io.WriteString(rw, tt.body)
					}))
				})
				// The flight of one request, which ends with the delivery of its attempt.
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, chatPath, strings.NewReader(chat("5", tt.more)))
				r.Header.Set("Api-Key", "demo")
				got := httptest.NewRecorder()
				f := &flight{g: w.gateway, snap: w.gateway.snap.Load(), r: r, accepted: w.gateway.deps.Now()}
				f.call.ID, f.call.Context = "req", r.Context()
				f.out.Init(got, r, clientconn.Options{Now: w.gateway.deps.Now})
				if _, e := f.admit(); e != nil {
					t.Fatal(e)
				}
				f.run()
				f.verdict = spillway.Action{Kind: spillway.ActionSettle, Attempt: len(f.attempts)}
				f.writeResponse()
				f.finish()
				if got.Code != tt.status || !strings.Contains(got.Body.String(), tt.want) {
					t.Errorf("status %d: %s", got.Code, got.Body)
				}
				if kind := got.Header().Get("Content-Type"); tt.status == 200 && kind != tt.contentType {
					t.Errorf("content type %q", kind)
				}
				w.gateway.snap.Load().transports.CloseIdle(nil)
			})
		})
	}
}
