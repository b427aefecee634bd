package telemetry

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// fleetYAML is a deployment that always refuses, and one that answers.
const fleetYAML = `
deployments:
  - {name: ptu-eastus, model: gpt-4o-mini, kind: provisioned, ptu: 50, region: eastus}
  - {name: std-sweden, model: gpt-4o-mini, region: swedencentral, tpm: 20000000, rpm: 120000, ttft: 20ms, tbt_mean: 2ms}
faults:
  - {kind: status_429, deployment: ptu-eastus, retry_after: 50ms}
`

// secret is what must not show anywhere.
const secret = "hunter2-collector-key"

// gatewayYAML spills each request for chat, and answers those for plain at once.
func gatewayYAML(fleet, otlp string) string {
	return fmt.Sprintf(`
deployments:
  - {name: ptu-eastus, endpoint: %[1]q, style: azure, deployment: ptu-eastus, model: gpt-4o-mini, kind: provisioned, ptu: 50, region: eastus, auth: {api_key: azure}}
  - {name: std-sweden, endpoint: %[1]q, style: azure, deployment: std-sweden, model: gpt-4o-mini, region: swedencentral, auth: {api_key: azure}}
  - {name: std-plain, endpoint: %[1]q, style: azure, deployment: std-sweden, model: gpt-4o-mini, region: swedencentral, auth: {api_key: azure}}
pools:
  - {name: chat, tiers: [[ptu-eastus], [std-sweden]]}
  - {name: plain, tiers: [[std-plain]]}
classes:
  - {name: interactive, ttft: 5s}
callers:
  - {name: demo, key: demo, class: interactive}
otlp: %[2]s
`, fleet, otlp)
}

// serveBefore starts the Azure emulator and a gateway that sends to a
// collector as the section otlp says.
func serveBefore(t *testing.T, otlp string) *gateway {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	address, _, err := freeAddresses()
	if err != nil {
		t.Fatal(err)
	}
	start(t, binary(), "azuresim", "--fleet", write("fleet.yaml", fleetYAML), "--listen", address)
	eventually(t, "the emulator listens", func() bool { return listens(address) })
	t.Setenv("COLLECTOR_KEY", secret)
	return serve(t, "--config", write("spillway.yaml", gatewayYAML("http://"+address, otlp)))
}

const (
	clientTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan  = "00f067aa0ba902b7"
)

// A real collector understands all three signals, over both protocols.
func TestSignals(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			c := newCollector(t)
			c.start()
			at := map[string]string{"grpc": c.grpc, "http": c.http}[protocol]
			g := serveBefore(t, fmt.Sprintf(
				`{endpoint: "http://%s", protocol: %s, interval: 1s, headers: [{name: api-key, value: "${env:COLLECTOR_KEY}"}], attributes: [{name: deployment.environment.name, value: test}]}`,
				at, protocol))
			status, own := g.ask("plain", nil)
			status2, traced := g.ask("chat", map[string]string{"traceparent": "00-" + clientTrace + "-" + clientSpan + "-01"})
			status3, unknown := g.ask("nothing", nil)
			if status != 200 || status2 != 200 || status3 != 404 {
				t.Fatalf("status %d, %d, %d", status, status2, status3)
			}
			eventually(t, "the collector has three requests", func() bool { return len(c.requests()) == 3 })
			eventually(t, "the collector has the metrics", func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				m, ok := c.metrics["gen_ai.client.operation.duration"]
				return ok && histogramCount(m) == 3
			})
			if err := g.stop(); err != nil {
				t.Errorf("the gateway ended with %v", err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.unread != nil {
				t.Error(c.unread)
			}
			checkOwnTrace(t, c, own)
			checkSpilled(t, c, traced)
			checkFailure(t, c, unknown)
			checkMetrics(t, c)
			for _, what := range []string{secret, prompt} {
				if strings.Contains(string(c.texts), what) || strings.Contains(g.log.String(), what) {
					t.Errorf("%s got out", what)
				}
			}
		})
	}
}

// spansOf are the span of a request and those of its attempts.
func spansOf(t *testing.T, c *collector, id string) (request span, attempts []span) {
	t.Helper()
	found := false
	for _, s := range c.spans {
		if at, ok := s.Attributes().Get("spillway.id"); ok && at.Str() == id {
			request, found = s, true
		}
	}
	if !found {
		t.Fatalf("no span of %s", id)
	}
	for _, s := range c.spans {
		if s.ParentSpanID() == request.SpanID() {
			attempts = append(attempts, s)
		}
	}
	slices.SortFunc(attempts, func(a, b span) int { return int(a.StartTimestamp()) - int(b.StartTimestamp()) })
	return request, attempts
}

