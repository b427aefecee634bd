//go:build linux

package faults

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Faults inside the process need a program that has them. It is built from the
// same source with replaced files of the standard library: a wall clock that
// jumps, and calls that panic.

// broken is the program with faults, built once.
var broken struct {
	sync.Once
	path string
	err  error
}

// edits are replaced lines of the standard library. Each must occur once.
var edits = []struct{ file, old, new string }{
	{
		// Now is the wall clock. It jumps a second after the process has started.
		"time/time.go",
		"func Now() Time {\n",
		"func Now() Time {\n\treturn jumped(realNow())\n}\n\nvar clockJump = func() (n int64) {\n" +
			"\ttext, _ := syscall.Getenv(\"CLOCK_JUMP\")\n\tnegative := len(text) > 0 && text[0] == '-'\n" +
			"\tfor _, c := range text {\n\t\tif c >= '0' && c <= '9' {\n\t\t\tn = 10*n + int64(c-'0')\n\t\t}\n\t}\n" +
			"\tif negative {\n\t\tn = -n\n\t}\n\treturn n\n}()\n\n" +
			"func jumped(t Time) Time {\n\tif clockJump == 0 || t.ext-1 < 1e9 {\n\t\treturn t\n\t}\n" +
			"\tmono := t.ext\n\tif t.wall&hasMonotonic == 0 {\n\t\treturn t\n\t}\n" +
			"\tt.wall += uint64(clockJump) << nsecShift\n\tt.ext = mono\n\treturn t\n}\n\nfunc realNow() Time {\n",
	},
	{
		"time/time.go",
		"\t\"math/bits\"\n",
		"\t\"math/bits\"\n\t\"syscall\"\n",
	},
	{
		// The handler unescapes the path of each request.
		"net/url/url.go",
		"func (u *URL) EscapedPath() string {\n",
		"func (u *URL) EscapedPath() string {\n\tif strings.Contains(u.Path, \"/panic-in-the-handler\") {\n\t\tpanic(\"in the handler\")\n\t}\n",
	},
	{
		// An attempt reads its response's retry-after as a number.
		"strconv/number.go",
		"func ParseFloat(s string, bitSize int) (float64, error) {\n",
		"func ParseFloat(s string, bitSize int) (float64, error) {\n\tif s == \"0.0123456789\" {\n\t\tpanic(\"in the attempt\")\n\t}\n",
	},
}

// brokenProgram returns the program with faults.
func brokenProgram(t *testing.T) string {
	t.Helper()
	broken.Do(func() { broken.path, broken.err = buildBroken() })
	if broken.err != nil {
		t.Fatal(broken.err)
	}
	return broken.path
}

func buildBroken() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	src := filepath.Join(strings.TrimSpace(string(out)), "src")
	dir := filepath.Dir(program)
	replace := map[string]string{}
	for _, e := range edits {
		from, done := replace[filepath.Join(src, e.file)]
		if !done {
			from = filepath.Join(src, e.file)
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			return "", &os.PathError{Op: "edit", Path: e.file, Err: os.ErrInvalid}
		}
		edited := filepath.Join(dir, strings.ReplaceAll(e.file, "/", "-"))
		if err := os.WriteFile(edited, []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(src, e.file)] = edited
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o644); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "spillway-broken")
	return path, build(path, "-overlay", file)
}

func testPanics(t *testing.T, w *world) {
	a, b := w.peer(good()), w.peer(good())
	g := w.start(setup{bin: brokenProgram(t), lanes: []lane{{name: "a", peer: a}, {name: "b", peer: b}}})
	w.panics = true
	w.wantServed(w.do(ask{}), "a")
	for range 3 {
		r := w.do(ask{method: "POST", path: "/v1/panic-in-the-handler", body: "{}"})
		if r.status != 500 || r.code() == "" || r.get("x-spillway-request-id") == "" {
			t.Errorf("in the handler: %s", r)
		}
	}
	a.plays(throttled("Retry-After: 0.0123456789\r\n"))
	b.plays(throttled("Retry-After: 0.0123456789\r\n"))
	for i := range 4 {
		r := w.do(ask{stream: i%2 == 0, caller: callers[i]})
		if r.status != 500 || r.code() == "" || r.get("x-spillway-request-id") == "" {
			t.Errorf("in the attempt: %s", r)
		}
	}
	if !strings.Contains(g.out.text(), "in the attempt") {
		t.Error("nothing panicked in an attempt")
	}
	a.plays(good())
	b.plays(good())
	w.wantOK("afterwards", w.many(20, 4, turns), 1)
}
