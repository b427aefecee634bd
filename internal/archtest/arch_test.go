package archtest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTree holds the module's source against every rule.
func TestTree(t *testing.T) {
	src, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if len(src.packages) < 2 {
		t.Fatalf("found only %d packages; run the test inside the module", len(src.packages))
	}
	for _, name := range vacant(src) {
		t.Errorf("listed in a table but not in the source tree, remove it: %s", name)
	}
	left, stale := excuse(checkTree(src), exceptions)
	for _, f := range left {
		t.Error(f)
	}
	for _, e := range stale {
		t.Errorf("unused exception, remove it: %s in %s: %s", e.rule, e.path, e.name)
	}
	for _, e := range exceptions {
		if e.reason == "" {
			t.Errorf("exception has no reason: %s in %s", e.rule, e.path)
		}
	}
}

// TestRooms holds the table against itself.
func TestRooms(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rooms {
		if seen[r.dir] {
			t.Errorf("%s is listed twice in the table", r.dir)
		}
		seen[r.dir] = true
		if r.pure && r.clock {
			t.Errorf("%s is marked as pure and as having a clock", r.dir)
		}
	}
	for _, r := range rooms {
		for _, m := range r.may {
			dir := strings.TrimSuffix(m, "/...")
			if dir != "internal" && !seen[dir] {
				t.Errorf("%s may import %s, which is not in the table", r.dir, m)
			}
		}
	}
}

// TestVacant demands that a table entry without anything behind it is named.
func TestVacant(t *testing.T) {
	src, err := load(fstest.MapFS{"internal/stat/a.go": {Data: []byte("package stat\n")}})
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	names := vacant(src)
	if slices.Contains(names, "room internal/stat") {
		t.Error("a room with files counts as vacant")
	}
	for _, want := range []string{"room internal/policy", "module github.com/cespare/xxhash/v2"} {
		if !slices.Contains(names, want) {
			t.Errorf("vacant does not name %s: %v", want, names)
		}
	}
}
