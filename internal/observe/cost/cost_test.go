package cost

import (
	"bytes"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

var update = flag.Bool("update", false, "rewrite golden files")

var (
	noon  = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	price = spillway.TokenPrice{Input: 0.15, Cached: 0.075, Output: 0.60}
)

func fleet() []Deployment {
	return []Deployment{
		{spillway.Deployment{Name: "ptu", Kind: spillway.Provisioned, PTU: 50, InputTPMPerPTU: 37_000, OutputRatio: 4, Price: price}, 1},
		{spillway.Deployment{Name: "ptu-idle", Kind: spillway.Provisioned, PTU: 15, InputTPMPerPTU: 37_000, OutputRatio: 4, Price: price}, 2},
		{spillway.Deployment{Name: "std", Price: price}, 0},
	}
}

func published(string) spillway.TokenPrice { return price }

// answered is a request that one deployment answered.
func answered(d string, kind spillway.Kind, u spillway.Usage) *spillway.Record {
	r := &spillway.Record{
		Time: noon, E2E: time.Second, Caller: "search", Model: "gpt-4o-mini", Usage: u,
		Attempts: []spillway.Attempt{{Deployment: d, Kind: kind, End: time.Second, Tokens: u.Completion}},
	}
	if kind == spillway.Standard {
		r.Attempts[0].CostUSD = price.Cost(spillway.TokenCount{Prompt: int64(u.Prompt), Cached: int64(u.Cached), Completion: int64(u.Completion)})
	}
	return r
}

// One standard response, one provisioned one, one that failed and was tried
// again, one that nobody can price, for an hour.
func TestBill(t *testing.T) {
	c := NewCollector(fleet(), allDimensions())
	u := spillway.Usage{Prompt: 1_000_000, Cached: 200_000, Completion: 100_000, Reasoning: 40_000, Known: true}
	c.Add(answered("std", spillway.Standard, u)) // 0.8·0.15 + 0.2·0.075 + 0.1·0.6 = 0.195

	p := answered("ptu", spillway.Provisioned, spillway.Usage{Prompt: 600_000, Completion: 100_000, Known: true}) // a million of work
	p.Caller, p.Tenant = "batch", "acme"
	c.Add(p)

	retried := answered("ptu", spillway.Provisioned, spillway.Usage{Prompt: 200_000, Completion: 200_000, Known: true}) // another
	retried.PromptEstimate = 200_000
	retried.Attempts = append([]spillway.Attempt{
		{Deployment: "std", Class: spillway.FailureCut, Tokens: 50_000, CostUSD: 0.06, End: time.Millisecond},
	}, retried.Attempts...)
	c.Add(retried)

	unpriced := answered("elsewhere", spillway.Standard, spillway.Usage{Prompt: 10, Completion: 10})
	unpriced.Attempts[0].CostUSD, unpriced.Model = -1, "llama"
	c.Add(unpriced)

	b := c.Bill(noon, noon.Add(time.Hour), published)
	near(t, "total by the token", b.Total.TokenUSD, 0.195+0.06)
	near(t, "total provisioned", b.Total.PTUUSD, 50*1+15*2)
	near(t, "idle", b.UnusedPTUUSD, 30)
	near(t, "unused", b.Total.UnusedUSD, 0.06)
	near(t, "estimated", b.Total.EstimatedUSD, 0.06)
	if b.Total.Requests != 4 || b.Total.Attempts != 5 || b.Total.Unpriced != 1 || b.Total.Unreported != 1 || b.Total.ReasoningTokens != 40_000 {
		t.Errorf("total is %+v", b.Total)
	}
	if len(b.Checks) != 1 || b.Checks[0].Deployment != "std" {
		t.Fatalf("checks are %+v", b.Checks)
	}
	near(t, "the check", b.Checks[0].UsageUSD, b.Checks[0].RecordsUSD)
	near(t, "used", b.Provisioned[0].Used, 2e6/(50*37_000*60))
	near(t, "at token price", b.Provisioned[0].AllTokensUSD, 0.8*0.15+0.3*0.6)
	want := map[string]float64{"batch": 25, "search": 25 + 0.255}
	for _, l := range group(t, &b, ByCaller) {
		near(t, l.Name, l.USD(), want[l.Name])
	}
	var text bytes.Buffer
	if err := WriteText(&text, &b); err != nil {
		t.Fatal(err)
	}
	const path = "testdata/bill.txt"
	if *update {
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if golden, err := os.ReadFile(path); err != nil || !bytes.Equal(golden, text.Bytes()) {
		t.Errorf("%s differs (-update rewrites it): %v; got:\n%s", path, err, text.Bytes())
	}
}

// TestCheckByServiceTier holds the records of each service tier against its own price.
func TestCheckByServiceTier(t *testing.T) {
	list := spillway.TokenPrice{Input: 2, Cached: 0.5, Output: 8, CacheWrite: 2.5, Flex: 0.5, Priority: 2}
	c := NewCollector([]Deployment{{Deployment: spillway.Deployment{Name: "std", Price: list}}}, allDimensions())
	u := spillway.Usage{Prompt: 1_000_000, Cached: 200_000, CacheWrite: 300_000, Completion: 100_000, Known: true}
	const usd = 0.5*2 + 0.2*0.5 + 0.3*2.5 + 0.1*8
	for _, tt := range []struct {
		asked, served string
		usd           float64
	}{{"", "default", usd}, {"priority", "priority", 2 * usd}, {"priority", "default", usd}, {"flex", "", usd / 2}, {"", "", usd}, {"scale", "scale", -1}} {
		r := answered("std", spillway.Standard, u)
		r.ServiceTier, r.Attempts[0].ServiceTier, r.Attempts[0].CostUSD = tt.asked, tt.served, tt.usd
		c.Add(r)
	}
	b := c.Bill(noon, noon.Add(time.Hour), published)
	near(t, "total", b.Total.TokenUSD, 5.5*usd)
	if b.Total.CacheWriteTokens != 6*300_000 || b.Total.Unpriced != 1 || len(b.Checks) != 1 {
		t.Fatalf("total %+v, checks %+v", b.Total, b.Checks)
	}
	near(t, "the records", b.Checks[0].RecordsUSD, 5.5*usd)
	near(t, "the usage", b.Checks[0].UsageUSD, 5.5*usd)
}

func group(t *testing.T, b *Bill, by Dimension) []Line {
	t.Helper()
	for _, g := range b.Groups {
		if g.By == by {
			return g.Lines
		}
	}
	t.Fatalf("no lines by %s", by)
	return nil
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*max(1, want) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// However requests are grouped, the lines come to the total, but for idle
// capacity.
func TestLinesComeToTheTotal(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := NewCollector(fleet(), allDimensions())
	pick := func(names ...string) string { return names[rng.IntN(len(names))] }
	for range 2000 {
		r := &spillway.Record{
			Time: noon.Add(time.Duration(rng.IntN(3600)) * time.Second), E2E: time.Second, PromptEstimate: rng.IntN(900),
			Caller: pick("a", "b", ""), Tenant: pick("x", ""), Class: pick("chat", "batch"), Model: pick("m", "n"),
			Usage: spillway.Usage{Prompt: rng.IntN(1000), Cached: rng.IntN(500), Completion: rng.IntN(800), Known: rng.IntN(5) > 0},
		}
		for i := range rng.IntN(4) {
			a := spillway.Attempt{Deployment: pick("std", "far", "ptu"), End: time.Duration(i), Tokens: rng.IntN(3) * 100}
			if a.Deployment == "ptu" {
				a.Kind = spillway.Provisioned
			} else {
				a.CostUSD = rng.Float64()
			}
			r.Attempts = append(r.Attempts, a)
		}
		c.Add(r)
	}
	b := c.Bill(noon, noon.Add(time.Hour), published)
	for _, g := range b.Groups {
		usd, attempts := 0.0, 0
		for _, l := range g.Lines {
			usd += l.USD()
			attempts += l.Attempts
		}
		near(t, string(g.By), usd, b.Total.USD()-b.UnusedPTUUSD)
		if attempts != b.Total.Attempts {
			t.Errorf("by %s: %d attempts of %d", g.By, attempts, b.Total.Attempts)
		}
	}
}

// Tenants are what clients say: beyond a bound they count as one.
func TestLinesAreBounded(t *testing.T) {
	c := NewCollector(nil, []Dimension{ByTenant})
	for i := range maxLines + 50 {
		c.Add(&spillway.Record{Time: noon, Tenant: time.Duration(i).String()})
	}
	b := c.Bill(noon, noon, published)
	if n := len(group(t, &b, ByTenant)); n != maxLines+1 {
		t.Errorf("%d lines, want %d", n, maxLines+1)
	}
	if b.Total.Requests != maxLines+50 {
		t.Errorf("%d requests", b.Total.Requests)
	}
}

// A terminal shows the dearest lines, and the others as one.
func TestShortened(t *testing.T) {
	lines := make([]Line, 50)
	for i := range lines {
		lines[i] = Line{Requests: 1, TokenUSD: 1}
	}
	short := shortened(lines)
	if last := short[len(short)-1]; len(short) != maxShown || last.Name != "(31 more)" || last.Requests != 31 || last.TokenUSD != 31 {
		t.Errorf("got %d lines, the last %+v", len(short), last)
	}
}

// allDimensions are all that a bill can be grouped by.
func allDimensions() []Dimension {
	return []Dimension{ByDeployment, ByCaller, ByTenant, ByClass, ByModel}
}
