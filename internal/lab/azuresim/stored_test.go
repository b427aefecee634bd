package azuresim

import (
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// Nobody waits for a background response, and yet it holds its deployment's capacity
// until it ends, at the instant of its plan.
func TestBackgroundSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steadyFleet()
		cfg.Faults = []fleet.Fault{{Kind: fleet.FaultReset, AtToken: 50, From: time.Hour}}
		r := serve(t, cfg)
		start := func() string {
			_, text := r.do("/openai/v1/responses", `{"model":"ptu","input":"x [[tokens=100]]","background":true,"max_output_tokens":1000}`)
			_, rest, _ := strings.Cut(text, `"id":"`)
			id, _, _ := strings.Cut(rest, `"`)
			return id
		}
		check := func(want int, produced int, when string) {
			t.Helper()
			if st, _ := r.server.Stats("ptu"); st.InFlight != want || st.Counts.OutputTokens != produced {
				t.Errorf("%s: %d in flight, %d tokens produced, want %d and %d", when, st.InFlight, st.Counts.OutputTokens, want, produced)
			}
		}
		start()
		check(1, 0, "at first")
		time.Sleep(time.Second)
		check(1, 0, "after a second")
		time.Sleep(time.Second)
		check(0, 100, "at the end") // 400 ms and 100 times 10 ms
		id := start()
		time.Sleep(400*time.Millisecond + 495*time.Millisecond)
		if resp, text := r.do("/openai/v1/responses/"+id+"/cancel", ""); resp.StatusCode != 200 || !strings.Contains(text, `"status":"cancelled"`) {
			t.Errorf("cancel: %d %s", resp.StatusCode, text)
		}
		check(0, 150, "canceled after 50 tokens")
		time.Sleep(time.Minute)
		check(0, 150, "later")

		time.Sleep(time.Hour)
		id = start()
		time.Sleep(time.Minute)
		resp, err := r.client.Get("http://sim/openai/v1/responses/" + id)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 401 {
			t.Errorf("without a key: %d", resp.StatusCode)
		}
		var body []byte
		r.server.resources[""].store.do(func() {
			o, _ := lookup[*storedResponse](&r.server.resources[""].store, id)
			body = o.json(r.server.clock.now())
		})
		if text := string(body); !strings.Contains(text, `"status":"failed"`) || !strings.Contains(text, `"code":"server_error"`) {
			t.Errorf("a response that a fault broke: %s", text)
		}
		check(0, 200, "broken after 50 tokens")
	})
}

// A batch whose file is wrong fails with the code that Microsoft's page gives.
func TestBatchValidation(t *testing.T) {
	line := func(id, url, body string) string {
		return `{"custom_id":"` + id + `","method":"POST","url":"` + url + `","body":` + body + "}\n"
	}
	good := line("a", "/v1/chat/completions", `{"model":"west","messages":[{"role":"user","content":"x [[tokens=1]]"}]}`)
	for name, tc := range map[string]struct {
		file, code, line string
	}{
		"empty":        {"\n\n", "empty_batch", "1"},
		"no JSON":      {good + "{\n", "invalid_json_line", "2"},
		"twice":        {good + good, "duplicate_custom_id", "2"},
		"without id":   {line("", "/v1/chat/completions", `{"model":"west"}`), "duplicate_custom_id", "1"},
		"other URL":    {line("a", "/v1/responses", `{"model":"west"}`), "url_mismatch", "1"},
		"unknown URL":  {line("a", "/v1/images", `{"model":"west"}`), "url_mismatch", "1"},
		"elsewhere":    {line("a", "/chat/completions", `{"model":"east"}`), "model_not_found", "1"},
		"without body": {`{"custom_id":"a","url":"/chat/completions"}`, "invalid_json_line", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := flow(t, twoResources(), []step{
				{method: "POST", path: west + "files", file: tc.file, capture: "file", pattern: "file-[0-9a-f]+"},
				{method: "POST", path: west + "batches", body: `{"input_file_id":"$file","endpoint":"/chat/completions","completion_window":"24h"}`, capture: "id", pattern: "batch_[0-9a-f-]+"},
				{method: "GET", path: west + "batches/$id", wait: time.Minute},
			})
			if !strings.Contains(got, `"errors":{"object":"list","data":[{"code":"`+tc.code+`"`) || !strings.Contains(got, `"line":`+tc.line+`}]}`) || !strings.HasSuffix(strings.TrimSpace(got), `"status":"failed"}`) {
				t.Error(got)
			}
		})
	}
}

