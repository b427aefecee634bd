package app

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spillway-ai/spillway/internal/observe/lockfile"
	"github.com/spillway-ai/spillway/internal/observe/store"
	"github.com/spillway-ai/spillway/internal/observe/telemetry"
	"github.com/spillway-ai/spillway/internal/proxy/gateway"
)

// output is one destination of records. Close writes what is queued.
type output struct {
	name string // in metrics
	recordSink
}

// recordSink accepts records without blocking: it drops what it cannot queue.
type recordSink interface {
	gateway.Recorder
	Dropped() uint64
	Close() error
}

// openOutputs opens every destination that the configuration sends records to.
func (a *App) openOutputs() (telemetry.Fanout, error) {
	for _, open := range []func() (output, error){a.openFile, a.openStore, a.openOTLP} {
		o, err := open()
		if err != nil {
			return nil, err
		}
		if o.recordSink != nil {
			a.outputs = append(a.outputs, o)
		}
	}
	var all telemetry.Fanout
	for _, o := range a.outputs {
		all = append(all, o)
	}
	return all, nil
}

// openFile opens the JSON lines; the zero output where they go nowhere.
func (a *App) openFile() (output, error) {
	r := a.cfg.Records
	var open telemetry.Open
	name := "file"
	switch {
	case r.Dir != "":
		open = telemetry.File(telemetry.FileConfig{
			Path: r.Dir + "/records.jsonl", MaxBytes: int64(r.MaxFileBytes), MaxFiles: r.MaxFiles,
		})
	case r.Stdout:
		open, name = telemetry.Stream(a.opts.Stdout), "stdout"
	default:
		return output{}, nil
	}
	w, err := telemetry.NewWriter(open, telemetry.WriterConfig{Queue: r.Queue, Log: a.opts.Log})
	if errors.Is(err, lockfile.ErrHeld) {
		return output{}, fmt.Errorf("another process writes to %s; set a separate records.dir for each gateway", r.Dir)
	}
	if err != nil {
		return output{}, fmt.Errorf("opening the records: %w", err)
	}
	return output{name, w}, nil
}

// openStore opens the record store; the zero output where there is none.
func (a *App) openStore() (output, error) {
	dir := a.storeDir()
	if dir == "" {
		return output{}, nil
	}
	s := a.cfg.Store
	w, err := store.NewWriter(store.Config{
		Dir: dir, Queue: s.Queue, SealAfter: s.SealAfter, MaxAge: s.MaxAge, MaxBytes: int64(s.MaxBytes), Log: a.opts.Log,
		Feeds: feeds(a.cfg.Exports),
	})
	if errors.Is(err, store.ErrLocked) {
		return output{}, fmt.Errorf("%w; set a separate store.dir for each gateway", err)
	}
	if err != nil {
		return output{}, err
	}
	sink, err := a.startExports(w)
	return output{"store", sink}, err
}

// storeDir is the record store's directory; "" where there is none.
func (a *App) storeDir() string { return cmp.Or(a.opts.Store, a.cfg.Store.Dir) }

// sampledPerSecond is how many records of requests without a known caller are
// kept: enough to see who sends them, and too few to displace other records.
const sampledPerSecond = 10

// unauthenticatedRecorder counts the requests that were refused before their caller
// was known, and samples their records.
func unauthenticatedRecorder(outputs telemetry.Fanout, metrics *telemetry.Metrics) telemetry.Fanout {
	all := telemetry.Fanout{telemetry.Sample(outputs, sampledPerSecond)}
	if metrics != nil {
		all = append(all, metrics.Unauthenticated())
	}
	return all
}

// metrics makes the gateway's metrics; nil where the configuration has none.
func (a *App) metrics() *telemetry.Metrics {
	if !a.cfg.Metrics.Enabled && !a.sendsMetrics() {
		return nil
	}
	dropped := make(map[string]func() uint64, len(a.outputs))
	for _, o := range a.outputs {
		dropped[o.name] = o.Dropped
	}
	for _, l := range a.losses {
		dropped[l.output] = l.lost
	}
	cfg := telemetry.MetricsConfig{Status: a.status, Dropped: dropped, Provider: a.provider}
	if a.exports != nil {
		cfg.Exports = a.exportStatus
	}
	m := telemetry.NewMetrics(cfg)
	a.counts.Store(m)
	return m
}
