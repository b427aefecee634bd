package otlp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
)

// client is the way to the collector. A signal that is not sent is nil.
type client struct {
	traces  sdktrace.SpanExporter
	metrics metric.Exporter
	logs    sdklog.Exporter
	close   func() error // what carries them
}

// newClient creates a client; it does not connect yet.
func newClient(cfg Config) (*client, error) {
	at, err := url.Parse(cfg.Endpoint)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return nil, errors.New("the endpoint of OTLP is not a URL: write http:// or https://, the host and the port")
	}
	trust, err := trusted(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Protocol == HTTP {
		return newHTTPClient(cfg, trust)
	}
	return newGRPCClient(cfg, at, trust)
}

// trusted says which certificates to take.
func trusted(cfg Config) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: cfg.Insecure}
	if cfg.CAFile == "" {
		return out, nil
	}
	pem, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the collector's certificate authorities: %w", err)
	}
	out.RootCAs = x509.NewCertPool()
	if !out.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s contains no PEM certificate", cfg.CAFile)
	}
	return out, nil
}

// newGRPCClient sends all signals over one connection, which heals itself.
func newGRPCClient(cfg Config, at *url.URL, trust *tls.Config) (*client, error) {
	guard := insecure.NewCredentials()
	if at.Scheme == "https" {
		guard = credentials.NewTLS(trust)
	}
	again := backoff.DefaultConfig
	again.MaxDelay = longestPause
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(guard),
		grpc.WithUserAgent("spillway/" + cfg.Version),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: cfg.Timeout}),
	}
	if !cfg.Plain {
		options = append(options, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	conn, err := grpc.NewClient(at.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the collector: %w", err)
	}
	c := &client{close: conn.Close}
	ctx := context.Background()
	var errs [3]error
	if cfg.Traces {
		c.traces, errs[0] = otlptracegrpc.New(ctx, otlptracegrpc.WithGRPCConn(conn), otlptracegrpc.WithHeaders(cfg.Headers),
			otlptracegrpc.WithTimeout(cfg.Timeout), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))
	}
	if cfg.Metrics {
		c.metrics, errs[1] = otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithGRPCConn(conn), otlpmetricgrpc.WithHeaders(cfg.Headers),
			otlpmetricgrpc.WithTimeout(cfg.Timeout), otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}))
	}
	if cfg.Logs {
		c.logs, errs[2] = otlploggrpc.New(ctx, otlploggrpc.WithGRPCConn(conn), otlploggrpc.WithHeaders(cfg.Headers),
			otlploggrpc.WithTimeout(cfg.Timeout), otlploggrpc.WithRetry(otlploggrpc.RetryConfig{}))
	}
	return c, errors.Join(errs[:]...)
}

// newHTTPClient sends each signal to its path.
func newHTTPClient(cfg Config, trust *tls.Config) (*client, error) {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second,
	}
	web := &http.Client{Transport: transient{transport}, Timeout: cfg.Timeout}
	base := strings.TrimRight(cfg.Endpoint, "/")
	c := &client{close: func() error { transport.CloseIdleConnections(); return nil }}
	ctx := context.Background()
	var errs [3]error
	if cfg.Traces {
		options := []otlptracehttp.Option{
			otlptracehttp.WithEndpointURL(base + "/v1/traces"), otlptracehttp.WithHeaders(cfg.Headers),
			otlptracehttp.WithHTTPClient(web), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}),
		}
		if !cfg.Plain {
			options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
		}
		c.traces, errs[0] = otlptracehttp.New(ctx, options...)
	}
	if cfg.Metrics {
		options := []otlpmetrichttp.Option{
			otlpmetrichttp.WithEndpointURL(base + "/v1/metrics"), otlpmetrichttp.WithHeaders(cfg.Headers),
			otlpmetrichttp.WithHTTPClient(web), otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}),
		}
		if !cfg.Plain {
			options = append(options, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
		}
		c.metrics, errs[1] = otlpmetrichttp.New(ctx, options...)
	}
	if cfg.Logs {
		options := []otlploghttp.Option{
			otlploghttp.WithEndpointURL(base + "/v1/logs"), otlploghttp.WithHeaders(cfg.Headers),
			otlploghttp.WithHTTPClient(web), otlploghttp.WithRetry(otlploghttp.RetryConfig{}),
		}
		if !cfg.Plain {
			options = append(options, otlploghttp.WithCompression(otlploghttp.GzipCompression))
		}
		c.logs, errs[2] = otlploghttp.New(ctx, options...)
	}
	return c, errors.Join(errs[:]...)
}

// shutdown ends the exporters and what carries them.
func (c *client) shutdown(ctx context.Context) error {
	var errs []error
	if c.traces != nil {
		errs = append(errs, c.traces.Shutdown(ctx))
	}
	if c.metrics != nil {
		errs = append(errs, c.metrics.Shutdown(ctx))
	}
	if c.logs != nil {
		errs = append(errs, c.logs.Shutdown(ctx))
	}
	return errors.Join(append(errs, c.close())...)
}

// transient makes an error of the responses after which OTLP has a client try
// again, to distinguish them from permanent ones.
type transient struct{ http.RoundTripper }

// RoundTrip sends the request.
func (t transient) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return nil, errors.Join(fmt.Errorf("the collector returned %s", resp.Status), resp.Body.Close())
	}
	return resp, nil
}

// mayPass reports whether another try can help: the collector was not reached,
// or said so.
func mayPass(err error) bool {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return true // of HTTP: no response, or one that is transient
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	s, ok := status.FromError(err)
	if !ok {
		return false // of HTTP: refused, or taken in part
	}
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange,
		codes.Unavailable, codes.DataLoss, codes.ResourceExhausted:
		return true
	}
	return false
}
