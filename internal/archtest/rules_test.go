package archtest

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// ruleCases are sources that a rule must refuse or accept. Each file has a
// package comment, so that only what the case is about can be found.
var ruleCases = []struct {
	name string
	path string
	src  string
	want string // "rule: part of the text", or "" for nothing found
}{
	{"known room", "internal/stat/a.go", "", ""},
	{"unknown room", "internal/attic/a.go", "", "room: belongs to no room"},
	{"unknown policy", "internal/policy/mood/a.go", "", "room: belongs to no room"},
	{"room below a room", "internal/proxy/wire/sse/a.go", `import _ "` + module + `"`, ""},
	{"code among tests", "tests/bench/a.go", "", "tests-only: no test"},
	{"test among tests", "tests/bench/a_test.go", "", ""},
	{"syntax", "internal/stat/a.go", "func {", "syntax: expected"},

	{"allowed import", "internal/policy/budget/a.go", `import _ "` + module + `/internal/stat"`, ""},
	{"import not in the table", "internal/stat/a.go", `import _ "` + module + `/internal/policy"`, "imports: table does not allow"},
	{"upward import", "internal/proxy/wire/a.go", `import _ "` + module + `/internal/proxy/gateway"`, "imports: table does not allow"},
	{"policy sees its parts", "internal/policy/a.go", `import _ "` + module + `/internal/policy/route"`, ""},
	{"sibling", "internal/policy/route/a.go", `import _ "` + module + `/internal/policy/admit"`, "imports: packages of a family do not import each other"},
	{"sibling from a test", "internal/policy/route/a_test.go", `import _ "` + module + `/internal/policy/admit"`, "imports: packages of a family do not import each other"},
	{"test drives with other rooms", "internal/proxy/gateway/a_test.go", `import _ "` + module + `/internal/lab/azuresim"`, ""},
	{"root is limited", "a.go", `import _ "strings"`, "imports: limited to errors, time"},
	{"pure room with a module", "internal/lab/fleet/a.go", `import _ "example.com/x"`, "imports: modules of pure rooms"},
	{"pure room with a pure module", "internal/stat/a.go", `import _ "github.com/cespare/xxhash/v2"`, ""},
	{"module behind its room", "internal/proxy/wire/a.go", `import _ "github.com/go-json-experiment/json/jsontext"`, ""},
	{"module outside its room", "internal/proxy/gateway/a.go", `import _ "github.com/go-json-experiment/json/jsontext"`, "imports: only internal/proxy/wire may"},

	{"room behind a room", "cmd/spillway-export/main.go", `import _ "` + module + `/internal/observe/export/sink"`, ""},
	{"room outside its room", "internal/cli/a.go", `import _ "` + module + `/internal/observe/export/sink"`, "imports: only cmd/spillway-export may"},

	{"goroutine", "internal/lab/fleet/a.go", "func f() { go f() }", "purity: goroutine"},
	{"goroutine in an edge", "internal/proxy/gateway/a.go", "func f() { go f() }", ""},
	{"file system", "internal/lab/report/a.go", `import _ "os"`, "purity: imports os"},
	{"log", "internal/policy/a.go", `import _ "log/slog"`, "purity: imports log/slog"},
	{"printing", "internal/stat/a.go", "import \"fmt\"\nfunc f() { fmt.Println() }", "purity: fmt.Println"},
	{"formatting", "internal/stat/a.go", "import \"fmt\"\nfunc f() { _ = fmt.Sprint() }", ""},
	{"global randomness", "internal/lab/workload/a.go", "import \"math/rand/v2\"\nfunc f() { rand.IntN(3) }", "purity: math/rand/v2.IntN"},
	{"seeded randomness", "internal/lab/workload/a.go", "import \"math/rand/v2\"\nfunc f(r *rand.Rand) { r.IntN(3) }", ""},
	{"files in a pure room's test", "internal/lab/report/a_test.go", `import _ "os"`, ""},

	{"clock in a pure room", "internal/stat/a.go", "import \"time\"\nfunc f() { time.Now() }", "clock: time.Now"},
	{"clock under another name", "internal/stat/a.go", "import t \"time\"\nfunc f() { t.Since(t.Time{}) }", "clock: time.Since"},
	{"clock as a value", "internal/proxy/wire/a.go", "import \"time\"\nfunc f() { g := time.Now; g() }", "clock: time.Now"},
	{"timer", "internal/config/a.go", "import \"time\"\nfunc f() { time.NewTimer(1) }", "clock: time.NewTimer"},
	{"clock in a driver", "internal/proxy/gateway/a.go", "import \"time\"\nfunc f() { time.Now() }", ""},
	{"a variable named time", "internal/stat/a.go", "type c struct{ Now func() }\nfunc f(time c) { time.Now() }", ""},
	{"sleep in a test", "internal/proxy/gateway/a_test.go", "import \"time\"\nfunc f() { time.Sleep(1) }", "sleep: time.Sleep"},
	{"virtual sleep", "internal/proxy/gateway/a_test.go", "import (\n\"testing/synctest\"\n\"time\"\n)\nfunc f() { synctest.Wait(); time.Sleep(1) }", ""},

	{"long file", "internal/stat/a.go", strings.Repeat("\n", 500), "file-size: at most 500"},
	{"long test file", "internal/stat/a_test.go", strings.Repeat("\n", 500), "file-size: at most 500"},
	{"long function", "internal/stat/a.go", "func f() {" + strings.Repeat("\n", 70) + "}", "func-size: f has 71 lines"},
	{"longest function", "internal/stat/a.go", "func f() {" + strings.Repeat("\n", 69) + "}", ""},
	{"long test", "internal/stat/a_test.go", "func f() {" + strings.Repeat("\n", 70) + "}", ""},
	{"long main", "cmd/spillway/main.go", strings.Repeat("\n", 30), "main-size: at most 30"},
	{"six parameters", "internal/stat/a.go", "func f(a, b, c int, d, e, f string) {}", "parameters: f takes 6"},
	{"six in a literal", "internal/stat/a.go", "func f() { _ = func(a, b, c, d, e, f int) {} }", "parameters: a function literal takes 6"},
	{"five and a receiver", "internal/stat/a.go", "type t int\nfunc (t) f(a, b, c, d, e int) {}", ""},
	{"wide interface", "internal/stat/a.go", "type t interface{ a(); b(); c(); d(); e(); f() }", "interface-size: t has 6"},
	{"wide by embedding", "internal/stat/a.go", "type u interface{ a(); b(); c() }\ntype t interface{ u; d(); e(); f() }", "interface-size: t has 6"},
	{"narrow interface", "internal/stat/a.go", "type t interface{ a(); b(); c(); d(); e() }", ""},

	{"init", "internal/app/a.go", "func init() {}", "init: nobody reads"},
	{"method named init", "internal/app/a.go", "type t int\nfunc (t) init() {}", ""},
	{"vague package", "internal/proxy/gateway/util/a.go", "", "package-name: util"},
	{"undocumented function", "internal/stat/a.go", "func F() {}", "documented: F is exported"},
	{"undocumented type", "internal/stat/a.go", "type T int", "documented: T is exported"},
	{"undocumented method", "internal/stat/a.go", "// T is.\ntype T int\nfunc (*T) M() {}", "documented: M is exported"},
	{"undocumented constant", "internal/stat/a.go", "const C = 1", "documented: C is exported"},
	{"group of types", "internal/stat/a.go", "// Some types.\ntype (\nT int\n)", "documented: T is exported"},
	{"documented group", "internal/stat/a.go", "// The kinds.\nconst (\nA = 1\nB = 2\n)", ""},
	{"method of an unexported type", "internal/stat/a.go", "type t int\nfunc (t) M() {}", ""},
	{"left-over", "internal/stat/a.go", "// " + leftOverWords[0] + ": more\n", "left-over: finish it"},
	{"left-over in a page", "docs/x.md", leftOverWords[1], "left-over: finish it"},

	{"dead link", "docs/x.md", "See [this](y.md).", "links: y.md: no such file"},
	{"link", "docs/x.md", "See [`this`](../docs/x.md) and [that](https://example.com/y.md).", ""},
	{"dead anchor", "docs/x.md", "# Here\n[this](#there)", "links: #there: no such heading"},
	{"anchors", "docs/x.md", "# Here & `there`\n## Twice\n## Twice\n[a](#here--there) [b](x.md#twice-1)", ""},
	{"heading in code", "docs/x.md", "```\n# there\n```\n[this](#there)", "links: #there: no such heading"},
	{"link in code", "docs/x.md", "```\n[this](y.md)\n```\n`[this](y.md)`", ""},
	{"path that is gone", "docs/x.md", "    go test ./internal/gone", "links: internal/gone: no such file"},
	{"named paths", "docs/x.md", "`docs/x.md`, `docs/*.md`, docs/, ./docs/... and github.com/x/internal/gone.", ""},
	{"path of a superseded decision", "docs/x.md", "# 1\n\nStatus: superseded by 2\n\n`internal/gone`", ""},
}

