package gateway

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/policy"
)

// access sets what the caller of a world may do.
func access(operations, pools []string) func(*world) {
	return func(w *world) { w.cfg.Callers[0].Access = Access{Operations: operations, Pools: pools} }
}

// TestOperationsByDefault refuses what could generate without a budget, and what
// belongs to the whole resource, before the body is read.
func TestOperationsByDefault(t *testing.T) {
	tests := []struct {
		method, path, code, kind, operation string
	}{
		{"POST", "/v1/messages", "operation_not_allowed", "invalid_request_error", "other"},
		{"POST", "/v1/engines/gpt-4o-mini/completions", "operation_not_allowed", "invalid_request_error", "other"},
		{"POST", "/v1/responses/compact", "operation_not_allowed", "invalid_request_error", "responses/compact"},
		{"POST", "/openai/v1/responses/compact/", "operation_not_allowed", "", "responses/compact"},
		{"POST", "/openai/deployments/gpt-4o-mini/generate", "operation_not_allowed", "", "other"},
		{"POST", "/openai/v1/batches", "operation_not_allowed", "", "batches"},
		{"POST", "/openai/v1/fine_tuning/jobs", "operation_not_allowed", "", "fine_tuning"},
		{"GET", "/openai/v1/files", "operation_not_allowed", "", "files"},
		{"POST", "/openai/threads/runs", "operation_not_allowed", "", "threads"},
		{"GET", "/v1/chat/completions", "operation_not_allowed", "invalid_request_error", "chat/stored"},
		{"DELETE", "/v1/models/gpt-4o-mini", "operation_not_allowed", "invalid_request_error", "other"},
		{"POST", "/v1/responses/resp_1", "operation_not_allowed", "invalid_request_error", "other"},
		{"POST", "/v1/Chat/Completions", "404", "", ""},
		{"POST", "/v1/chat//completions", "404", "", ""},
		{"POST", "/v1/responses/COMPACT", "404", "", ""},
		{"POST", "/api/generate", "404", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), access(nil, nil))
				got := w.do(tt.method, tt.path, `{"model":"gpt-4o-mini","max_tokens":100000}`,
					"x-spillway-tenant", "admin", "x-spillway-hops", "1", "x-stainless-retry-count", "1", "x-http-method-override", "GET")
				status := http.StatusForbidden
				if tt.code == "404" {
					status = http.StatusNotFound
				}
				w.want(got, status)
				var body struct {
					Error struct{ Code, Type, Message string }
				}
				if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.Error.Code != tt.code || body.Error.Type != tt.kind {
					t.Errorf("%v: %s", err, got.body)
				}
				if tt.operation != "" && (!strings.Contains(body.Error.Message, "'"+tt.operation+"'") || !strings.Contains(body.Error.Message, "'operations'")) {
					t.Errorf("message %q names neither operation nor option", body.Error.Message)
				}
				if rec := w.record(); rec.Outcome != spillway.OutcomeRefusedInvalid || rec.Status != status || string(rec.Refusal) != tt.code || rec.Caller != "tester" {
					t.Errorf("unexpected record: %+v", rec)
				}
				if s, _ := w.azure.Stats("east"); len(s.Status) != 0 {
					t.Errorf("the deployment was asked: %+v", s)
				}
				w.idle()
			})
		})
	}
}

// TestOperationsAllowed lets pass what is listed, and only that.
func TestOperationsAllowed(t *testing.T) {
	const body = `{"model":"gpt-4o-mini","input":"[[tokens=5]]"}`
	tests := []struct {
		name, method, path, body string
		operations               []string
		status                   int // 404 is the deployment's
	}{
		{"files", "GET", "/openai/v1/files", "", []string{"files"}, 200},
		{"not chat", "POST", chatPath, chat("5", ""), []string{"files"}, 403},
		{"not models", "GET", "/v1/models", "", []string{"files"}, 403},
		{"everything", "POST", "/v1/messages", body, []string{"*"}, 404},
		{"other", "POST", "/v1/messages", body, []string{"other"}, 404},
		{"other is not files", "GET", "/v1/files", "", []string{"other"}, 403},
		{"nothing", "POST", chatPath, chat("5", ""), []string{}, 403},
		{"responses", "POST", "/v1/responses", body, []string{"responses"}, 200},
		{"a misspelling stays refused", "POST", "/v1/Responses", body, []string{"*"}, 404},
		{"another method stays refused", "GET", "/v1/embeddings", "", []string{"*"}, 405},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), access(tt.operations, nil))
				w.want(w.do(tt.method, tt.path, tt.body), tt.status)
				w.idle()
			})
		})
	}
}

