package otlp

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/batch"
	"github.com/spillway-ai/spillway/internal/observe/genai"
)

// Exporter sends records, and the metrics beside them. Record does not wait for
// the collector: what has gathered is sent every second, or as soon as it fills
// a message. A message that cannot be delivered is tried again for a minute,
// while records wait in the queue; then its records are lost and counted, as
// are those that the collector refuses, if only in part. Make it with New, end
// it with Close. Safe for concurrent use.
type Exporter struct {
	cfg    Config
	client *client
	queue  *batch.Queue[item]

	ctx     context.Context // ends when Close waits no longer
	cancel  context.CancelFunc
	closing chan struct{}
	once    sync.Once
	work    sync.WaitGroup // sending metrics

	// Owned by the queue's goroutine.
	tracer *tracer
	logger *logger

	mu     sync.Mutex
	failed map[string]bool // by signal: the last try of it failed
}

// New prepares the connection and starts the exporter. A collector that cannot
// be reached is no error; it is waited for.
func New(cfg Config) (*Exporter, error) {
	cfg = cfg.withDefaults()
	res, err := describe(cfg)
	if err != nil {
		return nil, err
	}
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	return start(cfg, res, c), nil
}

// start begins to send.
func start(cfg Config, res *resource.Resource, c *client) *Exporter {
	e := &Exporter{
		cfg: cfg, client: c, closing: make(chan struct{}), failed: map[string]bool{},
		tracer: newTracer(res, cfg.SampleRatio), logger: newLogger(res),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.queue = batch.Start(batch.Config[item]{Limit: cfg.Queue, MaxBatch: maxBatch, Every: flushEvery, Flush: e.send})
	if cfg.Metrics {
		e.work.Go(func() { e.sendMetrics(newMeter(cfg, res)) })
	}
	return e
}

// describe is the gateway's resource.
func describe(cfg Config) (*resource.Resource, error) {
	res, err := resource.New(context.Background(),
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", "spillway"),
			attribute.String("service.version", cfg.Version),
			attribute.String("service.instance.id", rand.Text()),
		),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	var given []attribute.KeyValue
	for _, name := range slices.Sorted(maps.Keys(cfg.Resource)) {
		given = append(given, attribute.String(name, cfg.Resource[name]))
	}
	res, err = resource.Merge(res, resource.NewSchemaless(given...))
	if err != nil {
		return nil, fmt.Errorf("build the resource attributes: %w", err)
	}
	return res, nil
}

// Record queues a copy of r. It never blocks: when the queue is full or the
// exporter closed, the record is dropped and counted.
func (e *Exporter) Record(r *spillway.Record) {
	if e.cfg.Traces || e.cfg.Logs {
		it := e.queue.Get()
		it.copyRecord(r)
		e.queue.Put(it, 0)
	}
}

// Dropped is the number of records lost so far.
func (e *Exporter) Dropped() uint64 { return e.queue.Dropped() }

// Close sends what is queued, for CloseWithin at most, and ends the exporter.
// Items that are left then are dropped, counted and logged. Close may be
// called again.
func (e *Exporter) Close() error {
	var err error
	e.once.Do(func() {
		before := e.Dropped()
		patience := time.AfterFunc(e.cfg.CloseWithin, e.cancel)
		defer patience.Stop()
		close(e.closing)
		e.queue.Close()
		e.work.Wait()
		if lost := e.Dropped() - before; lost > 0 {
			e.cfg.Log.Warn("records not sent before shutdown", slog.Uint64("lost", lost))
		}
		e.cancel()
		// Nothing waits for the rest.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err = e.client.shutdown(ctx)
	})
	return err
}

// send sends one message of each signal, and returns how many of the records
// are lost.
func (e *Exporter) send(batch []*item) (lost int) {
	if len(batch) == 0 {
		return 0
	}
	if e.ctx.Err() != nil {
		return len(batch)
	}
	spans, events := e.convert(batch)
	var signals sync.WaitGroup
	traced, logged := true, true
	if len(spans) > 0 {
		signals.Go(func() {
			traced = e.deliver("traces", func(ctx context.Context) error { return e.client.traces.ExportSpans(ctx, spans) })
		})
	}
	if len(events) > 0 {
		logged = e.deliver("logs", func(ctx context.Context) error { return e.client.logs.Export(ctx, events) })
	}
	signals.Wait()
	if !traced || !logged {
		return len(batch)
	}
	return 0
}

// convert makes spans and events of records.
func (e *Exporter) convert(batch []*item) ([]sdktrace.ReadOnlySpan, []sdklog.Record) {
	for _, it := range batch {
		r := it.record()
		id := identify(r)
		sampled := e.cfg.Traces && e.tracer.keeps(r, id)
		if sampled {
			e.tracer.trace(r, id, e.provider)
		}
		if e.cfg.Logs {
			e.logger.log(r, id, sampled, e.provider)
		}
	}
	return e.tracer.ended.drain(), e.logger.emitted.drain()
}

func (e *Exporter) provider(deployment string) string {
	if e.cfg.Provider == nil {
		return genai.DefaultProvider
	}
	return e.cfg.Provider(deployment)
}

// deliver sends one message, and again while that can help; false when it is
// lost.
func (e *Exporter) deliver(signal string, export func(context.Context) error) bool {
	giveUp := time.Now().Add(retryFor)
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		err := e.sendOnce(export)
		e.logResult(signal, err)
		if err == nil {
			return true
		}
		if !mayPass(err) || time.Now().Add(wait).After(giveUp) {
			return false
		}
		pause.Reset(wait)
		select {
		case <-pause.C:
		case <-e.ctx.Done():
			return false
		}
	}
}

// sendOnce sends one message once.
func (e *Exporter) sendOnce(export func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.Timeout)
	defer cancel()
	return export(ctx)
}

// maxErrorBytes bounds what the log repeats of a collector's response.
const maxErrorBytes = 512

// logResult logs the first failure in a row and the recovery.
func (e *Exporter) logResult(signal string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.failed[signal]
	e.failed[signal] = err != nil
	switch {
	case err != nil && !was:
		text := err.Error()
		e.cfg.Log.Error("sending to the collector failed, records wait in the queue",
			slog.String("signal", signal), slog.String("error", text[:min(len(text), maxErrorBytes)]))
	case err == nil && was:
		e.cfg.Log.Info("sending to the collector recovered",
			slog.String("signal", signal), slog.Uint64("dropped_total", e.Dropped()))
	}
}

// sendMetrics is the goroutine that reads and sends the metrics. They count
// from the start, so that one message replaces those that were lost.
func (e *Exporter) sendMetrics(m *meter) {
	tick := time.NewTicker(e.cfg.Interval)
	defer tick.Stop()
	for {
		ending := false
		select {
		case <-tick.C:
		case <-e.closing:
			ending = true
		}
		e.logResult("metrics", e.sendOnce(func(ctx context.Context) error {
			now, err := m.read(ctx)
			if err != nil {
				return err
			}
			return e.client.metrics.Export(ctx, now)
		}))
		if ending {
			return
		}
	}
}
