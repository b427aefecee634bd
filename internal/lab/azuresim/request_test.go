package azuresim

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

func TestPaths(t *testing.T) {
	for path, want := range map[string]target{
		"/openai/deployments/d/chat/completions": {op: opChat, deployment: "d", versioned: true},
		"/openai/deployments/d/completions":      {op: opCompletions, deployment: "d", versioned: true},
		"/openai/deployments/d/embeddings":       {op: opEmbeddings, deployment: "d", versioned: true},
		"/openai/v1/chat/completions":            {op: opChat},
		"/openai/responses":                      {op: opResponses, versioned: true},
		"/v1/chat/completions/":                  {op: opChat, openai: true},
	} {
		if got, ok := parsePath("POST", path); !ok || got != want {
			t.Errorf("%s: %+v, %v", path, got, ok)
		}
	}
	for _, path := range []string{"/", "/openai/deployments//embeddings", "/openai/deployments/d/responses", "/openai/chat/completions", "/v1/nothing", "/openai/v1/responses/a/b"} {
		if got, ok := parsePath("POST", path); ok {
			t.Errorf("%s is %+v", path, got)
		}
	}
}

func TestStoredPaths(t *testing.T) {
	for path, want := range map[string]target{
		"GET /openai/v1/responses/resp_1":                      {id: "resp_1"},
		"POST /openai/responses/resp_1/cancel":                 {id: "resp_1", versioned: true},
		"GET /openai/models":                                   {versioned: true},
		"GET /v1/models/m":                                     {id: "m", openai: true},
		"DELETE /openai/files/file-1":                          {id: "file-1", versioned: true},
		"GET /openai/chat/completions":                         {versioned: true},
		"DELETE /openai/v1/conversations/conv_1/items/msg_1":   {id: "conv_1", item: "msg_1"},
		"POST /openai/v1/vector_stores/vs_1/files/":            {id: "vs_1"},
		"GET /openai/v1/chat/completions/chatcmpl-1/messages/": {id: "chatcmpl-1"},
	} {
		method, path, _ := strings.Cut(path, " ")
		got, ok := parsePath(method, path)
		want.op, want.route = opStored, got.route
		if !ok || got != want {
			t.Errorf("%s %s: %+v, %v", method, path, got, ok)
		}
	}
	for _, path := range []string{"PUT /v1/files", "GET /v1/files//content", "GET /v1/responses", "POST /v1/models", "GET /v1/files/a/b"} {
		method, path, _ := strings.Cut(path, " ")
		if got, ok := parsePath(method, path); ok {
			t.Errorf("%s %s is %+v", method, path, got)
		}
	}
}

func TestDirectives(t *testing.T) {
	for _, tc := range []struct {
		last, name, value string
		ok                bool
	}{
		{"[[tokens=600]]", "tokens", "600", true},
		{"say [[tokens= 7 ]] words", "tokens", "7", true},
		{"[[tool]]", "tool", "", true},
		{"[[tools]] [[tool=a,b]]", "tool", "a,b", true},
		{"[[tool", "tool", "", false},
		{"tokens=600", "tokens", "", false},
	} {
		p := prompt{last: tc.last}
		if v, ok := p.directive(tc.name); v != tc.value || ok != tc.ok {
			t.Errorf("%q: %q, %v", tc.last, v, ok)
		}
	}
	for text, want := range map[string]int{"[[tokens=5]]": 5, "[[tokens=-5]]": -1, "[[tokens=x]]": -1, "": 9} {
		header := ""
		if text == "" {
			header = "9"
		}
		if got := (&prompt{last: text}).length(header); got != want {
			t.Errorf("%q: length %d, want %d", text, got, want)
		}
	}
}

func TestPromptPrefix(t *testing.T) {
	long := strings.Repeat("word ", 2000) // 10,000 bytes, 2,500 tokens
	var a, b, c prompt
	a.add(long)
	b.add(long + " and more")
	c.add("x" + long)
	if len(a.prefix()) != fleet.PrefixBlocks(2500) || a.prefix()[0] != b.prefix()[0] || a.prefix()[11] != b.prefix()[11] {
		t.Errorf("%d blocks and %d", len(a.prefix()), len(b.prefix()))
	}
	if a.prefix()[0] == c.prefix()[0] {
		t.Error("different prompts share a prefix")
	}
}

