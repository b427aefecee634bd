package models

import (
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
		{"gpt-6-sol", "gpt-6-sol"},
		{"gpt-6", ""},
		{"gpt-5.1-codex-max", ""},
		{"gpt-5-nano", ""},
		{"gpt-4o-mini-audio-preview", ""},
		{"gpt-4o-", ""},
		{"gpt-4", ""},
		{"", ""},
	} {
		got, ok := Find(tc.model)
		if got.Name != tc.want || ok != (tc.want != "") {
			t.Errorf("Find(%q) = %q, %v, want %q", tc.model, got.Name, ok, tc.want)
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
			m.Global.Min <= 0 || m.Global.Step <= 0 || m.Regional.Min <= 0 || m.Regional.Step <= 0 {
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
