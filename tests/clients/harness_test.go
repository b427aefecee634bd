// Package clients holds the tests that use Spillway as other people's programs
// do: through openai-python, openai-node, openai-go, go-openai and azopenai, over
// real sockets, against the built program. Run them with "make test" or, after
// "make build", with "go test" in this directory. "make matrix" adds frameworks of
// several languages.
//
// SPILLWAY_BIN names another binary; SPILLWAY_URL and SPILLWAY_KEY name a
// gateway that already runs, for the tests that need no failing upstream.
package clients

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 5 * time.Minute
	// stopTimeout is longer than the gateway's drain_timeout, 30 s by default,
	// which is how long it waits for a client that does not leave.
	stopTimeout = 5 * time.Minute
)

// Where the tests find the gateways and the upstream; set by TestMain.
var (
	demoURL, faultyURL, upstreamURL string
	key                             = cmp.Or(os.Getenv("SPILLWAY_KEY"), "demo")
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run starts what the tests need, runs them, and demands that the gateways
// end well when asked to.
func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "spillway-clients-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)

	upstream := httptest.NewServer(newUpstream())
	defer upstream.Close()
	upstreamURL = upstream.URL
	config := filepath.Join(dir, "spillway.yaml")
	if err := os.WriteFile(config, []byte(faultyConfig(upstreamURL)), 0o600); err != nil {
		return 1, err
	}

	faulty, err := start("--config", config)
	if err != nil {
		return 1, fmt.Errorf("gateway before the failing upstream: %w", err)
	}
	defer func() { err = errors.Join(err, faulty.stop(code != 0)) }()
	faultyURL = faulty.url

	demoURL = os.Getenv("SPILLWAY_URL")
	if demoURL == "" {
		demo, err := start()
		if err != nil {
			return 1, fmt.Errorf("gateway with its demonstration fleet: %w", err)
		}
		defer func() { err = errors.Join(err, demo.stop(code != 0)) }()
		demoURL = demo.url
	}
	return m.Run(), nil
}

// gateway is a running Spillway.
type gateway struct {
	url  string
	cmd  *exec.Cmd
	log  *safeBuffer
	done chan struct{} // closed when the process has ended
	err  error         // how it ended; read after done
}

// start runs the program on free ports and waits until it is ready.
func start(args ...string) (*gateway, error) {
	data, admin, err := freeAddresses()
	if err != nil {
		return nil, err
	}
	return startProgram("http://"+data, "http://"+admin+"/readyz",
		append([]string{"serve", "--listen", data, "--admin", admin}, args...)...)
}

// startProgram runs the program and waits until it is ready.
func startProgram(url, readyURL string, args ...string) (*gateway, error) {
	bin := cmp.Or(os.Getenv("SPILLWAY_BIN"), filepath.Join("..", "..", "bin", "spillway"))
	g := &gateway{url: url, log: &safeBuffer{}, done: make(chan struct{})}
	g.cmd = exec.Command(bin, args...)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start (build it with make build): %w", err)
	}
	go func() {
		g.err = g.cmd.Wait()
		close(g.done)
	}()
	if err := g.ready(readyURL); err != nil {
		return nil, errors.Join(err, g.stop(true))
	}
	return g, nil
}

// ready waits until the gateway says that it is.
func (g *gateway) ready(url string) error {
	for end := time.Now().Add(startTimeout); time.Now().Before(end); {
		select {
		case <-g.done:
			return errors.New("ended before it was ready")
		case <-time.After(20 * time.Millisecond):
		}
		res, err := http.Get(url)
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("not ready after %v", startTimeout)
}

// stop asks the gateway to end and returns an error unless it ends well. It
// prints what the gateway has said when something went wrong.
func (g *gateway) stop(failed bool) error {
	_ = g.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	err := error(nil)
	select {
	case <-g.done:
		err = g.err
	case <-time.After(stopTimeout):
		_ = g.cmd.Process.Kill()
		<-g.done
		err = fmt.Errorf("still running %v after SIGTERM", stopTimeout)
	}
	if err != nil || failed {
		fmt.Fprintf(os.Stderr, "--- %v\n%s", g.cmd.Args, g.log.tail(64<<10))
	}
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	return nil
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

// tail returns the last bytes, at most n.
func (b *safeBuffer) tail(n int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.buf.Bytes()
	return bytes.Clone(all[max(0, len(all)-n):])
}
