package main

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/kql"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// TestStore queries what the record store has written, sealed or not.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	w, err := store.NewWriter(store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		r := spillway.Record{
			ID: "req_" + string(rune('a'+i)), Time: instant.Add(time.Duration(i-30) * time.Minute), Caller: "search", Outcome: spillway.OutcomeOK, Status: 200,
			E2E: time.Duration(i+1) * time.Second, Usage: spillway.Usage{Prompt: 100, Completion: 10, Known: true},
			Attempts: []spillway.Attempt{
				{Deployment: "ptu", Kind: spillway.Provisioned, Status: 429, Class: spillway.FailureRefused, Utilization: 1},
				{Deployment: "std", Tier: 1, Start: time.Millisecond, Status: 200, Utilization: -1},
			},
		}
		w.Record(&r)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	paths, unsealed, err := s.Files(store.Query{}, &rest)
	if err != nil {
		t.Fatal(err)
	}
	if unsealed > 0 {
		file := filepath.Join(t.TempDir(), "unsealed.parquet")
		if err := os.WriteFile(file, rest.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, file)
	}
	if len(paths) == 0 {
		t.Fatal("the store has no file")
	}
	for _, tt := range []struct{ query, want string }{
		{"requests | summarize count(), sum(completion_tokens), max(e2e_ms), min(time) by deployment, tier, outcome", `["std",1,"ok",6,60,6000,"2026-11-22T11:30:00Z"]`},
		{"attempts | summarize count(), max(utilization_ratio) by deployment, failure, kind, number | order by number asc", `["ptu","refused","provisioned",1,6,1] ["std","","standard",2,6,null]`},
		{"requests | where isnull(ask_tokens) and isempty(spill) and usage_known | count", "[6]"},
		{"requests | take 1 | count", "[1]"},
		{"requests | summarize take_any(*) | project caller", `["search"]`},
		{"attempts | summarize take_any(*) | project caller", `["search"]`},
	} {
		q, err := kql.Translate(instant, tt.query, kql.Records())
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"-view", "attempts=" + kql.AttemptsView}
		for _, p := range paths {
			args = append(args, "-table", "requests="+p)
		}
		var out bytes.Buffer
		if err := run(t.Context(), args, strings.NewReader(q.SQL), &out); err != nil {
			t.Errorf("%s\n%v", tt.query, err)
			continue
		}
		_, rows, _ := strings.Cut(out.String(), "\n")
		if got := strings.Join(strings.Fields(rows), " "); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.query, got, tt.want)
		}
	}
}

// Segments of an older version lack columns: these are null, or empty, as long as there is
// a file that has them.
func TestOlderSegments(t *testing.T) {
	dir := t.TempDir()
	w, err := store.NewWriter(store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	w.Record(&spillway.Record{ID: "a", Time: instant, Attempts: []spillway.Attempt{{Deployment: "std", CostUSD: 0.5}}})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	paths, _, err := s.Files(store.Query{}, &rest)
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	older, empty := filepath.Join(t.TempDir(), "older.parquet"), filepath.Join(t.TempDir(), "rest.parquet")
	if err := os.WriteFile(empty, rest.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("COPY (SELECT * EXCLUDE (cost_usd, traceparent, attempts), [{'deployment': 'std', 'tier': 0::BIGINT}] AS attempts FROM '" + paths[0] +
		"') TO '" + older + "' (FORMAT parquet)"); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"requests | project id, cost_usd, traceparent":  `["a",null,""]`,
		"requests | where isempty(traceparent) | count": `[1]`,
		"attempts | project deployment, cost_usd":       `["std",null]`,
	} {
		q, err := kql.Translate(instant, query, kql.Records())
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		args := []string{"-view", "attempts=" + kql.AttemptsView, "-table", "requests=" + older, "-table", "requests=" + empty}
		if err := run(t.Context(), args, strings.NewReader(q.SQL), &out); err != nil {
			t.Errorf("%s\n%v", query, err)
			continue
		}
		if _, rows, _ := strings.Cut(out.String(), "\n"); strings.TrimSpace(rows) != want {
			t.Errorf("%s\n got %s\nwant %s", query, strings.TrimSpace(rows), want)
		}
	}
}

// TestStoreOfBefore queries a store that only has a segment of an earlier version: the
// columns that it lacks are empty.
func TestStoreOfBefore(t *testing.T) {
	old, err := filepath.Glob("../internal/observe/store/testdata/requests-*.parquet")
	if err != nil || len(old) != 1 {
		t.Fatalf("%q, %v", old, err)
	}
	dir := t.TempDir()
	segment, err := os.ReadFile(old[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(old[0])), segment, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	paths, unsealed, err := s.Files(store.Query{}, &rest)
	if err != nil || unsealed != 0 || len(paths) != 1 {
		t.Fatalf("%q, %d unsealed, %v", paths, unsealed, err)
	}
	file := filepath.Join(t.TempDir(), "unsealed.parquet")
	if err := os.WriteFile(file, rest.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"requests | summarize count() by error, response_service_tier, cache_write_tokens":           `["","",null,1]`,
		"attempts | summarize count() by error, upstream_request_id, served_region, reset_tokens_ms": `["","","",null,2]`,
	} {
		q, err := kql.Translate(instant, query, kql.Records())
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"-view", "attempts=" + kql.AttemptsView, "-table", "requests=" + paths[0], "-table", "requests=" + file}
		var out bytes.Buffer
		if err := run(t.Context(), args, strings.NewReader(q.SQL), &out); err != nil {
			t.Errorf("%s\n%v", query, err)
			continue
		}
		_, rows, _ := strings.Cut(out.String(), "\n")
		if got := strings.Join(strings.Fields(rows), " "); got != want {
			t.Errorf("%s\n got %s\nwant %s", query, got, want)
		}
	}
}
