package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// shelf is a deployment that keeps responses, files and batches: it serves those that
// it has made, and says of others that it does not have them.
func shelf(name string) http.HandlerFunc {
	const response = `{"id":"resp_%s","object":"response","status":"completed","output":[{"type":"reasoning","id":"rs_%s"},` +
		`{"type":"message","content":[{"type":"output_text","text":"hi"}]}],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}`
	return func(rw http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		path, body := r.URL.Path, string(text)
		own := func(kind string) bool { return strings.Contains(path+body, kind+name) }
		fail := func(status int, code, message string) {
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(status)
			fmt.Fprintf(rw, `{"error":{"code":%q,"message":%q}}`, code, message)
		}
		rw.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(path, "/responses") && strings.Contains(body, "previous_response_id") && !own("resp_"):
			fail(400, "previous_response_not_found", "Previous response not found.")
		case strings.HasSuffix(path, "/responses") && strings.Contains(body, "encrypted_content") && !own("rs_"):
			fail(400, "invalid_encrypted_content", "The encrypted content could not be verified.")
		case strings.HasSuffix(path, "/responses"):
			if strings.Contains(body, `"stream":true`) {
				rw.Header().Set("Content-Type", "text/event-stream")
				fmt.Fprintf(rw, "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_%s\",\"status\":\"in_progress\"}}\n\n"+
					"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"hi\"}\n\n"+
					"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":"+response+"}\n\n", name, name, name)
				return
			}
			fmt.Fprintf(rw, response, name, name)
		case strings.HasSuffix(path, "/files"):
			fmt.Fprintf(rw, `{"id":"file-%s","object":"file"}`, name)
		case strings.Contains(path, "/files/") && own("file-"), strings.Contains(path, "/responses/") && own("resp_"):
			fmt.Fprintf(rw, `{"id":"x","object":"found"}`)
		case strings.HasSuffix(path, "/batches") && own("file-"):
			fmt.Fprintf(rw, `{"id":"batch_1%s","input_file_id":"file-%s"}`, name, name)
		case strings.HasSuffix(path, "/batches"):
			fail(400, "invalid_request", "No such File object")
		default:
			fail(404, "not_found", "The object was not found.")
		}
	}
}

// shelves is a world of two equal deployments that keep objects, of which the first is
// asked first, and the requests that each gets.
func shelves(t *testing.T) (w *world, east, west *calls) {
	east, west = newCalls(shelf("east")), newCalls(shelf("west"))
	return newWorld(t, two(), func(w *world) {
		for name, h := range map[string]*calls{"east": east, "west": west} {
			w.serve(name+".test", h)
			w.upstream(name, "http://"+name+".test")
		}
		w.cfg.Callers[0].Access.Operations = []string{"*"}
	}), east, west
}

// count is how many requests there were.
func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.uris)
}

// TestStoredElsewhere asks for objects of which the gateway knows nothing and that the
// second deployment holds: it is asked too, the next time at once, and nobody is to
// blame.
func TestStoredElsewhere(t *testing.T) {
	for _, tt := range []struct{ name, method, path, body string }{
		{"response", "GET", "/openai/v1/responses/resp_west", ""},
		{"deletion", "DELETE", "/openai/v1/responses/resp_west", ""},
		{"previous response", "POST", "/openai/v1/responses", `{"model":"gpt-4o-mini","input":"hi","previous_response_id":"resp_west"}`},
		{"previous response, stream", "POST", "/openai/v1/responses", `{"model":"gpt-4o-mini","input":"hi","stream":true,"previous_response_id":"resp_west"}`},
		{"encrypted reasoning", "POST", "/openai/v1/responses", `{"model":"gpt-4o-mini","input":[{"type":"reasoning","id":"rs_west","encrypted_content":"x"}]}`},
		{"file", "GET", "/openai/v1/files/file-west", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, east, west := shelves(t)
				for i := range 8 {
					w.want(w.do(tt.method, tt.path, tt.body), 200)
					if east.count() != 1 || west.count() != i+1 {
						t.Errorf("after request %d: east was asked %d times, west %d times", i+1, east.count(), west.count())
					}
				}
				if d := w.gateway.Status(nil)[0].Deployments[0]; d.State != "closed" || d.Evidence.Failures > 0 || d.Evidence.Excluded > 0 {
					t.Errorf("east is blamed: %+v", d)
				}
				w.want(w.do("POST", "/openai/v1/responses", `{"model":"gpt-4o-mini","input":"hi"}`), 200)
				if east.count() != 2 {
					t.Error("east does not get other requests any more")
				}
				w.idle()
			})
		})
	}
}

