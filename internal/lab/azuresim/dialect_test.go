package azuresim

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// featureBodies has a request with each feature that api-versions refuse. All of
// them are also what the newest version takes.
var featureBodies = map[string]string{
	"functions":                    `"functions":[{"name":"f"}]`,
	"tools":                        `"tools":[` + weather + `]`,
	"tool_choice: required":        `"tools":[` + weather + `],"tool_choice":"required"`,
	"response_format: json_schema": `"response_format":{"type":"json_schema","json_schema":{"name":"p","schema":` + person + `}}`,
	"stream_options":               `"stream":true,"stream_options":{"include_usage":true}`,
	"parallel_tool_calls":          `"parallel_tool_calls":false`,
	"max_completion_tokens":        `"max_completion_tokens":20`,
	"reasoning_effort":             `"reasoning_effort":"low"`,
	"store":                        `"store":true`,
	"metadata":                     `"metadata":{"k":"v"}`,
	"prediction":                   `"prediction":{"type":"content","content":"x"}`,
}

// Each feature is refused by the version before the one that brought it, taken from
// then on, and by v1.
func TestFeaturesByVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, steadyFleet())
		for _, f := range chatFeatures {
			body := `{"model":"std","messages":[{"role":"user","content":"x [[tokens=1]]"}],` + featureBodies[f.name] + `}`
			before := ""
			for v := range apiVersions {
				if !knows(v, f.since) && v > before {
					before = v
				}
			}
			if featureBodies[f.name] == "" || !apiVersions[f.since] || before < sinceChat {
				t.Fatalf("%s: no request, or no version before %s", f.name, f.since)
			}
			classic := "/openai/deployments/std/chat/completions?api-version="
			resp, text := r.do(classic+before, body)
			if want := refusalOf(f.refusal()); resp.StatusCode != 400 || text != want.text || !strings.Contains(text, f.param) {
				t.Errorf("%s with %s: %d %s", f.name, before, resp.StatusCode, text)
			}
			for _, path := range []string{classic + f.since, classic + "2025-04-01-preview", "/openai/v1/chat/completions"} {
				if resp, text := r.do(path, body); resp.StatusCode != 200 {
					t.Errorf("%s at %s: %d %s", f.name, path, resp.StatusCode, text)
				}
			}
		}
	})
}

// The words of these answers are those of public reports, which facts.go names.
func TestVersionsByPath(t *testing.T) {
	const (
		unsupported = `{"error":{"code":"BadRequest","message":"API version not supported"}}`
		noResponses = `{"error":{"code":"BadRequest","message":"Azure OpenAI Responses API is enabled only for api-version 2025-03-01-preview and later"}}`
		noReasoning = `{"error":{"code":"BadRequest","message":"Model {modelName} is enabled only for api versions 2024-12-01-preview and later"}}`
		notOnV1     = `{"error":{"code":"BadRequest","message":"api-version query parameter is not allowed when using /v1 path"}}`
	)
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, steadyFleet())
		chat := `{"model":"%s","messages":[{"role":"user","content":"x [[tokens=1]]"}]}`
		for _, tc := range []struct {
			path, body string
			status     int
			text       string
		}{
			{"/openai/deployments/std/chat/completions", chat, 404, bodyNoResource},
			{"/openai/deployments/std/chat/completions?api-version=", chat, 404, bodyNoResource},
			{"/openai/deployments/std/chat/completions?api-version=2024-08-06", chat, 400, unsupported},
			{"/openai/deployments/std/chat/completions?api-version=2024-10-21-preview", chat, 400, unsupported},
			{"/openai/deployments/std/chat/completions?api-version=preview", chat, 400, unsupported},
			{"/openai/deployments/std/chat/completions?api-version=2022-12-01", chat, 404, bodyNoResource},
			{"/openai/deployments/std/chat/completions?api-version=2023-05-15", chat, 200, ""},
			{"/openai/deployments/reasoner/chat/completions?api-version=2024-10-21", chat, 400, noReasoning},
			{"/openai/deployments/reasoner/chat/completions?api-version=2024-12-01-preview", chat, 200, ""},
			{"/openai/deployments/std/completions?api-version=2024-06-01", `{"prompt":"x [[tokens=1]]","stream":true,"stream_options":{"include_usage":true}}`, 400, `{"error":{"message":"Unknown parameter: 'stream_options'.","type":"invalid_request_error","param":"stream_options","code":"unknown_parameter"}}`},
			{"/openai/responses?api-version=2024-10-21", `{"model":"std","input":"x [[tokens=1]]"}`, 400, noResponses},
			{"/openai/responses?api-version=2025-03-01-preview", `{"model":"std","input":"x [[tokens=1]]"}`, 200, ""},
			{"/openai/batches?api-version=2024-05-01-preview", `{}`, 404, bodyNoResource},
			{"/openai/vector_stores?api-version=2024-05-01-preview", `{}`, 200, ""},
			{"/openai/v1/chat/completions?api-version=preview", chat, 200, ""},
			{"/openai/v1/chat/completions?api-version=2024-10-21", chat, 400, notOnV1},
			{"/v1/chat/completions?api-version=x", chat, 200, ""},
			{"/openai/v1/files/x/nothing", `{}`, 404, bodyNoResource},
		} {
			resp, text := r.do(tc.path, strings.ReplaceAll(tc.body, "%s", "std"))
			if resp.StatusCode != tc.status || tc.text != "" && text != tc.text {
				t.Errorf("%s: %d %s", tc.path, resp.StatusCode, text)
			}
		}
	})
}

