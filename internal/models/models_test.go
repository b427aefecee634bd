package models

import (
	"slices"
	"testing"
	"time"

	"github.com/spillway-ai/spillway"
)

func TestFind(t *testing.T) {
	for _, tc := range []struct {
		model, want string
	}{
		{"gpt-4o-mini", "gpt-4o-mini"},
		{"gpt-4o-mini-2024-07-18", "gpt-4o-mini"},
		{"GPT-4o-2024-11-20", "gpt-4o"},
		{"gpt-4.1-nano-2025-04-14", "gpt-4.1-nano"},
		{"gpt-5-2025-08-07", "gpt-5"},
		{"gpt-5.1", "gpt-5.1"},
		{"o3-mini-2025-01-31", "o3-mini"},
		{"gpt-4o-mini-0718", "gpt-4o-mini"},
		{"gpt-5.5", "gpt-5.5"},
		{"gpt-5.4-mini-2026-03-17", "gpt-5.4-mini"},
		{"gpt-5.2-codex", "gpt-5.2-codex"},
		{"GPT-5.6-Terra", "gpt-5.6-terra"},
		{"llama-3.3-70b-instruct", "Llama-3.3-70B-Instruct"},
		{"gpt-6-sol", "gpt-6-sol"},
		{"gpt-6", ""},
		{"gpt-5.1-codex-max", ""},
		{"gpt-5-nano", ""},
		{"gpt-4o-mini-audio-preview", ""},
		{"gpt-4o-", ""},
		{"gpt-4", ""},
		{"", ""},
	} {
		got, _ := Table{}.Find(tc.model)
		ok := got.Provisioned()
		if ok != (tc.want != "") || ok && got.Name != tc.want {
			t.Errorf("Find(%q) = %q, %v, want %q", tc.model, got.Name, ok, tc.want)
		}
	}
}

// Configured figures stand in place of the published ones, and the longer name counts.
func TestOwnFigures(t *testing.T) {
	published, _ := Table{}.Find("gpt-6-sol")
	own := published
	own.CachedRatio, own.Price, own.Reasoning = 0, spillway.TokenPrice{Input: 10, Cached: 1, Output: 20}, false
	table := NewTable([]Model{
		own,
		{Capacity: Capacity{Name: "GPT-7", InputTPMPerPTU: 100, OutputRatio: 2}, Reasoning: true},
		{Capacity: Capacity{Name: "gpt-7-2027-01-31", InputTPMPerPTU: 200, OutputRatio: 3}},
		{Capacity: Capacity{Name: "gpt-4o"}, Price: spillway.TokenPrice{Input: 7, Cached: 7, Output: 8}},
		{Capacity: Capacity{Name: "unpriced"}},
	})
	for _, tc := range []struct {
		model       string
		want        Capacity
		price       float64 // of input
		reasons     bool
		provisioned bool
	}{
		{"gpt-6-sol-2026-10-01", own.Capacity, 10, false, true},
		{"gpt-7", Capacity{Name: "GPT-7", InputTPMPerPTU: 100, OutputRatio: 2}, 0, true, true},
		{"Gpt-7-2027-02-28", Capacity{Name: "GPT-7", InputTPMPerPTU: 100, OutputRatio: 2}, 0, true, true},
		{"GPT-7-2027-01-31", Capacity{Name: "gpt-7-2027-01-31", InputTPMPerPTU: 200, OutputRatio: 3}, 0, false, true},
		{"gpt-7-mini", Capacity{}, 0, true, false},
		{"gpt-4o-2024-05-13", Capacity{Name: "gpt-4o"}, 7, false, false}, // published prices know this version; the configured name comes first
		{"unpriced", Capacity{Name: "unpriced"}, 0, false, false},
		{"gpt-5-nano", Capacity{Name: "gpt-5-nano"}, 0.05, true, false},
		{"", Capacity{}, 0, false, false},
	} {
		got, known := table.Find(tc.model)
		if got.Capacity != tc.want || known != (tc.want.Name != "") || got.Price.Input != tc.price || got.Provisioned() != tc.provisioned || table.Reasons(tc.model) != tc.reasons {
			t.Errorf("%q: %+v, %v", tc.model, got, known)
		}
	}
	d := table.Fill(spillway.Deployment{Model: "gpt-6-sol"})
	if again := Fill(d); d.CachedRatio != 0 || d.InputTPMPerPTU != 3_000 || d.Price.Input != 10 || again != d {
		t.Errorf("filled: %+v, filled again: %+v", d, again)
	}
	if d := table.Fill(spillway.Deployment{Model: "own"}); d.InputTPMPerPTU != 2_500 || d.OutputRatio != 4 {
		t.Errorf("an unknown model, where the default has no capacity of its own: %+v", d)
	}
	if names := table.Names(); !slices.Contains(names, "GPT-7") || !slices.Contains(names, "o1") || !slices.Contains(names, "gpt-5-nano") {
		t.Errorf("names %q", names)
	}
}

func TestIsVersion(t *testing.T) {
	for _, tc := range []struct {
		model, name string
		want        bool
	}{
		{"gpt-5", "gpt-5", true},
		{"GPT-5-2025-08-07", "gpt-5", true},
		{"gpt-5-0807", "Gpt-5", true},
		{"gpt-5-mini", "gpt-5", false},
		{"gpt-5.1", "gpt-5", false},
		{"gpt", "gpt-5", false},
		{"gpt-5-", "gpt-5", false},
		{"gpt-5-1", "gpt-5", false},
	} {
		if got := IsVersion(tc.model, tc.name); got != tc.want {
			t.Errorf("IsVersion(%q, %q) = %v", tc.model, tc.name, got)
		}
	}
}

func TestTable(t *testing.T) {
	seen := make(map[string]bool)
	for _, m := range table {
		if seen[m.Name] {
			t.Errorf("%s is there twice", m.Name)
		}
		seen[m.Name] = true
		if m.InputTPMPerPTU <= 0 || m.OutputRatio < 1 || m.TokensPerSecond < 0 || m.CachedRatio < 0 || m.CachedRatio >= 1 ||
			m.Global.Min <= 0 || m.Global.Step <= 0 || (m.Regional.Min <= 0) != (m.Regional.Step <= 0) {
			t.Errorf("%s has an empty figure: %+v", m.Name, m)
		}
	}
}

func TestFill(t *testing.T) {
	d := Fill(spillway.Deployment{Model: "gpt-4o-mini-2024-07-18", OutputRatio: 3})
	if d.InputTPMPerPTU != 37_000 || d.OutputRatio != 3 || d.TokensPerSecond != 33 || d.MeterDepth != 0 {
		t.Errorf("known model: %+v", d)
	}
	d = Fill(spillway.Deployment{Model: "gpt-6-astra-2026-10-01"})
	if d.InputTPMPerPTU != 600 || d.OutputRatio != 5 || d.CachedRatio != 0.1 || d.TokensPerSecond != 0 {
		t.Errorf("cached input with a weight: %+v", d)
	}
	if d = Fill(spillway.Deployment{Model: "gpt-6-sol", CachedRatio: 0.5}); d.CachedRatio != 0.5 {
		t.Errorf("a cached ratio of its own: %+v", d)
	}
	d = Fill(spillway.Deployment{Model: "own", MeterDepth: time.Second})
	if d.InputTPMPerPTU != 2_500 || d.OutputRatio != 4 || d.TokensPerSecond != 0 || d.MeterDepth != time.Second {
		t.Errorf("unknown model: %+v", d)
	}
}
