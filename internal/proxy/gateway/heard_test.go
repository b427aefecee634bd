package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
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

// TestFormModel selects the pool of a form by its field model, which names the
// deployment upstream.
func TestFormModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked *[]heard
		w := newWorld(t, one(), func(w *world) {
			asked = w.addPool("whisper-1")
			w.cfg.DefaultPool = "gpt-4o-mini"
			to := w.cfg.Upstreams["whisper-1-1"]
			to.Target, _ = wire.ParseTarget(wire.AzureV1, "http://whisper-1.test", "whisper-1-1", "")
			w.cfg.Upstreams["whisper-1-1"] = to
		})
		form := func(model string) string {
			return "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n" + model + "\r\n--b--\r\n"
		}
		const kind, path = "multipart/form-data; boundary=b", "/v1/audio/transcriptions"
		w.want(w.do(http.MethodPost, path, form("whisper-1"), "Content-Type", kind), 200)
		if got := *asked; len(got) != 1 || got[0].uri != "/openai/v1/audio/transcriptions" || got[0].contentType != kind || got[0].body != form("whisper-1-1") {
			t.Errorf("asked %q", got)
		}
		w.want(w.do(http.MethodPost, path, form("whisper-2"), "Content-Type", kind), 404)
		if rec := w.rec.records[0]; rec.Model != "whisper-1" || rec.Pool != "whisper-1" {
			t.Errorf("model %s, pool %s", rec.Model, rec.Pool)
		}
	})
}

// TestOnlyPool serves requests that name no model from the only pool that the caller may
// use, without a model in the body of what has none.
func TestOnlyPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked *[]heard
		w := newWorld(t, one(), func(w *world) {
			asked = w.addPool("other")
			w.cfg.Callers = append(w.cfg.Callers, Caller{
				Name: "limited", Keys: []string{"limited"}, Class: w.class, Access: Access{Operations: []string{"*"}, Pools: []string{"other"}},
			}, Caller{
				Name: "shut out", Keys: []string{"shut out"}, Class: w.class, Access: Access{Operations: []string{"*"}, Pools: []string{}},
			})
		})
		const batch = `{"input_file_id":"file-1","endpoint":"/v1/chat/completions"}`
		w.want(w.do(http.MethodPost, "/v1/batches", batch, "api-key", "limited"), 200)
		if got := *asked; len(got) != 1 || got[0].uri != "/openai/batches?api-version=2024-10-21" || got[0].body != batch {
			t.Errorf("asked %q", got)
		}
		w.want(w.do(http.MethodPost, "/v1/batches", batch), 200) // by the file, whose pool is known now
		for _, key := range []string{"demo", "shut out"} {
			got := w.do(http.MethodPost, "/v1/batches", strings.Replace(batch, "file-1", "file-2", 1), "api-key", key)
			w.want(got, 400)
			if e := w.completion(got.body).Error; e.Code != "missing_required_parameter" {
				t.Errorf("%s: %s", key, got.body)
			}
		}
	})
}

// TestLeastLimit never sends a limit that is below what the API accepts, however little
// fits before the deadline; a client's own stays.
func TestLeastLimit(t *testing.T) {
	for _, tt := range []struct {
		ask    string
		window time.Duration
		want   string
	}{
		{`,"max_tokens":500`, 2500 * time.Millisecond, `"max_tokens":500`},
		{`,"max_tokens":5`, 2500 * time.Millisecond, `"max_tokens":5`},
		{`,"max_tokens":500`, 4 * time.Second, `"max_tokens":`},
	} {
		synctest.Test(t, func(t *testing.T) {
			var asked *[]heard
			w := newWorld(t, one(), func(w *world) {
				asked = w.addPool("other")
				w.class.Window, w.class.Budget.Mode = tt.window, spillway.BudgetClamp
			})
			w.want(w.do(http.MethodPost, "/openai/deployments/other/chat/completions", chat("1", tt.ask)), 200)
			var sent struct {
				MaxTokens int `json:"max_tokens"`
			}
			body := (*asked)[0].body
			if err := json.Unmarshal([]byte(body), &sent); err != nil || !strings.Contains(body, tt.want) || sent.MaxTokens > 5 && sent.MaxTokens < 16 {
				t.Errorf("%s, %v: sent %s", tt.ask, tt.window, body)
			}
			if tt.window > 3*time.Second && (sent.MaxTokens < 16 || sent.MaxTokens >= 500) {
				t.Errorf("%d tokens do not show that the limit is lowered at all", sent.MaxTokens)
			}
		})
	}
}

// TestServiceTier records the service tier that requests ask for.
func TestServiceTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), nil)
		for _, tt := range []struct {
			tier   string
			status int // of the deployment, whose model has no flex tier
		}{{"flex", 400}, {"ultrafast", 200}, {"platinum", 400}, {"", 200}} {
			w.want(w.post(chat("1", `,"service_tier":"`+tt.tier+`"`)), tt.status)
		}
		w.want(w.do(http.MethodPost, "/openai/deployments/unknown/chat/completions", chat("1", `,"service_tier":"priority"`)), 404)
		w.idle()
		for i, want := range []string{"flex", "ultrafast", "other", "", "priority"} {
			if got := w.rec.records[i].ServiceTier; got != want {
				t.Errorf("request %d: tier %q, want %q", i+1, got, want)
			}
		}
	})
}
