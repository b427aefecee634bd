package config

import (
	"strings"
	"testing"
)

// deploymentsBase is base with other deployments; each line is one.
func deploymentsBase(lines ...string) string {
	var names, list strings.Builder
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ",")
		list.WriteString("  - {name: " + line + ", auth: {api_key: k}}\n")
		names.WriteString("[" + name + "],")
	}
	return replaceSections(base, "\ndeployments:\n"+list.String()+"pools: [{name: m, tiers: ["+strings.TrimSuffix(names.String(), ",")+"]}]\n")
}

// warnings returns the warnings of a configuration.
func warnings(t *testing.T, text string) string {
	t.Helper()
	_, found, err := Check("c.yaml", testEnv, func(string) ([]byte, error) { return []byte(text), nil })
	if err != nil {
		t.Fatal(err)
	}
	if found == nil {
		return ""
	}
	return found.Brief()
}

// TestReasoning takes from the model's name whether it reasons, unless the file says
// so.
func TestReasoning(t *testing.T) {
	text := deploymentsBase(
		"a, endpoint: https://a.test, model: o3-mini",
		"b, endpoint: https://a.test, model: gpt-5-mini, reasoning: false",
		"c, endpoint: https://a.test, model: gpt-5-chat",
		"d, endpoint: https://a.test, model: own, reasoning: true",
		"e, endpoint: https://a.test, model: gpt-4o, reasoning: false",
	)
	c, err := parse("c.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false, false, true, false} {
		if d := c.Deployments[i]; d.Reasoning != want || d.policy().Reasoning != want {
			t.Errorf("%s: reasoning %v, want %v", d.Name, d.Reasoning, want)
		}
	}
	got := warnings(t, text)
	if !strings.Contains(got, "deployments[1].reasoning: is false for a reasoning model") || strings.Count(got, "reasoning:") != 1 {
		t.Errorf("warnings:\n%s", got)
	}
}

// TestAPIVersion leaves the api-version to the client where the file gives none, and
// warns of one that reasoning models refuse.
func TestAPIVersion(t *testing.T) {
	text := deploymentsBase(
		"a, endpoint: https://a.openai.azure.com, model: o3",
		"b, endpoint: https://a.openai.azure.com, model: o3, api_version: 2024-10-21",
		"c, endpoint: https://a.openai.azure.com, model: o3, api_version: 2024-12-01-preview",
		"d, endpoint: https://a.openai.azure.com, model: gpt-4o, api_version: 2024-10-21",
	)
	c, err := parse("c.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "2024-10-21", "2024-12-01-preview", "2024-10-21"} {
		if got := c.Deployments[i].APIVersion; got != want {
			t.Errorf("deployments[%d] has api-version %q, want %q", i, got, want)
		}
	}
	got := warnings(t, text)
	if !strings.Contains(got, "deployments[1].api_version: is older than reasoning models accept") || strings.Count(got, "api_version:") != 1 {
		t.Errorf("warnings:\n%s", got)
	}
}

// TestStyleOf tells the styles of endpoints apart.
func TestStyleOf(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://a.openai.azure.com":                           StyleAzure,
		"https://a.openai.azure.us":                            StyleAzure,
		"https://a.openai.azure.cn/":                           StyleAzure,
		"https://A.OpenAI.Azure.US:443":                        StyleAzure,
		"https://a.openai.azure.com.":                          StyleAzure,
		"https://a.cognitiveservices.azure.com":                StyleAzure,
		"https://a.cognitiveservices.azure.cn/openai/v1":       StyleAzureV1,
		"https://a.services.ai.azure.com":                      StyleAzure,
		"https://a.services.ai.azure.com/openai/v1/":           StyleAzureV1,
		"https://a.services.ai.azure.com/models":               StyleAzureV1,
		"https://a.services.ai.azure.com/api/projects/p":       StyleAzureV1,
		"https://api.openai.com":                               StyleOpenAI,
		"https://openai.azure.com.example":                     StyleOpenAI,
		"https://notazure.us":                                  StyleOpenAI,
		"http://127.0.0.1:8000/v1":                             StyleOpenAI,
		"http://127.0.0.1:8000/api/projects/p/openai.azure.us": StyleOpenAI,
	} {
		c, err := parse("c.yaml", deploymentsBase("a, endpoint: \""+endpoint+"\", model: m"))
		if err != nil {
			t.Errorf("%s: %v", endpoint, err)
			continue
		}
		if got := c.Deployments[0].Style; got != want {
			t.Errorf("%s is of style %s, want %s", endpoint, got, want)
		}
	}
}
