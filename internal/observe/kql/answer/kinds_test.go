package answer

import (
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

func read(t *testing.T, kind string, columns []kql.Column, rows string) Answer {
	t.Helper()
	a, err := Read(strings.NewReader("{}\n"+rows), kql.Query{Columns: columns, Render: kql.Render{Kind: kind}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Columns along time are in its order, whatever the order of the rows; so are
// those along numbers, by size.
func TestColumnsAreSorted(t *testing.T) {
	for _, tt := range []struct {
		name    string
		columns []kql.Column
		rows    string
		want    string
	}{
		{
			"times",
			[]kql.Column{{Name: "t", Type: kql.Datetime}, {Name: "n", Type: kql.Long}},
			`["2026-11-22T11:10:00Z",3]["2026-11-22T11:00:00Z",1]["2026-11-22T11:05:00Z",2]`, "1 2 3",
		},
		{
			"times and texts",
			[]kql.Column{{Name: "t", Type: kql.Datetime}, {Name: "who", Type: kql.String}, {Name: "n", Type: kql.Long}},
			`["2026-11-22T11:10:00Z","a",3]["2026-11-22T11:00:00Z","b",2]["2026-11-22T11:00:00Z","a",1]`, "1 2 3",
		},
		{
			"numbers",
			[]kql.Column{{Name: "bin", Type: kql.Real}, {Name: "n", Type: kql.Long}},
			`[1000,3][20,1][100,2]`, "1 2 3",
		},
		{
			"texts stay",
			[]kql.Column{{Name: "who", Type: kql.String}, {Name: "n", Type: kql.Long}},
			`["c",1]["a",2]["b",3]`, "1 2 3",
		},
	} {
		for _, kind := range []string{"columnchart", "barchart", "piechart"} {
			var got []string
			for _, p := range read(t, kind, tt.columns, tt.rows).seriesOf()[0].points {
				got = append(got, number(p.value))
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%s of %s: %s, want %s", kind, tt.name, got, tt.want)
			}
		}
	}
}

// The arrays of make-series are drawn along time, and the table still has them.
func TestSeriesOfArrays(t *testing.T) {
	columns := []kql.Column{{Name: "who", Type: kql.String}, {Name: "n", Type: kql.Dynamic}, {Name: "t", Type: kql.Dynamic}}
	a := read(t, "timechart", columns, `["a",[1,5],["2026-11-22T11:00:00.0000000Z","2026-11-22T11:05:00.0000000Z"]]["b",[2,null],["2026-11-22T11:00:00.0000000Z","2026-11-22T11:05:00.0000000Z"]]`)
	var b strings.Builder
	if err := a.WriteText(&b, 80); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a  (max 5)", "b  (max 2)", "[1,5]", "2 rows"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, b.String())
		}
	}
	if len(a.charts()) == 0 {
		t.Error("the page has no chart")
	}
}

// Every kind of chart draws something; a pie says shares.
func TestKinds(t *testing.T) {
	columns := []kql.Column{{Name: "t", Type: kql.Datetime}, {Name: "n", Type: kql.Long}}
	const rows = `["2026-11-22T11:00:00Z",1]["2026-11-22T11:05:00Z",3]`
	for _, kind := range []string{"timechart", "linechart", "areachart", "stackedareachart", "scatterchart", "anomalychart", "columnchart", "barchart", "piechart"} {
		a := read(t, kind, columns, rows)
		var b, page strings.Builder
		if err := a.WriteText(&b, 80); err != nil || !strings.Contains(b.String(), "█") {
			t.Errorf("%s: %v\n%s", kind, err, b.String())
		}
		if err := a.WriteHTML(&page); err != nil || !strings.Contains(page.String(), "<svg") {
			t.Errorf("the page of %s has no chart: %v", kind, err)
		}
		if has := strings.Contains(b.String(), "(75.0%)"); has != (kind == "piechart") {
			t.Errorf("%s says shares: %v\n%s", kind, has, b.String())
		}
	}
	if a := read(t, "card", columns, rows); !a.undrawn() {
		t.Error("a card is drawn")
	}
}

// Names of columns come with their types, or without.
func TestReadNames(t *testing.T) {
	got, err := ReadNames(strings.NewReader("{\"columns\":[]}\n[\"a\",\"BIGINT\"]\n[\"b\"]\n"))
	if err != nil || len(got) != 2 || got[0] != (kql.Name{Name: "a", Type: "BIGINT"}) || got[1] != (kql.Name{Name: "b"}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "{}\n[1]", "{}\n["} {
		if _, err := ReadNames(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
