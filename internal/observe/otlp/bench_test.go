package otlp

import (
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
)

// measure runs what the benchmark repeats, and tells the processor time too,
// which other work on the machine changes less than the time that passes.
func measure(b *testing.B, work func()) {
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		work()
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What the request path pays; records beyond the queue are dropped, at the same
// price.
func BenchmarkRecord(b *testing.B) {
	e, _ := startTest(Config{})
	defer e.Close()
	r := plain()
	measure(b, func() { e.Record(r) })
}

// What spans and events cost, besides the request path.
func BenchmarkConvert(b *testing.B) {
	for name, cfg := range map[string]Config{
		"traces": {Traces: true, SampleRatio: 1}, "logs": {Logs: true}, "both": {Traces: true, Logs: true, SampleRatio: 1},
	} {
		b.Run(name, func(b *testing.B) {
			e := &Exporter{cfg: cfg, tracer: newTracer(resource.Empty(), 1), logger: newLogger(resource.Empty())}
			var it item
			it.copyRecord(plain())
			batch := []*item{&it}
			measure(b, func() { e.convert(batch) })
		})
	}
}

// What a record costs in all: kept, made a trace and an event, encoded and sent
// over HTTP on loopback, where it is thrown away.
func BenchmarkSend(b *testing.B) {
	for name, cfg := range map[string]Config{
		"both": {Traces: true, Logs: true, SampleRatio: 1}, "both plain": {Traces: true, Logs: true, SampleRatio: 1, Plain: true},
		"traces": {Traces: true, SampleRatio: 1}, "logs": {Logs: true}, "sampled out": {Traces: true},
	} {
		b.Run(name, func(b *testing.B) {
			c := startWeb(b, (*httptest.Server).Start)
			cfg.Endpoint, cfg.Protocol = c.URL, HTTP
			cfg := cfg.withDefaults()
			res, err := describe(cfg)
			if err != nil {
				b.Fatal(err)
			}
			way, err := newClient(cfg)
			if err != nil {
				b.Fatal(err)
			}
			e := &Exporter{
				cfg: cfg, client: way, failed: map[string]bool{}, ctx: b.Context(),
				tracer: newTracer(res, cfg.SampleRatio), logger: newLogger(res),
			}
			var batch []*item
			for range maxBatch {
				batch = append(batch, new(item))
			}
			r := plain()
			n := 0
			measure(b, func() {
				batch[n%maxBatch].copyRecord(r)
				if n++; n%maxBatch != 0 {
					return
				}
				if lost := e.send(batch); lost > 0 {
					b.Errorf("%d lost", lost)
				}
			})
		})
	}
}
