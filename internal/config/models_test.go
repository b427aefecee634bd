package config

import (
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
)

// modelsBase is a configuration with one provisioned deployment of each model and the
// given section models.
func modelsBase(section string, models ...string) string {
	var lines []string
	for i, m := range models {
		lines = append(lines, string(rune('a'+i))+", endpoint: https://a.test, kind: provisioned, ptu: 15, model: "+m)
	}
	return deploymentsBase(lines...) + section
}

// TestModels gives deployments the figures of the section models, in every place that
// has them: policies, the effective configuration and the table.
func TestModels(t *testing.T) {
	c, err := parse("c.yaml", modelsBase(`
models:
  - {name: gpt-6-sol, cached_ratio: 0, output_ratio: 3}
  - {name: gpt-7, input_tpm_per_ptu: 100, output_ratio: 2, cached_ratio: 0.25, tokens_per_second: 70, price: {input: 1, output: 3}}
  - {name: gpt-7-2027-01-31, input_tpm_per_ptu: 200, output_ratio: 2, reasoning: false}
`, "gpt-6-sol-2026-10-01", "GPT-7", "gpt-7-2027-01-31", "gpt-7-2027-02-28", "gpt-7-mini", "gpt-4o-mini"))
	if err != nil {
		t.Fatal(err)
	}
	effective := c.InEffect()
	for i, want := range []spillway.Deployment{
		{InputTPMPerPTU: 3000, OutputRatio: 3, Reasoning: true, Price: spillway.TokenPrice{Input: 2, Cached: 0.2, Output: 10, CacheWrite: 2.5, Flex: 0.5, Priority: 2}},
		{InputTPMPerPTU: 100, OutputRatio: 2, CachedRatio: 0.25, TokensPerSecond: 70, Reasoning: true, Price: spillway.TokenPrice{Input: 1, Cached: 1, Output: 3}},
		{InputTPMPerPTU: 200, OutputRatio: 2},
		{InputTPMPerPTU: 100, OutputRatio: 2, CachedRatio: 0.25, TokensPerSecond: 70, Reasoning: true, Price: spillway.TokenPrice{Input: 1, Cached: 1, Output: 3}},
		{InputTPMPerPTU: 2500, OutputRatio: 4, Reasoning: true}, // another model, metered like gpt-4o
		{InputTPMPerPTU: 37_000, OutputRatio: 4, TokensPerSecond: 33, Price: spillway.TokenPrice{Input: 0.15, Cached: 0.075, Output: 0.6, Flex: 0.5, Priority: 5. / 3}},
	} {
		d := c.Policies()[0].Deployments[i]
		got := spillway.Deployment{
			InputTPMPerPTU: d.InputTPMPerPTU, OutputRatio: d.OutputRatio, CachedRatio: d.CachedRatio, TokensPerSecond: d.TokensPerSecond,
			Reasoning: d.Reasoning, Price: d.Price,
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", d.Model, got, want)
		}
		e := &effective.Deployments[i]
		if e.InputTPMPerPTU != want.InputTPMPerPTU || e.OutputRatio != want.OutputRatio || e.CachedRatio != want.CachedRatio || e.TokensPerSecond != want.TokensPerSecond {
			t.Errorf("%s in effect: %+v, want %+v", d.Model, e, want)
		}
	}
	if p, known := c.ModelTable().Price("gpt-7-2027-02-28", spillway.Regional); !known || p.Output < 3.29 || p.Output > 3.31 {
		t.Errorf("regional price %+v, %v, want 10%% more", p, known)
	}
}

// TestModelsBelowDeployments lets the options of a deployment come before those of its
// model.
func TestModelsBelowDeployments(t *testing.T) {
	c, err := parse("c.yaml", deploymentsBase("a, endpoint: https://a.test, model: gpt-7, kind: provisioned, ptu: 15, output_ratio: 9, reasoning: true, tokens_per_second: 5")+`
models: [{name: gpt-7, input_tpm_per_ptu: 100, output_ratio: 2, reasoning: false, tokens_per_second: 70}]
`)
	if err != nil {
		t.Fatal(err)
	}
	if d := c.Policies()[0].Deployments[0]; d.InputTPMPerPTU != 100 || d.OutputRatio != 9 || !d.Reasoning || d.TokensPerSecond != 5 {
		t.Errorf("got %+v", d)
	}
}

