package imports

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// projections are the columns that the documentation's queries export.
func projections(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/IMPORT.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, m := range regexp.MustCompile("(?s)```kusto\n(\\w+)\n(.*?)```").FindAllSubmatch(text, -1) {
		_, list, ok := strings.Cut(string(m[2]), "| project ")
		if !ok {
			_, list, _ = strings.Cut(string(m[2]), "| summarize ")
			list = strings.Replace(list, "by ", ", ", 1)
		}
		depth, name, skip := 0, "", false
		for _, c := range list + "," {
			switch {
			case strings.ContainsRune("([", c):
				depth++
			case strings.ContainsRune(")]", c):
				depth--
			case c == '=' && depth == 0:
				skip = true
			case c == ',' && depth == 0:
				if name = strings.TrimSpace(name); name != "" {
					all[string(m[1])] = append(all[string(m[1])], name)
				}
				name, skip = "", false
			case !skip && depth == 0:
				name += string(c)
			}
		}
	}
	return all
}

// What the documented queries export is recognized, to the last column.
func TestDocumentedQueries(t *testing.T) {
	all := projections(t)
	if len(all) != 3 {
		t.Fatalf("%v, want three queries", all)
	}
	known := aliases()
	for table, names := range all {
		found, err := recognize(names)
		if err != nil || found.name != table {
			t.Errorf("%s: %v is taken for %q: %v", table, names, found.name, err)
		}
		for _, name := range names {
			if _, ok := known[plain(name)]; !ok {
				t.Errorf("%s: nobody reads %q", table, name)
			}
		}
	}
}