// The requests of a batch have a quota of their own, and run several at a time.
func TestBatchRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := twoResources()
		for i := range cfg.Deployments {
			cfg.Deployments[i].TPM, cfg.Deployments[i].RPM = 1, 6
		}
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var lines strings.Builder
		for i := range 2*batchWorkers + 1 {
			lines.WriteString(`{"custom_id":"` + itoa(i) + `","url":"/responses","body":{"model":"west","input":"x [[tokens=60]]"}}` + "\n")
		}
		x := &exchange{s: s, res: s.resources["westus3"]}
		b := &batch{created: s.clock.now()}
		x.runBatch(b, opResponses, []byte(lines.String()))
		// About a second each, and three in a row: 400 ms and 59 times 10 ms, with jitter.
		if took := b.done - batchValidation; took < 2800*time.Millisecond || took > 3100*time.Millisecond {
			t.Errorf("the requests took %v", took)
		}
		if completed, failed := b.counts(b.done - 900*time.Millisecond); completed != 2*batchWorkers || failed != 0 {
			t.Errorf("before the last: %d and %d", completed, failed)
		}
		st, _ := s.Stats("west")
		if st.Counts.Offered != 0 || len(x.res.store.order) != 0 {
			t.Errorf("the deployment was offered %d requests, and %d objects are stored", st.Counts.Offered, len(x.res.store.order))
		}
	})
}

// A store is bounded by number and by bytes, and forgets the oldest first.
func TestStoreBounds(t *testing.T) {
	var s store
	put := func(id string, size int) { s.put(id, &file{id: id, content: make([]byte, size)}) }
	for i := range maxStored + 1 {
		put(itoa(i), 1)
	}
	if _, ok := lookup[*file](&s, "0"); ok || len(s.byID) != maxStored || s.bytes != maxStored {
		t.Errorf("%d objects, %d bytes", len(s.byID), s.bytes)
	}
	put("large", maxStoredBytes)
	if _, ok := lookup[*file](&s, "large"); !ok || len(s.byID) != 1 || s.bytes != maxStoredBytes {
		t.Errorf("%d objects, %d bytes", len(s.byID), s.bytes)
	}
	if _, ok := lookup[*batch](&s, "large"); ok {
		t.Error("a file is a batch")
	}
	s.drop("large")
	s.drop("large")
	if s.bytes != 0 {
		t.Errorf("%d bytes remain", s.bytes)
	}
	for i := range 100*maxStored + 1 {
		s.keepItem(itoa(i))
	}
	if len(s.items) != 1 {
		t.Errorf("%d items", len(s.items))
	}
}

