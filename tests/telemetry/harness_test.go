// Package telemetry holds the tests of what the built program tells others: a
// real OpenTelemetry collector, a real Prometheus, and the dashboard and alerts
// of deploy. Run them with "make telemetry".
//
// SPILLWAY_BIN names another binary, and PROMETHEUS_DIR the directory of
// prometheus and promtool, which scripts/setup.sh fetches.
package telemetry

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait: only a hang takes longer.
const patience = 5 * time.Minute

func TestMain(m *testing.M) {
	if config := os.Getenv(collectorConfig); config != "" {
		if err := collect(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// program is a process that a test has started.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *safeBuffer
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// start starts a program, which ends with the test.
func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(name, args...), log: &safeBuffer{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s (make setup build): %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%v:\n%s", p.cmd.Args, p.log)
		}
	})
	return p
}

// stop asks the program to end, waits, and returns how it ended.
func (p *program) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
		p.t.Errorf("%v was still running %v after SIGTERM", p.cmd.Args, patience)
	}
	return p.err
}

// gateway is a running Spillway.
type gateway struct {
	*program
	url, admin string
}

func binary() string {
	return cmp.Or(os.Getenv("SPILLWAY_BIN"), filepath.Join("..", "..", "bin", "spillway"))
}

// serve starts a gateway and waits until it is ready.
func serve(t *testing.T, args ...string) *gateway {
	t.Helper()
	data, admin, err := freeAddresses()
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{url: "http://" + data, admin: "http://" + admin}
	g.program = start(t, binary(), append([]string{"serve", "--listen", data, "--admin", admin}, args...)...)
	eventually(t, "the gateway is ready", func() bool { return get(g.admin+"/readyz") != "" })
	return g
}

// ask sends a chat request and returns the status and our id of it.
func (g *gateway) ask(model string, header map[string]string) (status int, id string) {
	g.t.Helper()
	body, err := json.Marshal(map[string]any{
		"model": model, "max_tokens": 50,
		"messages": []any{map[string]string{"role": "user", "content": "What is " + prompt + "? [[tokens=5]]"}},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, g.url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer demo")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		g.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("x-spillway-request-id")
}

// prompt must be seen nowhere but at the deployment.
const prompt = "unmistakable-prompt"

// dropped is how many records were lost for the collector, as /metrics has it.
func (g *gateway) dropped() string {
	for line := range strings.Lines(get(g.admin + "/metrics")) {
		if value, ok := strings.CutPrefix(line, `spillway_records_dropped_total{output="otlp"} `); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// get returns what an address answers with 200; "" for anything else.
func get(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	end := time.After(patience)
	for !so() {
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("not so after %v: %s", patience, what)
		}
	}
}

func listens(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// freeAddresses returns two loopback addresses that nobody listens on.
func freeAddresses() (a, b string, err error) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer first.Close()
	second, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer second.Close()
	return first.Addr().String(), second.Addr().String(), nil
}

// safeBuffer is a buffer that a process writes while a test reads.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
