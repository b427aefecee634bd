package app

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/setup"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// span is a range of time that was asked for.
type span struct{ from, to time.Time }

// tenMinutes are observations, two a second, of which one in forty runs out of a
// minute. It notes the ranges that are read.
func tenMinutes(asked *[]span) Observations {
	return func(from, to time.Time) iter.Seq2[*diagnose.Observation, error] {
		*asked = append(*asked, span{from, to})
		return func(yield func(*diagnose.Observation, error) bool) {
			for i := range 1200 {
				o := diagnose.Observation{
					Time: noon.Add(time.Duration(i) * 500 * time.Millisecond), Pool: "chat", Model: "gpt-4o-mini", Class: "sync",
					Outcome: spillway.OutcomeOK, Status: 200, AskTokens: 500, PromptTokens: 300, CompletionTokens: 100, Window: time.Minute,
					TTFT: 400 * time.Millisecond, E2E: 1400 * time.Millisecond, TBT: 10 * time.Millisecond,
				}
				a := spillway.Attempt{Deployment: "ptu-eastus", Kind: spillway.Provisioned, End: o.E2E, TTFT: o.TTFT, Status: 200, Tokens: 100, Utilization: -1}
				if i%40 == 0 {
					o.Outcome, o.Status, o.CompletionTokens, o.E2E, o.AskTokens, o.TTFT, o.TBT = spillway.OutcomeTimeout, 408, 5000, time.Minute, 16384, 0, 0
					a.End, a.TTFT, a.Status, a.Tokens = time.Minute, 0, 408, 5000
				}
				o.Attempts = []spillway.Attempt{a}
				inside := !o.Time.Before(from) && (to.IsZero() || o.Time.Before(to))
				if inside && !yield(&o, nil) {
					return
				}
			}
		}
	}
}

// The observations are read once for the rules, and once more, within the same
// bounds, for the replay.
func TestDiagnoseReadsTwice(t *testing.T) {
	cfg, err := setup.IncidentConfig("watch", 0.1)
	if err != nil {
		t.Fatal(err)
	}
	from, to := noon.Add(90*time.Second), noon.Add(8*time.Minute)
	for _, tc := range []struct {
		name     string
		how      Diagnosis
		reads    int
		replayed bool
	}{
		{"all of it", Diagnosis{}, 2, true},
		{"configured", Diagnosis{Config: cfg}, 2, true},
		{"a part", Diagnosis{From: from, To: to}, 2, true},
		{"without a replay", Diagnosis{NoReplay: true}, 1, false},
		{"configured without a policy to replay", Diagnosis{Config: &config.Config{}}, 1, false},
		{"nothing in that time", Diagnosis{From: noon.AddDate(1, 0, 0)}, 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked []span
			d, err := tc.how.Diagnose(t.Context(), tenMinutes(&asked))
			if err != nil {
				t.Fatal(err)
			}
			if len(asked) != tc.reads || (d.Replay != nil) != tc.replayed {
				t.Fatalf("read %d times, replay %+v", len(asked), d.Replay)
			}
			for _, s := range asked[1:] {
				if s.from.Before(tc.how.From) || !tc.how.To.IsZero() && (s.to.IsZero() || s.to.After(tc.how.To)) {
					t.Errorf("the replay reads from %v to %v", s.from, s.to)
				}
			}
			if tc.replayed && (len(d.Findings) != 1 || d.Findings[0].Code != diagnose.OversizedRequests || d.Findings[0].Effect == nil) {
				t.Errorf("%+v", d.Findings)
			}
		})
	}
}

// An error of the reader, or the end of the context, ends the diagnosis.
func TestDiagnoseEnds(t *testing.T) {
	torn := errors.New("the store is torn")
	_, err := Diagnosis{}.Diagnose(t.Context(), func(_, _ time.Time) iter.Seq2[*diagnose.Observation, error] {
		return func(yield func(*diagnose.Observation, error) bool) { yield(nil, torn) }
	})
	if !errors.Is(err, torn) {
		t.Errorf("%v, want the reader's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	_, err = Diagnosis{}.Diagnose(ctx, func(from, to time.Time) iter.Seq2[*diagnose.Observation, error] {
		if reads++; reads == 2 {
			cancel() // while the traffic is replayed
		}
		return tenMinutes(new([]span))(from, to)
	})
	if !errors.Is(err, context.Canceled) || reads != 2 {
		t.Errorf("%v after %d reads, want that it was canceled", err, reads)
	}
	cancel()
	if _, err = (Diagnosis{}).Diagnose(ctx, tenMinutes(new([]span))); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was canceled", err)
	}
}

// Files are diagnosed with what the configuration knows, and say what they lack.
func TestDiagnoseFiles(t *testing.T) {
	samples := func(names ...string) (paths []string) {
		for _, name := range names {
			paths = append(paths, filepath.Join("../diagnose/imports/testdata", name))
		}
		return paths
	}
	d, err := Diagnosis{}.DiagnoseFiles(t.Context(), samples("gateway.csv", "llm.csv", "metrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Sources) != 3 || d.Tries != 120 || d.Healthy || d.Blind || len(d.Coverage) == 0 {
		t.Errorf("%+v", d)
	}
	if d, err = (Diagnosis{}).DiagnoseFiles(t.Context(), samples("llm.csv")); err != nil || !d.Blind || d.Healthy {
		t.Errorf("tokens alone: blind %t, healthy %t, %v", d.Blind, d.Healthy, err)
	}
	_, err = Diagnosis{From: noon.AddDate(10, 0, 0)}.DiagnoseFiles(t.Context(), samples("gateway.csv"))
	if err == nil || !strings.Contains(err.Error(), "the files cover 2026-11-22 10:00:0") {
		t.Errorf("%v, want the time that the files have", err)
	}
	if _, err = (Diagnosis{}).DiagnoseFiles(t.Context(), samples("none.csv")); err == nil {
		t.Error("a file that there is not is no error")
	}
}

// What a configuration knows of deployments, for logs and for the rules.
func TestDiagnoseKnows(t *testing.T) {
	if d := (Diagnosis{}); d.deployments() != nil || d.endpoints() != nil {
		t.Error("without a configuration something is known")
	}
	cfg, err := setup.IncidentConfig("all", 1)
	if err != nil {
		t.Fatal(err)
	}
	d := Diagnosis{Config: cfg}
	var names []string
	for _, x := range d.deployments() {
		names = append(names, x.Name)
	}
	var known []string
	for _, k := range d.endpoints() {
		known = append(known, k.Name)
		if k.Endpoint == "" || k.Deployment == "" || k.Provisioned != (k.Name == "ptu-eastus") {
			t.Errorf("%+v", k)
		}
	}
	if len(names) < 2 || !slices.Equal(names, known) {
		t.Errorf("deployments %q, endpoints %q", names, known)
	}
}
