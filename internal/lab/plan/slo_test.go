package plan

import (
	"math"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/lab/report"
)

func TestParseSLO(t *testing.T) {
	for _, tc := range []struct {
		text, term, op string
		at             float64
	}{
		{"408<0.1%", "rate_408", "<", 0.001},
		{"rate_429<=0.0002", "rate_429", "<=", 0.0002},
		{" truncated < 3 % ", "truncated_rate", "<", 0.03},
		{"errors<1%", "error_rate", "<", 0.01},
		{"attainment>99%", "attainment", ">", 0.99},
		{"complete>=0.5", "complete_rate", ">=", 0.5},
		{"p99_e2e<30s", "e2e_p99", "<", 30_000},
		{"ttft_p95<1.5s", "ttft_p95", "<", 1500},
		{"call_e2e_p50<=250ms", "call_e2e_p50", "<=", 250},
		{"p95_tbt<20ms", "tbt_p95", "<", 20},
	} {
		slo, err := ParseSLO(tc.text)
		if err != nil || len(slo) != 1 {
			t.Errorf("%q: %v, %v", tc.text, slo, err)
			continue
		}
		if l := slo[0]; l.term != tc.term || l.op != tc.op || math.Abs(l.at-tc.at) > 1e-12 {
			t.Errorf("%q = %s %s %v, want %s %s %v", tc.text, l.term, l.op, l.at, tc.term, tc.op, tc.at)
		}
	}
}

func TestParseSLOErrors(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"", `column 1: "" has no < or >`},
		{"408<0.1%,", `column 10: "" has no < or >`},
		{"408<0.1%, 500<1%", `column 11: "500<1%": unknown term "500": use 408, 429, errors`},
		{"p90_e2e<1s", `unknown term "p90_e2e"`},
		{"408<2", `"2" is not a share from 0% to 100%`},
		{"408<-1%", `"-1%" is not a share`},
		{"408<NaN", `"NaN" is not a share`},
		{"p99_e2e<30", `"30" is not a positive duration`},
		{"p99_e2e<0s", `"0s" is not a positive duration`},
		{"408=0", `column 1: "408=0" has no < or >`},
	} {
		_, err := ParseSLO(tc.text)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %s", tc.text, err, tc.want)
		}
	}
	if _, err := ParseSLO("x<1,408<1%,y<2"); err == nil || strings.Count(err.Error(), "column") != 2 {
		t.Errorf("not every bad condition is told: %v", err)
	}
}

func FuzzParseSLO(f *testing.F) {
	f.Add("408<0.1%,429<0.1%,p99_e2e<30s,ttft_p95<2s,attainment>99%,truncated<3%")
	f.Add(" complete >= 1 , tbt_p50<20ms")
	f.Add("<,>,=<%")
	f.Fuzz(func(t *testing.T, text string) {
		slo, err := ParseSLO(text)
		if err != nil {
			return
		}
		again, err := ParseSLO(slo.String())
		if err != nil || len(again) != len(slo) {
			t.Fatalf("%q became %q: %v", text, slo.String(), err)
		}
		held, met := slo.Check(&report.Summary{})
		for i := range slo {
			if again[i] != slo[i] {
				t.Fatalf("%+v became %+v", slo[i], again[i])
			}
			if met || held[i].Met || math.IsNaN(held[i].Margin) || held[i].Margin > 0 {
				t.Fatalf("%q holds without a call: %+v", slo[i].Text, held[i])
			}
		}
	})
}

func TestCheck(t *testing.T) {
	slo, err := ParseSLO("408<1%,attainment>=90%,p99_e2e<10s,truncated<=0%")
	if err != nil {
		t.Fatal(err)
	}
	good := &report.Summary{Calls: 10, Rate408: 0.0025, Attainment: 0.95, E2E: report.Percentiles{P99: 4000}}
	bad := &report.Summary{Calls: 10, Rate408: 0.005, Attainment: 0.85, E2E: report.Percentiles{P99: 8000}, TruncatedRate: 0.1}
	for _, tc := range []struct {
		name    string
		runs    []*report.Summary
		margins []float64
		met     bool
	}{
		{"good", []*report.Summary{good}, []float64{0.75, 0.5, 0.6, 0}, true},
		{"the worst counts", []*report.Summary{good, bad, good}, []float64{0.5, -0.5, 0.2, -99}, false},
		{"nothing ran", nil, []float64{0, 0, 0, 0}, false},
	} {
		held, met := slo.Check(tc.runs...)
		if met != tc.met {
			t.Errorf("%s: met %v, want %v", tc.name, met, tc.met)
		}
		for i, h := range held {
			if math.Abs(h.Margin-tc.margins[i]) > 1e-9 {
				t.Errorf("%s: %s has margin %v, want %v", tc.name, slo[i].Text, h.Margin, tc.margins[i])
			}
		}
	}
}
