package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/models"
)

// update rewrites the golden files.
var update = flag.Bool("update", false, "rewrite golden files")

// even is calls that come evenly, all alike.
func even(n int, gap time.Duration, call workload.Call) []workload.Call {
	out := make([]workload.Call, n)
	for i := range out {
		out[i] = call
		out[i].At = time.Duration(i) * gap
	}
	return out
}

// mixed is n calls of 1,000 + 100 tokens, of which every fiftieth has 8,000.
func mixed(n int) []workload.Call {
	calls := even(n, 100*time.Millisecond, workload.Call{Model: "gpt-4o-mini", PromptTokens: 1000, OutputTokens: 100, MaxTokens: 4096})
	for i := 0; i < n; i += 50 {
		calls[i].OutputTokens, calls[i].MaxTokens = 8000, 16_384
	}
	return calls
}

// inputs are those of calls, for a service level.
func inputs(t *testing.T, calls []workload.Call, slo string) Inputs {
	t.Helper()
	level, err := ParseSLO(slo)
	if err != nil {
		t.Fatal(err)
	}
	return Inputs{
		Open: func(uint64) (workload.Source, error) { return workload.Slice(calls), nil },
		SLO:  level, Fleet: DefaultFleet(2, 10_000_000), Client: fleet.OpenAISDK(), Seeds: []uint64{1, 2},
		Objective: whatif.Objective{Window: time.Minute},
	}
}

func TestFewestByHand(t *testing.T) {
	// 10 calls/s of 1,000 + 4·100 input-token equivalents are 840,000 a minute:
	// 22.7 PTU of 37,000. Nobody reserves more than is used, so that the next
	// size sold is enough with and without a policy.
	calls := even(3000, 100*time.Millisecond, workload.Call{Model: "gpt-4o-mini", PromptTokens: 1000, OutputTokens: 100, MaxTokens: 100})
	for _, tc := range []struct {
		name  string
		scope spillway.Scope
		keep  int // every so many calls
		want  int
	}{
		{"global", spillway.Global, 1, 25},
		{"regional", spillway.Regional, 1, 25},
		{"a quarter of it is below the minimum", spillway.Global, 4, 15},
		{"a quarter of it is below the regional minimum", spillway.Regional, 4, 25},
	} {
		var some []workload.Call
		for i := 0; i < len(calls); i += tc.keep {
			some = append(some, calls[i])
		}
		in := inputs(t, some, "429<0.1%,408<0.1%")
		in.Scope, in.Fleet = tc.scope, DefaultFleet(0, 0)
		got, err := Make(in)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if got.Alone == nil || got.Alone.PTU != tc.want || got.NoPolicy.Option == nil || got.NoPolicy.Option.PTU != tc.want {
			t.Errorf("%s: alone %+v, no policy %+v, want %d PTU", tc.name, got.Alone, got.NoPolicy.Option, tc.want)
		}
		if want := 22.7 / float64(tc.keep); math.Abs(got.Workload.FluidPTU-want) > 0.1 {
			t.Errorf("%s: fluid %v PTU, want %v", tc.name, got.Workload.FluidPTU, want)
		}
		if len(got.Frontier) != 1 || got.Frontier[0].Spill {
			t.Errorf("%s: without standard deployments the frontier is %+v", tc.name, got.Frontier)
		}
	}
}

func TestCheapestMixByPrice(t *testing.T) {
	calls := mixed(1200)
	for _, tc := range []struct {
		name  string
		token float64 // USD per million standard tokens
		check func(*Option) bool
	}{
		{"free tokens need no PTUs", 1e-9, func(o *Option) bool { return o.PTU == 0 }},
		{"dear tokens are spilled by nobody", 1e6, func(o *Option) bool { return o.PTU > 0 && o.Spilled == 0 && o.StandardUSD == 0 }},
		{"tokens without a price are not recommended", 0, func(o *Option) bool { return !o.Spill }},
	} {
		in := inputs(t, calls, "408<0.1%,429<0.1%")
		in.Prices = func(p Prices) Prices {
			p.Tokens = spillway.TokenPrice{Input: tc.token, Cached: tc.token, Output: tc.token}
			return p
		}
		got, err := Make(in)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if got.Recommended == nil || !tc.check(got.Recommended) {
			t.Errorf("%s: %+v", tc.name, got.Recommended)
		}
	}
}

func TestMonthlyCostByHand(t *testing.T) {
	// All of it on standard deployments: 1,200 calls of 1,000 + 100 tokens in
	// 119.9 s, repeated for 100 hours.
	calls := even(1200, 100*time.Millisecond, workload.Call{Model: "gpt-4o-mini", PromptTokens: 1000, OutputTokens: 100, MaxTokens: 100})
	in := inputs(t, calls, "408<0.1%,429<0.1%")
	in.Hours = 100
	got, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	want := (1.2*0.15 + 0.12*0.60) * 100 * 3600 / 119.9
	zero := got.Frontier[0]
	if zero.PTU != 0 || math.Abs(zero.StandardUSD-want) > want/1000 || zero.USD.Year != zero.StandardUSD {
		t.Errorf("0 PTU cost %+v, want %v", zero.USD, want)
	}
	last := got.Frontier[len(got.Frontier)-1]
	if n := float64(last.PTU); *last.USD != (Monthly{Hourly: 730 * n, Month: 260 * n, Year: 221 * n}) {
		t.Errorf("%v PTU cost %+v", n, *last.USD)
	}
}

