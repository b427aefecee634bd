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

// Which charts there are depends on what is known.
func TestPlots(t *testing.T) {
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
		if got := plots(c); len(got) != tc.want {
			t.Errorf("%s: %d charts, want %d", tc.name, len(got), tc.want)
		}
	}
	if got := plots(nil); got != nil {
		t.Errorf("without data: %d charts", len(got))
	}
}

// Everything is drawn within the frame, whatever the data.
func TestWithinFrame(t *testing.T) {
	long := charts()
	long.Intervals, long.Interval = 1000, time.Hour
	long.Outcomes = append(long.Outcomes, diagnose.Outcomes{Interval: 999, Tries: 5, Failed: 5, Late: 5})
	one := &diagnose.Charts{Start: noon, Interval: time.Minute, Intervals: 1, Outcomes: []diagnose.Outcomes{{Tries: 3, Failed: 3, Refused: 3}}}
	number := regexp.MustCompile(` (x|y|cx|cy|width|height)="([^"]*)"`)
	for name, c := range map[string]*diagnose.Charts{"half an hour": charts(), "weeks": long, "a minute": one} {
		for _, p := range plots(c) {
			for _, m := range number.FindAllStringSubmatch(string(p.Chart), -1) {
				if v, err := strconv.ParseFloat(m[2], 64); err != nil || !(v >= 0 && v <= 1000) {
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
		c := &diagnose.Charts{Start: noon, Interval: time.Minute, Intervals: tc.intervals}
		for i := range tc.intervals {
			c.Outcomes = append(c.Outcomes, diagnose.Outcomes{Interval: i, Tries: 2, Failed: 1, Late: 1})
		}
		bars := outcomes(c).Series[0].Points
		for i, b := range bars {
			if b.X != at(c, float64(i*tc.width)) || b.Y != 0.5 {
				t.Errorf("%d intervals: bar %d is %+v", tc.intervals, i, b)
			}
		}
		if len(bars) != tc.bars || len(bars) > maxBars || bars[len(bars)-1].X1 != at(c, float64(tc.intervals)) {
			t.Errorf("%d intervals: %d bars, want %d", tc.intervals, len(bars), tc.bars)
		}
	}
}

// A chart has a line and a color for each of the first deployments, no more.
func TestManySeries(t *testing.T) {
	c := charts()
	for len(c.Pace) < 10 {
		c.Pace = append(c.Pace, diagnose.Series{Deployment: strconv.Itoa(len(c.Pace)), Points: c.Pace[0].Points})
	}
	for _, p := range plots(c) {
		if p.Title != "Time between tokens" {
			continue
		}
		html := string(p.Chart)
		if lines, names := strings.Count(html, `d="M0 7 22 7"`), strings.Count(html, "<li>"); lines != maxSeries || names != maxSeries {
			t.Errorf("%d lines, %d names, want %d", lines, names, maxSeries)
		}
	}
}
