package otlp

import (
	"context"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	logsv1 "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	spillway "github.com/spillway-ai/spillway"
)

// webCollector takes OTLP over HTTP, and responses what it is told.
type webCollector struct {
	*httptest.Server
	mu      sync.Mutex
	answers []int // the next ones; 200 when there are none
	paths   map[string]int
	keys    map[string]bool
}

func startWeb(t testing.TB, start func(*httptest.Server)) *webCollector {
	c := &webCollector{paths: map[string]int{}, keys: map[string]bool{}}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the connection may be gone
		c.mu.Lock()
		defer c.mu.Unlock()
		c.paths[r.URL.Path]++
		c.keys[r.Header.Get("Api-Key")] = true
		if len(c.answers) > 0 {
			w.WriteHeader(c.answers[0])
			c.answers = c.answers[1:]
		}
	}))
	start(c.Server)
	t.Cleanup(c.Close)
	return c
}

// authority writes the certificate of a test's server where CAFile finds it.
func authority(t *testing.T, s *httptest.Server) string {
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// one is a registry with one counter.
func one() prometheus.GathererFunc {
	return func() ([]*dto.MetricFamily, error) {
		r := prometheus.NewRegistry()
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "spillway_test_total", Help: "A counter."})
		r.MustRegister(c)
		return r.Gather()
	}
}

// patience is longer than anything takes that does not hang.
const patience = 5 * time.Minute

// sent sends two records and the metrics, and returns what was dropped.
func sent(t *testing.T, cfg Config) uint64 {
	t.Helper()
	cfg.Traces, cfg.Logs, cfg.Metrics, cfg.SampleRatio, cfg.Gather = true, true, true, 1, one()
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	record(e, 2)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	return e.Dropped()
}

func TestHTTP(t *testing.T) {
	c := startWeb(t, (*httptest.Server).StartTLS)
	cfg := Config{
		Endpoint: c.URL + "/base/", Protocol: HTTP, Headers: map[string]string{"api-key": "k"}, CAFile: authority(t, c.Server),
		Timeout: patience, CloseWithin: patience,
	}
	if n := sent(t, cfg); n != 0 {
		t.Errorf("%d dropped", n)
	}
	for _, path := range []string{"/base/v1/traces", "/base/v1/logs", "/base/v1/metrics"} {
		if c.paths[path] != 1 {
			t.Errorf("%s was asked %d times; all: %v", path, c.paths[path], c.paths)
		}
	}
	if len(c.keys) != 1 || !c.keys["k"] {
		t.Errorf("headers %v", c.keys)
	}
	cfg.CAFile, cfg.Insecure, cfg.Plain = "", true, true
	if n := sent(t, cfg); n != 0 {
		t.Errorf("%d dropped without verification", n)
	}
}

func TestHTTPAnswers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []int
		dropped uint64
	}{
		{"busy, then well", []int{503, 429, 200}, 0},
		{"refused", []int{401, 401, 401}, 2},
		{"broken", []int{500, 500, 500}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := startWeb(t, (*httptest.Server).Start)
			c.answers = tt.answers
			if n := sent(t, Config{Endpoint: c.URL, Protocol: HTTP, Timeout: patience, CloseWithin: patience}); n != tt.dropped {
				t.Errorf("%d dropped, want %d", n, tt.dropped)
			}
		})
	}
}

func TestStrangers(t *testing.T) {
	c := startWeb(t, (*httptest.Server).StartTLS)
	cfg := Config{Endpoint: c.URL, Protocol: HTTP, CloseWithin: time.Second}
	if n := sent(t, cfg); n != 2 {
		t.Errorf("%d dropped before a certificate that nobody has signed, want 2", n)
	}
}

// rpcCollector takes OTLP over gRPC.
type rpcCollector struct {
	tracev1.UnimplementedTraceServiceServer
	logsv1.UnimplementedLogsServiceServer
	mu            sync.Mutex
	spans, events int
	keys          []string
	partial       bool
	got           chan struct{} // hears of each message, where it is not nil
}

// arrived tells that a message has arrived.
func (c *rpcCollector) arrived() {
	if c.got != nil {
		c.got <- struct{}{}
	}
}

type traceService struct{ *rpcCollector }

