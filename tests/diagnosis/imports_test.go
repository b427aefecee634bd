package diagnosis

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/app"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/diagnose/render"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/setup"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// imported is what is said of exports, as a reader sees it too.
func imported(tb testing.TB, how app.Diagnosis, paths ...string) (diagnose.Diagnosis, string) {
	tb.Helper()
	d, err := how.DiagnoseFiles(tb.Context(), paths)
	if err != nil {
		tb.Fatal(err)
	}
	var text, page bytes.Buffer
	if err := render.Text(&text, &d); err != nil {
		tb.Fatal(err)
	}
	if err := render.HTML(&page, &d); err != nil {
		tb.Fatal(err)
	}
	all, err := json.Marshal(d)
	if err != nil {
		tb.Fatal(err)
	}
	for _, out := range []string{text.String(), page.String(), string(all)} {
		if strings.Contains(out, secret) {
			tb.Error("a message is to be seen")
		}
	}
	return d, text.String()
}

// exports writes what Azure and its gateway would have logged, and names the
// subsets of it that people have.
func exports(tb testing.TB, records []spillway.Record) map[string][]string {
	dir := tb.TempDir()
	if keep := os.Getenv("KEEP"); keep != "" {
		dir = keep
	}
	gateway, tokens := gatewayLog(tb, dir, records), tokenLog(tb, dir, records)
	service, metrics := serviceLog(tb, dir, records), utilizationMetric(tb, dir, records)
	if metrics == "" {
		metrics = tokens // once more, which changes nothing
	}
	return map[string][]string{
		"gateway": {gateway}, "gateway and tokens": {gateway, tokens}, "all of the gateway": {gateway, tokens, metrics},
		"service": {service}, "service and metrics": {metrics, service}, "all": {tokens, service, metrics, gateway},
	}
}

func codes(d diagnose.Diagnosis) []diagnose.Code {
	var all []diagnose.Code
	for _, f := range d.Findings {
		if !slices.Contains(all, f.Code) {
			all = append(all, f.Code)
		}
	}
	return all
}

// The reference incident as Azure would have logged it: answers that are too
// long, and not capacity.
func TestImportIncident(t *testing.T) {
	const scale = 0.1
	f, err := setup.IncidentFleet(scale)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := setup.IncidentConfig("spill-only", scale)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cfg.Pools {
		cfg.Pools[i].Tiers = cfg.Pools[i].Tiers[:1]
	}
	p, err := setup.Policy("bare", cfg)
	if err != nil {
		t.Fatal(err)
	}
	calls, err := workload.Generate(workload.Incident(scale), 1)
	if err != nil {
		t.Fatal(err)
	}
	records := served(t, whatif.Config{Fleet: f, Client: fleet.OpenAISDK(), Policy: p, Seed: 1, Start: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}, calls)
	for name, paths := range exports(t, records) {
		t.Run(name, func(t *testing.T) {
			replayed := name == "all of the gateway" // what the cap would do is foretold from logs too
			d, text := imported(t, app.Diagnosis{NoReplay: !replayed}, paths...)
			t.Log("\n" + text)
			if d.Tries != len(records) {
				t.Errorf("%d tries, want %d", d.Tries, len(records))
			}
			if got := codes(d); !slices.Equal(got, []diagnose.Code{diagnose.OversizedRequests}) {
				t.Fatalf("found %v, want oversized requests and nothing else", got)
			}
			one := d.Findings[0]
			if len(one.RuledOut) == 0 || !strings.HasPrefix(one.RuledOut[0].Text, "not capacity") {
				t.Errorf("ruled out %v, want capacity first", one.RuledOut)
			}
			if name == "gateway" { // without tokens there is no pace, so nothing to say what fits
				if one.Confidence > 0.7 || one.Remedy.CapTokens > 0 {
					t.Errorf("confidence %v and a cap of %d, want a guess without a number", one.Confidence, one.Remedy.CapTokens)
				}
				return
			}
			if replayed && (one.Effect == nil || one.Effect.Now.Timeout < 0.01 || one.Effect.Then.Timeout > 0.002) {
				t.Errorf("effect %+v, want the 408s gone", one.Effect)
			}
			if fits := one.Remedy.CapTokens; fits < 1900 || fits > 2110 { // fewer slow tries than responses: what times out is not repeated
				t.Errorf("%d tokens fit, want about 1,955", fits)
			}
			if strings.Contains(name, "metrics") || strings.HasPrefix(name, "all") {
				if !strings.Contains(one.RuledOut[0].Text, "utilization") {
					t.Errorf("%q, want the utilization that the metric says", one.RuledOut[0].Text)
				}
			}
		})
	}
}

// What a gateway refuses by limits of its own is not blamed on a deployment.
func TestImportOwnLimits(t *testing.T) {
	w := newWorld(1)
	w.alone()
	w.size(0.4)
	records := w.bare(t)
	for i := range records {
		if r := &records[i]; i%5 == 0 {
			r.Status, r.Outcome, r.Attempts, r.Usage.Known = 429, spillway.OutcomeRefusedQueue, nil, false
		}
	}
	for name, paths := range exports(t, records) {
		if strings.HasPrefix(name, "service") {
			continue // which does not see them
		}
		d, text := imported(t, app.Diagnosis{NoReplay: true}, paths...)
		if len(d.Findings) > 0 || d.Refused < 0.19 || d.Healthy {
			t.Errorf("%s: found %v, healthy %t, refused %v\n%s", name, codes(d), d.Healthy, d.Refused, text)
		}
		if !strings.Contains(text, "refused by limits of the gateway itself") {
			t.Errorf("%s: nobody says who refused\n%s", name, text)
		}
	}
}

// Worlds with one trouble, as Azure would have logged them.
func TestImportWorlds(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(w *world)
		want diagnose.Code
		with []string // the exports that suffice
		also []diagnose.Code
	}{
		{
			"saturation", saturated, diagnose.PTUSaturation,
			[]string{"all of the gateway", "service and metrics", "all"},
			nil,
		},
		{"quota", exhausted, diagnose.QuotaExhausted, []string{"gateway", "gateway and tokens", "service", "all"}, nil},
		{
			"outage", func(w *world) {
				w.standard(20_000_000, 60_000)
				w.tiers([]string{"std-sweden", "std-westus"})
				w.fleet.Deployments[1].Service.TBTMean = w.fleet.Deployments[0].Service.TBTMean
				outage(w)
				w.fleet.Faults[0].Region = "swedencentral"
			}, diagnose.RegionalOutage,
			[]string{"gateway", "gateway and tokens", "service", "all of the gateway", "all"},
			nil,
		},
		{"patience", func(w *world) {
			impatient(w)
			w.alone()
		}, diagnose.ClientTimeout, []string{"gateway", "gateway and tokens", "service", "all of the gateway", "all"}, nil},
	} {
		for _, seed := range []uint64{1002} {
			w := newWorld(seed)
			c.make(w)
			all := exports(t, w.bare(t))
			for _, name := range c.with {
				d, text := imported(t, app.Diagnosis{NoReplay: true}, all[name]...)
				got := codes(d)
				if !slices.Contains(got, c.want) {
					t.Errorf("%s, seed %d, %s: found %v, want %s\n%s", c.name, seed, name, got, c.want, text)
				}
				for _, code := range got {
					if code != c.want && !slices.Contains(c.also, code) {
						t.Errorf("%s, seed %d, %s: found %s too", c.name, seed, name, code)
					}
				}
			}
		}
	}
}
