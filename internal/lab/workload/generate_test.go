package workload

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// described generates a workload and returns its statistics.
func described(t *testing.T, spec Spec, seed uint64) Description {
	t.Helper()
	src, err := Generate(spec, seed)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Describe(src)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// near fails unless got is within a share of want.
func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if !(math.Abs(got-want) <= share*math.Abs(want)) {
		t.Errorf("%s: got=%.4g, want=%.4g ±%.0f%%", what, got, want, 100*share)
	}
}

// The statistics are those of the independent trace of the incident, which is
// a tenth of it over 600 s (see docs/WORKLOADS.md), and of its definition.
func TestIncident(t *testing.T) {
	spec := Incident(0.1)
	spec.Duration = time.Hour
	d := described(t, spec, 1)
	near(t, "rate", d.RatePerS, 90, 0.02)
	near(t, "CV", d.CV, 1.78, 0.1)
	near(t, "CV within clients", d.ClientCV, 2.40, 0.08)
	near(t, "1 s bursts", d.Bursts[0].P99, 3.35, 0.15)
	near(t, "10 s bursts", d.Bursts[1].P99, 2.6, 0.15)
	near(t, "input", d.InputTokens.Mean, 460, 0.03)
	near(t, "output", d.OutputTokens.Mean, 199.2, 0.04)
	near(t, "long", d.LongCalls, 0.02, 0.05)
	near(t, "first client", d.Clients.Top1, 0.2532, 0.05)
	near(t, "Zipf", d.Clients.Zipf, 1.1, 0.05)
	if d.Clients.Count != 60 || len(d.Classes) != 2 {
		t.Fatalf("got=%d clients, %d classes", d.Clients.Count, len(d.Classes))
	}
	body, long := d.Classes[0], d.Classes[1]
	near(t, "body's output", body.OutputMean, 66.9, 0.02)
	near(t, "long output", long.OutputMean, 7000, 0.01)
	near(t, "long calls that could be streams", long.CanStream, 0.1, 0.15)
	if body.MaxTokens != 4096 || long.MaxTokens != 16_384 || d.OutputTokens.Max > 8000 {
		t.Errorf("got=%+v", d)
	}
	near(t, "mean rate over seeds", meanRate(t, Incident(0.05), 20), 45, 0.02)
}

func meanRate(t *testing.T, spec Spec, seeds int) float64 {
	sum := 0.0
	for seed := range seeds {
		sum += described(t, spec, uint64(seed)).RatePerS
	}
	return sum / float64(seeds)
}

func TestArrivals(t *testing.T) {
	for _, c := range []struct {
		process string
		cv      float64
	}{{"poisson", 0}, {"", 0}, {"gamma", 3.45}, {"", 0.5}, {"weibull", 2}, {"weibull", 0.3}, {"weibull", 1}} {
		t.Run(fmt.Sprint(c.process, c.cv), func(t *testing.T) {
			spec := steady()
			spec.Clients, spec.Duration = 1, 30*time.Minute
			spec.Arrivals = Arrivals{Process: c.process, CV: c.cv}
			d := described(t, spec, 3)
			near(t, "rate", d.RatePerS, 100, 0.03)
			near(t, "CV", d.CV, cmp.Or(c.cv, 1), 0.04)
		})
	}
}

// A process begins in its steady state: the first seconds of many runs have no
// more calls than others.
func TestSteadyFromTheStart(t *testing.T) {
	for _, process := range []string{"gamma", "weibull"} {
		r := newRenewal(Arrivals{Process: process, CV: 3})
		rng := rand.New(rand.NewPCG(1, 1))
		n := 0
		const runs = 20_000
		for range runs {
			for at := r.first(rng); at < 2; at += r.gap(rng) {
				n++
			}
		}
		near(t, process, float64(n)/runs, 2, 0.05)
	}
}

