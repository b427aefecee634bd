package app

import (
	"bytes"
	"os"
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/diagnose/render"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/setup"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// incidentStore is what a gateway that only watched would have kept of the
// reference incident, at a share of its size.
func incidentStore(t testing.TB, dir string, scale float64) {
	t.Helper()
	f, err := setup.IncidentFleet(scale)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := setup.IncidentConfig("watch", scale)
	if err != nil {
		t.Fatal(err)
	}
	p, err := setup.Policy("watched", cfg)
	if err != nil {
		t.Fatal(err)
	}
	calls, err := workload.Generate(workload.Incident(scale), 1)
	if err != nil {
		t.Fatal(err)
	}
	w, err := store.NewWriter(store.Config{Dir: dir, Queue: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	_, err = whatif.Run(whatif.Config{
		Fleet: f, Client: fleet.OpenAISDK(), Policy: p, Seed: 1, OnRecord: func(r *spillway.Record) { w.Record(r) },
	}, calls)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil || w.Dropped() > 0 {
		t.Fatal(err, w.Dropped())
	}
}

// The reference incident is named, capacity is ruled out, and the cap's effect
// is foretold.
func TestDiagnoseIncident(t *testing.T) {
	dir := t.TempDir()
	if d := os.Getenv("KEEP"); d != "" {
		dir = d
	}
	incidentStore(t, dir, 0.04)
	all, err := StoreObservations(dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := setup.IncidentConfig("watch", 0.04)
	if err != nil {
		t.Fatal(err)
	}
	for name, how := range map[string]Diagnosis{"inferred": {}, "configured": {Config: cfg}} {
		t.Run(name, func(t *testing.T) { oversizedAlone(t, how, all) })
	}
}

// oversizedAlone holds a diagnosis of the incident to what is known of it.
func oversizedAlone(t *testing.T, how Diagnosis, all Observations) {
	t.Helper()
	d, err := how.Diagnose(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := render.Text(&text, &d); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	if len(d.Findings) != 1 || d.Findings[0].Code != diagnose.OversizedRequests {
		t.Fatalf("found %+v, want oversized requests and nothing else", d.Findings)
	}
	f := d.Findings[0]
	if len(f.RuledOut) == 0 || !strings.HasPrefix(f.RuledOut[0].Text, "not capacity") {
		t.Errorf("ruled out %v, want capacity first", f.RuledOut)
	}
	if e := f.Effect; e == nil || e.Now.Timeout < 0.01 || e.Then.Timeout > 0.002 || e.Then.Generated > 0.7*e.Now.Generated {
		t.Errorf("effect %+v, want the 408s gone and fewer tokens", e)
	}
}

// A million records of the incident, with the replay of its worst minutes.
// Values are for all of them; the target is 10 s.
func BenchmarkDiagnose(b *testing.B) {
	const scale = 1.86 // of 540,000 calls
	dir := b.TempDir()
	incidentStore(b, dir, scale)
	all, err := StoreObservations(dir)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		d, err := Diagnosis{}.Diagnose(b.Context(), all)
		if err != nil || len(d.Findings) == 0 || d.Findings[0].Effect == nil {
			b.Fatal(err, d.Findings)
		}
		b.ReportMetric(float64(d.Tries), "records")
	}
}
