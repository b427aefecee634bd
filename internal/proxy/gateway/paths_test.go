package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// TestPaths asks for the operations with token logic in the three families.
func TestPaths(t *testing.T) {
	tests := []struct{ path, body, want string }{
		{"/v1/chat/completions", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"[[tokens=5]]"}]}`, `"chat.completion"`},
		{"/openai/v1/chat/completions", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"[[tokens=5]]"}]}`, `"chat.completion"`},
		{"//openai//v1/chat/completions", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"[[tokens=5]]"}]}`, `"chat.completion"`},
		{"/models/chat/completions?api-version=2024-05-01-preview", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"[[tokens=5]]"}]}`, `"chat.completion"`},
		{"/api/projects/p/openai/v1/responses", `{"model":"gpt-4o-mini","input":"[[tokens=5]]"}`, `"status":"completed"`},
		{"/v1/completions", `{"model":"gpt-4o-mini","prompt":"[[tokens=5]]"}`, `"text_completion"`},
		{"/openai/deployments/gpt-4o-mini/completions?api-version=2024-10-21", `{"prompt":"[[tokens=5]]"}`, `"text_completion"`},
		{"/v1/responses", `{"model":"gpt-4o-mini","input":"[[tokens=5]]"}`, `"status":"completed"`},
		{"/v1/responses", `{"model":"gpt-4o-mini","input":"[[tokens=5]]","stream":true}`, `response.completed`},
		{"/openai/responses?api-version=2025-04-01-preview", `{"model":"gpt-4o-mini","input":"[[tokens=5]]"}`, `"status":"completed"`},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), nil)
				got := w.do(http.MethodPost, tt.path, tt.body)
				w.want(got, 200)
				if !strings.Contains(got.body, tt.want) {
					t.Errorf("want %s in %s", tt.want, got.body)
				}
				if rec := w.record(); rec.Usage.Completion != 5 || rec.Outcome != spillway.OutcomeOK {
					t.Errorf("unexpected record: %+v", rec)
				}
				w.idle()
			})
		})
	}
}

// TestEmbeddings passes an embedding through with its usage.
func TestEmbeddings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment("embed")
		d.Model = "text-embedding-3-small"
		w := newWorld(t, []fleet.Deployment{d}, nil)
		got := w.do(http.MethodPost, "/openai/deployments/gpt-4o-mini/embeddings?api-version=2024-10-21", `{"input":"hello there"}`)
		w.want(got, 200)
		if rec := w.record(); rec.API != spillway.APIEmbeddings || rec.Usage.Prompt == 0 || rec.Outcome != spillway.OutcomeOK {
			t.Errorf("unexpected record: %+v", rec)
		}
		w.idle()
	})
}

// TestModels lists the models without asking a deployment.
func TestModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), func(w *world) { w.cfg.Pools[0].Pool.Models = []string{"chat"} })
		got := w.do(http.MethodGet, "/v1/models", "")
		w.want(got, 200)
		var list struct{ Data []struct{ ID string } }
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Data) != 2 || list.Data[0].ID != "chat" {
			t.Errorf("%v: %s", err, got.body)
		}
		if rec := w.record(); rec.Outcome != spillway.OutcomeOK || rec.Status != 200 || rec.Caller != "tester" {
			t.Errorf("unexpected record: %+v", rec)
		}
		w.want(w.do(http.MethodGet, "/openai/v1/models/chat", ""), 200)
	})
}

// TestStoredResponses follows a response to the deployment that holds it.
func TestStoredResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var east, west int
		w := newWorld(t, two(), func(w *world) {
			count := func(n *int) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					*n++
					w.azure.ServeHTTP(rw, r)
				})
			}
			w.serve("east.test", count(&east))
			w.serve("west.test", count(&west))
			w.upstream("east", "http://east.test")
			w.upstream("west", "http://west.test")
		})
		w.azure.SetFaults([]fleet.Fault{{Kind: fleet.FaultStatus5xx, Deployment: "east"}})
		got := w.do(http.MethodPost, "/v1/responses", `{"model":"gpt-4o-mini","input":"[[tokens=5]]"}`)
		w.want(got, 200)
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(got.body), &made); err != nil || made.ID == "" {
			t.Fatalf("%v: %s", err, got.body)
		}
		w.azure.SetFaults(nil)
		east, west = 0, 0
		w.want(w.do(http.MethodGet, "/v1/responses/"+made.ID, ""), 200)
		w.want(w.do(http.MethodPost, "/v1/responses", `{"model":"gpt-4o-mini","input":"more [[tokens=5]]","previous_response_id":"`+made.ID+`"}`), 200)
		w.want(w.do(http.MethodDelete, "/v1/responses/"+made.ID, ""), 200)
		if east != 0 || west != 3 {
			t.Errorf("east was asked %d times and west %d times, want 0 and 3", east, west)
		}
		w.idle()
	})
}

// TestOtherPaths relays what has no token logic, with retries.
func TestOtherPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		w := newWorld(t, two(), func(w *world) {
			w.serve("west.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				asked = append(asked, r.URL.Path+" "+string(body)+" "+r.Header.Get("api-key")+r.Header.Get("x-slo-ttft-ms"))
				rw.Header().Set("Content-Type", "audio/mpeg")
				rw.Write(make([]byte, 100_000))
			}))
			w.upstream("east", "http://nowhere.test")
			w.upstream("west", "http://west.test")
		})
		got := w.do(http.MethodPost, "/openai/deployments/gpt-4o-mini/audio/speech?api-version=2024-10-21", "not JSON", "x-slo-ttft-ms", "100")
		w.want(got, 200)
		if len(got.body) != 100_000 || got.header.Get("Content-Type") != "audio/mpeg" {
			t.Errorf("%d bytes, %v", len(got.body), got.header)
		}
		want := "/openai/deployments/west/audio/speech not JSON azure"
		if len(asked) != 1 || asked[0] != want {
			t.Errorf("asked %q, want %q", asked, want)
		}
		if rec := w.record(); rec.API != spillway.APIOther || rec.Outcome != spillway.OutcomeOK || len(rec.Attempts) != 2 {
			t.Errorf("unexpected record: %+v", rec)
		}
		w.idle()
	})
}
