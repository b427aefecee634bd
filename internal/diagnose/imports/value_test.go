package imports

import (
	"strings"
	"testing"
	"time"
)

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		text       string
		semicolons bool
		want       float64 // -1 for none, -2 for an error
	}{
		{"200", false, 200},
		{"200.0", false, 200},
		{"0", false, 0},
		{"12.5", false, 12.5},
		{"1,234", false, 1234},
		{"1,234,567.25", false, 1234567.25},
		{"1.234", false, 1.234},
		{"12,5", false, 12.5},
		{"1,234", true, 1.234},
		{"1.234", true, 1234},
		{"1.234.567,25", true, 1234567.25},
		{"12,5", true, 12.5},
		{"12.5", true, 12.5},
		{"0.123", true, 0.123},
		{"1 234", true, 1234},
		{"1\u00a0234,5", true, 1234.5},
		{"1\u202f234", true, 1234},
		{"1'234", true, 1234},
		{"85.5%", false, 85.5},
		{"1e3", false, 1000},
		{"", false, -1},
		{" ", false, -1},
		{"null", false, -1},
		{"NaN", false, -1},
		{"-", false, -1},
		{"-1", false, -2},
		{"OK", false, -2},
		{"inf", false, -2},
		{"1e99", false, -2},
		{"12-13", false, -2},
	} {
		got, err := number(c.text, c.semicolons)
		if err != nil {
			got = -2
		}
		if got != c.want {
			t.Errorf("%q, semicolons %t: %v (%v), want %v", c.text, c.semicolons, got, err, c.want)
		}
	}
}

func TestClock(t *testing.T) {
	utc := func(ms int) time.Time { return time.Date(2026, 11, 22, 15, 4, 5, ms*1e6, time.UTC) }
	minute := time.Date(2026, 11, 22, 15, 4, 0, 0, time.UTC)
	for _, c := range []struct {
		text string
		want time.Time
	}{
		{"2026-11-22T15:04:05Z", utc(0)},
		{"2026-11-22T15:04:05.1230000Z", utc(123)},
		{"2026-11-22T16:04:05.123+01:00", utc(123)},
		{"2026-11-22T15:04:05.123", utc(123)},
		{"2026-11-22 15:04:05.123", utc(123)},
		{"2026-11-22 15:04:05Z", utc(0)},
		{"2026-11-22 15:04:05 +00:00", utc(0)},
		{"2026-11-22 15:04", minute},
		{"11/22/2026, 3:04:05.123 PM", utc(123)},
		{"11/22/2026, 3:04:05\u202fPM", utc(0)},
		{"11/22/2026 3:04:05 PM", utc(0)},
		{"7/28/2026, 3:04:05.000 PM", time.Date(2026, 7, 28, 15, 4, 5, 0, time.UTC)},
		{"7-28-2026 15:04", time.Date(2026, 7, 28, 15, 4, 0, 0, time.UTC)},
		{"11/22/2026 15:04:05", utc(0)},
		{"11/22/2026 15:04", minute},
		{"11/22/2026 3:04 PM", minute},
		{"22.11.2026 15:04:05", utc(0)},
		{"22.11.2026, 15:04:05", utc(0)},
		{"22/11/2026 15:04:05", utc(0)},
		{"22-11-2026 15:04:05", time.Time{}},
		{"2026/11/22 15:04:05", utc(0)},
		{"2026-11-22 15:04:05 UTC", utc(0)},
		{" 2026-11-22T15:04:05 ", utc(0)},
		{"yesterday", time.Time{}},
		{"", time.Time{}},
		{"2026-13-40T00:00:00Z", time.Time{}},
		{"1795359845", time.Time{}},
	} {
		var k clock
		k.see(c.text)
		got, err := k.parse(c.text)
		if (err != nil) != c.want.IsZero() || !got.Equal(c.want) {
			t.Errorf("%q: %v (%v), want %v", c.text, got, err, c.want)
		}
		again, err2 := k.parse(c.text) // by the form that fitted
		if (err2 != nil) != (err != nil) || !again.Equal(got) {
			t.Errorf("%q again: %v (%v), want %v", c.text, again, err2, got)
		}
	}
}

// One file's dates are all of one order.
func TestClockOrder(t *testing.T) {
	var k clock
	for _, text := range []string{"05/11/2026 10:00", "22/11/2026 10:00"} {
		k.see(text)
	}
	if got, err := k.parse("05/11/2026 10:00"); err != nil || got.Month() != time.November {
		t.Errorf("%v (%v), want November", got, err)
	}
	k = clock{}
	k.see("05/11/2026 10:00")
	if got, err := k.parse("05/11/2026 10:00"); err != nil || got.Month() != time.May || k.order != orderEither {
		t.Errorf("%v (%v), order %d, want May, and a note of it", got, err, k.order)
	}
	if _, err := k.parse("22/11/2026 10:00"); err == nil || !strings.Contains(err.Error(), "different order") {
		t.Errorf("%v, want one that says what is wrong with the order", err)
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ url, deployment, account string }{
		{"https://Aoai-East.openai.azure.com/openai/deployments/gpt%204/chat/completions?api-version=1", "gpt 4", "aoai-east"},
		{"https://x.cognitiveservices.azure.com:443/openai/deployments/d?x", "d", "x"},
		{"https://x.services.ai.azure.com/openai/v1/responses", "", "x"},
		{"https://api.contoso.com/v1/chat/completions", "", "api.contoso.com"},
		{"https://10.0.0.4:8443/openai/deployments/d/embeddings", "d", "10.0.0.4"},
		{"/openai/deployments/d/embeddings", "d", ""},
		{"", "", ""},
	} {
		if d, a := deploymentOf(c.url), accountOf(c.url); d != c.deployment || a != c.account {
			t.Errorf("%s: %q of %q, want %q of %q", c.url, d, a, c.deployment, c.account)
		}
	}
}

func TestPlain(t *testing.T) {
	for name, want := range map[string]string{
		"TimeGenerated [UTC]": "timegenerated", "Timestamp (UTC)": "timestamp", "durationMs_d": "durationms", "properties_s": "properties",
		"lastError_reason_s": "lasterrorreason", "properties.modelDeploymentName": "modeldeploymentname", "_ResourceId": "resourceid",
		"max_tokens": "maxtokens", "x-stainless-retry-count": "xstainlessretrycount", " CorrelationId ": "correlationid", "_s": "s",
	} {
		if got := plain(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"1,234.5", "1.234,5", "12%", "-1", "1e9", "0x10", "١"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, semicolons bool) {
		v, err := number(text, semicolons)
		if err == nil && v != -1 && !(v >= 0 && v <= maxNumber) {
			t.Errorf("%q: %v", text, v)
		}
	})
}

func FuzzClock(f *testing.F) {
	for _, s := range []string{"2026-11-22T15:04:05Z", "11/22/2026, 3:04:05.123 PM", "22.11.2026 15:04", "1/1/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var k clock
		k.see(text)
		at, err := k.parse(text)
		again, err2 := k.parse(text)
		if (err == nil) != (err2 == nil) || !at.Equal(again) {
			t.Errorf("%q: %v (%v), and again %v (%v)", text, at, err, again, err2)
		}
	})
}