func TestCalledTools(t *testing.T) {
	ab := []tool{{name: "alpha"}, {name: "beta"}}
	for _, tc := range []struct {
		name, last, choice string
		serial, answered   bool
		want               string
	}{
		{name: "nothing asks for one", last: "hello"},
		{name: "mentioned", last: "use beta now", want: "beta"},
		{name: "both", last: "alpha and beta", want: "alpha beta"},
		{name: "both, one at a time", last: "alpha and beta", serial: true, want: "alpha"},
		{name: "directive", last: "[[tool]]", want: "alpha"},
		{name: "directive with names", last: "[[tool=beta]]", want: "beta"},
		{name: "required", last: "hello", choice: `"required"`, want: "alpha"},
		{name: "none", last: "use beta", choice: `"none"`},
		{name: "auto", last: "use beta", choice: `"auto"`, want: "beta"},
		{name: "named in chat", last: "hello", choice: `{"type":"function","function":{"name":"beta"}}`, want: "beta"},
		{name: "named in responses", last: "hello", choice: `{"type":"function","name":"beta"}`, want: "beta"},
		{name: "after a result", last: "use beta", answered: true},
		{name: "required after a result", last: "hello", choice: `"required"`, answered: true, want: "alpha"},
	} {
		g := generation{tools: ab, parallel: !tc.serial, choice: parseToolChoice(json.RawMessage(tc.choice))}
		g.prompt.last, g.prompt.answered = tc.last, tc.answered
		var names []string
		for _, c := range g.calledTools() {
			names = append(names, c.name)
		}
		if got := strings.Join(names, " "); got != tc.want {
			t.Errorf("%s: called %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestProse(t *testing.T) {
	p, q := prose{seed: 4}, prose{seed: 4}
	var text []byte
	for range 400 {
		a, b := p.next(), q.next()
		if string(a) != string(b) {
			t.Fatal("not deterministic")
		}
		if len(a) == 0 || len(a) > 12 || strings.Count(string(a), " ") > 1 {
			t.Fatalf("token %q", a)
		}
		text = append(text, a...)
	}
	if s := string(text); s[0] < 'A' || s[0] > 'Z' || strings.Count(s, ". ") < 30 || strings.Contains(s, "  ") {
		t.Errorf("text %s", s)
	}
	if n := testing.AllocsPerRun(100, func() { p.next() }); n != 0 {
		t.Errorf("%v allocations per token", n)
	}
}

func TestVectors(t *testing.T) {
	v := vector("hello", 256)
	sum := 0.0
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	if math.Abs(sum-1) > 1e-5 {
		t.Errorf("length %v", sum)
	}
	if w := vector("hellp", 256); w[0] == v[0] && w[1] == v[1] {
		t.Error("other text, same vector")
	}
	var encoded string
	if err := json.Unmarshal(appendVector(nil, v, true), &encoded); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 1024 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	var floats []float32
	if err := json.Unmarshal(appendVector(nil, v, false), &floats); err != nil {
		t.Fatal(err)
	}
	for i := range v {
		if got := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])); got != v[i] || floats[i] != v[i] {
			t.Fatalf("element %d: %v, %v, %v", i, v[i], got, floats[i])
		}
	}
}

func TestQuoted(t *testing.T) {
	for _, s := range []string{"", "plain", "q\"b\\", "a\nb\t\x01", "żółw 🐢", "bad\xff\xf0\x9f"} {
		var got string
		if err := json.Unmarshal(appendQuoted(nil, s), &got); err != nil || got != strings.ToValidUTF8(s, "") && !strings.Contains(got, "\ufffd") {
			t.Errorf("%q becomes %q, %v", s, got, err)
		}
	}
}

func TestAdmin(t *testing.T) {
	s, err := New(steadyFleet())
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, path, body string) (int, string) {
		w := httptest.NewRecorder()
		s.Admin().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	spec := `[{"kind":"slow","region":"eastus","from":"1m0s","probability":0.5,"factor":3}]`
	if status, body := call("PUT", "/admin/faults", spec); status != 200 {
		t.Fatalf("PUT: %d %s", status, body)
	}
	_, body := call("GET", "/admin/faults", "")
	if got := strings.Join(strings.Fields(body), ""); got != spec {
		t.Errorf("faults %s", got)
	}
	for _, bad := range []string{`[{"kind":"gremlin"}]`, `[{"kind":"slow","from":"soon"}]`, `[{"kind":"slow","deployment":"nope"}]`, `[{"knd":"slow"}]`, `[{"kind":"slow","probability":2}]`, `{`} {
		if status, body := call("PUT", "/admin/faults", bad); status != 400 {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}
	if n := len(s.Faults()); n != 1 {
		t.Errorf("%d faults after refused changes", n)
	}
	if status, _ := call("DELETE", "/admin/faults", ""); status != 204 || len(s.Faults()) != 0 {
		t.Errorf("DELETE: %d, %d faults left", status, len(s.Faults()))
	}
	var state struct {
		Deployments []deploymentState `json:"deployments"`
	}
	if _, body := call("GET", "/admin/state", ""); json.Unmarshal([]byte(body), &state) != nil || len(state.Deployments) != 4 || state.Deployments[0].Name != "ptu" {
		t.Errorf("state %s", body)
	}
}
