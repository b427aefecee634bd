package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files and the generated documents")

// testEnv is the environment of the tests.
func testEnv(name string) (string, bool) {
	value, ok := map[string]string{
		"EASTUS_KEY": "azure-key-1", "SWEDEN_KEY": "azure-key-2", "SEARCH_KEY": "caller-key-1",
		"PTU": "200", "WINDOW": "45s", "EMPTY": "", "NOT_A_NUMBER": "hunter2",
	}[name]
	return value, ok
}

// testFiles are the files that configurations name, under testdata/files.
func testFiles(name string) ([]byte, error) {
	if !strings.HasPrefix(name, "/files/") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return os.ReadFile("testdata" + name)
}

// base is the smallest useful configuration; the cases in testdata/options
// replace parts of it.
const base = `
deployments:
  - {name: ptu-eastus, endpoint: "https://eastus.openai.azure.com", model: gpt-4o-mini, kind: provisioned, ptu: 200, auth: {api_key: "${env:EASTUS_KEY}"}}
pools:
  - {name: gpt-4o-mini, tiers: [[ptu-eastus]]}
classes:
  - {name: interactive}
callers:
  - {name: search-team, key: "${env:SEARCH_KEY}", class: interactive}
`

func parse(name, text string) (*Config, error) {
	return Parse(name, []byte(text), testEnv, testFiles)
}

func TestDefaults(t *testing.T) {
	c, err := parse("base.yaml", base)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/defaults.golden.yaml", c.Effective())
}

// Each file of testdata/options gives sections in place of those of base. Its
// golden file is what the effective configuration then has instead of base's.
func TestOptions(t *testing.T) {
	plain, err := parse("base.yaml", base)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, path := range files(t, "testdata/options/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text := replaceSections(base, read(t, path))
			c, err := parse(path, text)
			if err != nil {
				t.Fatal(err)
			}
			got := difference(string(plain.Effective()), string(c.Effective()))
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", []byte(got))
			collect(reflect.ValueOf(plain).Elem(), reflect.ValueOf(c).Elem(), "", seen)
		})
	}
	for _, o := range every(reflect.TypeFor[Config](), "") {
		if !seen[o] {
			t.Errorf("no file of testdata/options changes %s", o)
		}
	}
}

// every lists the paths of all single options of a struct.
func every(t reflect.Type, path string) []string {
	var list []string
	for _, o := range options(t) {
		if element, _ := underlying(o.typ); element.Kind() == reflect.Struct {
			list = append(list, every(element, join(path, o.name))...)
			continue
		}
		list = append(list, join(path, o.name))
	}
	return list
}

// collect notes the paths of the single options in which b differs from a.
// Elements of lists are compared with the first one of a.
func collect(a, b reflect.Value, path string, seen map[string]bool) {
	for _, o := range options(b.Type()) {
		at := join(path, o.name)
		av, bv := a.Field(o.index), b.Field(o.index)
		element, _ := underlying(o.typ)
		switch {
		case element.Kind() != reflect.Struct:
			if !reflect.DeepEqual(av.Interface(), bv.Interface()) {
				seen[at] = true
			}
		case bv.Kind() == reflect.Struct:
			collect(av, bv, at, seen)
		case bv.Kind() == reflect.Pointer && !bv.IsNil():
			collect(orZero(av, element), bv.Elem(), at, seen)
		case bv.Kind() == reflect.Slice:
			for i := range bv.Len() {
				collect(orZero(av, element), bv.Index(i), at, seen)
			}
		}
	}
}

// orZero is the value at a pointer, the first one of a list, or a zero one.
func orZero(v reflect.Value, t reflect.Type) reflect.Value {
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return v.Elem()
	case v.Kind() == reflect.Slice && v.Len() > 0:
		return v.Index(0)
	}
	return reflect.New(t).Elem()
}

// Each file of testdata/errors is a whole invalid configuration; its golden
// file is what a person reads.
func TestErrors(t *testing.T) {
	for _, path := range files(t, "testdata/errors/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, err := Parse(filepath.Base(path), []byte(read(t, path)), testEnv, testFiles)
			list, ok := errors.AsType[*Errors](err)
			if !ok {
				t.Fatalf("got %v, want *Errors", err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", []byte(list.Error()+"\n"))
			for _, secret := range []string{"hunter2", "azure-key-1", "caller-key-1", "literal-secret"} {
				if strings.Contains(list.Error(), secret) {
					t.Errorf("the error tells the secret %s", secret)
				}
			}
		})
	}
}

