package app

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/observe/store"
	"github.com/spillway-ai/spillway/internal/observe/telemetry"
	"github.com/spillway-ai/spillway/internal/proxy/gateway"
)

// storing changes the test configuration so that one deployment gets all
// requests, budgets are granted, and a store is kept.
func storing(dir string) func(text string) string {
	return strings.NewReplacer(
		"tiers: [[ptu-eastus], [std-sweden]]", "tiers: [[std-sweden], [ptu-eastus]]",
		"window: 60s}", "window: 60s, budget: {mode: clamp}}",
		"records: {", "store: {dir: \""+dir+"\"}\nrecords: {",
	).Replace
}

// grant asks for far more than fits into ten seconds, and returns what was
// granted.
func (r *running) grant() int {
	r.t.Helper()
	body := `{"model":"gpt-4o-mini","max_tokens":16000,"messages":[{"role":"user","content":"[[tokens=20]]"}]}`
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://"+r.DataAddr()+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer secret-key")
	req.Header.Set("X-Spillway-Deadline-Ms", "10000")
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
		r.t.Fatalf("status %d: %s (%v)", resp.StatusCode, text, err)
	}
	n, err := strconv.Atoi(resp.Header.Get("X-Spillway-Granted-Tokens"))
	if err != nil {
		r.t.Fatalf("granted tokens: %v in %v", err, resp.Header)
	}
	return n
}

// teach has it measure more responses than make a deployment known.
func (r *running) teach() {
	r.t.Helper()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 22 {
				resp, err := r.ask(false, "[[tokens=60]]")
				if err != nil {
					r.t.Error(err)
					return
				}
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
}

// TestRestartIsNotAColdStart measures a deployment that is twenty times as fast
// as its model's published speed. The first request after a restart is
// budgeted by that, and not by the published speed; a state that is damaged
// starts cold, and says so.
func TestRestartIsNotAColdStart(t *testing.T) { synctest.Test(t, testRestartIsNotAColdStart) }

func testRestartIsNotAColdStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	r := startVirtual(t, storing(dir))
	cold := r.grant()
	if cold > 300 { // (10 s - 2 s - margin) at 33 tokens/s
		t.Fatalf("a fresh gateway grants %d: the test shows nothing", cold)
	}
	r.teach()
	warm := r.grant()
	if warm < 2*cold {
		t.Fatalf("after its answers %d are granted, and %d before: the test shows nothing", warm, cold)
	}
	r.stop()

	r.open()
	if first := r.grant(); first < warm*9/10 || first > warm*11/10 {
		t.Errorf("the first request after a restart is granted %d, want about %d. Log:\n%s", first, warm, r.log)
	}
	for _, want := range []string{"learned state restored", "deployments=2", "measured=1", "callers_and_routes=1", "age="} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, r.log)
		}
	}
	r.stop()

	path := filepath.Join(dir, "state-learned")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	r.open()
	if got := r.grant(); got > 300 {
		t.Errorf("with half a state %d are granted, want what a fresh gateway grants", got)
	}
	if !strings.Contains(r.log.String(), "ignoring unreadable learned state") {
		t.Errorf("the log does not say that the state is left out:\n%s", r.log)
	}
	r.stop()
}

// TestReloadKeepsWhatIsLearned changes the configuration after a restart:
// engines stay, with what they took up.
func TestReloadKeepsWhatIsLearned(t *testing.T) { synctest.Test(t, testReloadKeepsWhatIsLearned) }

func testReloadKeepsWhatIsLearned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	r := startVirtual(t, storing(dir))
	r.teach()
	r.stop()
	r.open()
	r.replace("ptu: 50", "ptu: 75")
	r.Reload()
	if !strings.Contains(r.log.String(), "configuration reloaded") {
		t.Fatalf("not reloaded. Log:\n%s", r.log)
	}
	if got := r.grant(); got < 600 {
		t.Errorf("after a reload %d are granted", got)
	}
	r.stop()
}

// TestNothingIsKeptWithoutAStore: there is no place for it.
func TestNothingIsKeptWithoutAStore(t *testing.T) {
	r := start(t)
	if r.learner != nil {
		t.Error("there is a learner without a store")
	}
	r.stop()
}

