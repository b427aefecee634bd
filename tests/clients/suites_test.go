package clients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	suiteTimeout = 10 * time.Minute // a suite that takes longer hangs
	outputDelay  = 5 * time.Second  // time to read the output of a suite that was killed
)

// The suites run one after the other, and before the Go tests: they
// start processes of their own, which need the processors.

// TestPython runs the tests of openai-python.
func TestPython(t *testing.T) {
	suite(t, "python", ".cache/venv/bin/python", "-m", "pytest")
}

// TestNode runs the tests of openai-node.
func TestNode(t *testing.T) {
	suite(t, "node", ".cache/bin/node", "--test")
}

// suite runs another language's tests in a directory, with a program that
// scripts/setup.sh installed and the addresses of the gateways.
func suite(t *testing.T, dir, program string, args ...string) {
	program, err := filepath.Abs(filepath.Join("..", "..", program))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"SPILLWAY_URL="+demoURL, "SPILLWAY_FAULTY_URL="+faultyURL, "SPILLWAY_UPSTREAM_URL="+upstreamURL,
		"SPILLWAY_KEY="+key, "PYTHONDONTWRITEBYTECODE=1",
	)
	// Both runners start processes of their own, which must not outlive the
	// suite: they would hold its output and their requests open.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputDelay
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%s: %v", dir, err)
	}
}