// TestModelsAreReadAsThemselves reads an effective section models as what it was.
func TestModelsAreReadAsThemselves(t *testing.T) {
	c, err := parse("c.yaml", modelsBase(string(read(t, "testdata/options/models.yaml")), "gpt-6-sol"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := parse("again.yaml", string(c.Effective()))
	if err != nil {
		t.Fatal(err)
	}
	if string(again.Effective()) != string(c.Effective()) {
		t.Errorf("got:\n%s\nwant:\n%s", again.Effective(), c.Effective())
	}
}

// TestModelWarnings tells which models are unknown, what follows, and which figures are
// of no use.
func TestModelWarnings(t *testing.T) {
	text := deploymentsBase(
		"a, endpoint: https://a.test, model: own, kind: provisioned, ptu: 15",
		"b, endpoint: https://a.test, model: own, kind: provisioned, ptu: 15, input_tpm_per_ptu: 1000, output_ratio: 4",
		"c, endpoint: https://a.test, model: gpt-6-astra, kind: provisioned, ptu: 15",
		"d, endpoint: https://a.test, model: own",
		"e, endpoint: https://a.test, model: own, price: {input: 1, output: 2}",
		"f, endpoint: https://a.test, model: gpt-5-nano",
		"g, endpoint: https://a.test, model: gpt-5-nano, kind: provisioned, ptu: 15",
		"h, endpoint: https://a.test, model: gpt-4o-mni",
		"i, endpoint: https://a.test, model: pt-4o-mini, kind: provisioned, ptu: 15",
		"j, endpoint: https://a.test, model: gpt-5.9",
		"k, endpoint: https://a.test, model: priced",
		"l, endpoint: https://a.test, model: metered, kind: provisioned, ptu: 15",
		"m, endpoint: https://a.test, model: llama-3.3-70b-instruct, kind: provisioned, ptu: 100",
		"n, endpoint: https://a.test, model: own, tokens_per_second: 20",
		"o, endpoint: https://a.test, model: text-embedding-3-small",
		"p, endpoint: https://a.test, model: text-embedding-3-large, price: {input: 0.13, output: 0}",
	) + `
models:
  - {name: text-embedding-3-small, price: {input: 0.02, output: 0}}
  - {name: priced, price: {input: 1, output: 2}}
  - {name: meterd, input_tpm_per_ptu: 5, output_ratio: 2}
  - {name: else}
`
	_, found, err := Check("c.yaml", testEnv, func(string) ([]byte, error) { return []byte(text), nil })
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, p := range found.Problems {
		got.WriteString(p.Path + " " + p.Message + " = " + p.Fix + "\n")
	}
	const metered, unknown = " has no published provisioned throughput as of September 2026: it is metered like gpt-4o = ",
		" is not a known model as of September 2026: its requests have no known cost, and 33 tokens per second are assumed until its speed is measured = "
	const set, add = "set input_tpm_per_ptu and output_ratio, here or for the model under models\n", "set price and tokens_per_second, or add the model to models\n"
	want := "deployments[0].model" + metered + set +
		"deployments[3].model" + unknown + add +
		"deployments[6].model" + metered + set +
		"deployments[7].model" + unknown + "did you mean gpt-4o-mini?\n" +
		"deployments[8].model" + metered + "did you mean gpt-4o-mini?\n" +
		"deployments[9].model" + unknown + add +
		"deployments[11].model" + metered + "did you mean meterd?\n" +
		"deployments[13].model is not a known model as of September 2026: its requests have no known cost = " + add +
		"models[2] is unused: no deployment has this model = did you mean metered?\n" +
		"models[3] is unused: no deployment has this model = remove it\n"
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &got, want)
	}
}

// TestFleetModels gives a fleet file the same section.
func TestFleetModels(t *testing.T) {
	load := func(text string) (*Fleet, error) {
		return LoadFleet("fleet.yaml", testEnv, func(string) ([]byte, error) { return []byte(text), nil })
	}
	f, err := load(`
deployments: [{name: a, model: gpt-7-2027-01-31, kind: provisioned, ptu: 15}, {name: b, model: o3}, {name: c, model: o3, reasoning: false}]
models: [{name: gpt-7, input_tpm_per_ptu: 100, output_ratio: 2, reasoning: false}]
`)
	if err != nil {
		t.Fatal(err)
	}
	if m, known := f.ModelTable().Find("gpt-7"); !known || m.InputTPMPerPTU != 100 {
		t.Errorf("gpt-7 is %+v, %v", m, known)
	}
	for i, want := range []bool{false, true, false} {
		if f.Deployments[i].Reasoning != want {
			t.Errorf("deployments[%d]: reasoning %v, want %v", i, f.Deployments[i].Reasoning, want)
		}
	}
	if _, err := load("deployments: [{name: a, model: m}]\nmodels: [{name: m, output_ration: 2}]"); err == nil || !strings.Contains(err.Error(), "did you mean output_ratio?") {
		t.Errorf("a misspelled figure: %v", err)
	}
}