// twoPools has the pools gpt-4o-mini and secret, with one deployment each. The caller
// with the key demo may use the first, the one with the key all both, and requests
// without a key the second.
func twoPools(t *testing.T) *world {
	secret := deployment("west")
	return newWorld(t, []fleet.Deployment{deployment("east"), secret}, func(w *world) {
		all := w.cfg.Pools[0]
		first, second := all, all
		first.Pool.Tiers, first.Deployments = all.Pool.Tiers[:1], all.Deployments[:1]
		second.Pool = spillway.Pool{Name: "secret", Models: []string{"hidden"}, Tiers: all.Pool.Tiers[1:]}
		second.Deployments = all.Deployments[1:]
		w.cfg.Pools, w.cfg.DefaultPool = []policy.Config{first, second}, "gpt-4o-mini"
		w.cfg.Callers[0].Access = Access{Pools: []string{"gpt-4o-mini"}}
		w.cfg.Callers = append(w.cfg.Callers, Caller{Name: "all", Keys: []string{"all"}, Class: w.class})
		w.cfg.AnonymousClass, w.cfg.AnonymousAccess = w.class, Access{Pools: []string{"secret"}}
	})
}

// TestPools keeps a caller in its pools: the others look as if they did not exist.
func TestPools(t *testing.T) {
	const body = `{"messages":[{"role":"user","content":"[[tokens=5]]"}]}`
	azure := func(name string) string {
		return "/openai/deployments/" + name + "/chat/completions?api-version=2024-10-21"
	}
	named := func(name string) string { return `{"model":"` + name + `",` + body[1:] }
	synctest.Test(t, func(t *testing.T) {
		w := twoPools(t)
		w.want(w.do("POST", azure("gpt-4o-mini"), body), 200)
		w.want(w.do("POST", azure("hidden"), body, "api-key", "all"), 200)
		w.want(w.do("POST", azure("secret"), body, "api-key", ""), 200)
		w.want(w.do("POST", azure("gpt-4o-mini"), body, "api-key", ""), 404)
		for _, name := range []string{"secret", "hidden"} {
			for _, tt := range [][4]string{
				{"POST", azure(name), azure("absent"), body},
				{"POST", "/v1/chat/completions", "/v1/chat/completions", named(name)},
				{"POST", "/openai/v1/chat/completions", "/openai/v1/chat/completions", named(name)},
				{"GET", "/v1/models/" + name, "/v1/models/absent", ""},
			} {
				got := w.do(tt[0], tt[1], tt[3])
				w.want(got, 404)
				other := w.do(tt[0], tt[2], strings.Replace(tt[3], `"`+name+`"`, `"absent"`, 1))
				if strings.ReplaceAll(got.body, name, "absent") != withID(other.body, got) {
					t.Errorf("%s %s differs from an unknown model:\n%s\n%s", tt[0], tt[1], got.body, other.body)
				}
			}
		}
		for key, want := range map[string][]string{"demo": {"gpt-4o-mini"}, "all": {"gpt-4o-mini", "hidden", "secret"}, "": {"hidden", "secret"}} {
			got := w.do("GET", "/v1/models", "", "api-key", key)
			w.want(got, 200)
			var list struct{ Data []struct{ ID string } }
			if err := json.Unmarshal([]byte(got.body), &list); err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, m := range list.Data {
				names = append(names, m.ID)
			}
			if !slices.Equal(names, want) {
				t.Errorf("key %q lists %q, want %q", key, names, want)
			}
		}
		w.idle()
	})
}

// withID returns body with the request id of got in place of its own.
func withID(body string, got answer) string {
	const mark = `"request_id":"`
	before, rest, found := strings.Cut(body, mark)
	if !found {
		return body
	}
	_, after, _ := strings.Cut(rest, `"`)
	return before + mark + got.header.Get("x-spillway-request-id") + `"` + after
}