// Export takes spans.
func (s traceService) Export(ctx context.Context, r *tracev1.ExportTraceServiceRequest) (*tracev1.ExportTraceServiceResponse, error) {
	defer s.arrived()
	s.mu.Lock()
	defer s.mu.Unlock()
	md, _ := metadata.FromIncomingContext(ctx)
	s.keys = append(s.keys, md.Get("api-key")...)
	for _, rs := range r.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			s.spans += len(ss.Spans)
		}
	}
	answer := &tracev1.ExportTraceServiceResponse{}
	if s.partial {
		answer.PartialSuccess = &tracev1.ExportTracePartialSuccess{RejectedSpans: 1, ErrorMessage: "one too many"}
	}
	return answer, nil
}

type logService struct{ *rpcCollector }

// Export takes events.
func (s logService) Export(_ context.Context, r *logsv1.ExportLogsServiceRequest) (*logsv1.ExportLogsServiceResponse, error) {
	defer s.arrived()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rl := range r.ResourceLogs {
		for _, sl := range rl.ScopeLogs {
			s.events += len(sl.LogRecords)
		}
	}
	return &logsv1.ExportLogsServiceResponse{}, nil
}

// startRPC starts a collector with TLS; a metrics service it has not.
func startRPC(t *testing.T) (c *rpcCollector, address, ca string) {
	t.Helper()
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS() // for its certificate
	ca = authority(t, web)
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&web.TLS.Certificates[0])))
	web.Close()
	c = &rpcCollector{}
	tracev1.RegisterTraceServiceServer(s, traceService{c})
	logsv1.RegisterLogsServiceServer(s, logService{c})
	var served sync.WaitGroup
	served.Go(func() { _ = s.Serve(socket) }) // ends with Stop
	t.Cleanup(func() { s.Stop(); served.Wait() })
	return c, "https://" + socket.Addr().String(), ca
}

func TestGRPC(t *testing.T) {
	c, address, ca := startRPC(t)
	if n := sent(t, Config{Endpoint: address, CAFile: ca, Headers: map[string]string{"Api-Key": "k"}, Timeout: patience, CloseWithin: patience}); n != 0 {
		t.Errorf("%d dropped", n)
	}
	if c.spans != 4 || c.events != 2 || strings.Join(c.keys, " ") != "k" {
		t.Errorf("%d spans, %d events, keys %v", c.spans, c.events, c.keys)
	}
	c.partial = true
	if n := sent(t, Config{Endpoint: address, CAFile: ca, Plain: true, Timeout: patience, CloseWithin: patience}); n != 2 {
		t.Errorf("%d dropped of a message that was taken in part, want all 2", n)
	}
}

func TestNewRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.pem")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []Config{
		{}, {Endpoint: "collector:4317"}, {Endpoint: "https://c:1", CAFile: missing}, {Endpoint: "https://c:1", CAFile: empty},
	} {
		if e, err := New(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
			_ = e.Close()
		}
	}
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "nonsense")
	if _, err := New(Config{Endpoint: "http://c:1"}); err == nil {
		t.Error("OTEL_RESOURCE_ATTRIBUTES=nonsense: no error")
	}
}

func TestResource(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=env,team=env")
	res, err := describe(Config{Version: "v1", Resource: map[string]string{"team": "config"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"service.name": "spillway", "service.version": "v1", "service.namespace": "env", "team": "config", "telemetry.sdk.language": "go",
	} {
		if got := byName(res.Attributes())[name].AsString(); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// The largest message that there can be is one that collectors take.
func TestLargestMessage(t *testing.T) {
	c, address, ca := startRPC(t)
	c.got = make(chan struct{}, 2)
	e, err := New(Config{Endpoint: address, CAFile: ca, Traces: true, Logs: true, Timeout: patience, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	r := whole()
	text := strings.Repeat("x", maxTextBytes)
	r.Model, r.Tenant, r.Pool, r.Caller, r.Class = text, text, text[:128], text[:128], text[:128]
	for range spillway.MaxAttempts - len(r.Attempts) {
		r.Attempts = append(r.Attempts, r.Attempts[1])
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		a.Deployment, a.Region, a.ServedBy, a.RetryAfter, a.Utilization = text[:128], text[:128], text, time.Second, 1
	}
	for range maxBatch {
		e.Record(r)
	}
	for range 2 {
		select {
		case <-c.got:
		case <-time.After(patience):
			t.Fatal("no message has arrived")
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if e.Dropped() != 0 || c.events != maxBatch || c.spans != maxBatch*(1+spillway.MaxAttempts) {
		t.Errorf("%d dropped; the collector has %d events and %d spans", e.Dropped(), c.events, c.spans)
	}
}
