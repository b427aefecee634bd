package app

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spillway-ai/spillway/internal/observe/export"
	"github.com/spillway-ai/spillway/internal/observe/export/sink"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// TestMain makes the test binary the export program where it is called so.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == exportProgram {
		if err := export.Serve(os.Stdin, os.Stdout, sink.New); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// installExportProgram puts the export program into PATH.
func installExportProgram(t *testing.T) {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(own, filepath.Join(dir, exportProgram)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// house is a ClickHouse that takes all, or nothing.
type house struct {
	mu    sync.Mutex
	down  bool
	files map[string][]byte // by token
}

func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down || err != nil || r.Header.Get("X-ClickHouse-Key") != "house-hunter2" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	h.files[r.URL.Query().Get("insert_deduplication_token")] = body
}

// Exports start with the gateway, and what the store seals at the end is sent
// before it is over. What cannot be sent then is sent at the next start.
func TestExports(t *testing.T) {
	installExportProgram(t)
	h := &house{files: map[string][]byte{}, down: true}
	server := httptest.NewServer(h)
	defer server.Close()
	dir := t.TempDir()
	with := func(text string) string {
		return text + "store: {dir: " + dir + "}\nexports:\n  - {name: house, kind: clickhouse, url: \"" + server.URL +
			"\", database: default, auth: {user: u, password: house-hunter2}}\n"
	}
	for _, down := range []bool{true, false} {
		h.mu.Lock()
		h.down = down
		h.mu.Unlock()
		r := startWith(t, with)
		resp, err := r.ask(false, "Hello. [[tokens=5]]")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		r.stop()
		if strings.Contains(r.log.String(), "hunter2") {
			t.Errorf("the log tells the password:\n%s", r.log)
		}
		if down && len(h.files) != 0 {
			t.Error("what is down has taken something")
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.files) != 2 {
		t.Errorf("%d segments came, want that of each run", len(h.files))
	}
	for token, file := range h.files {
		if token == "" || !bytes.HasPrefix(file, []byte("PAR1")) {
			t.Errorf("under %q came %.20q", token, file)
		}
	}
}

// What a gateway could not send is sent without one.
func TestExportRest(t *testing.T) {
	installExportProgram(t)
	h := &house{files: map[string][]byte{}, down: true}
	server := httptest.NewServer(h)
	defer server.Close()
	dir := t.TempDir()
	r := startWith(t, func(text string) string {
		return text + "store: {dir: " + dir + "}\nexports:\n  - {name: house, kind: clickhouse, url: \"" + server.URL +
			"\", database: default, auth: {user: u, password: house-hunter2}}\n"
	})
	resp, err := r.ask(false, "Hello. [[tokens=5]]")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	discard := slog.New(slog.DiscardHandler)
	if err := ExportRest(t.Context(), r.path, "", discard); !errors.Is(err, store.ErrLocked) {
		t.Errorf("beside a gateway: %v", err)
	}
	r.stop()
	if err := ExportRest(t.Context(), r.path, "", discard); err == nil || !strings.Contains(err.Error(), "export house: 1 records not sent") {
		t.Errorf("to a place that is down: %v", err)
	}
	h.mu.Lock()
	h.down = false
	h.mu.Unlock()
	for range 2 { // the second time there is nothing to do
		if err := ExportRest(t.Context(), r.path, "", discard); err != nil {
			t.Error(err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.files) != 1 {
		t.Errorf("%d segments came, want one", len(h.files))
	}
}

// What keeps exports from starting is told at the start, without secrets, and
// the store is given up.
func TestExportsThatCannotOpen(t *testing.T) {
	for _, tt := range []struct {
		name, key, want string
		install         func(*testing.T)
	}{
		{"no program", "aHVudGVyMg==", "start exports: spillway-export is not in the directory of spillway or in PATH; build it with make build", func(t *testing.T) { t.Setenv("PATH", t.TempDir()) }},
		{"wrong key", "hunter2", "opening the export lake: auth.account_key", installExportProgram},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.install(t)
			dir := t.TempDir()
			path := dir + "/c.yaml"
			text := strings.ReplaceAll(testConfig, "RECORDS", dir) + "store: {dir: " + dir + "/store}\nexports:\n" +
				"  - {name: lake, kind: object_storage, url: \"https://a.blob.core.windows.net\", bucket: b, auth: {account_key: \"" + tt.key + "\"}}\n"
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "FLEET", "http://127.0.0.1:9")), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Start(Options{ConfigPath: path, Listen: "127.0.0.1:0", Stdout: io.Discard, Log: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), tt.key) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			w, err := store.NewWriter(store.Config{Dir: dir + "/store"}) // the lock is given up
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
