package gateway

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/policy"
)

// heard is what a deployment was asked.
type heard struct{ uri, body, contentType string }

// listen serves a host that answers everything with a chat response, and returns where
// it keeps what it is asked.
func (w *world) listen(host string) *[]heard {
	list := new([]heard)
	w.serve(host, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*list = append(*list, heard{r.RequestURI, string(body), r.Header.Get("Content-Type")})
		rw.Header().Set("Content-Type", "application/json")
		io.WriteString(rw, `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}`)
	}))
	return list
}

// addPool adds a pool with one deployment at a host of its own, and returns what that
// is asked.
func (w *world) addPool(name string) *[]heard {
	d := deployment(name + "-1").Deployment
	w.cfg.Pools = append(w.cfg.Pools, policy.Config{
		Version: "test", Pool: spillway.Pool{Name: name, Tiers: [][]string{{d.Name}}}, Deployments: []spillway.Deployment{d},
	})
	w.upstream(d.Name, "http://"+name+".test")
	return w.listen(name + ".test")
}

// TestClientVersion sends the client's api-version to a deployment that has none.
func TestClientVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked *[]heard
		w := newWorld(t, []fleet.Deployment{deployment("own")}, func(w *world) { asked = w.addPool("other") })
		const path = "/openai/deployments/other/chat/completions"
		for _, query := range []string{"?api-version=2025-01-01-preview", "?api-version=2023-05-15", ""} {
			w.want(w.do(http.MethodPost, path+query, chat("1", "")), 200)
		}
		for i, want := range []string{"2025-01-01-preview", "2024-10-21", "2024-10-21"} {
			if got := (*asked)[i].uri; got != "/openai/deployments/other-1/chat/completions?api-version="+want {
				t.Errorf("request %d went to %s, want version %s", i+1, got, want)
			}
		}
	})
}
