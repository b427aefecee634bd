package rules

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

var update = flag.Bool("update", false, "write the golden files")

// causes is the least traffic that shows each cause.
func causes() map[diagnose.Code]func(f *feed) {
	ptu := func(more ...option) []option { return append([]option{by("ptu"), provisioned()}, more...) }
	return map[diagnose.Code]func(f *feed){
		diagnose.OversizedRequests: func(f *feed) { f.minutes(0, 20, 50, nth(50, long())) },
		diagnose.PTUSaturation:     func(f *feed) { f.minutes(0, 20, 50, ptu(utilized(0.99), nth(5, refused()))...) },
		diagnose.OverReservation:   func(f *feed) { f.minutes(0, 20, 50, ptu(answer(300, 100, 16384), nth(5, refused()))...) },
		diagnose.QuotaExhausted:    func(f *feed) { f.minutes(0, 20, 50, nth(4, refused())) },
		diagnose.QuotaFragmentation: func(f *feed) {
			f.minutes(1, 20, 50, by("std-a"), pool("a"), nth(4, refused()))
			f.minutes(0, 1, 100, by("std-b"), pool("b"), region("westus"))
			f.minutes(1, 20, 10, by("std-b"), pool("b"), region("westus"))
		},
		diagnose.RPMBursts:   func(f *feed) { f.tenths(0, 10, 20, [parts]int{40, 2, 2, 2, 2, 2}) },
		diagnose.SlowPrefill: func(f *feed) { f.minutes(0, 20, 30, prompts(func(n int) float64 { return 100 + float64(n)/2 })) },
		diagnose.SlowDecode: func(f *feed) {
			f.minutes(0, 18, 30)
			f.minutes(18, 20, 30, pace(30))
		},
		diagnose.RetryAmplification: func(f *feed) { f.minutes(0, 20, 50, hammer) },
		diagnose.SaturatedSpillover: func(f *feed) {
			f.minutes(0, 20, 50, ptu(nth(5, spilledTo("std", 200)), nth(10, spilledTo("std", 429)))...)
		},
		diagnose.RegionalOutage: func(f *feed) {
			f.minutes(0, 20, 20)
			f.minutes(20, 24, 20, broken())
		},
		diagnose.ClientTimeout: func(f *feed) { f.minutes(0, 20, 50, nth(50, gone(20*time.Second))) },
		diagnose.CacheLoss: func(f *feed) {
			f.minutes(0, 10, 20, answer(2048, 100, 500), cached(1536))
			f.minutes(10, 20, 20, answer(2048, 100, 500), cached(0))
		},
		diagnose.NoisyTenant: func(f *feed) {
			f.minutes(0, 20, 20, ptu(callerNamed("chat"))...)
			f.minutes(20, 25, 20, ptu(callerNamed("chat"), nth(4, refused()))...)
			f.minutes(0, 20, 5, ptu(callerNamed("batch"))...)
			f.minutes(20, 25, 60, ptu(callerNamed("batch"), nth(4, refused()))...)
		},
	}
}

// known is what is known besides the traffic of a cause.
func known(code diagnose.Code) Config {
	if code != diagnose.QuotaFragmentation {
		return Config{}
	}
	return Config{Deployments: []spillway.Deployment{{Name: "std-b", Model: "gpt-4o-mini", Region: "westus", TPM: 100_000}}}
}

// Each cause has a finding of its own, in JSON as testdata has it.
func TestGolden(t *testing.T) {
	all := causes()
	for _, code := range diagnose.Codes() {
		t.Run(string(code), func(t *testing.T) {
			if all[code] == nil {
				t.Fatal("no traffic shows this cause")
			}
			var f feed
			all[code](&f)
			d := f.diagnose(known(code))
			if len(d.Findings) != 1 || d.Findings[0].Code != code {
				t.Fatalf("found %q", found(&d))
			}
			var b bytes.Buffer
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			e.SetIndent("", "  ")
			if err := e.Encode(d); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", string(code)+".json")
			if *update {
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("%s\nwant\n%s", b.Bytes(), want)
			}
		})
	}
}

// A cause that ended leaves less behind the more healthy traffic follows it:
// the share that it affects only falls.
func TestHealthyAfter(t *testing.T) {
	for code, traffic := range causes() {
		t.Run(string(code), func(t *testing.T) {
			last := 1.0
			for _, minutes := range []int{0, 20, 60} {
				var f feed
				traffic(&f)
				f.minutes(40, 40+minutes, 30, by("calm"), pool("calm"), region("northeurope"), model("gpt-4o"))
				d := f.diagnose(known(code))
				for _, x := range d.Findings {
					switch {
					case x.Code != code:
						t.Errorf("healthy traffic shows %s %s", x.Code, x.Subject)
					case x.Affected > last+1e-9:
						t.Errorf("%d healthy minutes: affected %v, before %v", minutes, x.Affected, last)
					default:
						last = x.Affected
					}
				}
			}
		})
	}
}