// newLearningGateway is a gateway of the test configuration, which nobody
// calls.
func newLearningGateway(tb testing.TB) *gateway.Gateway {
	tb.Helper()
	text := strings.NewReplacer("FLEET", "http://127.0.0.1:9", "RECORDS", "unused").Replace(testConfig)
	read := func(string) ([]byte, error) { return []byte(text), nil }
	cfg, err := config.Load("spillway.yaml", os.LookupEnv, read)
	if err != nil {
		tb.Fatal(err)
	}
	settings, err := build(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	g, err := gateway.New(settings, gateway.Deps{Recorder: telemetry.Fanout{}})
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// TestForeignStatesDoNoHarm: whatever stands in the file, the start goes on,
// and what is of no use is told.
func TestForeignStatesDoNoHarm(t *testing.T) {
	for _, tt := range []struct{ data, log string }{
		{"", "ignoring unreadable learned state"},
		{"{}", ""},
		{"garbage", "ignoring unreadable learned state"},
		{`{"pools":null}`, ""},
		{`{"pools":{"gpt-4o-mini":null}}`, ""},
		{`{"pools":{"gpt-4o-mini":{"version":7}}}`, "has version 7"},
		{`{"pools":{"another":{"version":7}}}`, ""},
		{`{"pools":{"gpt-4o-mini":{"version":1,"at":"2999-01-01T00:00:00Z"}}}`, "from now"},
		{`{"pools":{"gpt-4o-mini":{"version":1,"at":"yesterday"}}}`, "ignoring unreadable learned state"},
	} {
		dir := t.TempDir()
		if err := store.SaveState(dir, learnedName, []byte(tt.data)); err != nil {
			t.Fatal(err)
		}
		log := &syncBuffer{}
		l := startLearner(newLearningGateway(t), dir, slog.New(slog.NewTextHandler(log, nil)))
		l.stop()
		if got := log.String(); !strings.Contains(got, tt.log) || tt.log == "" && got != "" {
			t.Errorf("%s: the log says %q, want %q", tt.data, got, tt.log)
		}
		if data, err := store.LoadState(dir, learnedName); err != nil || !strings.HasPrefix(string(data), `{"pools":{"gpt-4o-mini":{"version":1,`) {
			t.Errorf("%s: then there is %.80q, %v", tt.data, data, err)
		}
	}
}

// TestStoredObjectsSurvive keeps the deployments of stored objects over a restart, and
// starts without them when their file is damaged. They are written only when they have
// changed.
func TestStoredObjectsSurvive(t *testing.T) {
	dir, log := t.TempDir(), &syncBuffer{}
	start := func() *learner {
		return startLearner(newLearningGateway(t), dir, slog.New(slog.NewTextHandler(log, nil)))
	}
	first := start()
	first.stop()
	if _, err := store.LoadState(dir, storedName); err == nil {
		t.Error("a file without objects is written")
	}
	first = start()
	object := gateway.StoredObject{ID: "resp_1", Pool: "gpt-4o-mini", Deployment: "ptu-eastus"}
	if n := first.gateway.RestoreStoredObjects([]gateway.StoredObject{object}); n != 1 {
		t.Fatal("the object was not taken")
	}
	first.stop()
	second := start()
	if list, _ := second.gateway.StoredObjects(0); len(list) != 1 || list[0] != object {
		t.Errorf("after the restart: %+v, want %+v", list, object)
	}
	second.stop()
	if err := store.SaveState(dir, storedName, []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	third := start()
	third.stop()
	if list, _ := third.gateway.StoredObjects(0); len(list) > 0 || !strings.Contains(log.String(), "unreadable state of stored objects") {
		t.Errorf("with a damaged file: %+v, log %s", list, log.String())
	}
}

// A directory that cannot be written to is told once.
func TestSavingThatFailsIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	log := &syncBuffer{}
	l := &learner{gateway: newLearningGateway(t), dir: dir, log: slog.New(slog.NewTextHandler(log, nil))}
	l.save()
	l.save()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l.save()
	if got := log.String(); strings.Count(got, "learned state failed") != 1 || strings.Count(got, "learned state recovered") != 1 {
		t.Errorf("the log says:\n%s", got)
	}
}

// FuzzLearnedFile gives gateways files that nobody wrote: nothing panics, and
// what it knows then can be saved and taken up.
func FuzzLearnedFile(f *testing.F) {
	seed, err := encodeLearned(newLearningGateway(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"pools":{"gpt-4o-mini":{"version":1,"keys":[{"caller":"team","first":3,"counts":[1,2]}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g := newLearningGateway(t)
		if _, err := learn(g, data); err != nil {
			return
		}
		out, err := encodeLearned(g)
		if err != nil {
			t.Fatalf("it cannot be saved any more: %v", err)
		}
		if _, err := learn(newLearningGateway(t), out); err != nil {
			t.Errorf("what was saved is not taken up: %v\n%s", err, fmt.Sprintf("%.500s", out))
		}
	})
}
