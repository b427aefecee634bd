package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// envRun makes a process of this test binary the program itself.
const envRun = "SPILLWAY_TEST_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(envRun) != "" {
		main()
	}
	os.Exit(m.Run())
}

const testConfig = `
deployments: [{name: silent, endpoint: "http://%s", style: openai, model: gpt-4o-mini}]
pools: [{name: gpt-4o-mini, tiers: [[silent]]}]
classes: [{name: interactive, window: 10m}]
callers: [{name: team, key: secret, class: interactive}]
server: {listen: "127.0.0.1:0", admin: "", %s}
`

// program is a running gateway in front of a deployment that accepts and says
// nothing.
type program struct {
	*testing.T
	cmd    *exec.Cmd
	stderr *bufio.Reader
	data   string // its address
	silent net.Listener
}

func start(t *testing.T, options string) *program {
	p := &program{T: t}
	var err error
	if p.silent, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.silent.Close() })
	path := filepath.Join(t.TempDir(), "spillway.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, testConfig, p.silent.Addr(), options), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.CommandContext(t.Context(), os.Args[0], "serve", "--config", path)
	p.cmd.Env = append(os.Environ(), envRun+"=1")
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stderr = bufio.NewReader(out)
	_, p.data, _ = strings.Cut(strings.Fields(p.await("listening"))[1], "=")
	return p
}

// await reads the log up to a line with the text.
func (p *program) await(text string) string {
	p.Helper()
	for {
		line, err := p.stderr.ReadString('\n')
		if err != nil {
			p.Fatalf("no %q in the log: %v", text, err)
		}
		if strings.Contains(line, text) {
			return line
		}
	}
}

func (p *program) terminate() {
	p.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.Fatal(err)
	}
}

// TestCutDrain ends the program with a request that does not end in time: the log
// says so, and the exit status is 0.
func TestCutDrain(t *testing.T) {
	p := start(t, "drain_timeout: 10ms")
	answered := make(chan int, 1)
	go func() {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.data+"/v1/chat/completions",
			strings.NewReader(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hello"}]}`))
		req.Header.Set("Authorization", "Bearer secret")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	conn, err := p.silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p.terminate()
	p.await("cutting requests off")
	if status := <-answered; status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	_, _ = io.Copy(io.Discard, p.stderr)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the program ended with %v, want status 0", err)
	}
}

// TestSecondSignal ends the program while it shuts down.
func TestSecondSignal(t *testing.T) {
	p := start(t, "shutdown_delay: 1h")
	p.terminate()
	p.await("shutdown_delay")
	ended := make(chan error, 1)
	go func() {
		_, _ = io.Copy(io.Discard, p.stderr)
		ended <- p.cmd.Wait()
	}()
	again := time.NewTicker(10 * time.Millisecond) // the first may still be in progress
	defer again.Stop()
	for {
		select {
		case <-again.C:
			_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails once the program has ended
		case err := <-ended:
			if err == nil {
				t.Error("the program ended with status 0")
			}
			return
		}
	}
}
