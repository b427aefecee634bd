package chart

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/numeral"
)

func TestScales(t *testing.T) {
	for _, tt := range []struct {
		name   string
		axis   Axis
		n      int
		values []float64
		want   string // ticks
	}{
		{"linear", Axis{}, 4, []float64{0.0206}, "0 0.005 0.01 0.015 0.02"},
		{"linear of nothing", Axis{}, 2, nil, "0 0.5 1"},
		{"linear that ends on a tick", Axis{}, 3, []float64{300}, "0 100 200 300"},
		{"linear that ends near a tick", Axis{}, 5, []float64{49405.5}, "0 10,000 20,000 30,000 40,000 50,000"},
		{"linear far from the next tick", Axis{}, 4, []float64{688}, "0 200 400 600"},
		{"linear with a least end", Axis{Least: 1}, 4, []float64{0.3}, "0 0.2 0.4 0.6 0.8 1"},
		{"linear below zero", Axis{}, 4, []float64{-5, 10}, "−5 0 5 10"},
		{"linear barely below zero", Axis{}, 4, []float64{-1, 10}, "0 5 10"},
		{"log", Axis{Kind: Log}, 4, []float64{320, 1560}, "200 500 1,000 2,000"},
		{"log of nothing", Axis{Kind: Log}, 4, nil, "1 2 5 10"},
		{"log of one", Axis{Kind: Log}, 4, []float64{5}, "5 10"},
		{"log of three decades", Axis{Kind: Log}, 4, []float64{1, 1000}, "1 10 100 1,000"},
		{"log with zero", Axis{Kind: LogZero}, 4, []float64{0, 0.0001, 0.019}, "0 0.0001 0.001 0.01"},
		{"log with only zero", Axis{Kind: LogZero}, 4, []float64{0}, "0 0.2 0.4 0.6 0.8 1"},
		{"log with zero, of one decade", Axis{Kind: LogZero}, 4, []float64{0, 1, 9}, "0 2 4 6 8 10"},
		{"log with zero, tiny", Axis{Kind: LogZero}, 4, []float64{1e-12, 0.1}, "0 0.000001 0.00001 0.0001 0.001 0.01 0.1"},
	} {
		s := tt.axis.scale(tt.values, tt.n).over(500, 100) // upward
		var ticks []string
		last := math.Inf(1)
		for _, v := range s.ticks {
			ticks = append(ticks, numeral.Exact(v))
			at := s.at(v)
			if at > 500.01 || at < 99.99 || at >= last {
				t.Errorf("%s: %v is at %v, after %v", tt.name, v, at, last)
			}
			last = at
		}
		if got := strings.Join(ticks, " "); got != tt.want {
			t.Errorf("%s: ticks %s, want %s", tt.name, got, tt.want)
		}
		for _, v := range tt.values {
			if at := s.at(v); at > 500.01 || at < 99.99 {
				t.Errorf("%s: the value %v is at %v, off the axis", tt.name, v, at)
			}
		}
	}
}

// Whatever the greatest value is, an axis names some numbers and reaches it.
func TestLinearScaleReaches(t *testing.T) {
	for _, hi := range []float64{1e-38, 1e-9, 3, 1e15, 1e300} {
		for n := 2; n < 12; n++ {
			s := linearScale(0, hi, n)
			if len(s.ticks) < 2 || len(s.ticks) > n*5/4+2 || s.ticks[0] != 0 || s.hi < hi {
				t.Errorf("%d numbers up to %g: %v, to %g", n, hi, s.ticks, s.hi)
			}
		}
	}
	if s := linearScale(0, math.Inf(1), 4); s.hi != 1 {
		t.Errorf("an axis without an end reaches %v", s.hi)
	}
}

func TestInstants(t *testing.T) {
	at := func(text string) float64 {
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return float64(v.Unix())
	}
	for _, tt := range []struct {
		from, to string
		n        int
		want     string
	}{
		{"2026-11-22T10:07:00Z", "2026-11-22T11:00:00Z", 8, "10:10 10:20 10:30 10:40 10:50 11:00"},
		{"2026-11-22T10:07:00Z", "2026-11-22T11:00:00Z", 3, "10:30 11:00"},
		{"2026-11-22T10:07:00Z", "2026-11-22T10:07:20Z", 8, "10:07:00 10:07:05 10:07:10 10:07:15 10:07:20"},
		{"2026-11-22T23:00:00Z", "2026-11-23T02:00:00Z", 8, "11-22 23:00 11-22 23:30 11-23 00:00 11-23 00:30 11-23 01:00 11-23 01:30 11-23 02:00"},
		{"2026-11-20T00:00:00Z", "2026-11-24T00:00:00Z", 8, "11-20 00:00 11-20 12:00 11-21 00:00 11-21 12:00 11-22 00:00 11-22 12:00 11-23 00:00 11-23 12:00 11-24 00:00"},
		{"2026-11-20T00:00:00Z", "2026-11-24T00:00:00Z", 4, "11-20 11-21 11-22 11-23 11-24"},
	} {
		instants, layout := Instants(at(tt.from), at(tt.to), tt.n)
		var got []string
		for _, s := range instants {
			got = append(got, instant(s).Format(layout))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("from %s to %s: %s", tt.from, tt.to, got)
		}
	}
}