// TestPoolsOfStoredResponses treats a response in a pool that the caller may not use
// like one that does not exist.
func TestPoolsOfStoredResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoPools(t)
		got := w.do("POST", "/v1/responses", `{"model":"secret","input":"[[tokens=5]]"}`, "api-key", "all")
		w.want(got, 200)
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(got.body), &made); err != nil || made.ID == "" {
			t.Fatalf("%v: %s", err, got.body)
		}
		w.do("GET", "/v1/responses/"+made.ID, "")
		w.do("DELETE", "/v1/responses/"+made.ID, "")
		w.do("POST", "/v1/responses", `{"input":"[[tokens=5]]","previous_response_id":"`+made.ID+`"}`)
		if err := w.gateway.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(w.rec.records) != 4 {
			t.Fatalf("%d records, want 4", len(w.rec.records))
		}
		for _, rec := range w.rec.records[1:] {
			if rec.Pool != "gpt-4o-mini" {
				t.Errorf("the request went to pool %q: %+v", rec.Pool, rec)
			}
		}
		w.idle()
	})
}

// TestHardCap caps the unwilling: streams, tools, structured output, reasoning, and
// all choices of a request together.
func TestHardCap(t *testing.T) {
	const limit = 20
	tests := []struct {
		name, path, body string
		tokens           int // of the whole response; 0 means refused with 400
	}{
		{"stream", chatPath, chat("500", `,"stream":true,"stream_options":{"include_usage":true}`), limit},
		{"stream with its own limit", chatPath, chat("500", `,"stream":true,"max_tokens":400`), limit},
		{"tools", chatPath, chat("500", `,"tools":[{"type":"function","function":{"name":"f"}}],"max_completion_tokens":400`), limit},
		{"structured", chatPath, chat("500", `,"response_format":{"type":"json_object"}`), limit},
		{"reasoning", reasoningPath, chat("500", `,"reasoning_effort":"high","stream":true`), limit},
		{"choices", chatPath, chat("500", `,"n":3`), limit / 3 * 3},
		{"choices of a stream", chatPath, chat("500", `,"n":4,"stream":true`), limit},
		{"less", chatPath, chat("500", `,"n":2,"max_tokens":3`), 6},
		{"too many choices", chatPath, chat("500", `,"n":21`), 0},
		{"too many choices of a stream", chatPath, chat("500", `,"n":21,"stream":true,"max_tokens":1`), 0},
		{"best of", "/v1/completions", `{"model":"gpt-4o-mini","prompt":"[[tokens=500]]","best_of":21}`, 0},
		{"too many prompts", "/v1/completions", `{"model":"gpt-4o-mini","prompt":[` + strings.Repeat(`"a",`, 20) + `"a"]}`, 0},
		{"prompts times choices", "/v1/completions", `{"n":7,"model":"gpt-4o-mini","prompt":[[1,2],[3],[4]]}`, 0},
		{"stream of Responses", "/v1/responses", `{"model":"gpt-4o-mini","input":"[[tokens=500]]","stream":true,"max_output_tokens":400}`, limit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), func(w *world) {
					w.class.Budget = spillway.BudgetRule{Mode: spillway.BudgetClamp, MaxOutputTokens: limit, HardCap: true}
				})
				got := w.do("POST", tt.path, tt.body, "x-spillway-deadline-ms", "3600000", "x-stainless-timeout", "3600")
				if tt.tokens == 0 {
					w.want(got, 400)
					var body struct{ Error struct{ Code, Param string } }
					if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.Error.Param != "n" || body.Error.Code != string(spillway.RefusalTooLarge) {
						t.Errorf("%v: %s", err, got.body)
					}
					if s, _ := w.azure.Stats("east"); len(s.Status) != 0 {
						t.Errorf("the deployment was asked: %+v", s)
					}
					w.idle()
					return
				}
				w.want(got, 200)
				if rec := w.record(); rec.Usage.Completion != tt.tokens || rec.Finish != spillway.FinishLength {
					t.Errorf("%d tokens and finish %v, want %d and length", rec.Usage.Completion, rec.Finish, tt.tokens)
				}
				w.idle()
			})
		})
	}
}
