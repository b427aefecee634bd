package answer

import (
	"slices"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

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
