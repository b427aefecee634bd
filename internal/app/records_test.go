package app

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// stored is what the store in dir holds.
func stored(t *testing.T, dir string) (all []spillway.Record) {
	t.Helper()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range s.Records(store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *r)
	}
	return all
}

// A store is readable while the gateway writes it, belongs to one gateway, and
// holds every request after the drain.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	r := startWith(t, func(text string) string { return text + "store: {dir: " + dir + "}\n" })
	for range 3 {
		resp, err := r.ask(false, "Hello. [[tokens=5]]")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	r.eventually("the store has the records", func() bool { return len(stored(t, dir)) == 3 })

	second := func(path, want string) {
		t.Helper()
		_, err := Start(Options{ConfigPath: path, Listen: "127.0.0.1:0", Stdout: io.Discard, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a second gateway in the same place got %v, want to be told of %s", err, want)
		}
	}
	second(r.path, "a separate records.dir")
	text, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	apart := filepath.Join(t.TempDir(), "apart.yaml")
	text = regexp.MustCompile(`(?m)^records: .*$`).ReplaceAll(text, []byte("records: {dir: "+t.TempDir()+"}"))
	if err := os.WriteFile(apart, text, 0o600); err != nil {
		t.Fatal(err)
	}
	second(apart, "a separate store.dir")
	resp, err := http.Get("http://" + r.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`spillway_records_dropped_total{output="file"} 0`, `spillway_records_dropped_total{output="store"} 0`} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}

	resp, err = r.ask(false, "Goodbye. [[tokens=5]]")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r.stop()
	all := stored(t, dir)
	if len(all) != 4 {
		t.Fatalf("the store holds %d records after the drain, want 4", len(all))
	}
	for _, r := range all {
		if r.Pool != "gpt-4o-mini" || r.Status != http.StatusOK || !r.Usage.Known || len(r.Attempts) != 1 {
			t.Errorf("the store gave back %+v", r)
		}
	}
}

func TestReloadLeavesTheStore(t *testing.T) {
	r := startWith(t, func(text string) string { return text + "store: {dir: " + t.TempDir() + "}\n" })
	defer r.stop()
	r.replace("store: {", "store: {max_age: 24h, ")
	r.eventually("the log names the setting", func() bool {
		return strings.Contains(r.log.String(), "need a restart") && strings.Contains(r.log.String(), "settings=store")
	})
}
