package chart

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

// samples has every mark and every kind of axis.
func samples() []*Chart {
	names := []string{"baseline", "a name that is far too long for its place", "<b>&"}
	line := func(i int, mark Mark) Series {
		s := Series{Name: "series " + strconv.Itoa(i), Mark: mark, Color: Hue(i)}
		for k := range 9 {
			s.Points = append(s.Points, Point{X: 1.7639e9 + 600*float64(k), Y: float64((7*k + 3*i) % 11), Hint: "<hint>"})
		}
		return s
	}
	columns := func(c Color, y float64) Series {
		s := Series{Name: string(c), Mark: Bars, Color: c}
		for k := range 9 {
			s.Points = append(s.Points, Point{X: 1.7639e9 + 600*float64(k), X1: 1.7639e9 + 600*float64(k+1), Y: y * float64(k%4)})
		}
		return s
	}
	row := func(mark Mark, c Color, label string) Series {
		return Series{Name: "row " + string(c), Mark: mark, Color: c, Points: []Point{{X: 12, Y: 0, Label: label}, {X: 0, Y: 1, Label: strings.TrimPrefix(label, "with a label")}, {X: 450, Y: 2, Label: label}}}
	}
	return []*Chart{
		{
			ID: "lines", Title: "Lines & areas", Desc: "Lines <over> time.", Columns: 2, Panels: []Panel{
				{Title: "Lines", X: Axis{Kind: Time, Label: "UTC"}, Y: Axis{Label: "tokens per second"}, Series: []Series{line(0, Line), line(1, Line), line(7, Line)}},
				{Title: "Stacked", X: Axis{Kind: Time}, Y: Axis{Label: "calls"}, Stacked: true, Series: []Series{line(2, Area), line(3, Area)}},
				{Title: "Columns", X: Axis{Kind: Time}, Stacked: true, Series: []Series{columns(Bad, 1), columns(Warn, 2)}},
			},
		},
		{
			ID: "rows", Title: "Rows", Desc: "Bars and ranges.", Columns: 2, Panels: []Panel{
				{Title: "Bars", Y: Axis{Names: names}, Stacked: true, Series: []Series{row(Bars, Good, ""), row(Bars, Soft, "with a label")}},
				{Title: "Ranges", X: Axis{Kind: Log}, Y: Axis{Names: names}, Series: []Series{
					{Mark: Range, Color: Hue(0), Points: []Point{{X: 3, Y: 0}, {X: 12, Y: 0}}}, row(Dots, Hue(4), "p99"),
				}},
			},
		},
		{
			ID: "dots", Title: "Dots", Desc: "Bubbles and cells.", Panels: []Panel{
				{X: Axis{Label: "truncated", Kind: LogZero}, Y: Axis{Label: "errors", Kind: LogZero}, Series: []Series{
					{Name: "cap", Color: Hue(0), Points: []Point{{X: 0, Y: 0.02, Size: 1, Label: "8,000"}, {X: 0.01, Y: 0.001, Size: 0.4, Label: "2,000"}, {X: 0.0101, Y: 0.001, Size: 0.4, Label: "1,999"}}},
					{Name: "compared", Mark: Dots, Color: Ink, Points: []Point{{X: 0.01, Y: 0, Label: "all"}}},
				}},
				{X: Axis{Kind: Log}, Y: Axis{Kind: Log, Label: "seconds"}, Series: []Series{
					{Name: "complete", Mark: Cells, Color: Hue(5), Points: []Point{{X: 8, X1: 16, Y: 1, Y1: 2, Size: 1}, {X: 256, X1: 512, Y: 4, Y1: 8, Size: 0.1}}},
				}},
			},
		},
	}
}

func TestGolden(t *testing.T) {
	for _, c := range samples() {
		got, file := string(c.HTML()), filepath.Join("testdata", c.ID+".html")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs; run with -update and look at it:\n%s", file, got)
		}
	}
}

// drawn is a text on a picture.
type drawn struct {
	box
	text string
}

// read parses a picture: it must be well formed, without script, and name and
// describe itself; every coordinate must be a number in it.
func read(t fataler, svg string) (texts []drawn, width float64) {
	decoder := xml.NewDecoder(strings.NewReader(svg))
	var open *drawn
	elements, height := map[string]int{}, 0.0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		switch e := token.(type) {
		case xml.StartElement:
			elements[e.Name.Local]++
			values, class := map[string]float64{}, ""
			for _, a := range e.Attr {
				switch a.Name.Local {
				case "viewBox":
					_, _ = fmt.Sscanf(a.Value, "0 0 %g %g", &width, &height)
				case "class":
					class = a.Value
				case "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height":
					v, err := strconv.ParseFloat(a.Value, 64)
					if err != nil || v < -2 || v > max(width, height)+2 {
						t.Fatalf("%s=%q of %s, in a picture of %v × %v:\n%s", a.Name.Local, a.Value, e.Name.Local, width, height, svg)
					}
					values[a.Name.Local] = v
				}
			}
			if e.Name.Local == "text" {
				open = &drawn{box: box{values["x"], values["y"] - 9, 0, values["y"] + 2}, text: class}
			}
		case xml.CharData:
			if open != nil {
				long := 6.9 * float64(utf8.RuneCount(e))
				if strings.Contains(open.text, "mid") {
					open.left -= long / 2
				} else if strings.Contains(open.text, "end") {
					open.left -= long
				}
				open.right, open.text = open.left+long, string(e)
				texts, open = append(texts, *open), nil
			}
		}
	}
	if elements["script"] > 0 || elements["title"] < 1 || elements["desc"] != 1 {
		t.Fatalf("elements %v", elements)
	}
	return texts, width
}