// checkOwnTrace checks a request without a trace of its client's: its trace has
// its own id.
func checkOwnTrace(t *testing.T, c *collector, id string) {
	request, attempts := spansOf(t, c, id)
	if "req_"+request.TraceID().String() != id || !request.ParentSpanID().IsEmpty() || request.Kind() != ptrace.SpanKindServer || len(attempts) != 1 {
		t.Errorf("%s is in trace %v under %v with %d attempts", id, request.TraceID(), request.ParentSpanID(), len(attempts))
	}
	if request.resource["service.name"] != "spillway" || request.resource["deployment.environment.name"] != "test" || request.resource["service.instance.id"] == nil {
		t.Errorf("resource %v", request.resource)
	}
	want(t, "request", request.Attributes().AsRaw(), map[string]any{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "azure.ai.openai", "gen_ai.request.model": "plain",
		"gen_ai.request.max_tokens": int64(50), "gen_ai.usage.output_tokens": int64(5), "http.response.status_code": int64(200),
		"spillway.outcome": "ok", "spillway.caller": "demo", "spillway.class": "interactive", "error.type": nil,
	})
	if reasons, ok := request.Attributes().Get("gen_ai.response.finish_reasons"); !ok || reasons.AsString() != `["stop"]` {
		t.Errorf("finish reasons %v", reasons.AsString())
	}
}

// checkSpilled checks a request in its client's trace, which a deployment
// refused before another one answered.
func checkSpilled(t *testing.T, c *collector, id string) {
	request, attempts := spansOf(t, c, id)
	if request.TraceID().String() != clientTrace || request.ParentSpanID().String() != clientSpan || len(attempts) != 2 {
		t.Fatalf("%s is in trace %v under %v with %d attempts", id, request.TraceID(), request.ParentSpanID(), len(attempts))
	}
	refused, answered := attempts[0], attempts[1]
	if refused.Kind() != ptrace.SpanKindClient || refused.Name() != "chat ptu-eastus" || refused.Status().Code() != ptrace.StatusCodeError {
		t.Errorf("first attempt %q: kind %v, status %v", refused.Name(), refused.Kind(), refused.Status().Code())
	}
	want(t, "refused attempt", refused.Attributes().AsRaw(), map[string]any{
		"error.type": "refused", "http.response.status_code": int64(429), "spillway.tier": int64(0), "spillway.region": "eastus",
	})
	want(t, "answered attempt", answered.Attributes().AsRaw(), map[string]any{
		"error.type": nil, "http.response.status_code": int64(200), "spillway.tier": int64(1), "gen_ai.usage.output_tokens": int64(5),
	})
	if !(request.StartTimestamp() <= refused.StartTimestamp() && refused.EndTimestamp() <= answered.StartTimestamp() &&
		answered.StartTimestamp() < answered.EndTimestamp() && answered.EndTimestamp() <= request.EndTimestamp()) {
		t.Errorf("request %v to %v, attempts %v to %v and %v to %v", request.StartTimestamp(), request.EndTimestamp(),
			refused.StartTimestamp(), refused.EndTimestamp(), answered.StartTimestamp(), answered.EndTimestamp())
	}
	for _, e := range c.events {
		if at, ok := e.Attributes().Get("spillway.id"); ok && at.Str() == id {
			if e.EventName() != "spillway.request" || e.TraceID() != request.TraceID() || e.SpanID() != request.SpanID() {
				t.Errorf("event %q in trace %v, span %v", e.EventName(), e.TraceID(), e.SpanID())
			}
			raw := e.Attributes().AsRaw()
			want(t, "event", raw, map[string]any{"spillway.spill": "refused", "spillway.pool": "chat"})
			if tries, _ := raw["spillway.attempts"].([]any); len(tries) != 2 || tries[1].(map[string]any)["deployment"] != "std-sweden" {
				t.Errorf("attempts of the event: %v", raw["spillway.attempts"])
			}
			return
		}
	}
	t.Errorf("no event of %s", id)
}

// checkFailure checks a request that no pool serves.
func checkFailure(t *testing.T, c *collector, id string) {
	request, attempts := spansOf(t, c, id)
	if len(attempts) != 0 || request.Status().Code() != ptrace.StatusCodeError {
		t.Errorf("%d attempts, status %v", len(attempts), request.Status().Code())
	}
	want(t, "failed request", request.Attributes().AsRaw(), map[string]any{
		"error.type": "refused_invalid", "http.response.status_code": int64(404), "gen_ai.request.model": "nothing",
	})
}