// The documentation lists every feature with the version that brought it, and how
// sure the words of its refusal are.
func TestDocumentedFeatures(t *testing.T) {
	page, err := os.ReadFile("../../../docs/AZURESIM.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range chatFeatures {
		if row := fmt.Sprintf("| `%s` | %s | %s |", f.name, f.since, surenessNames[f.sure]); !strings.Contains(string(page), row) {
			t.Errorf("docs/AZURESIM.md has no row %q", row)
		}
	}
}

// tierFleet is a standard and a provisioned deployment of a model with priority, one
// with flex, and one with neither.
func tierFleet() Config {
	named := func(name, model string, kind spillway.Kind) fleet.Deployment {
		d := steady(name, kind)
		d.Model = model
		return d
	}
	return Config{
		Seed: 1,
		Deployments: []fleet.Deployment{
			named("std", "gpt-4.1", spillway.Standard), named("ptu", "gpt-4.1", spillway.Provisioned),
			named("flex", "gpt-5.6-luna", spillway.Standard), named("mini", "gpt-4o-mini", spillway.Standard),
			named("first", "gpt-4.1", spillway.Standard),
		},
		Traits: map[string]Traits{"first": {ServiceTier: "priority"}},
	}
}

func TestServiceTiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, tierFleet())
		for _, tc := range []struct {
			deployment, asks, gets string // gets is "" for an answer without, or what the refusal says
		}{
			{"std", "", ""},
			{"std", "auto", "default"},
			{"std", "default", "default"},
			{"std", "priority", "priority"},
			{"std", "scale", "default"},
			{"std", "ultrafast", "default"},
			{"std", "platinum", "Supported values are"},
			{"std", "flex", "flex is not available"},
			{"ptu", "priority", "default"},
			{"mini", "priority", "default"},
			{"flex", "flex", "flex"},
			{"flex", "", ""},
			{"first", "", "priority"},
			{"first", "auto", "priority"},
			{"first", "default", "default"},
		} {
			tier := ""
			if tc.asks != "" {
				tier = `,"service_tier":"` + tc.asks + `"`
			}
			name := tc.deployment + " " + tc.asks
			for path, body := range map[string]string{
				"chat/completions": `{"model":"` + tc.deployment + `","messages":[{"role":"user","content":"x [[tokens=1]]"}]` + tier + `}`,
				"responses":        `{"model":"` + tc.deployment + `","input":"x [[tokens=1]]"` + tier + `}`,
			} {
				for _, stream := range []string{`}`, `,"stream":true}`} {
					resp, text := r.do("/openai/v1/"+path, strings.TrimSuffix(body, "}")+stream)
					switch {
					case resp.StatusCode != 200:
						if resp.StatusCode != 400 || !strings.Contains(text, tc.gets) || !strings.Contains(text, `"param":"service_tier"`) || tc.gets == "" {
							t.Errorf("%s: %d %s", name, resp.StatusCode, text)
						}
					case strings.Contains(text, `"service_tier":"`) != (tc.gets != "") || !strings.Contains(text, `"service_tier":"`+tc.gets) && tc.gets != "":
						t.Errorf("%s, %s: %s", name, path, text)
					case resp.Header.Get("azureai-fe-requested-service-tier") != tc.asks:
						t.Errorf("%s: the header says %q", name, resp.Header.Get("azureai-fe-requested-service-tier"))
					}
				}
			}
		}
	})
}