func TestCurve(t *testing.T) {
	spec := steady()
	spec.Duration = 2 * time.Hour
	spec.Arrivals = Arrivals{CV: 2}
	spec.Curve = Curve{Step: 30 * time.Minute, Factors: []float64{1, 0, 3}}
	src, err := Generate(spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	var n [4]float64
	for {
		c, err := src.Next()
		if err != nil {
			break
		}
		n[c.At/(30*time.Minute)]++
	}
	near(t, "first step", n[0], 100*1800*0.75, 0.03)
	near(t, "third step", n[2], 100*1800*2.25, 0.03)
	near(t, "first step again", n[3], 100*1800*0.75, 0.03)
	if n[1] != 0 {
		t.Errorf("the step without calls: got=%v", n[1])
	}
}

func TestLengths(t *testing.T) {
	for _, c := range []struct {
		name      string
		l         Lengths
		mean, p50 float64
	}{
		{"uniform", Lengths{Min: 6000, Max: 8000}, 7000, 7000},
		{"fixed", Lengths{Min: 5, Max: 5}, 5, 5},
		{"lognormal", Lengths{Median: 200, Sigma: 0.5}, 200 * math.Exp(0.125), 200},
		{"lognormal within bounds", Lengths{Median: 200, Sigma: 3, Min: 190, Max: 210}, 200, 200},
		{"points", Lengths{CDF: [][]float64{{0, 10}, {0.5, 10}, {1, 30}}}, 15, 10},
		{"table", Lengths{Table: "m-mid"}, 66.9, 22},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.l.check(); err != nil {
				t.Fatal(err)
			}
			s, err := newSampler(&c.l, "output")
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			h := newDistribution()
			for range 200_000 {
				h.add(s.draw(rng), 1)
			}
			near(t, "mean", h.mean(), c.mean, 0.02)
			near(t, "median", float64(h.WholeQuantile(0.5)), c.p50, 0.02)
		})
	}
}

func TestGenerateBySeed(t *testing.T) {
	of := func(spec Spec, seed uint64) []Call {
		src, err := Generate(spec, seed)
		if err != nil {
			t.Fatal(err)
		}
		calls, err := Collect(src, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return calls
	}
	one := of(Incident(1), 1)
	if !reflect.DeepEqual(one, of(Incident(1), 1)) {
		t.Error("the same seed gives another workload")
	}
	if reflect.DeepEqual(one, of(Incident(1), 2)) {
		t.Error("another seed gives the same workload")
	}
	capped := Incident(1)
	capped.Classes[0].Output = Lengths{Min: 1, Max: 9}
	for i, c := range of(capped, 1) {
		if c.At != one[i].At || c.Client != one[i].Client {
			t.Fatalf("call %d: other lengths move the arrivals", i)
		}
	}
	last := time.Duration(0)
	for _, c := range one {
		if c.At < last {
			t.Fatalf("%v after %v", c.At, last)
		}
		last = c.At
	}
}

func TestScenarios(t *testing.T) {
	for _, name := range Scenarios() {
		spec, ok := Scenario(name)
		if !ok {
			t.Fatalf("%s is listed and unknown", name)
		}
		spec.Rate /= 10
		near(t, name, described(t, spec, 5).RatePerS, spec.Rate, 0.06)
	}
	if _, ok := Scenario("calm"); ok {
		t.Error("an unknown scenario is known")
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Spec)
		want   string
	}{
		{"rate", func(s *Spec) { s.Rate = 0 }, "per second, got 0"},
		{"no number", func(s *Spec) { s.Rate = math.NaN() }, "per second, got NaN"},
		{"duration", func(s *Spec) { s.Duration = 0 }, "duration: must be positive"},
		{"process", func(s *Spec) { s.Arrivals.Process = "pareto" }, `gamma or weibull, got "pareto"`},
		{"poisson", func(s *Spec) { s.Arrivals = Arrivals{"poisson", 2} }, "arrivals.cv: must be 1 for a poisson process, got 2"},
		{"burst", func(s *Spec) { s.Bursts.Length = time.Hour }, "bursts.length: must be positive"},
		{"curve", func(s *Spec) { s.Curve.Factors = []float64{0} }, "curve.factors: at least one must be positive"},
		{"no class", func(s *Spec) { s.Classes = nil }, "classes: at least one"},
		{"no lengths", func(s *Spec) { s.Classes[1].Output = Lengths{} }, "classes[1].output: one of table"},
		{"two forms", func(s *Spec) { s.Classes[0].Input.Median = 3 }, "classes[0].input: set only one of"},
		{"bounds", func(s *Spec) { s.Classes[0].Input.Min, s.Classes[0].Input.Max = 4, 3 }, "classes[0].input: min 4 and max 3"},
		{"table", func(s *Spec) { s.Classes[0].Input.Table = "m" }, `classes[0].input: unknown table "m": use one of azure-conv`},
		{"points", func(s *Spec) { s.Classes[0].Input = Lengths{CDF: [][]float64{{0, 1}, {0.5, 2}}} }, "classes[0].input: cdf: needs"},
		{"falling", func(s *Spec) { s.Classes[0].Input = Lengths{CDF: [][]float64{{0, 1}, {1, 0}}} }, "classes[0].input: cdf[1]"},
		{"share", func(s *Spec) { s.Classes[0].Stream = 2 }, "classes[0].stream: must be from 0 to 1, got 2"},
	} {
		spec := Incident(1)
		c.change(&spec)
		_, err := Generate(spec, 1)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got=%v, want=%s", c.name, err, c.want)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	spec := Incident(1)
	spec.Duration *= 100_000
	src, err := Generate(spec, 1)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := src.Next(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mcalls/s")
}