// Halves of the traffic, to the left and to the right of a minute, do not show
// causes that the whole does not.
func TestParts(t *testing.T) {
	for code, traffic := range causes() {
		t.Run(string(code), func(t *testing.T) {
			var f, left, right feed
			traffic(&f)
			for _, o := range f {
				if o.Time.Before(noon.Add(10 * time.Minute)) {
					left = append(left, o)
				} else {
					right = append(right, o)
				}
			}
			for _, half := range []feed{left, right} {
				d := half.diagnose(known(code))
				for _, x := range d.Findings {
					consequence := code == diagnose.NoisyTenant && x.Code == diagnose.PTUSaturation // without the calm before, the rush is the usual
					if x.Code != code && !consequence {
						t.Errorf("a half shows %s %s", x.Code, x.Subject)
					}
				}
			}
		})
	}
}

// The charts hold every try, every response and every deployment.
func TestCharts(t *testing.T) {
	f := troubles()
	d := f.diagnose(Config{})
	c := d.Charts
	if c == nil || !c.Start.Equal(noon) || c.Interval != time.Minute || c.Intervals != 30 {
		t.Fatalf("%+v", c)
	}
	tries, failed, last := 0.0, 0.0, -1
	for _, o := range c.Outcomes {
		if o.Interval <= last || o.Interval >= c.Intervals {
			t.Errorf("interval %d follows %d", o.Interval, last)
		}
		last = o.Interval
		tries, failed = tries+o.Tries, failed+o.Failed
	}
	if int(tries) != d.Tries || int(failed+0.5) != int(d.Failed*tries+0.5) {
		t.Errorf("%v tries, of which %v failed, want %d, %v", tries, failed, d.Tries, d.Failed)
	}
	complete, late := uint32(0), uint32(0)
	for y := range c.Complete {
		for x := range c.Complete[y] {
			complete, late = complete+c.Complete[y][x], late+c.Late[y][x]
		}
	}
	if complete != 2670 || late != 30 {
		t.Errorf("%d complete answers and %d late ones are drawn, want 2670 and 30", complete, late)
	}
	var names strings.Builder
	for _, s := range c.Pace {
		names.WriteString(s.Deployment + " ")
		for _, p := range s.Points {
			if p.Value < 9.9 || p.Value > 10.1 {
				t.Errorf("the pace of %s is %v", s.Deployment, p.Value)
			}
		}
	}
	if names.String() != "ptu std-a std-b " {
		t.Errorf("the pace of %q is drawn", names.String())
	}
	if len(c.Utilization) != 0 {
		t.Errorf("utilization of %v, which nobody knows", c.Utilization)
	}
	var few feed
	few.minutes(0, 1, diagnose.MinTries-1)
	if d := few.diagnose(Config{}); d.Charts != nil {
		t.Error("too few tries have charts")
	}
}

// Where a response lies in the heat map.
func TestHeatmap(t *testing.T) {
	for _, tc := range []struct {
		tokens      int
		took        time.Duration
		column, row int
	}{
		{8, 125 * time.Millisecond, 0, 0},
		{16, 250 * time.Millisecond, 4, 4},
		{1, time.Millisecond, 0, 0},
		{1024, 8 * time.Second, 28, 24},
		{1 << 30, 240 * time.Hour, diagnose.HeatColumns - 1, diagnose.HeatRows - 1},
	} {
		var h heatmaps
		o := seen(noon, "std", 200)
		o.CompletionTokens, o.E2E = tc.tokens, tc.took
		h.add(o)
		o.Outcome = spillway.OutcomeTimeout
		h.add(o)
		if h.complete[tc.row][tc.column] != 1 || h.late[tc.row][tc.column] != 1 {
			t.Errorf("%d tokens in %v are not in row %d, column %d", tc.tokens, tc.took, tc.row, tc.column)
		}
	}
	var h heatmaps
	o := seen(noon, "std", 200)
	o.CompletionTokens = 0
	h.add(o)
	o.CompletionTokens, o.E2E = 5, 0
	h.add(o)
	if h != (heatmaps{}) {
		t.Error("what has no length or no duration is drawn")
	}
}

// What ran out of time unseen is drawn at what is written in that time, and with what
// fits it.
func TestInferredLength(t *testing.T) {
	var f feed
	f.minutes(0, 20, 50, nth(50, late(time.Minute, 0)))
	d := f.diagnose(Config{Direct: true})
	if found(&d) != "oversized_requests std" {
		t.Fatalf("found %q", found(&d))
	}
	c, tokens := d.Charts, float64(60_000-400)/10
	if n := c.Late[heatRow(60)][heatColumn(tokens)]; n != 20 {
		t.Errorf("%d are drawn at %v tokens, want 20", n, tokens)
	}
	if c.WindowSeconds != 60 || c.BudgetTokens != d.Findings[0].Remedy.CapTokens {
		t.Errorf("a window of %v s, a budget of %d", c.WindowSeconds, c.BudgetTokens)
	}
}
