package report

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestMergeSeeds(t *testing.T) {
	a := Summary{
		Name: "p", Seed: 7, Seeds: 1, Rate408: 0.01, Offered: 100, Requests: 110, GoodputRPS: 10, WallSeconds: 1,
		OracleRatio: new(0.9), TTFT: Percentiles{100, 200, 300}, CostUSDPer1K: new(1.0),
		Statuses: map[string]float64{"200": 1}, Outcomes: map[string]float64{"ok": 1},
	}
	b := Summary{
		Name: "p", Seed: 8, Seeds: 1, Rate408: 0.03, Offered: 201, Requests: 210, GoodputRPS: 14, WallSeconds: 3,
		TTFT: Percentiles{200, 400, 900}, CostUSDPer1K: new(2.0),
		Statuses: map[string]float64{"200": 0.5, "408": 0.5}, Outcomes: map[string]float64{"ok": 1},
	}
	m := MergeSeeds(a, b)
	if m.Name != "p" || m.Seed != 7 || m.Seeds != 2 || m.Offered != 151 || m.Requests != 160 || m.WallSeconds != 2 {
		t.Errorf("merged %+v", m)
	}
	if m.Rate408 != 0.02 || m.GoodputRPS != 12 || m.TTFT != (Percentiles{150, 300, 600}) {
		t.Errorf("means %+v", m)
	}
	if m.OracleRatio == nil || *m.OracleRatio != 0.9 || *m.CostUSDPer1K != 1.5 {
		t.Errorf("optional figures are means of those that have them: %+v", m)
	}
	if m.PTUUtilization != nil || m.TBT != (Percentiles{}) {
		t.Errorf("figures that no seed has appeared: %+v", m)
	}
	for key, want := range map[string]Band{
		"rate_408": {0.02, 0.01, 0.03}, "oracle_ratio": {0.9, 0.9, 0.9}, "ttft_ms.p99": {600, 300, 900},
	} {
		if m.Bands[key] != want {
			t.Errorf("band of %s = %+v, want %+v", key, m.Bands[key], want)
		}
	}
	if _, ok := m.Bands["tbt_ms.p50"]; ok {
		t.Error("a band without data")
	}
	if want := map[string]float64{"200": 0.75, "408": 0.25}; !reflect.DeepEqual(m.Statuses, want) {
		t.Errorf("statuses %v", m.Statuses)
	}
	if *a.OracleRatio != 0.9 || *a.CostUSDPer1K != 1 {
		t.Error("merging changed a seed")
	}
}

func TestMergeSeedsOfFew(t *testing.T) {
	if s := MergeSeeds(); !reflect.DeepEqual(s, Summary{}) {
		t.Errorf("none: %+v", s)
	}
	one := Summary{Name: "p", Seeds: 1}
	if s := MergeSeeds(one); !reflect.DeepEqual(s, one) {
		t.Errorf("one: %+v", s)
	}
}

func TestMergeSeedsLeavesNoPartialCost(t *testing.T) {
	m := MergeSeeds(Summary{CostUSDPer1K: new(1.0)}, Summary{UnpricedModels: []string{"own"}})
	if m.CostUSDPer1K != nil || len(m.UnpricedModels) != 1 || m.Bands["cost_usd_per_1k"] != (Band{}) {
		t.Errorf("%+v", m)
	}
}

// Every figure's key must lead to the member that its place writes.
func TestFigureKeysAreMembers(t *testing.T) {
	for _, g := range groups {
		for _, f := range g.figures {
			var s Summary
			*f.at(&s, true) = 0.123
			if got := members(t, s)[f.key]; got != 0.123 {
				t.Errorf("%s: its member is %v", f.key, got)
			}
			if f.key == "" || f.title == "" || len(f.title) > labelWidth-2 {
				t.Errorf("%q: title %q", f.key, f.title)
			}
		}
	}
}

func TestNewComparison(t *testing.T) {
	c := NewComparison("t", Summary{Seed: 3, Seeds: 2, Requests: 10, WallSeconds: 1.5}, Summary{Seed: 3, Requests: 5, WallSeconds: 1})
	if c.Seed != 3 || c.Seeds != 2 || c.Requests != 25 || c.WallSeconds != 4 {
		t.Errorf("%+v", c)
	}
}

func TestJSONReadsBack(t *testing.T) {
	want := sample(t, 3)
	var out strings.Builder
	if err := WriteJSON(&out, want); err != nil {
		t.Fatal(err)
	}
	var got Comparison
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("what was read differs from what was written")
	}
}

func TestVerdict(t *testing.T) {
	base := Summary{Rate408: 0.0193, Rate429: 0.004, CompletionTokensPerRequest: 279, CallE2E: Percentiles{P99: 180_900}}
	for _, tc := range []struct {
		s    Summary
		want string
	}{
		{base, "as many 408s as before; as many 429s as before; truncates nothing"},
		{
			Summary{Rate408: 0.00017, TruncatedRate: 0.0206, CompletionTokensPerRequest: 106, CallE2E: Percentiles{P99: 14_200}},
			"99.1% fewer 408s; no 429s left; tokens −62%; p99 of calls 181 s → 14.2 s; truncates 2.06%",
		},
		{
			Summary{Rate408: 0.0000193, Rate429: 0.02, CompletionTokensPerRequest: 300, TruncatedRate: 0.00012},
			"99.9% fewer 408s; 429s × 5.0; tokens +8%; truncates 0.012%",
		},
		{Summary{Rate408: 0.0135, Rate429: 0.003}, "30% fewer 408s; 25% fewer 429s; tokens −100%; truncates nothing"},
	} {
		if got := Verdict(base, tc.s); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
	if got := Verdict(Summary{}, Summary{Rate429: 0.001}); got != "new 429s (0.10%); truncates nothing" {
		t.Error(got)
	}
}
