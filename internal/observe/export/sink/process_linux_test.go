package sink

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/store"
)

// answerChat is a deployment that says hello.
func answerChat(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}`)
}

// program is the built gateway, started again and again on one store.
type program struct {
	t                  *testing.T
	bin, config, store string
	data, admin        string
	log                output
	cmd                *exec.Cmd
	ids                []string // of the requests that were answered
}

func (p *program) start() {
	p.t.Helper()
	p.cmd = exec.CommandContext(p.t.Context(), p.bin, "serve", "--config", p.config, "--listen", p.data, "--admin", p.admin)
	p.cmd.Env = append(os.Environ(), "HOUSE_PASSWORD="+housePassword, "ACCOUNT_KEY="+azuriteKey)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	awaitServer(p.t, "http://"+p.admin+"/readyz", &p.log)
}

// end sends a signal and waits.
func (p *program) end(signal syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil && signal == syscall.SIGTERM {
		p.t.Errorf("the gateway ends with %v", err)
	}
}

// exporter returns the process id of the export program that the gateway
// started.
func (p *program) exporter() int {
	p.t.Helper()
	var pid int
	p.eventually("the export program runs", func() bool {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
		if err != nil {
			p.t.Fatal(err)
		}
		for _, task := range tasks {
			children, _ := os.ReadFile(task) // a thread may have ended
			if n, err := fmt.Sscan(string(children), &pid); n == 1 && err == nil {
				return true
			}
		}
		return false
	})
	return pid
}

// killExporter kills the export program.
func (p *program) killExporter() {
	p.t.Helper()
	if err := syscall.Kill(p.exporter(), syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
}

// kill kills the gateway, which the export program notices.
func (p *program) kill() {
	p.t.Helper()
	exporter := p.exporter()
	p.end(syscall.SIGKILL)
	p.eventually("the export program has ended with the gateway", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", exporter))
		return err != nil || bytes.Contains(stat, []byte(") Z "))
	})
}

// ask sends n requests and waits until their records are on disk.
func (p *program) ask(n int) {
	p.t.Helper()
	for range n {
		r, err := http.Post("http://"+p.data+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`))
		if err != nil {
			p.t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			p.t.Fatalf("status %d", r.StatusCode)
		}
		p.ids = append(p.ids, r.Header.Get("x-spillway-request-id"))
	}
	p.eventually("the records are on disk", func() bool { return p.onDisk() == len(p.ids) })
}

func (p *program) onDisk() (n int) {
	s, err := store.Open(p.store)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, err := range s.Records(store.Query{Columns: []string{"id"}}) {
		if err != nil {
			p.t.Fatal(err)
		}
		n++
	}
	return n
}

func (p *program) eventually(what string, is func() bool) {
	p.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if is() {
			return
		}
	}
	p.t.Fatalf("it is not so that %s:\n%s", what, &p.log)
}

// metrics reports whether a line stands in the metrics.
func (p *program) metrics(line string) bool {
	p.t.Helper()
	r, err := http.Get("http://" + p.admin + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return bytes.Contains(body, []byte("\n"+line))
}

const processConfig = `
deployments: [{name: d, endpoint: %q, model: m}]
pools: [{name: m, tiers: [[d]]}]
classes: [{name: c, sync: pass}]
anonymous: c
store: {dir: %q, seal_after: 1s}
exports:
  - name: house
    kind: clickhouse
    url: %q
    database: default
    auth: {user: spillway, password: "${env:HOUSE_PASSWORD}"}
  - name: lake
    kind: object_storage
    api: azure
    url: %q
    bucket: records
    prefix: lake
    auth: {account_key: "${env:ACCOUNT_KEY}"}
`

// The built programs with two exports, killed in the middle of their work again
// and again while sends fail: each record arrives at both, once.
func TestProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := &program{t: t, bin: filepath.Join(dir, "spillway"), config: filepath.Join(dir, "c.yaml"), store: filepath.Join(dir, "store")}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", dir, "../../../../cmd/spillway", "../../../../cmd/spillway-export")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make builds them, from the same cache
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.data, p.admin = fmt.Sprint("127.0.0.1:", freePort(t)), fmt.Sprint("127.0.0.1:", freePort(t))
	deployment := httptest.NewServer(http.HandlerFunc(answerChat))
	defer deployment.Close()

	server := startClickHouse(t)
	makeTables(t, server)
	azurite, _ := startAzurite(t)
	client := azuriteClient(t, azurite)
	if _, err := client.CreateContainer(t.Context(), "records", nil); err != nil {
		t.Fatal(err)
	}
	house, lake := newGate(t, through(t, server)), newGate(t, through(t, azurite))
	text := fmt.Sprintf(processConfig, deployment.URL, p.store, house.URL, lake.URL+"/"+azuriteAccount)
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	p.start()
	p.ask(5)
	p.eventually("both have the first records", func() bool {
		return p.metrics(`spillway_export_records_total{export="house"} 5`) && p.metrics(`spillway_export_records_total{export="lake"} 5`)
	})
	house.mood.Store(lossy)
	p.ask(5)
	p.eventually("a send to ClickHouse has failed", func() bool { return !p.metrics(`spillway_export_failures_total{export="house"} 0`) })
	p.killExporter()
	p.kill() // ClickHouse has them, and the cursor does not say so
	lake.mood.Store(away)
	p.start()
	for range 10 {
		p.ask(1)
	}
	p.eventually("storage is behind", func() bool { return !p.metrics(`spillway_export_lag_records{export="lake"} 0`) })
	p.killExporter()
	p.eventually("the export program was started again", func() bool { return strings.Contains(p.log.String(), "export process exited, restarting") })
	p.kill()
	house.mood.Store(open)
	p.start()
	p.ask(3)
	lake.mood.Store(open)
	p.eventually("both are up to date", func() bool {
		return p.metrics(`spillway_export_lag_records{export="house"} 0`) && p.metrics(`spillway_export_lag_records{export="lake"} 0`)
	})
	p.killExporter()
	p.ask(2)
	p.end(syscall.SIGTERM) // the last go out at the end, or on a busy machine at the next start
	p.start()
	p.eventually("both have the last", func() bool {
		return p.metrics(`spillway_export_lag_records{export="house"} 0`) && p.metrics(`spillway_export_lag_records{export="lake"} 0`)
	})
	p.end(syscall.SIGTERM)

	slices.Sort(p.ids)
	got := strings.Fields(askClickHouse(t, server, "SELECT id FROM requests"))
	slices.Sort(got)
	if !slices.Equal(got, p.ids) {
		t.Errorf("ClickHouse has %d records, want %d, each once\n%s", len(got), len(p.ids), &p.log)
	}
	got = nil
	for _, name := range blobNames(t, client, "records") {
		data := blobBytes(t, client, "records", name)
		got = append(got, parquetIDs(t, bytes.NewReader(data), int64(len(data)))...)
	}
	slices.Sort(got)
	if !slices.Equal(got, p.ids) {
		t.Errorf("storage has %d records, want %d, each once\n%s", len(got), len(p.ids), &p.log)
	}
	for _, secret := range []string{housePassword, azuriteKey} {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("the log tells a secret:\n%s", &p.log)
		}
	}
}