// Whatever a body says, every operation on stored objects answers, with JSON and no
// server error, and leaves nothing that breaks the lists.
func TestOddBodies(t *testing.T) {
	cfg := twoResources()
	cfg.TimeScale = 1e6
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://sim"+path, strings.NewReader(body))
		r.Header.Set("api-key", "azure")
		if strings.HasPrefix(body, "--b") {
			r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	created := map[string]string{"responses": "resp_x", "chat": "chatcmpl-x", "files": "file-x", "batches": "batch_x", "models": "east"}
	for name, path := range map[string]string{"conversations": "/v1/conversations", "vector_stores": "/v1/vector_stores"} {
		created[name] = regexp.MustCompile(`(conv|vs)_[0-9A-Za-z]+`).FindString(do("POST", path, `{}`).Body.String())
	}
	bodies := []string{
		"", "null", "[]", "{}", "7", `"x"`, "{", "\xff", `{"items":[null]}`, `{"items":[[]]}`, `{"items":{}}`, `{"items":"text"}`,
		`{"items":[{"id":7}]}`, `{"items":[{"type":7,"content":[]}]}`, `{"items":[{"id":"a\"b"}]}`, `{"metadata":null}`, `{"metadata":7}`,
		`{"file_ids":null}`, `{"file_ids":[null]}`, `{"file_ids":["a\"b"]}`, `{"file_id":null}`, `{"name":"a\"b"}`,
		`{"input_file_id":"x","endpoint":"/responses","completion_window":"24h"}`, `{"endpoint":"\""}`,
		"--b\r\n", "--b\r\n\r\n--b--\r\n", "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"b\"\r\n\r\n{\r\n--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b--\r\n",
	}
	for _, route := range routes {
		first, _, _ := strings.Cut(route.path, "/")
		for _, item := range []string{"msg_x", "%22"} {
			path := strings.NewReplacer("{id}", created[first], "{item}", item).Replace("/v1/" + route.path)
			if route.method == "DELETE" && !strings.Contains(route.path, "{item}") {
				path = strings.Replace("/v1/"+route.path, "{id}", "%22"+item, 1)
			}
			for _, body := range bodies {
				if w := do(route.method, path, body); w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
					t.Errorf("%s %s %q: %d %s", route.method, path, body, w.Code, w.Body)
				}
			}
		}
	}
	for _, body := range []string{`{"model":"east","input":[null]}`, `{"model":"east","input":"x [[tokens=1]]","conversation":7}`, `{"model":"east","input":"x [[tokens=1]]","conversation":{}}`, `{"model":"east","input":"x","include":7}`, `{"model":"east","input":[{"type":"reasoning","encrypted_content":7}]}`} {
		if w := do("POST", "/v1/responses", body); w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

// Clients create, read, list, change and delete at the same time.
func TestStoredConcurrently(t *testing.T) {
	cfg := twoResources()
	cfg.TimeScale = 1e6
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, path, body string) string {
		r := httptest.NewRequest(method, "http://sim"+path, strings.NewReader(body))
		r.Header.Set("api-key", "azure")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Body.String()
	}
	conversation := regexp.MustCompile(`conv_[0-9A-Za-z]+`).FindString(do("POST", "/v1/conversations", `{}`))
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 20 {
				id := regexp.MustCompile(`resp_[0-9A-Za-z]+`).FindString(do("POST", "/v1/responses", `{"model":"east","input":"x [[tokens=3]]","background":true,"conversation":"`+conversation+`"}`))
				do("GET", "/v1/responses/"+id, "")
				do("POST", "/v1/responses/"+id+"/cancel", "")
				do("GET", "/v1/conversations/"+conversation+"/items", "")
				do("POST", "/v1/chat/completions", `{"model":"east","messages":[{"role":"user","content":"[[tokens=1]]"}],"store":true}`)
				do("GET", "/v1/chat/completions", "")
				do("GET", "/v1/batches", "")
				do("DELETE", "/v1/responses/"+id, "")
			}
		})
	}
	clients.Wait()
	if text := do("GET", "/v1/conversations/"+conversation+"/items?limit=100", ""); strings.Count(text, `"id":`) != 100 || !strings.Contains(text, `"has_more":true`) {
		t.Errorf("of 160 items: %d", strings.Count(text, `"id":`))
	}
	if st, _ := s.Stats("east"); st.Counts.Accepted != 160 {
		t.Errorf("%d requests accepted, want 160", st.Counts.Accepted)
	}
}

func TestListPages(t *testing.T) {
	ids := []string{"c", "b", "a"}
	elements := [][]byte{[]byte(`3`), []byte(`2`), []byte(`1`)}
	for _, tc := range []struct {
		after string
		limit int
		want  string
	}{
		{"", 2, `{"object":"list","data":[3,2],"first_id":"c","last_id":"b","has_more":true}`},
		{"b", 2, `{"object":"list","data":[1],"first_id":"a","last_id":"a","has_more":false}`},
		{"a", 2, `{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}`},
		{"x", 9, `{"object":"list","data":[3,2,1],"first_id":"c","last_id":"a","has_more":false}`},
	} {
		if got := string(appendList(nil, ids, elements, tc.after, tc.limit)); got != tc.want {
			t.Errorf("after %q: %s", tc.after, got)
		}
	}
}