func TestRules(t *testing.T) {
	for _, c := range ruleCases {
		t.Run(c.name, func(t *testing.T) { expect(t, c.path, c.src, c.want) })
	}
}

// expect checks one source file by itself: want is "rule: part of the text".
func expect(t *testing.T, path, src, want string) {
	t.Helper()
	got := checkSource(t, path, src)
	if want == "" {
		if len(got) > 0 {
			t.Errorf("got=%v, want=nothing", got)
		}
		return
	}
	rule, text, _ := strings.Cut(want, ": ")
	if len(got) != 1 || got[0].rule != rule || !strings.Contains(got[0].text, text) {
		t.Errorf("got=%v, want=one %q", got, want)
	}
}

func checkSource(t *testing.T, path, src string) []finding {
	t.Helper()
	if strings.HasSuffix(path, ".go") {
		src = "// Package p is a case.\npackage p\n\n" + src + "\n"
	}
	tr, err := load(fstest.MapFS{path: {Data: []byte(src)}})
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return checkTree(tr)
}

func TestSkipped(t *testing.T) {
	bad := "package p\nfunc init() {}\n"
	got := fstest.MapFS{
		"internal/stat/testdata/a.go":  {Data: []byte(bad)},
		"tests/clients/go/go.mod":      {Data: []byte("module x\n")},
		"tests/clients/go/a.go":        {Data: []byte(bad)},
		".cache/a.go":                  {Data: []byte(bad)},
		"tests/node/node_modules/a.go": {Data: []byte(bad)},
		"internal/stat/gen.go":         {Data: []byte("// Code generated by x. DO NOT EDIT.\n\npackage p\nfunc F() {}\n")},
	}
	tr, err := load(got)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if found := checkTree(tr); len(found) > 0 {
		t.Errorf("got=%v, want=nothing", found)
	}
}

func TestExcuse(t *testing.T) {
	all := []finding{
		{"init", "a.go", 3, "init runs"},
		{"parameters", "a.go", 4, "f takes 6 parameters"},
		{"parameters", "a.go", 9, "g takes 6 parameters"},
	}
	left, stale := excuse(all, []exception{
		{"init", "a.go", "", "every finding of the file"},
		{"parameters", "a.go", "f", "one name"},
		{"parameters", "b.go", "f", "another file"},
	})
	if got := fmt.Sprint(left); got != "[a.go:9: parameters: g takes 6 parameters]" {
		t.Errorf("left: got=%s", got)
	}
	if len(stale) != 1 || stale[0].path != "b.go" {
		t.Errorf("stale: got=%v, want the one in b.go", stale)
	}
}
