package archtest

import (
	"os"
	"strings"
	"testing"
)

// TestRoomsPage holds the tables of docs/ARCHITECTURE.md against rooms: each
// room has one row, with what it may import and whether it is pure or has a
// clock.
func TestRoomsPage(t *testing.T) {
	const name = "docs/ARCHITECTURE.md"
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Rooms\n")
	if !found {
		t.Fatalf("%s has no section Rooms", name)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string][]string{}
	for line := range strings.SplitSeq(section, "\n") {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `") && len(cells) == 6 {
			rows[strings.Trim(cells[1], " `")] = []string{strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4])}
		}
	}
	for _, r := range rooms {
		may := make([]string, len(r.may))
		for i, m := range r.may {
			may[i] = onPage(m)
		}
		want := []string{strings.Join(may, ", "), ""}
		switch {
		case r.pure:
			want[1] = "pure"
		case r.clock:
			want[1] = "clock"
		}
		got, ok := rows[onPage(r.dir)]
		if !ok || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%s: the row must be | `%s` | … | %s | %s |, got %q", name, onPage(r.dir), want[0], want[1], got)
		}
		delete(rows, onPage(r.dir))
	}
	for row := range rows {
		t.Errorf("%s: there is no room %s", name, row)
	}
}

// onPage is how the page writes an entry of the table.
func onPage(dir string) string {
	switch dir {
	case ".":
		return "root"
	case "internal/...":
		return "everything"
	}
	return strings.ReplaceAll(strings.TrimPrefix(dir, "internal/"), "/...", "/*")
}
