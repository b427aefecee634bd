package imports

import (
	"path/filepath"
	"strings"
	"testing"
)

// What sets of exports lack is said once, each with a share within 0 and 1.
func TestMissing(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files []string
		want  []string // beginnings, in order
	}{
		{"the gateway's log alone", []string{"gateway.csv"}, []string{
			"no token rows", "max_tokens is not in these logs", "no utilization", "requests of other APIs",
		}},
		{"with tokens and metrics", []string{"gateway.csv", "llm.csv", "metrics.json"}, []string{
			"4 of 107 responses have no token row", "max_tokens is not in these logs", "requests of other APIs",
		}},
		{"tokens alone", []string{"llm.csv"}, []string{"only token logs, no request log"}},
		{"the service's log", []string{"diagnostics.json.gz"}, []string{"no gateway log", "max_tokens is not in these logs", "client retries and timeouts are not in AzureDiagnostics", "no utilization"}},
	} {
		var paths []string
		for _, name := range tc.files {
			paths = append(paths, filepath.Join("testdata", name))
		}
		missing := read(t, paths...).Missing()
		seen := map[string]bool{}
		var texts []string
		for _, m := range missing {
			texts = append(texts, m.Text)
			if !(m.Share > 0 && m.Share <= 1) || seen[m.Text] {
				t.Errorf("%s: %+v", tc.name, m)
			}
			seen[m.Text] = true
		}
		at := 0
		for _, text := range texts {
			if at < len(tc.want) && strings.HasPrefix(text, tc.want[at]) {
				at++
			}
		}
		if at < len(tc.want) {
			t.Errorf("%s: %q, want one that begins with %q next", tc.name, texts, tc.want[at])
		}
	}
}