type fataler interface{ Fatalf(string, ...any) }

// checkTexts demands that texts are in the picture and apart.
func checkTexts(t fataler, texts []drawn, width float64) {
	for i, a := range texts {
		if a.left < -1 || a.right > width+1 {
			t.Fatalf("%q is at %v–%v, in a picture %v wide", a.text, a.left, a.right, width)
		}
		for _, b := range texts[:i] {
			if a.overlap(b.box) > 1 {
				t.Fatalf("%q %v and %q %v overlap", a.text, a.box, b.text, b.box)
			}
		}
	}
}

func TestSamplesAreReadable(t *testing.T) {
	for _, c := range samples() {
		for _, w := range []float64{wide, narrow} {
			texts, width := read(t, c.svg(w, "any"))
			checkTexts(t, texts, width)
		}
	}
}

// Whatever the values and names are, texts stay in the picture and apart, and
// nothing is drawn outside.
func TestAnyChartIsReadable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		panel := Panel{
			Title: rapid.StringN(0, 60, -1).Draw(t, "title"), Stacked: rapid.Bool().Draw(t, "stacked"),
			X: Axis{Kind: Kind(rapid.IntRange(0, 2).Draw(t, "x axis")), Label: "x in seconds"},
			Y: Axis{Kind: Kind(rapid.IntRange(0, 2).Draw(t, "y axis")), Label: "y in tokens"},
		}
		exponent := rapid.Float64Range(-6, 12).Draw(t, "exponent")
		value := rapid.Float64Range(0, 1).Filter(func(v float64) bool { return v == 0 || v > 1e-9 })
		mark := Mark(rapid.SampledFrom([]Mark{Line, Dots}).Draw(t, "mark"))
		if rapid.Bool().Draw(t, "rows") {
			panel.Y.Names = rapid.SliceOfN(rapid.StringMatching(`[a-z0-9 <&-]{0,50}`), 1, 12).Draw(t, "names")
			mark = rapid.SampledFrom([]Mark{Bars, Dots}).Draw(t, "row mark")
			panel.Stacked = false
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "series") {
			s := Series{Name: "s" + strconv.Itoa(i), Mark: mark, Color: Hue(i)}
			for range rapid.IntRange(0, 12).Draw(t, "points") {
				s.Points = append(s.Points, Point{
					X: value.Draw(t, "x") * pow10(exponent), Y: value.Draw(t, "y") * pow10(-exponent),
					Size: value.Draw(t, "size"), Label: rapid.StringMatching(`[a-z0-9]{0,9}`).Draw(t, "label"),
				})
			}
			if panel.Y.Names != nil {
				s.Points = s.Points[:min(len(s.Points), len(panel.Y.Names))]
				for k := range s.Points {
					if s.Points[k].Y = float64(k); i > 0 {
						s.Points[k].Label = "" // the labels of one series have the room
					}
				}
			}
			panel.Series = append(panel.Series, s)
		}
		c := Chart{ID: "any", Title: "Any", Desc: "Any.", Panels: []Panel{panel, panel}, Columns: rapid.IntRange(0, 3).Draw(t, "columns")}
		for _, w := range []float64{wide, narrow} {
			texts, width := read(t, c.svg(w, "any"))
			checkTexts(t, texts, width)
		}
	})
}

func pow10(e float64) float64 {
	v, _ := strconv.ParseFloat("1e"+strconv.Itoa(int(e)), 64)
	return v
}

// The legend names each series once, whatever the number of panels.
func TestLegend(t *testing.T) {
	c := samples()[0]
	c.Panels = append(c.Panels, c.Panels...)
	if got := strings.Count(string(c.HTML()), "<li>"); got != 7 {
		t.Errorf("%d entries, want 7", got)
	}
	c.Panels = []Panel{{Series: []Series{{Points: []Point{{X: 1, Y: 1}}}}}}
	if html := string(c.HTML()); strings.Contains(html, "legend") {
		t.Errorf("a legend of nothing:\n%s", html)
	}
}