// A fault of the flex tier leaves the deployment's other tiers alone.
func TestFlexWithoutCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := tierFleet()
		cfg.Faults = []fleet.Fault{{Kind: fleet.FaultStatus429, ServiceTier: "flex"}}
		r := serve(t, cfg)
		for tier, want := range map[string]int{"flex": 429, "default": 200, "auto": 200} {
			resp, _ := r.do("/openai/v1/responses", `{"model":"flex","input":"x [[tokens=1]]","service_tier":"`+tier+`"}`)
			if resp.StatusCode != want {
				t.Errorf("%s: %d, want %d", tier, resp.StatusCode, want)
			}
		}
	})
}

// Priority traffic that rises by more than half within 15 minutes is served as
// default, from the floor on.
func TestPriorityRise(t *testing.T) {
	var r rise
	for i, tc := range []struct {
		minute, tokens int
		want           bool
	}{
		{0, 100, false}, // below the floor
		{0, 1, true},    // above it, from nothing
		{1, 90, false},
		{15, 151, false}, // 101 then
		{15, 1, true},
		{16, 101, false},
		{16, 40, true},
		{31, 150, false},  // 141 then
		{200, 101, true},  // nothing then
		{215, 151, false}, // 101 then
	} {
		if got := r.steep(time.Duration(tc.minute)*time.Minute, tc.tokens, 100); got != tc.want {
			t.Errorf("%d: minute %d, %d tokens: %v", i, tc.minute, tc.tokens, got)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := tierFleet()
		cfg.Traits["std"] = Traits{PriorityTPM: 150}
		r := serve(t, cfg)
		for i, want := range []string{"priority", "default"} {
			_, text := r.do("/openai/v1/responses", `{"model":"std","input":"x [[tokens=1]]","max_output_tokens":100,"service_tier":"priority"}`)
			if !strings.Contains(text, `"service_tier":"`+want+`"`) {
				t.Errorf("request %d is not served as %s: %s", i, want, text)
			}
		}
	})
}

// A long prompt is served without priority, and refused by a provisioned deployment,
// which native spillover catches.
func TestLongPrompts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := tierFleet()
		r := serve(t, cfg)
		body := `{"model":"%s","input":"` + strings.Repeat("word ", longContext) + `[[tokens=1]]","service_tier":"priority"}`
		if _, text := r.do("/openai/v1/responses", strings.Replace(body, "%s", "std", 1)); !strings.Contains(text, `"service_tier":"default"`) {
			t.Errorf("std: %.300s", text)
		}
		resp, text := r.do("/openai/v1/responses", strings.Replace(body, "%s", "ptu", 1))
		if resp.StatusCode != 400 || !strings.Contains(text, "context_length_exceeded") {
			t.Errorf("ptu: %d %.300s", resp.StatusCode, text)
		}
		resp, _ = r.do("/openai/v1/responses", strings.Replace(body, "%s", "ptu", 1), "x-ms-spillover-deployment", "std")
		if resp.StatusCode != 200 || resp.Header.Get("x-ms-spillover-error") != "400" {
			t.Errorf("ptu with spillover: %d %v", resp.StatusCode, resp.Header)
		}
	})
}

// A deployment's own spillover is stronger than what a request names, and answers
// name it, whatever becomes of the request.
func TestConfiguredSpillover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{
			Seed:        1,
			Deployments: []fleet.Deployment{steady("ptu", spillway.Provisioned), steady("std", spillway.Standard), steady("other", spillway.Standard)},
			Traits:      map[string]Traits{"ptu": {Spillover: "std"}},
			Faults:      []fleet.Fault{{Kind: fleet.FaultStatus429, Deployment: "ptu"}, {Kind: fleet.FaultStatus5xx, Status: 503, Deployment: "std", From: time.Minute}},
		}
		r := serve(t, cfg)
		for _, status := range []int{200, 503} {
			resp, _ := r.do(chatPath("ptu"), `{"messages":[{"role":"user","content":"x [[tokens=1]]"}]}`, "x-ms-spillover-deployment", "other")
			if resp.StatusCode != status {
				t.Errorf("%d, want %d", resp.StatusCode, status)
			}
			for name, want := range map[string]string{
				"x-ms-is-spilled-over": "true", "x-ms-spillover-from-deployment": "ptu",
				"x-ms-deployment-name": "std", "x-ms-spillover-error": "429",
			} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%d: %s is %q, want %q", status, name, got, want)
				}
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestTraitErrors(t *testing.T) {
	base := twoResources()
	base.Deployments = append(base.Deployments, steady("ptu", spillway.Provisioned))
	for name, tc := range map[string]struct {
		deployment, spillover, want string
	}{
		"no deployment":    {"nope", "", "does not exist"},
		"no target":        {"ptu", "nope", "cannot spill over"},
		"another resource": {"ptu", "west", "cannot spill over"},
		"standard":         {"east", "ptu", "cannot spill over"},
	} {
		base.Traits = map[string]Traits{tc.deployment: {Spillover: tc.spillover}}
		if _, err := New(base); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	base.Traits = map[string]Traits{"ptu": {Spillover: "east"}}
	if _, err := New(base); err != nil {
		t.Error(err)
	}
}

func TestRejects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steadyFleet()
		cfg.Traits = map[string]Traits{"std": {RejectStream: true}, "ptu": {RejectStreamOptions: true}}
		r := serve(t, cfg)
		for _, tc := range []struct {
			body   string
			status int
			text   string
		}{
			{`"model":"std"`, 200, ""},
			{`"model":"std","stream":true`, 400, `"param":"stream","code":"unsupported_value"`},
			{`"model":"ptu","stream":true`, 200, ""},
			{`"model":"ptu","stream":true,"stream_options":{"include_usage":true}`, 422, `extra_forbidden`},
			{`"model":"reasoner","stream_options":{"include_usage":true}`, 400, "only allowed when 'stream' is enabled"},
		} {
			resp, text := r.do("/openai/v1/chat/completions", `{`+tc.body+`,"messages":[{"role":"user","content":"x [[tokens=1]]"}]}`)
			checkJSON(t, text)
			if resp.StatusCode != tc.status || !strings.Contains(text, tc.text) {
				t.Errorf("%s: %d %s", tc.body, resp.StatusCode, text)
			}
		}
	})
}

