package bench

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/app"
)

// roleSpillway is the gateway in a process of this binary, to be profiled. What
// is measured otherwise is the gateway's own binary.
const roleSpillway = "spillway"

// apiKey is what clients of the gateway send.
const apiKey = "bench-0123456789abcdef0123456789abcdef"

// configuration is a gateway with everything on: authentication, budget,
// routing over two tiers, metrics, and records on disk.
const configuration = `
deployments:
  - {name: near, endpoint: "%[1]s", style: azure, deployment: chat, model: gpt-4o-mini, kind: standard, tpm: 2000000000, rpm: 100000000, region: eastus, auth: {api_key: upstream}, tls: {ca_file: "%[5]s"}}
  - {name: far, endpoint: "%[1]s", style: azure, deployment: chat, model: gpt-4o-mini, kind: standard, tpm: 2000000000, rpm: 100000000, region: westus, auth: {api_key: upstream}, tls: {ca_file: "%[5]s"}}
pools:
  - {name: gpt-4o-mini, tiers: [[near], [far]]}
classes:
  - {name: interactive, window: 10m, ttft: 2s, tbt: 50ms, sync: %[2]s, budget: {mode: clamp}}
callers:
  - {name: bench, key: %[3]s, class: interactive}
records: {dir: %[4]s}
`

// build is the gateway's binary, built once when it is first needed.
var build struct {
	once sync.Once
	dir  string
	err  error
}

// binary returns the path of the gateway.
func binary(tb testing.TB) string {
	tb.Helper()
	build.once.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "spillway-bench-"); build.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-trimpath", "-o", build.dir, "../../cmd/spillway")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("building the gateway: %w\n%s", err, out)
		}
	})
	if build.err != nil {
		tb.Fatal(build.err)
	}
	return filepath.Join(build.dir, "spillway")
}

// removeBuild deletes the binary.
func removeBuild() {
	if build.dir != "" {
		os.RemoveAll(build.dir)
	}
}

// startSpillway starts the gateway before a deployment. Its class takes
// requests that are not streamed as sync says.
func startSpillway(tb testing.TB, up *deployment, sync string) *child {
	tb.Helper()
	dir := tb.TempDir()
	config := filepath.Join(dir, "spillway.yaml")
	text := fmt.Sprintf(configuration, up.base, sync, apiKey, filepath.Join(dir, "records"), up.caFile)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	if os.Getenv(envProfile) != "" {
		tb.Setenv(envConfig, config)
		return startRole(tb, roleSpillway, up)
	}
	c := &child{name: roleSpillway, addr: freeAddr(tb)}
	admin := freeAddr(tb)
	c.cmd = exec.Command(binary(tb), "serve", "--config", config, "--listen", c.addr, "--admin", admin)
	began := time.Now()
	c.start(tb)
	awaitListener(tb, admin)
	resp, err := http.Get("http://" + admin + "/readyz")
	if err != nil {
		tb.Fatal(err)
	}
	c.startup = time.Since(began)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("/readyz returned %s", resp.Status)
	}
	return c
}

// startInProcess starts the gateway in this process and returns where it
// listens, and its end.
func startInProcess() (addr string, end func() error, err error) {
	gateway, err := app.Start(app.Options{
		ConfigPath: os.Getenv(envConfig), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return "", nil, err
	}
	return gateway.DataAddr(), gateway.Close, nil
}
