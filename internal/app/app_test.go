package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/azuresim"
	"github.com/spillway-ai/spillway/internal/memnet"
)

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// running is an app with its configuration file and its fleet.
type running struct {
	*App
	t      *testing.T
	path   string
	fleet  string
	log    *syncBuffer
	client *http.Client
	net    *memnet.Net // nil over sockets
	cancel context.CancelFunc
	ran    chan error
}

const testConfig = `
deployments:
  - {name: ptu-eastus, endpoint: "FLEET", style: azure, deployment: ptu-eastus, model: gpt-4o-mini, kind: provisioned, ptu: 50, region: eastus, auth: {api_key: azure}}
  - {name: std-sweden, endpoint: "FLEET", style: azure, deployment: std-sweden, model: gpt-4o-mini, tpm: 2000000, region: swedencentral, auth: {api_key: azure}}
pools:
  - {name: gpt-4o-mini, tiers: [[ptu-eastus], [std-sweden]]}
classes:
  - {name: interactive, window: 60s}
callers:
  - {name: team, key: secret-key, class: interactive}
server: {drain_timeout: 10s}
records: {dir: "RECORDS"}
`

// newFleet is a fleet that is twenty times as fast as a real one.
func newFleet(t *testing.T) *azuresim.Server {
	t.Helper()
	sim, err := azuresim.New(azuresim.Config{
		Deployments: azuresim.DefaultFleet(), Keys: []string{"azure"}, Seed: 1, TimeScale: 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

// start runs an app on a file in a temporary directory, against a fleet of its
// own, over sockets.
func start(t *testing.T) *running {
	t.Helper()
	return startWith(t, unchanged)
}

func unchanged(text string) string { return text }

// startWith runs an app on a changed configuration.
func startWith(t *testing.T, change func(text string) string) *running {
	t.Helper()
	server := httptest.NewServer(newFleet(t))
	t.Cleanup(server.Close)
	r := &running{t: t, fleet: server.URL, client: http.DefaultClient}
	r.configure(change)
	r.open()
	r.run()
	return r
}

// startVirtual starts an app on a changed configuration in a bubble of
// testing/synctest. The app, its fleet and its clients share a network in memory.
// It does not watch its file, which no bubble can wait for: Reload reads it.
func startVirtual(t *testing.T, change func(text string) string) *running {
	t.Helper()
	r := &running{t: t, fleet: "http://fleet.test", net: &memnet.Net{}}
	transport := &http.Transport{DialContext: r.net.Dial}
	r.client = &http.Client{Transport: transport}
	fleet := &http.Server{Handler: newFleet(t)}
	ended := make(chan error, 1)
	socket := r.net.Listen("fleet.test")
	go func() { ended <- fleet.Serve(socket) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = fleet.Close()
		<-ended
		time.Sleep(time.Second) // servers linger on connections that were cut off
	})
	r.configure(change)
	r.open()
	return r
}

// configure writes a changed configuration into a temporary directory.
func (r *running) configure(change func(text string) string) {
	r.t.Helper()
	dir := r.t.TempDir()
	r.path = filepath.Join(dir, "spillway.yaml")
	r.write(change(strings.ReplaceAll(testConfig, "RECORDS", dir)))
}

// open starts an app on the files there are.
func (r *running) open() {
	r.t.Helper()
	r.log = &syncBuffer{}
	opts := Options{
		ConfigPath: r.path, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0",
		Stdout: io.Discard, Log: slog.New(slog.NewTextHandler(r.log, nil)), lastExport: patience,
	}
	if r.net != nil {
		opts.Listen, opts.Admin, opts.dial = "data.test", "admin.test", r.net.Dial
		opts.listen = func(address string) (net.Listener, error) { return r.net.Listen(address), nil }
	}
	var err error
	if r.App, err = Start(opts); err != nil {
		r.t.Fatal(err)
	}
}

// run has the app do its work until stop.
func (r *running) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel, r.ran = cancel, make(chan error, 1)
	go func() { r.ran <- r.Run(ctx) }()
}

func (r *running) write(text string) {
	r.t.Helper()
	text = strings.ReplaceAll(text, "FLEET", r.fleet)
	if err := os.WriteFile(r.path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// replace writes the file with one text in another's place, as an editor does.
func (r *running) replace(old, with string) {
	r.t.Helper()
	data, err := os.ReadFile(r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), old, with)
	if text == string(data) {
		r.t.Fatalf("%q is not in the file", old)
	}
	next := r.path + ".new"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(next, r.path); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) ask(stream bool, prompt string) (*http.Response, error) {
	body := fmt.Sprintf(`{"model":"gpt-4o-mini","stream":%t,"max_tokens":2000,"messages":[{"role":"user","content":%q}]}`, stream, prompt)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://"+r.DataAddr()+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer secret-key")
	return r.client.Do(req)
}

// patience is longer than anything takes that does not hang.
const patience = 5 * time.Minute

// eventually waits for what another goroutine brings about, for as long as only
// a hang takes.
func (r *running) eventually(what string, holds func() bool) {
	r.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			r.t.Fatalf("it does not come about: %s. Log:\n%s", what, r.log)
		}
	}
}

func (r *running) ready() (code int, body map[string]any) {
	r.t.Helper()
	return r.get("/readyz")
}