func TestEffectiveIsReadAsItself(t *testing.T) {
	text := replaceSections(base, `
deployments:
  - {name: a, endpoint: "https://a.openai.azure.com/", deployment: "x: # y", model: "true", region: "$${env:NOT}", auth: {bearer: b}}
pools: [{name: m, models: ["0", null-ish], tiers: [[a]]}]
`)
	first, err := parse("first.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	second, err := parse("second.yaml", string(first.Effective()))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Effective(), second.Effective()) {
		t.Errorf("got:\n%s\nwant:\n%s", second.Effective(), first.Effective())
	}
	if !reflect.DeepEqual(first.Policies(), second.Policies()) {
		t.Errorf("got %+v, want %+v", second.Policies(), first.Policies())
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c, err := parse("base.yaml", base)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Deployments[0].Auth.APIKey.Reveal(); got != "azure-key-1" {
		t.Errorf("Reveal = %q, want azure-key-1", got)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text := fmt.Sprintf(format, c.Callers) + fmt.Sprintf(format, *c.Deployments[0].Auth)
		if strings.Contains(text, "key-1") {
			t.Errorf("%s prints a secret: %s", format, text)
		}
	}
	if strings.Contains(string(c.Effective()), "key-1") {
		t.Error("Effective prints a secret")
	}
}

// TestBrief shows no line of the file.
func TestBrief(t *testing.T) {
	_, err := parse("base.yaml", base+"metrics: {colour: blue}\nqueue: {max_length: few}\n")
	list, ok := errors.AsType[*Errors](err)
	if !ok {
		t.Fatalf("got %v, want *Errors", err)
	}
	const want = `base.yaml:10:11: metrics.colour: unknown option
base.yaml:11:21: queue.max_length: "few" is not a whole number`
	if got := list.Brief(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestLoadFleetErrors needs the whole decoder: references, and lines to hide.
func TestLoadFleetErrors(t *testing.T) {
	for text, want := range map[string]string{
		"deployments: [{name: \"${env:EMPTY}a\", model: \"${env:PTU}\", kind: provisioned}]":                                     "needs ptu",
		"deployments: [{name: a, model: m}]\nfaults:\n  - kind: slow\n    at_token: 3\n   x: [":                                  "invalid YAML",
		"deployments: [{name: a, model: m, chunks: some}]":                                                                       "deployments[0].chunks: \"some\" is not one of",
		"deployments: [{name: a, model: m, chunks: single, chunk_tokens: 8}]":                                                    "deployments[0].chunk_tokens: chunks is single, which is one token per chunk",
		"deployments: [{name: a, model: m, chunk_tokens: -1}]":                                                                   "deployments[0].chunk_tokens: ",
		"deployments: [{name: a, model: m, api_key: literal-secret}]":                                                            "api_key: ***",
		"deployments: [{name: a, model: m, rejects: [streams]}]":                                                                 "deployments[0].rejects[0]: \"streams\" is not one of",
		"deployments: [{name: a, model: m, kind: provisioned, ptu: 5, quota: q}]":                                                "deployments[0].quota: a provisioned deployment has no quota",
		"deployments: [{name: a, model: m, tpm: 1, quota: q}, {name: b, model: m, quota: q}]":                                    "deployments[1].quota: tpm or rpm differs from that of \"a\"",
		"deployments: [{name: a, model: m, spillover: a}]":                                                                       "deployments[0].spillover: only a provisioned deployment",
		"deployments: [{name: a, model: m, kind: provisioned, ptu: 5, spillover: b}]":                                            "deployments[0].spillover: no deployment named \"b\"",
		"deployments: [{name: a, model: m, kind: provisioned, ptu: 5, spillover: b, region: r}, {name: b, model: m, region: s}]": "deployments[0].spillover: \"b\" is not a standard deployment of the same",
	} {
		_, err := LoadFleet("fleet.yaml", testEnv, func(string) ([]byte, error) { return []byte(text), nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestLoadUnreadable(t *testing.T) {
	_, err := Load("/nowhere.yaml", testEnv, testFiles)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/nowhere.yaml") {
		t.Errorf("got %v, want a missing /nowhere.yaml", err)
	}
}

func TestTooMuch(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"large", "#" + strings.Repeat("x", maxFileBytes), "larger than 1MiB"},
		{"flow", strings.Repeat("[", maxFileBytes-1), "nests too deep"},
		{"mappings", strings.Repeat("{a: ", 200_000), "nests too deep"},
		{"dashes", strings.Repeat("- ", 500_000), "nests too deep"},
		{"questions", strings.Repeat("? ", 500_000), "nests too deep"},
		{"tags", "a: " + strings.Repeat("!a ", 300_000), "nests too deep"},
		{"latin-1", "a: b\nc: \xe9\n", "latin-1:2:4: the file is not UTF-8 text"},
		{"aliases", aliases(), "too many values"},
		{"circle", "pools: &a [*a]", "pools[0]: must be a group"},
		{"no anchor", "pools: *gone", "unknown anchor"},
	}
	for _, tt := range tests {
		_, err := parse(tt.name, tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %.300v, want %q", tt.name, err, tt.want)
		}
	}
}

// aliases is a small file of a million values.
func aliases() string {
	list := func(of string) string { return "[" + strings.Repeat(of+", ", 99) + of + "]" }
	return "x-a: &a " + list("d") + "\nx-b: &b " + list("*a") + "\nx-c: &c {name: p, tiers: *b}\npools: " + list("*c")
}

func TestReference(t *testing.T) {
	golden(t, "../../docs/CONFIG.md", Reference())
	golden(t, "../../docs/spillway.schema.json", Schema())
}

func TestExamples(t *testing.T) {
	anyEnv := func(name string) (string, bool) { return name, true }
	anyFile := func(name string) ([]byte, error) { return []byte(name), nil }
	for _, path := range files(t, "../../examples/*.yaml") {
		_, err := Parse(path, []byte(read(t, path)), anyEnv, anyFile)
		if strings.HasPrefix(filepath.Base(path), "fleet") {
			_, err = LoadFleet(path, anyEnv, os.ReadFile)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/options/*.yaml", "testdata/errors/*.yaml", "../../examples/*.yaml"} {
		for _, path := range files(f, pattern) {
			f.Add([]byte(read(f, path)))
		}
	}
	f.Add([]byte(base))
	f.Add([]byte("x-a: &a {name: b}\nclasses: [{<<: *a}, {<<: [*a, *a], name: c}]"))
	f.Add([]byte("a: |\n  b\n? c\n: d\n--- e"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("fuzz.yaml", data, testEnv, testFiles)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a word")
			}
			return
		}
		c.Policies()
		c.TrafficClasses()
		if _, err := parse("again.yaml", string(c.Effective())); err != nil && !strings.Contains(err.Error(), "is a key of") {
			t.Errorf("the effective configuration is invalid: %v\n%s", err, c.Effective())
		}
	})
}

// replaceSections returns text with the top sections of with in place of its
// own of the same names.
func replaceSections(text, with string) string {
	given := sections(with)
	var out strings.Builder
	for _, s := range sections(text) {
		if !slices.ContainsFunc(given, func(g [2]string) bool { return g[0] == s[0] }) {
			out.WriteString(s[1])
		}
	}
	return out.String() + with
}

// sections splits a file into the names and the texts of its top sections.
func sections(text string) (list [][2]string) {
	for line := range strings.Lines(text) {
		if name, _, found := strings.Cut(line, ":"); found && !strings.ContainsAny(name[:1], " #-") {
			list = append(list, [2]string{name, ""})
		}
		if len(list) > 0 {
			list[len(list)-1][1] += line
		}
	}
	return list
}

// difference lists the lines of b that a has not, each section under its name.
func difference(a, b string) string {
	var out strings.Builder
	old := map[string]string{}
	for _, s := range sections(a) {
		old[s[0]] = s[1]
	}
	for _, s := range sections(b) {
		if old[s[0]] == s[1] {
			continue
		}
		lines := strings.SplitAfter(old[s[0]], "\n")
		for i, line := range strings.SplitAfter(s[1], "\n") {
			if i == 0 || !slices.Contains(lines, line) {
				out.WriteString(line)
			}
		}
	}
	return out.String()
}

func files(t testing.TB, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return list
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, path); string(got) != want {
		t.Errorf("%s differs (-update rewrites it); got:\n%s", path, got)
	}
}