// Two deployments of one quota answer with what both have left.
func TestQuotaHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := twoResources()
		for i := range 2 {
			cfg.Deployments[i].Quota, cfg.Deployments[i].TPM, cfg.Deployments[i].RPM = "sub", 10_000, 600
		}
		r := serve(t, cfg)
		tokens := 10_000
		for i, name := range []string{"east", "west", "east"} {
			resp, text := r.do(chatPath(name), `{"messages":[{"role":"user","content":"x [[tokens=1]]"}],"max_tokens":4000}`)
			if i == 2 {
				if resp.StatusCode != 200 {
					t.Errorf("the last request of the minute: %d %s", resp.StatusCode, text)
				}
				break
			}
			tokens -= 4008
			for header, want := range map[string]string{
				"x-ratelimit-limit-tokens": "10000", "x-ratelimit-remaining-tokens": itoa(tokens),
				"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": itoa(99 - i),
				"x-ratelimit-renewalperiod-tokens": "60", "x-ratelimit-renewalperiod-requests": "10",
			} {
				if got := resp.Header.Get(header); got != want {
					t.Errorf("%s: %s is %q, want %q", name, header, got, want)
				}
			}
		}
		if resp, text := r.do(chatPath("west"), `{"messages":[{"role":"user","content":"x"}]}`); resp.StatusCode != 429 || resp.Header.Get("retry-after") == "" {
			t.Errorf("beyond the quota: %d %s", resp.StatusCode, text)
		}
	})
}

// A resource is addressed by path or by host, and reaches its own deployments alone.
func TestResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := twoResources()
		cfg.Traits = map[string]Traits{"reasoner": {Resource: "lab"}}
		r := serve(t, cfg)
		for _, tc := range []struct {
			host, path, model string
			status            int
		}{
			{"sim", "/openai/v1/responses", "east", 200},
			{"sim", "/openai/v1/responses", "reasoner", 200},
			{"sim", "/resource/eastus/openai/v1/responses", "east", 200},
			{"sim", "/resource/eastus/openai/v1/responses", "west", 404},
			{"sim", "/resource/eastus/v1/responses", "gpt-4o-mini", 200},
			{"sim", "/resource/lab/openai/v1/responses", "reasoner", 200},
			{"sim", "/resource/westus3/openai/v1/responses", "reasoner", 404},
			{"sim", "/resource/nowhere/openai/v1/responses", "east", 404},
			{"sim", "/resource//openai/v1/responses", "west", 200},
			{"westus3.openai.azure.test", "/openai/v1/responses", "west", 200},
			{"westus3.openai.azure.test", "/openai/v1/responses", "east", 404},
			{"westus3:8090", "/openai/v1/responses", "east", 404},
		} {
			req, err := http.NewRequestWithContext(t.Context(), "POST", "http://sim"+tc.path, strings.NewReader(`{"input":"x [[tokens=1]]","model":"`+tc.model+`"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Host = tc.host
			req.Header.Set("api-key", "azure")
			resp, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tc.status {
				t.Errorf("%s%s, %s: %d, want %d", tc.host, tc.path, tc.model, resp.StatusCode, tc.status)
			}
		}
	})
}
