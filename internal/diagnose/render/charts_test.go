package render

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// charts is the data of half an hour of two deployments.
func charts() *diagnose.Charts {
	c := &diagnose.Charts{Start: noon, Interval: time.Minute, Intervals: 30}
	for i := range 30 {
		o := diagnose.Outcomes{Interval: i, Tries: 100}
		if i >= 20 {
			o.Failed, o.Late, o.Refused = 10, 4, 5
		}
		c.Outcomes = append(c.Outcomes, o)
	}
	c.Complete[24][28], c.Complete[10][12], c.Late[35][38] = 400, 1, 9
	for _, name := range []string{"ptu", "std"} {
		s := diagnose.Series{Deployment: name}
		for i := range 30 {
			s.Points = append(s.Points, diagnose.Point{Interval: i, Value: 10 + float64(i%3)})
		}
		c.Pace = append(c.Pace, s)
	}
	c.Utilization = []diagnose.Series{{Deployment: "ptu", Points: []diagnose.Point{{Interval: 0, Value: 0.5}, {Interval: 29, Value: 1.2}}}}
	return c
}

func TestCharts(t *testing.T) {
	d := basis()
	d.Charts = charts()
	var b bytes.Buffer
	if err := HTML(&b, &d); err != nil {
		t.Fatal(err)
	}
	balanced(t, b.String())
	golden(t, "charts.html", style.ReplaceAll(b.Bytes(), []byte("<style>…</style>")))
}

// Which pictures there are depends on what is known.
func TestPictures(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(c *diagnose.Charts)
		want   int
	}{
		{"all", func(*diagnose.Charts) {}, 4},
		{"no utilization", func(c *diagnose.Charts) { c.Utilization = nil }, 3},
		{"a single point", func(c *diagnose.Charts) { c.Utilization[0].Points = c.Utilization[0].Points[:1] }, 3},
		{"no series", func(c *diagnose.Charts) { c.Pace, c.Utilization = nil, nil }, 2},
		{"nothing at all", func(c *diagnose.Charts) { *c = diagnose.Charts{Start: noon, Interval: time.Minute, Intervals: 1} }, 2},
	} {
		c := charts()
		tc.change(c)
		if got := pictures(c); len(got) != tc.want {
			t.Errorf("%s: %d pictures, want %d", tc.name, len(got), tc.want)
		}
	}
	if got := pictures(nil); got != nil {
		t.Errorf("without data: %d pictures", len(got))
	}
}

// Everything is drawn within the frame, whatever the data.
func TestWithinFrame(t *testing.T) {
	long := charts()
	long.Intervals, long.Interval = 1000, time.Hour
	long.Outcomes = append(long.Outcomes, diagnose.Outcomes{Interval: 999, Tries: 5, Failed: 5, Late: 5})
	one := &diagnose.Charts{Start: noon, Interval: time.Minute, Intervals: 1, Outcomes: []diagnose.Outcomes{{Tries: 3, Failed: 3, Refused: 3}}}
	number := regexp.MustCompile(` (x|y|x1|x2|y1|y2)="([^"]*)"`)
	for name, c := range map[string]*diagnose.Charts{"half an hour": charts(), "weeks": long, "a minute": one} {
		for _, p := range pictures(c) {
			for _, m := range number.FindAllStringSubmatch(string(p.SVG), -1) {
				v, err := strconv.ParseFloat(m[2], 64)
				most := plotWidth
				if strings.HasPrefix(m[1], "y") {
					most = plotHeight
				}
				if err != nil || !(v >= 0 && v <= most) {
					t.Errorf("%s, %s: %s is %s", name, p.Title, m[1], m[2])
				}
			}
		}
	}
}

// Bars add up several intervals where there are more than can be told apart.
func TestBars(t *testing.T) {
	for _, tc := range []struct {
		intervals, width, bars int
	}{{1, 1, 1}, {240, 1, 240}, {241, 2, 121}, {480, 2, 240}, {481, 3, 161}, {10_000, 42, 239}} {
		c := chart{&diagnose.Charts{Intervals: tc.intervals}}
		for i := range tc.intervals {
			c.Outcomes = append(c.Outcomes, diagnose.Outcomes{Interval: i, Tries: 2, Failed: 1, Late: 1})
		}
		bars := c.bars()
		tries := 0.0
		for i, b := range bars {
			tries += b.Tries
			if b.Interval != i*tc.width || b.Failed != b.Tries/2 || b.Late != b.Failed || b.Refused != 0 {
				t.Errorf("%d intervals: bar %d is %+v", tc.intervals, i, b)
			}
		}
		if c.barWidth() != tc.width || len(bars) != tc.bars || tries != 2*float64(tc.intervals) || len(bars) > maxBars {
			t.Errorf("%d intervals: %d bars of %d with %v tries, want %d of %d", tc.intervals, len(bars), c.barWidth(), tries, tc.bars, tc.width)
		}
	}
}

// A chart has a line and a color for each of the first deployments, no more.
func TestManySeries(t *testing.T) {
	c := charts()
	for len(c.Pace) < 10 {
		c.Pace = append(c.Pace, c.Pace[0])
	}
	for _, p := range pictures(c) {
		if p.Title != "Time between tokens" {
			continue
		}
		if n := strings.Count(string(p.SVG), "<polyline"); n != maxSeries || len(p.Legend) != maxSeries {
			t.Errorf("%d lines, %d legends, want %d", n, len(p.Legend), maxSeries)
		}
	}
}