func TestNoPolicyAndImpossible(t *testing.T) {
	got, err := Make(inputs(t, mixed(1200), "408<0.1%,429<0.1%"))
	if err != nil {
		t.Fatal(err)
	}
	none := got.NoPolicy
	if len(none.Aside) != 1 || none.Aside[0].Text != "408<0.1%" || none.Option == nil || got.Alone == nil ||
		none.Option.PTU <= got.Alone.PTU || got.Saving == nil || got.Saving.PTU != none.Option.PTU-got.Alone.PTU {
		t.Errorf("no policy %+v, alone %+v, saving %+v", none, got.Alone, got.Saving)
	}
	if len(none.Reasons) != 1 || !strings.Contains(none.Reasons[0], "use a cap or streaming") {
		t.Errorf("reasons %q", none.Reasons)
	}

	got, err = Make(inputs(t, mixed(600), "p99_e2e<100ms,truncated<0.5%"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Met || got.Recommended != nil || got.Alone != nil || len(got.Reasons) != 2 ||
		!strings.Contains(got.Reasons[0], "An idle deployment is no faster") || !strings.Contains(got.Reasons[1], "longer than what fits the window") {
		t.Errorf("met %v, %q", got.Met, got.Reasons)
	}
	if !strings.HasPrefix(got.Sentence, "No: ") {
		t.Errorf("sentence %q", got.Sentence)
	}
}

func TestNoTokens(t *testing.T) {
	got, err := Make(inputs(t, even(100, time.Second, workload.Call{Model: "gpt-4o-mini", MaxTokens: 1}), "429<1%"))
	if err != nil || !got.Met {
		t.Fatal(got, err)
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}

func TestBadInputs(t *testing.T) {
	calls := even(10, time.Second, workload.Call{PromptTokens: 1, OutputTokens: 1})
	named := slices.Concat(calls, calls)
	for i := range named {
		named[i].At = time.Duration(i) * time.Second
		named[i].Model = [...]string{"gpt-4o", "gpt-4o-mini"}[i%2]
	}
	broken := errors.New("line 3 is bad")
	for _, tc := range []struct {
		name   string
		change func(*Inputs)
		want   string
	}{
		{"no seed", func(in *Inputs) { in.Seeds = nil }, "one seed is required"},
		{"no level", func(in *Inputs) { in.SLO = nil }, "service level is required"},
		{"no speed", func(in *Inputs) { in.Fleet = fleet.Config{} }, "needs a provisioned deployment"},
		{"no model", func(in *Inputs) {}, "names no model"},
		{"unknown model", func(in *Inputs) { in.Model = "llama-3" }, "no published provisioned throughput"},
		{"not sold there", func(in *Inputs) {
			in.Model, in.Scope = "deepseek-r1", spillway.Regional
		}, "deepseek-r1: not sold as regional provisioned throughput"},
		{"two models", func(in *Inputs) {
			in.Open = func(uint64) (workload.Source, error) { return workload.Slice(named), nil }
		}, "gpt-4o, gpt-4o-mini: set --model to one"},
		{"empty", func(in *Inputs) {
			in.Open = func(uint64) (workload.Source, error) { return workload.Slice(nil), nil }
		}, workload.ErrEmpty.Error()},
		{"unreadable", func(in *Inputs) { in.Open = func(uint64) (workload.Source, error) { return nil, broken } }, broken.Error()},
		{"stopped", func(in *Inputs) {
			in.Model, in.Stopped = "gpt-4o-mini", func() bool { return true }
		}, whatif.ErrStopped.Error()},
	} {
		in := inputs(t, calls, "408<1%")
		tc.change(&in)
		if _, err := Make(in); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
		}
	}
}

// TestCachedInputWeighs plans for a model whose cached input has a weight.
func TestCachedInputWeighs(t *testing.T) {
	work := func(cachedRatio float64) float64 {
		calls := even(300, time.Second, workload.Call{Model: "own", PromptTokens: 2000, OutputTokens: 1, Prefix: fleet.PrefixChain(7, 2000)})
		in := inputs(t, calls, "429<1%")
		in.Models = models.NewTable([]models.Model{{Capacity: models.Capacity{
			Name: "own", InputTPMPerPTU: 10_000, OutputRatio: 4, CachedRatio: cachedRatio, Global: models.Purchase{Min: 15, Step: 5},
		}}})
		p, err := newPlanner(in)
		if err != nil {
			t.Fatal(err)
		}
		m, err := p.simulate(trial{setup: setup{ptu: 15, depth: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		return m.work
	}
	free, half, full := work(0), work(0.5), work(1)
	if prompt := 2004.0 * 60 / 150_000; math.Abs(full-prompt) > 0.02*prompt || math.Abs(half-(free+full)/2) > 0.02*full || free > full/2 {
		t.Errorf("work %v, %v and %v with cached input free, at half and at full weight", free, half, full)
	}
}

// TestForms reads plans that are kept, so that what a plan looks like does not
// depend on what simulations come to.
func TestForms(t *testing.T) {
	for _, name := range []string{"met", "missed"} {
		kept, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var p Plan
		decoder := json.NewDecoder(bytes.NewReader(kept))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if got := encoded(t, &p); !bytes.Equal(got, kept) {
			t.Errorf("%s.json has another form now:\n%s", name, got)
		}
		if got := p.sentence(); got != p.Sentence {
			t.Errorf("%s: sentence %q, want %q", name, got, p.Sentence)
		}
		var text bytes.Buffer
		if err := p.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", text.Bytes())
		for line := range strings.Lines(text.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > textWidth {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
}

func encoded(t *testing.T, p *Plan) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update rewrites it):\n%s", name, got)
	}
}