// TestStoredWords uses words of the API that begin like identifiers: they are no objects,
// which would tie further requests to the deployment that has served one.
func TestStoredWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, east, west := shelves(t)
		const tools = `"tools":[{"type":"file_search"},{"type":"mcp","file_id":null,"run_id":null}],"tool_choice":{"type":"file_search"}`
		w.want(w.do("POST", "/openai/v1/responses", `{"model":"gpt-4o-mini","input":"hi","previous_response_id":"resp_west",`+tools+`}`), 200)
		w.want(w.do("POST", "/openai/v1/responses", `{"model":"gpt-4o-mini","input":"hi",`+tools+`}`), 200)
		if east.count() != 2 || west.count() != 1 {
			t.Errorf("east was asked %d times, west %d times", east.count(), west.count())
		}
		w.idle()
	})
}

// TestStoredNowhere passes the error on when no deployment has the object.
func TestStoredNowhere(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"response", "GET", "/openai/v1/responses/resp_gone", "", 404, "was not found"},
		{"previous response", "POST", "/openai/v1/responses", `{"model":"gpt-4o-mini","input":"hi","previous_response_id":"resp_gone"}`, 400, "previous_response_not_found"},
		{"no object", "GET", "/openai/v1/unknown", "", 404, "was not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, east, west := shelves(t)
				got := w.do(tt.method, tt.path, tt.body)
				w.want(got, tt.status)
				asked := 2
				if tt.name == "no object" {
					asked = 1
				}
				if !strings.Contains(got.body, tt.want) || east.count()+west.count() != asked {
					t.Errorf("%d requests, want %d: %s", east.count()+west.count(), asked, got.body)
				}
				w.idle()
			})
		})
	}
}

// TestStoredRemembered makes objects at one deployment and asks for them: the other one
// is never asked, also after a restart.
func TestStoredRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, east, west := shelves(t)
		w.want(w.do("POST", "/openai/v1/files", `{}`), 200)
		w.want(w.do("POST", "/openai/v1/batches", `{"input_file_id":"file-east"}`), 200)
		w.want(w.do("POST", "/openai/v1/responses", `{"model":"gpt-4o-mini","input":"hi"}`), 200)
		list, version := w.gateway.StoredObjects(0)
		ids := make([]string, 0, len(list))
		for _, o := range list {
			if o.Deployment != "east" || o.Pool != "gpt-4o-mini" {
				t.Errorf("unexpected place: %+v", o)
			}
			ids = append(ids, o.ID)
		}
		slices.Sort(ids)
		if want := []string{"batch_1east", "file-east", "resp_east", "rs_east"}; !slices.Equal(ids, want) {
			t.Errorf("remembered %q, want %q", ids, want)
		}
		if again, same := w.gateway.StoredObjects(version); again != nil || same != version {
			t.Error("what has not changed is returned again")
		}

		restarted, err := New(w.cfg, w.gateway.deps)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			list[i].Deployment = "west" // so that the place can only be known from there
		}
		list = append(list, StoredObject{"resp_lost", "gpt-4o-mini", "gone"}, StoredObject{"resp_lost", "gone", "east"}, StoredObject{strings.Repeat("x", 1000), "gpt-4o-mini", "east"})
		if n := restarted.RestoreStoredObjects(list); n != 4 {
			t.Errorf("%d objects restored, want 4", n)
		}
		for id, want := range map[string]string{"file-east": "west", "resp_lost": ""} {
			if at := restarted.pins.find(id); at.deployment != want {
				t.Errorf("%s is at %q, want %q", id, at.deployment, want)
			}
		}
		if west.count() != 0 || east.count() != 3 {
			t.Errorf("east was asked %d times, west %d times", east.count(), west.count())
		}
		w.idle()
	})
}