func want(t *testing.T, what string, got, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: %s is %v, want %v", what, name, got[name], value)
		}
	}
}

func histogramCount(m pmetric.Metric) (n uint64) {
	if m.Type() != pmetric.MetricTypeHistogram {
		return 0
	}
	for _, p := range m.Histogram().DataPoints().All() {
		n += p.Count()
	}
	return n
}

// checkMetrics checks the metrics that the conventions name, with their
// buckets, and that our own have the names that Prometheus knows.
func checkMetrics(t *testing.T, c *collector) {
	for _, tt := range []struct {
		name, unit string
		count      uint64
		bounds     []float64
	}{
		{"gen_ai.client.operation.duration", "s", 3, []float64{.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}},
		{"gen_ai.server.time_to_first_token", "s", 2, []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}},
		{"gen_ai.server.time_per_output_token", "s", 2, []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5}},
		{"gen_ai.client.token.usage", "{token}", 4, []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}},
	} {
		m, ok := c.metrics[tt.name]
		if !ok || m.Type() != pmetric.MetricTypeHistogram || m.Unit() != tt.unit || histogramCount(m) != tt.count {
			t.Errorf("%s: %v of unit %q with %d values, want %d", tt.name, m.Type(), m.Unit(), histogramCount(m), tt.count)
			continue
		}
		p := m.Histogram().DataPoints().At(0)
		if !slices.Equal(p.ExplicitBounds().AsRaw(), tt.bounds) || m.Histogram().AggregationTemporality() != pmetric.AggregationTemporalityCumulative {
			t.Errorf("%s: buckets %v", tt.name, p.ExplicitBounds().AsRaw())
		}
		for name := range p.Attributes().AsRaw() {
			if strings.HasPrefix(name, "gen_ai_") || name == "error_type" {
				t.Errorf("%s has the attribute %s", tt.name, name)
			}
		}
	}
	requests, ok := c.metrics["spillway_requests_total"]
	if !ok || requests.Type() != pmetric.MetricTypeSum || !requests.Sum().IsMonotonic() {
		t.Errorf("spillway_requests_total is %v", requests.Type())
	}
	if _, ok := c.metrics["spillway_deployment_utilization_ratio"]; !ok {
		t.Error("no gauges of deployments")
	}
}

// Requests go on while the collector is dead; what the queue does not hold is
// counted; and when the collector is back, so is the rest, without a restart.
func TestCollectorKilledAndBack(t *testing.T) {
	const queue, during = 20, 70
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			c := newCollector(t)
			c.start()
			at := map[string]string{"grpc": c.grpc, "http": c.http}[protocol]
			g := serveBefore(t, fmt.Sprintf(`{endpoint: "http://%s", protocol: %s, metrics: false, queue: %d}`, at, protocol, queue))
			g.ask("plain", nil)
			eventually(t, "the collector has the first request", func() bool { return len(c.requests()) == 1 })
			if got := g.dropped(); got != "0" {
				t.Errorf("%q dropped with a collector, want 0", got)
			}
			c.kill()
			g.ask("plain", nil)
			eventually(t, "the gateway has noticed", func() bool { return strings.Contains(g.log.String(), "sending to the collector failed") })
			for range during {
				if status, _ := g.ask("plain", nil); status != 200 {
					t.Fatalf("status %d while the collector is dead", status)
				}
			}
			if got, want := g.dropped(), fmt.Sprint(during-queue); got != want {
				t.Errorf("%s dropped, want %s", got, want)
			}
			c.start()
			eventually(t, "the rest has arrived", func() bool { return len(c.requests()) == 2+queue })
			_, last := g.ask("plain", nil)
			eventually(t, "and the next request too", func() bool { return c.requests()[last] })
			if got, want := g.dropped(), fmt.Sprint(during-queue); got != want {
				t.Errorf("%s dropped after the return, want %s", got, want)
			}
			if !strings.Contains(g.log.String(), "recovered") {
				t.Error("the log does not tell of the return")
			}
		})
	}
}

// A gateway that ends while its collector is dead ends in time and well.
func TestEndsWithoutACollector(t *testing.T) {
	c := newCollector(t)
	g := serveBefore(t, fmt.Sprintf(`{endpoint: "http://%s"}`, c.grpc))
	if status, _ := g.ask("plain", nil); status != 200 {
		t.Errorf("status %d", status)
	}
	if err := g.stop(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	if !strings.Contains(g.log.String(), "lost=1") {
		t.Error("the log does not tell what was lost")
	}
}
