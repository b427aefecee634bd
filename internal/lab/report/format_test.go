package report

import (
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	for _, tc := range []struct {
		unit unit
		v    float64
		want string
	}{
		{unitShare, 0, "0"},
		{unitShare, 0.0193, "1.93%"},
		{unitShare, 0.00017, "0.017%"},
		{unitShare, 0.000098, "0.0098%"},
		{unitShare, 0.001, "0.10%"},
		{unitShare, 0.26, "26.0%"},
		{unitShare, 1, "100.0%"},
		{unitShare, 1e-9, "<0.0001%"},
		{unitWhole, 0.984, "98.4%"},
		{unitWhole, 0.99996, "99.996%"},
		{unitWhole, 0.9999999, "99.999%"},
		{unitWhole, 1, "100%"},
		{unitWhole, 1.02, "102.0%"},
		{unitTokens, 1955.4, "1,955"},
		{unitTokens, 1234567, "1,234,567"},
		{unitMillis, 9.6, "9.60 ms"},
		{unitMillis, 312.4, "312 ms"},
		{unitMillis, 999.6, "1.00 s"},
		{unitMillis, 9.996, "10.0 ms"},
		{unitMillis, 99.96, "100 ms"},
		{unitMillis, 52_600, "52.6 s"},
		{unitMillis, 3_600_000, "3,600 s"},
		{unitUSD, 0.4118, "0.412"},
		{unitUSD, 12.3, "12.3"},
		{unitRate, 884.23, "884.2"},
		{unitRate, 12345, "12,345"},
		{unitRate, 0, "0"},
	} {
		if got := tc.unit.format(tc.v); got != tc.want {
			t.Errorf("%v as %d = %q, want %q", tc.v, tc.unit, got, tc.want)
		}
	}
}

func TestChange(t *testing.T) {
	for _, tc := range []struct {
		base, v float64
		want    string
	}{
		{279, 106, "−62%"},
		{100, 108, "+8%"},
		{100, 100.4, ""},
		{100, 0, "−100%"},
		{100_000, 10, "−99.9%"},
		{1000, 4, "−99.6%"},
		{1, 12, "×12"},
		{0, 5, ""},
	} {
		if got := change(tc.base, tc.v); got != tc.want {
			t.Errorf("change(%v, %v) = %q, want %q", tc.base, tc.v, got, tc.want)
		}
	}
}

// Names come from a configuration: they must not become markup, nor may a
// figure without data become NaN.
func TestPageIsSafe(t *testing.T) {
	c := sample(t, 1)
	c.Title = `<script>alert("t")</script>`
	for i := range c.Policies {
		c.Policies[i] = Summary{Name: `<b onload="x">&`}
	}
	for i := range c.Sweep {
		c.Sweep[i] = Point{Parameter: "<i>"}
	}
	for i := range c.Depths {
		c.Depths[i] = DepthOf(10*float64(i), c.Policies...)
	}
	var out strings.Builder
	if err := WriteHTML(&out, c); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<b onload", "<i>", "NaN", "Inf", "http://", "https://"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
}
