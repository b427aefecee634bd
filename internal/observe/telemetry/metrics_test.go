package telemetry

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/genai"
)

// scrape returns the lines of the exposition, without the runtime's own and
// the buckets of histograms.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	got := httptest.NewRecorder()
	m.Handler().ServeHTTP(got, httptest.NewRequest("GET", "/metrics", nil))
	if got.Code != 200 {
		t.Fatalf("scrape: status %d: %s", got.Code, got.Body)
	}
	var out strings.Builder
	for line := range strings.Lines(got.Body.String()) {
		if strings.Contains(line, "_bucket{") {
			continue
		}
		if strings.Contains(line, "spillway_") || strings.Contains(line, "gen_ai_") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func TestMetrics(t *testing.T) {
	m := NewMetrics(MetricsConfig{
		Dropped:  map[string]func() uint64{"file": func() uint64 { return 3 }, "store": func() uint64 { return 0 }},
		Provider: func(deployment string) string { return "provider of " + deployment },
		Status: func() Status {
			return Status{
				Pools: []PoolStatus{{Pool: "gpt-4o-mini", Waiting: 2}},
				Deployments: []DeploymentStatus{{
					Pool: "gpt-4o-mini", Deployment: "ptu-eastus", State: "paused", Utilization: 0.975, InFlight: 12,
				}},
			}
		},
	})
	m.Record(fullRecord())
	m.Record(fullRecord())
	refused := &spillway.Record{
		Time: accepted, Pool: "gpt-4o-mini", Class: "interactive", Model: "gpt-4o-mini", API: spillway.APIChat,
		Outcome: spillway.OutcomeRefusedQueue,
	}
	m.Record(refused)
	for _, late := range []time.Duration{0, time.Second} {
		m.Record(&spillway.Record{
			Time: accepted, Pool: "gpt-4o-mini", Class: "batch", Model: "gpt-4o-mini", API: spillway.APIChat,
			Outcome: spillway.OutcomeOK, TTFT: time.Second + late, TTFTObjective: time.Second, E2E: 3 * time.Second,
			Window: time.Minute, TBTMean: time.Millisecond, TBTObjective: time.Millisecond,
			Attempts: []spillway.Attempt{{Deployment: "a"}, {Deployment: "b"}, {Deployment: "c", Hedge: true}},
		})
	}
	golden(t, "testdata/metrics.txt", []byte(scrape(t, m)))
}

func TestMetricsBoundTheirLabels(t *testing.T) {
	m := NewMetrics(MetricsConfig{})
	for i := range 3 * maxSeries {
		m.Record(&spillway.Record{
			Pool: fmt.Sprintf("pool%d", i), Class: "c", Model: "m",
			Attempts: []spillway.Attempt{{Deployment: fmt.Sprintf("d%d", i)}},
		})
	}
	text := scrape(t, m)
	if got := strings.Count(text, "spillway_queue_seconds_count"); got != maxSeries+1 {
		t.Errorf("%d series of pools, want %d", got, maxSeries+1)
	}
	want := fmt.Sprintf(`spillway_attempts_total{deployment="other",failure="none"} %d`, 2*maxSeries)
	if !strings.Contains(text, want) {
		t.Errorf("want %s", want)
	}
}

// What clients write must not break a scrape or make a series each.
func TestMetricsTakeAnyRecord(t *testing.T) {
	m := NewMetrics(MetricsConfig{})
	for i := range 10 {
		m.Record(&spillway.Record{Model: fmt.Sprintf("junk%d", i), Class: "\xff"})
	}
	m.Record(&spillway.Record{
		API: 99, Outcome: 99, Spill: 99, Truncated: 99,
		Attempts: []spillway.Attempt{{Class: 99}},
	})
	if text := scrape(t, m); strings.Contains(text, "junk") {
		t.Errorf("a model of no pool became a label:\n%s", text)
	}
}

func TestFanout(t *testing.T) {
	a, b := &counter{}, &counter{}
	Fanout{a, b}.Record(fullRecord())
	Fanout(nil).Record(fullRecord())
	if a.n != 1 || b.n != 1 {
		t.Errorf("recorded %d and %d times, want once each", a.n, b.n)
	}
}

type counter struct{ n int }

func (c *counter) Record(*spillway.Record) { c.n++ }

func TestRecordsDoNotAllocate(t *testing.T) {
	m := NewMetrics(MetricsConfig{})
	r := fullRecord()
	m.Record(r)
	if got := testing.AllocsPerRun(100, func() { m.Record(r) }); got != 0 {
		t.Errorf("Metrics.Record allocates %v times", got)
	}
	buf := AppendRecord(nil, r)
	if got := testing.AllocsPerRun(100, func() { buf = AppendRecord(buf[:0], r) }); got != 0 {
		t.Errorf("AppendRecord allocates %v times", got)
	}
}

func BenchmarkMetricsRecord(b *testing.B) {
	m := NewMetrics(MetricsConfig{Provider: func(string) string { return genai.DefaultProvider }})
	r := fullRecord()
	m.Record(r)
	b.ReportAllocs()
	for b.Loop() {
		m.Record(r)
	}
}
