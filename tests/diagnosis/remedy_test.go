package diagnosis

import (
	"maps"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// before is the configuration that remedies are put into.
const before = `
deployments:
  - {name: ptu-eastus, endpoint: "https://a.openai.azure.com", model: gpt-4o-mini, kind: provisioned, ptu: 50, auth: {api_key: k}}
  - {name: std-sweden, endpoint: "https://b.openai.azure.com", model: gpt-4o-mini, auth: {api_key: k}}
  - {name: std-westus, endpoint: "https://c.openai.azure.com", model: gpt-4o-mini, auth: {api_key: k}}
  - {name: standard-elsewhere, endpoint: "https://d.openai.azure.com", model: gpt-4o-mini, auth: {api_key: k}}
pools:
  - {name: gpt-4o-mini, tiers: [[ptu-eastus], [std-sweden]]}
classes:
  - {name: chat}
callers:
  - {name: team, key: a, class: chat}
  - {name: batch, key: b, class: chat}
`

// merged is a configuration with a part put in: members take the place of
// those that are there, in lists those of the item with the same name.
func merged(t *testing.T, text, part string) string {
	t.Helper()
	var whole, change map[string]any
	if err := yaml.Unmarshal([]byte(text), &whole); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(part), &change); err != nil {
		t.Fatalf("%v in\n%s", err, part)
	}
	for key, value := range change {
		list, ok := value.([]any)
		if !ok {
			whole[key] = value
			continue
		}
		old, _ := whole[key].([]any)
		for _, item := range list {
			old = put(old, item.(map[string]any))
		}
		whole[key] = old
	}
	out, err := yaml.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func put(list []any, item map[string]any) []any {
	for _, one := range list {
		if there := one.(map[string]any); there["name"] == item["name"] {
			maps.Copy(there, item)
			return list
		}
	}
	return append(list, item)
}

// What a remedy says to configure, the gateway takes.
func TestRemediesAreConfiguration(t *testing.T) {
	tried := map[diagnose.Code]bool{}
	for _, c := range causes() {
		for _, seed := range []uint64{2} {
			w := newWorld(seed)
			c.make(w)
			for _, f := range w.diagnosis(t).Findings {
				tried[f.Code] = true
				if f.Remedy.Text == "" || f.Remedy.Config == "" {
					t.Errorf("%s: the remedy is %+v", f.Code, f.Remedy)
				}
				text := merged(t, before, f.Remedy.Config)
				if _, err := config.Parse(string(f.Code), []byte(text), func(string) (string, bool) { return "", false }, nil); err != nil {
					t.Errorf("%s: %v\nin\n%s", f.Code, err, f.Remedy.Config)
				}
			}
		}
	}
	for _, c := range causes() {
		if !tried[c.code] {
			t.Errorf("no world gave %s", c.code)
		}
	}
}

// Every finding carries numbers with their source.
func TestFindingsHaveEvidence(t *testing.T) {
	for _, c := range causes() {
		w := newWorld(3)
		c.make(w)
		for _, f := range w.diagnosis(t).Findings {
			if len(f.Evidence) < 2 || f.Title == "" || f.From.IsZero() || !f.To.After(f.From) || f.Confidence < 0.5 || f.Confidence > 1 {
				t.Errorf("%s: %+v", c.code, f)
			}
			for _, e := range f.Evidence {
				if e.Name == "" || e.Source == "" || e.Unit == "" {
					t.Errorf("%s: evidence %+v", f.Code, e)
				}
			}
		}
	}
}
