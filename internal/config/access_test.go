package config

import (
	"strings"
	"testing"
)

// TestCheckHardCap warns about what a hard cap does not bind.
func TestCheckHardCap(t *testing.T) {
	text := replaceSections(base, `
classes:
  - {name: interactive, budget: {max_output_tokens: 500, hard_cap: true}}
  - {name: wide, operations: [chat, files, other], budget: {max_output_tokens: 500, hard_cap: true}}
  - {name: trial, budget: {mode: observe, max_output_tokens: 500, hard_cap: true}}
  - {name: free, operations: ["*"], budget: {max_output_tokens: 500}}
callers:
  - {name: a, key: a, class: interactive}
  - {name: b, key: b, class: interactive, operations: [chat, responses/compact]}
  - {name: c, key: c, class: wide}
  - {name: d, key: d, class: trial, operations: ["*"]}
  - {name: e, key: e, class: free}
`)
	_, warnings, err := Check("c.yaml", testEnv, func(string) ([]byte, error) { return []byte(text), nil })
	if err != nil || warnings == nil {
		t.Fatalf("got %v, %v, want warnings", warnings, err)
	}
	got := warnings.Brief()
	for _, want := range []string{
		`classes[1].operations[2]: "other" generates text`,
		`classes[2].budget.hard_cap: has no effect in mode observe`,
		`callers[1].operations[1]: "responses/compact" generates text`,
		`callers[3].operations[0]: "*" generates text`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n") + 1; n != 4 {
		t.Errorf("%d warnings, want 4:\n%s", n, got)
	}
}
