package clients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// suiteTimeout bounds a suite: when it is over, something hangs.
const suiteTimeout = 4 * time.Minute

// The suites run one after the other, and before the Go tests: they measure
// time, and want the machine for themselves.

// TestPython runs the tests of openai-python.
func TestPython(t *testing.T) {
	python, err := filepath.Abs(filepath.Join("..", "..", ".cache", "venv", "bin", "python"))
	if err != nil {
		t.Fatal(err)
	}
	suite(t, "python", python, "-m", "pytest")
}

// TestNode runs the tests of openai-node.
func TestNode(t *testing.T) {
	suite(t, "node", "node", "--test")
}

// suite runs another language's tests in a directory, told where the gateways
// are.
func suite(t *testing.T, dir, name string, args ...string) {
	ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"SPILLWAY_URL="+demoURL, "SPILLWAY_FAULTY_URL="+faultyURL, "SPILLWAY_UPSTREAM_URL="+upstreamURL,
		"SPILLWAY_KEY="+key, "PYTHONDONTWRITEBYTECODE=1",
	)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%s: %v", dir, err)
	}
}