// get reads what the admin listener has to say.
func (r *running) get(path string) (code int, body map[string]any) {
	r.t.Helper()
	resp, err := r.client.Get("http://" + r.AdminAddr() + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, body
}

func (r *running) stop() {
	r.t.Helper()
	if r.ran != nil {
		r.cancel()
		if err := <-r.ran; err != nil {
			r.t.Error(err)
		}
	}
	if err := r.Close(); err != nil {
		r.t.Error(err)
	}
}

func TestReloadUnderStreams(t *testing.T) { synctest.Test(t, testReloadUnderStreams) }

func testReloadUnderStreams(t *testing.T) {
	r := startVirtual(t, unchanged)
	const streams = 100
	var wg sync.WaitGroup
	var begun sync.WaitGroup
	begun.Add(streams)
	failures := make(chan string, streams)
	for range streams {
		wg.Go(func() {
			resp, err := r.ask(true, "[[tokens=500]]")
			begun.Done()
			if err != nil {
				failures <- err.Error()
				return
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != 200 || !bytes.HasSuffix(text, []byte("data: [DONE]\n\n")) {
				failures <- fmt.Sprintf("status %d, error %v, ends in %.80q", resp.StatusCode, err, tail(text))
			}
		})
	}
	begun.Wait()
	r.replace("tiers: [[ptu-eastus], [std-sweden]]", "tiers: [[std-sweden], [ptu-eastus]]")
	r.Reload()
	if !strings.Contains(r.log.String(), "configuration reloaded") {
		t.Fatalf("not reloaded. Log:\n%s", r.log)
	}
	resp, err := r.ask(false, "[[tokens=20]]")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("X-Spillway-Deployment"); got != "std-sweden" {
		t.Errorf("after the reload %q serves, want std-sweden", got)
	}
	wg.Wait()
	close(failures)
	for f := range failures {
		t.Error(f)
	}
	r.stop()
}

func tail(b []byte) []byte { return b[max(0, len(b)-80):] }

func TestBrokenConfigurationKeepsTheOldOne(t *testing.T) {
	r := start(t)
	r.replace("ptu: 50", "ptuu: 50")
	r.eventually("refused", func() bool { return strings.Contains(r.log.String(), "configuration not reloaded") })
	for _, want := range []string{"spillway.yaml:3:", "ptuu", `ptu`} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, r.log)
		}
	}
	if strings.Contains(r.log.String(), "secret-key") {
		t.Error("the log shows a key")
	}
	resp, err := r.ask(false, "[[tokens=20]]")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("status %d with the old configuration, want 200", resp.StatusCode)
	}
	if _, body := r.get("/admin/state"); !strings.Contains(fmt.Sprint(body["policy"]), "ptuu") {
		t.Errorf("/admin/state does not show the error: %v", body)
	}
	if code, body := r.ready(); code != 200 || fmt.Sprint(body) != "map[status:ready]" {
		t.Errorf("/readyz returned %d and %v", code, body)
	}
	r.replace("ptuu: 50", "ptu: 75")
	r.eventually("mended", func() bool { return strings.Contains(r.log.String(), "configuration reloaded") })
	r.stop()
}

// TestDrain ends the app in the middle of a stream: the stream is finished,
// and its record is on the disk.
func TestDrain(t *testing.T) { synctest.Test(t, testDrain) }

func testDrain(t *testing.T) {
	r := startVirtual(t, unchanged)
	resp, err := r.ask(true, "[[tokens=1000]]")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	rest, err := io.ReadAll(lines)
	if err != nil || !bytes.HasSuffix(rest, []byte("data: [DONE]\n\n")) {
		t.Errorf("the stream broke off while draining: %v, ends in %q", err, tail(rest))
	}
	<-stopped
	if _, err := r.ask(false, "hello"); err == nil {
		t.Error("it still accepts after the drain")
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(r.path), "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal(bytes.TrimSpace(data), &record); err != nil {
		t.Fatalf("the record is not one line of JSON: %v\n%s", err, data)
	}
	if record["outcome"] != "ok" || record["caller"] != "team" {
		t.Errorf("record %s", data)
	}
}

func TestDemoNeedsNothing(t *testing.T) {
	a, err := Start(Options{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Stdout: io.Discard, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a.DataAddr()+"/v1/chat/completions",
		strings.NewReader(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hello [[tokens=5]]"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("api-key", "demo")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("X-Spillway-Deployment") != "ptu-eastus" {
		t.Errorf("status %d from %q", resp.StatusCode, resp.Header.Get("X-Spillway-Deployment"))
	}
	metrics, err := http.Get("http://" + a.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer metrics.Body.Close()
	text, err := io.ReadAll(metrics.Body)
	if err != nil || !bytes.Contains(text, []byte(`spillway_requests_total{class="interactive",outcome="ok",pool="gpt-4o-mini"} 1`)) {
		t.Errorf("no count of the request in /metrics (%v)", err)
		for line := range bytes.Lines(text) {
			if bytes.HasPrefix(line, []byte("spillway_requests")) {
				t.Logf("%s", line)
			}
		}
	}
}

func TestStartRefusesABadAddress(t *testing.T) {
	_, err := Start(Options{Listen: "256.0.0.1:80", Stdout: io.Discard, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "opening the data listener") {
		t.Errorf("error %v, want one that names the data listener", err)
	}
}
