package telemetry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry"
	"go.uber.org/zap"
)

// collectorConfig makes a process of this test's program a collector with
// this configuration file.
const collectorConfig = "SPILLWAY_TEST_COLLECTOR"

// collect runs the OpenTelemetry collector until it is told to end.
func collect(config string) error {
	factories := otelcol.Factories{Telemetry: warnings()}
	var err error
	if factories.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory()); err != nil {
		return err
	}
	if factories.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](otlphttpexporter.NewFactory()); err != nil {
		return err
	}
	c, err := otelcol.NewCollector(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "collector", Version: "test"},
		Factories: func() (otelcol.Factories, error) { return factories, nil },
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			URIs: []string{"file:" + config}, ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()},
		}},
	})
	if err != nil {
		return err
	}
	return c.Run(context.Background())
}

// warnings is what the collector tells of itself: warnings and errors on stderr.
// Its usual telemetry would bring the SDKs of clouds and of Kubernetes, 200
// packages to compile.
func warnings() telemetry.Factory {
	return telemetry.NewFactory(func() component.Config { return &struct{}{} }, telemetry.WithCreateLogger(
		func(context.Context, telemetry.LoggerSettings, component.Config) (*zap.Logger, component.ShutdownFunc, error) {
			log, err := zap.NewProduction(zap.IncreaseLevel(zap.WarnLevel))
			return log, nil, err
		}))
}

// collector is a real one, in a process of its own, that passes on to the test
// what it has received and understood.
type collector struct {
	t          *testing.T
	grpc, http string // addresses
	config     string
	process    *exec.Cmd
	sink       *httptest.Server

	mu      sync.Mutex
	spans   []span
	events  []event
	metrics map[string]pmetric.Metric // as received last
	texts   []byte                    // everything
	unread  error
}

// span and event are what a collector received, with the resource it came from.
type span struct {
	ptrace.Span
	resource map[string]any
}

type event struct {
	plog.LogRecord
	resource map[string]any
}

// newCollector prepares a collector on free ports, and does not start it.
func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, metrics: map[string]pmetric.Metric{}}
	var err error
	if c.grpc, c.http, err = freeAddresses(); err != nil {
		t.Fatal(err)
	}
	c.sink = httptest.NewServer(http.HandlerFunc(c.receive))
	t.Cleanup(c.sink.Close)
	c.config = filepath.Join(t.TempDir(), "collector.yaml")
	text := fmt.Sprintf(`
receivers:
  otlp: {protocols: {grpc: {endpoint: %q}, http: {endpoint: %q}}}
exporters:
  otlphttp: {endpoint: %q, encoding: json, compression: none, sending_queue: {enabled: false}}
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [otlphttp]}
    metrics: {receivers: [otlp], exporters: [otlphttp]}
    logs: {receivers: [otlp], exporters: [otlphttp]}
`, c.grpc, c.http, c.sink.URL)
	if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// start starts the collector and waits until it listens.
func (c *collector) start() {
	c.t.Helper()
	c.process = exec.Command(os.Args[0])
	c.process.Env = append(os.Environ(), collectorConfig+"="+c.config)
	c.process.Stdout, c.process.Stderr = os.Stderr, os.Stderr
	if err := c.process.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(c.kill)
	eventually(c.t, "the collector listens", func() bool { return listens(c.grpc) && listens(c.http) })
}

// kill ends the collector as a crash does.
func (c *collector) kill() {
	if c.process != nil {
		_ = c.process.Process.Kill() // an error means that it has ended
		_ = c.process.Wait()         // it was killed
		c.process = nil
	}
}

// receive takes what the collector passes on.
func (c *collector) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = c.read(r.URL.Path, body)
	}
	if err != nil {
		c.unread = err
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.texts = append(c.texts, body...)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}") // the collector may be gone
}

func (c *collector) read(path string, body []byte) error {
	switch path {
	case "/v1/traces":
		got, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(body)
		if err != nil {
			return err
		}
		for _, rs := range got.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					c.spans = append(c.spans, span{s, rs.Resource().Attributes().AsRaw()})
				}
			}
		}
	case "/v1/logs":
		got, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(body)
		if err != nil {
			return err
		}
		for _, rl := range got.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, l := range sl.LogRecords().All() {
					c.events = append(c.events, event{l, rl.Resource().Attributes().AsRaw()})
				}
			}
		}
	case "/v1/metrics":
		got, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(body)
		if err != nil {
			return err
		}
		for _, rm := range got.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					c.metrics[m.Name()] = m
				}
			}
		}
	}
	return nil
}

// requests are the ids of the requests of which there is a span and an event.
func (c *collector) requests() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	traced, both := map[string]bool{}, map[string]bool{}
	for _, s := range c.spans {
		if id, ok := s.Attributes().Get("spillway.id"); ok {
			traced[id.Str()] = true
		}
	}
	for _, e := range c.events {
		if id, ok := e.Attributes().Get("spillway.id"); ok && traced[id.Str()] {
			both[id.Str()] = true
		}
	}
	return both
}
