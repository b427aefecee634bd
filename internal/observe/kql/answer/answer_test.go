package answer

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

var update = flag.Bool("update", false, "write the golden files anew")

const lines = `{"columns":[{"name":"time","type":"TIMESTAMP"},{},{},{},{}]}
["2026-11-22T11:00:00Z","ptu-eastus",12,1234.5678,60000000]
["2026-11-22T11:00:00Z","std-<sweden>",3,0.00012345,90061500000]
["2026-11-22T11:01:00Z","ptu-eastus",24,null,-1000000]
["2026-11-22T11:03:00Z","ptu-eastus",6,"+Inf",null]
`

func sample(t *testing.T, kind string) Answer {
	t.Helper()
	a, err := Read(strings.NewReader(lines), kql.Query{
		Columns: []kql.Column{
			{Name: "time", Type: kql.Datetime},
			{Name: "deployment", Type: kql.String},
			{Name: "requests", Type: kql.Long},
			{Name: "p99_ms", Type: kql.Real},
			{Name: "age", Type: kql.Timespan},
		},
		Render: kql.Render{Kind: kind},
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Query = "requests | where a < b"
	return a
}

func TestGolden(t *testing.T) {
	chart := sample(t, "timechart")
	chart.Render.Title = "Load & latency"
	for _, tt := range []struct {
		name  string
		write func(*bytes.Buffer) error
	}{
		{"table.txt", func(b *bytes.Buffer) error { return sample(t, "").WriteText(b, 0) }},
		{"narrow.txt", func(b *bytes.Buffer) error { return sample(t, "table").WriteText(b, 44) }},
		{"timechart.txt", func(b *bytes.Buffer) error { return chart.WriteText(b, 60) }},
		{"barchart.txt", func(b *bytes.Buffer) error { return sample(t, "barchart").WriteText(b, 70) }},
		{"answer.csv", func(b *bytes.Buffer) error { return sample(t, "").WriteCSV(b) }},
		{"answer.json", func(b *bytes.Buffer) error { return chart.WriteJSON(b) }},
		{"timechart.html", func(b *bytes.Buffer) error { return chart.WriteHTML(b) }},
		{"columnchart.html", func(b *bytes.Buffer) error { return sample(t, "columnchart").WriteHTML(b) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := tt.write(&b); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", tt.name)
			if *update {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("it differs; run with -update and read the difference:\n%s", b.String())
			}
		})
	}
}

func TestEmpty(t *testing.T) {
	a, err := Read(strings.NewReader(`{"columns":[{}]}`), kql.Query{Columns: []kql.Column{{Name: "n", Type: kql.Long}}, Render: kql.Render{Kind: "timechart"}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := a.WriteText(&b, 80); err != nil || b.String() != "n\n─\n0 rows\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
	b.Reset()
	if err := a.WriteJSON(&b); err != nil || !strings.Contains(b.String(), `"rows":[]`) {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestBroken(t *testing.T) {
	q := kql.Query{Columns: []kql.Column{{Name: "n", Type: kql.Long}}}
	for _, text := range []string{"", "nonsense", "{\"columns\":[{}]}\n[1,2]", "{\"columns\":[{}]}\n[1"} {
		if _, err := Read(strings.NewReader(text), q); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
