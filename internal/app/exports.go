package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/observe/export"
	"github.com/spillway-ai/spillway/internal/observe/store"
	"github.com/spillway-ai/spillway/internal/observe/telemetry"
)

// lastExport is how long exports get, at the end, to send what the store has
// sealed last. The rest goes at the next start.
const lastExport = 5 * time.Second

// exportProgram is the program that has the libraries of the places. The
// gateway does without them.
const exportProgram = "spillway-export"

// exportingStore is the record store with the exports that read from it.
type exportingStore struct {
	*store.Writer
	exports *export.Exports
	process *export.Process
	last    time.Duration // how long exports get in Close
}

// Close seals the last records, lets the exports send them, and closes the
// store.
func (s *exportingStore) Close() error {
	err := s.End()
	ctx, cancel := context.WithTimeout(context.Background(), s.last)
	defer cancel()
	s.exports.Close(ctx)
	s.process.Close()
	return errors.Join(err, s.Writer.Close())
}

// feeds are the names of the exports, for the store.
func feeds(exports []config.Export) []string {
	var names []string
	for _, e := range exports {
		names = append(names, e.Name)
	}
	return names
}

// startExports starts the exports of w. Without any it returns w.
func (a *App) startExports(w *store.Writer) (recordSink, error) {
	if len(a.cfg.Exports) == 0 {
		return w, nil
	}
	s, err := startExporting(w, a.cfg.Exports, a.opts.Log)
	if err != nil {
		return nil, err
	}
	for _, e := range a.cfg.Exports {
		a.losses = append(a.losses, lossCounter{e.Name, w.Feed(e.Name).Lost})
	}
	a.exports, s.last = s.exports, cmp.Or(a.opts.lastExport, s.last)
	return s, nil
}

// startExporting starts the export program and the exports. It owns w from
// then on, also when it fails.
func startExporting(w *store.Writer, from []config.Export, log *slog.Logger) (*exportingStore, error) {
	targets := map[string]export.Target{}
	for _, e := range from {
		targets[e.Name] = target(e)
	}
	process, err := startExportProcess(targets, log)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	var exports []export.Export
	for _, e := range from {
		exports = append(exports, export.Export{
			Name: e.Name, Sender: process.Sender(e.Name), Feed: w.Feed(e.Name), Timeout: e.Timeout, GiveUpAfter: e.GiveUpAfter,
		})
	}
	return &exportingStore{Writer: w, exports: export.Start(exports, log, rand.Float64), process: process, last: lastExport}, nil
}

func startExportProcess(targets map[string]export.Target, log *slog.Logger) (*export.Process, error) {
	path, err := FindProgram(exportProgram, "make build")
	if err != nil {
		return nil, fmt.Errorf("start exports: %w", err)
	}
	return export.StartProcess(path, targets, log)
}

// ExportRest sends what a store still has for the exports of the configuration
// at path, while no gateway writes to that store, until ctx ends. Store overrides
// the configuration's directory. What could not be sent is an error; the log
// says why.
func ExportRest(ctx context.Context, path, dir string, log *slog.Logger) error {
	cfg, err := config.Load(path, os.LookupEnv, os.ReadFile)
	if err != nil {
		return err
	}
	if dir = cmp.Or(dir, cfg.Store.Dir); dir == "" || len(cfg.Exports) == 0 {
		return errors.New("nothing to export: set store.dir and exports in the configuration")
	}
	w, err := store.NewWriter(store.Config{Dir: dir, Log: log, Feeds: feeds(cfg.Exports)})
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("%w: a running gateway exports its own records (%s)", err, dir)
	}
	if err != nil {
		return err
	}
	s, err := startExporting(w, cfg.Exports, log)
	if err != nil {
		return err
	}
	err = w.End()
	s.exports.Close(ctx)
	all, statusErr := s.exports.Status()
	err = errors.Join(err, statusErr)
	for _, e := range all {
		log.Info("exported", slog.String("export", e.Name), slog.Uint64("records", e.Sent), slog.Int64("left", e.LagRecords))
		if e.LagRecords > 0 {
			err = errors.Join(err, fmt.Errorf("export %s: %d records not sent", e.Name, e.LagRecords))
		}
	}
	s.process.Close()
	return errors.Join(err, w.Close())
}

// lossCounter counts the records that one output has lost.
type lossCounter struct {
	output string
	lost   func() uint64
}

// exportStatus is the state of the exports for the metrics.
func (a *App) exportStatus() []telemetry.ExportStatus {
	all, err := a.exports.Status()
	if err != nil {
		a.opts.Log.Warn("export lag unknown", slog.Any("error", err))
	}
	out := make([]telemetry.ExportStatus, len(all))
	for i, s := range all {
		out[i] = telemetry.ExportStatus{
			Name: s.Name, Records: s.Sent, Bytes: s.Bytes, Failed: s.Failures, LagRecords: s.LagRecords, LagSince: s.LagSince,
		}
	}
	return out
}

// target is the destination of an export.
func target(e config.Export) export.Target {
	t := export.Target{
		Kind: e.Kind, URL: e.URL, Database: e.Database, Table: e.Table, Mapping: e.Mapping,
		API: e.API, Bucket: e.Bucket, Prefix: e.Prefix, Region: e.Region,
	}
	if a := e.Auth; a != nil {
		t.Auth = export.Auth{
			User: a.User, Password: a.Password.Reveal(),
			TenantID: a.TenantID, ClientID: a.ClientID, ClientSecret: a.ClientSecret.Reveal(), Authority: a.Authority,
			ManagedIdentity: a.ManagedIdentity, AccountKey: a.AccountKey.Reveal(), SAS: a.SAS.Reveal(),
			AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey.Reveal(), SessionToken: a.SessionToken.Reveal(),
		}
	}
	if e.TLS != nil {
		t.CAFile, t.Insecure = e.TLS.CAFile, e.TLS.InsecureSkipVerify
	}
	return t
}
