package fleet

import (
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

func pooled(name string, tpm, rpm int, quota string) Deployment {
	return Deployment{Quota: quota, Deployment: spillway.Deployment{Name: name, Model: "gpt-4o-mini", TPM: tpm, RPM: rpm}}
}

// What one deployment of a quota uses is missing to the others, and to no one else.
func TestSharedQuota(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	f, err := New(Config{Seed: 1, Deployments: []Deployment{
		pooled("east", 1000, 600, "sub"), pooled("west", 1000, 600, "sub"), pooled("other", 1000, 600, ""),
	}}, start)
	if err != nil {
		t.Fatal(err)
	}
	ask := Ask{PromptTokens: 100, MaxTokens: 500, OutputTokens: 10, Choices: 1}
	if v := f.Server("east").Offer(start, ask); v.Limits.RemainingTokens != 400 || v.Limits.RemainingRequests != 99 {
		t.Errorf("east has %+v", v.Limits)
	}
	if v := f.Server("west").Offer(start, ask); v.Status != 200 || v.Limits.RemainingTokens != 0 || v.Limits.RemainingRequests != 98 {
		t.Errorf("west: %d, %+v", v.Status, v.Limits)
	}
	for name, want := range map[string]int{"east": 429, "west": 429, "other": 200} {
		if v := f.Server(name).Offer(start, ask); v.Status != want {
			t.Errorf("%s answers %d, want %d", name, v.Status, want)
		}
	}
	next := start.Add(time.Minute)
	if v := f.Server("west").Offer(next, ask); v.Status != 200 || v.Limits.RemainingTokens != 400 {
		t.Errorf("a minute later, west: %d, %+v", v.Status, v.Limits)
	}
	if got := f.Server("east").State(next).Utilization; got != 0.6 {
		t.Errorf("east's utilization is %v, want that of the quota, 0.6", got)
	}
}

func TestSharedQuotaConfiguration(t *testing.T) {
	provisioned := pooled("ptu", 0, 0, "sub")
	provisioned.Kind, provisioned.PTU = spillway.Provisioned, 15
	for name, tc := range map[string]struct {
		deployments []Deployment
		want        string
	}{
		"other TPM":   {[]Deployment{pooled("a", 1000, 6, "sub"), pooled("b", 2000, 6, "sub")}, `quota "sub"`},
		"other RPM":   {[]Deployment{pooled("a", 1000, 6, "sub"), pooled("b", 1000, 7, "sub")}, `quota "sub"`},
		"provisioned": {[]Deployment{provisioned}, "only standard deployments"},
	} {
		if _, err := New(Config{Deployments: tc.deployments}, time.Time{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// A request that is larger than the limit never fits, and takes nothing of it.
func TestLargerThanTheLimit(t *testing.T) {
	for _, tc := range []struct {
		prompt, limit, choices, status int
	}{
		{900, 50, 2, 200}, {900, 51, 2, 429}, {900, 101, 1, 429}, {1001, 0, 1, 429},
	} {
		s := NewServer(pooled("std", 1000, 0, ""), 1, time.Time{})
		v := s.Offer(time.Time{}, Ask{PromptTokens: tc.prompt, MaxTokens: tc.limit, OutputTokens: 1, Choices: tc.choices})
		if v.Status != tc.status || tc.status == 429 && (v.Reason != RefusedTokens || v.RetryAfter != 24*time.Hour || v.Limits.RemainingTokens != 1000) {
			t.Errorf("%+v: %d, %v, %+v", tc, v.Status, v.RetryAfter, v.Limits)
		}
	}
}

// A fault of one tier leaves the others alone.
func TestFaultOfServiceTier(t *testing.T) {
	s := NewServer(pooled("std", 0, 0, ""), 1, time.Time{})
	s.SetFaults([]Fault{{Kind: FaultStatus429, ServiceTier: "flex"}})
	for tier, want := range map[string]int{"flex": 429, "default": 200, "": 200} {
		if v := s.Offer(time.Time{}, Ask{ServiceTier: tier}); v.Status != want {
			t.Errorf("tier %q: %d, want %d", tier, v.Status, want)
		}
	}
}
