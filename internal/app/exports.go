package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/observe/export"
	"github.com/spillway-ai/spillway/internal/observe/store"
	"github.com/spillway-ai/spillway/internal/observe/telemetry"
)

// lastExport is how long exports get, at the end, to send what the store has
// sealed last. The rest goes at the next start.
const lastExport = 5 * time.Second

// exportingStore is the record store with the exports that read from it.
type exportingStore struct {
	*store.Writer
	exports *export.Exports
}

// Close seals the last records, lets the exports send them, and closes the
// store.
func (s *exportingStore) Close() error {
	err := s.End()
	ctx, cancel := context.WithTimeout(context.Background(), lastExport)
	defer cancel()
	s.exports.Close(ctx)
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
	var exports []export.Export
	for _, e := range a.cfg.Exports {
		sender, err := export.New(target(e))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("opening the export %s: %w", e.Name, err), w.Close())
		}
		exports = append(exports, export.Export{
			Name: e.Name, Sender: sender, Feed: w.Feed(e.Name), Timeout: e.Timeout, GiveUpAfter: e.GiveUpAfter,
		})
		a.losses = append(a.losses, lossCounter{e.Name, w.Feed(e.Name).Lost})
	}
	s := &exportingStore{Writer: w, exports: export.Start(exports, a.opts.Log, rand.Float64)}
	a.exports = s.exports
	return s, nil
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
		a.opts.Log.Warn("the lag of exports is not known", slog.Any("error", err))
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
