package answer

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

func TestRoundLevels(t *testing.T) {
	for _, tt := range []struct {
		most float64
		want []float64
	}{
		{688, []float64{0, 200, 400, 600, 800}},
		{49405.5, []float64{0, 10000, 20000, 30000, 40000, 50000}},
		{0.9, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
		{5, []float64{0, 1, 2, 3, 4, 5}},
	} {
		got := roundLevels(tt.most)
		if len(got) != len(tt.want) || got[1] != tt.want[1] {
			t.Errorf("up to %g: %v, want %v", tt.most, got, tt.want)
		}
	}
	for _, most := range []float64{1e-38, 1e-9, 3, 1e15, 1e300} {
		if got := roundLevels(most); len(got) < 3 || len(got) > 7 || got[len(got)-1] < most*0.999 {
			t.Errorf("up to %g: %v", most, got)
		}
	}
}

func TestRoundInstants(t *testing.T) {
	at := func(text string) float64 {
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return float64(v.Unix())
	}
	for _, tt := range []struct{ from, to, want string }{
		{"2026-11-22T10:07:00Z", "2026-11-22T11:00:00Z", "10:10 10:20 10:30 10:40 10:50 11:00"},
		{"2026-11-22T23:00:00Z", "2026-11-23T02:00:00Z", "11-22 23:00 11-22 23:30 11-23 00:00 11-23 00:30 11-23 01:00 11-23 01:30 11-23 02:00"},
		{"2026-11-20T00:00:00Z", "2026-11-24T00:00:00Z", "11-20 00:00 11-20 12:00 11-21 00:00 11-21 12:00 11-22 00:00 11-22 12:00 11-23 00:00 11-23 12:00 11-24 00:00"},
	} {
		instants, layout := roundInstants(at(tt.from), at(tt.to))
		var got []string
		for _, s := range instants {
			got = append(got, instant(s).Format(layout))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("from %s to %s: %s", tt.from, tt.to, got)
		}
	}
}

func TestGrouped(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", -1234567.5: "-1,234,567.5", 0.25: "0.25", -100: "-100"} {
		if got := grouped(v); got != want {
			t.Errorf("%g is %s, want %s", v, got, want)
		}
	}
}

// Of many series the largest are drawn; chosen columns share a scale; a long
// table below a chart is cut.
func TestManySeries(t *testing.T) {
	a := Answer{Columns: []kql.Column{{Name: "time", Type: kql.Datetime}, {Name: "who", Type: kql.String}, {Name: "n", Type: kql.Long}}, Render: kql.Render{Kind: "timechart"}}
	var lines strings.Builder
	lines.WriteString(`{"columns":[{},{},{}]}`)
	for i := range 50 {
		lines.WriteString(`["2026-11-22T11:00:00Z","w` + string(rune('A'+i%20)) + `",` + []string{"1", "7"}[i%20/10] + "]\n")
	}
	a, err := Read(strings.NewReader(lines.String()), kql.Query{Columns: a.Columns, Render: a.Render})
	if err != nil {
		t.Fatal(err)
	}
	shown, more := largest(a.seriesOf())
	names := make([]string, 0, len(shown))
	for _, s := range shown {
		names = append(names, s.name)
	}
	if more != 8 || !slices.Contains(names, "wK") || !slices.Contains(names, "wT") {
		t.Errorf("%d more than %s", more, names)
	}
	var b strings.Builder
	if err := a.WriteText(&b, 80); err != nil || !strings.Contains(b.String(), "and 8 smaller series") || !strings.Contains(b.String(), "50 rows; showing the first 40") {
		t.Errorf("%v\n%s", err, b.String())
	}
	a.Render.YColumns = []string{"n"}
	if got := a.groups(a.seriesOf()); len(got) != 1 {
		t.Errorf("%d scales", len(got))
	}
}
