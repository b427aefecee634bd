package sink

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The programs that the tests send to come from scripts/setup.sh.
const (
	serversDir = "../testdata/servers"
	pythonDir  = "../../../../.cache/servers/bin"
	nodePath   = "../../../../.cache/bin/node"
)

// need returns the path of a program, and fails where it is not installed.
func need(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v (make setup installs it)", err)
	}
	return path
}

// output keeps what a program says, for when it fails.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// launch starts a program that ends with the test.
func launch(t *testing.T, cmd *exec.Cmd) *output {
	t.Helper()
	said := &output{}
	if cmd.Stdout == nil {
		cmd.Stdout = said
	}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s says:\n%s", cmd.Path, said)
		}
	})
	return said
}

// freePort is a port that nobody listens on, below those that the system gives
// to others meanwhile.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 15_000 + rand.IntN(15_000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// awaitServer waits until something answers at url.
func awaitServer(t *testing.T, url string, said fmt.Stringer) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if r, err := http.Get(url); err == nil {
			r.Body.Close()
			return
		}
	}
	t.Fatalf("nothing answers at %s:\n%s", url, said)
}

const (
	houseUser, housePassword = "spillway", "house-hunter2"
	// azuriteAccount and azuriteKey are what every Azurite knows.
	azuriteAccount = "devstoreaccount1"
	azuriteKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// startClickHouse starts ClickHouse's engine behind its HTTP interface.
func startClickHouse(t *testing.T) (url string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need(t, pythonDir+"/python"), serversDir+"/clickhouse.py", t.TempDir(), houseUser, housePassword)
	out, in := io.Pipe()
	cmd.Stdout = in
	hold, err := cmd.StdinPipe() // open as long as the test lasts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hold.Close() })
	said := launch(t, cmd)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("ClickHouse did not start: %v\n%s", err, said)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return "http://127.0.0.1:" + strings.TrimSpace(line)
}

// askClickHouse runs a query.
func askClickHouse(t *testing.T, url, query string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/?database=default", strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-ClickHouse-User", houseUser)
	r.Header.Set("X-ClickHouse-Key", housePassword)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%.60s: status %d, %v: %s", query, answer.StatusCode, err, body)
	}
	return strings.TrimSpace(string(body))
}

// makeTables runs the script that is shipped.
func makeTables(t *testing.T, url string) {
	t.Helper()
	runScript(t, url, "../../../../deploy/clickhouse/records.sql")
}

// runScript runs the statements of a file.
func runScript(t *testing.T, url, path string) {
	t.Helper()
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for statement := range strings.SplitSeq(string(script), ";\n") {
		if strings.TrimSpace(statement) != "" {
			askClickHouse(t, url, statement)
		}
	}
}

// startAzurite starts Microsoft's emulator of Azure Storage.
func startAzurite(t *testing.T) (blob, queue string) {
	t.Helper()
	blobPort, queuePort, tablePort := freePort(t), freePort(t), freePort(t)
	cmd := exec.CommandContext(t.Context(), need(t, nodePath), need(t, serversDir+"/node_modules/.bin/azurite"),
		"--silent", "--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry",
		"--blobPort", fmt.Sprint(blobPort), "--queuePort", fmt.Sprint(queuePort), "--tablePort", fmt.Sprint(tablePort))
	cmd.Dir = t.TempDir()
	said := launch(t, cmd)
	blob = fmt.Sprintf("http://127.0.0.1:%d/%s", blobPort, azuriteAccount)
	queue = fmt.Sprintf("http://127.0.0.1:%d/%s", queuePort, azuriteAccount)
	awaitServer(t, blob, said)
	awaitServer(t, queue, said)
	return blob, queue
}

// startS3 starts an S3 server.
func startS3(t *testing.T) (url string) {
	t.Helper()
	port := freePort(t)
	said := launch(t, exec.CommandContext(t.Context(), need(t, pythonDir+"/moto_server"), "-H", "127.0.0.1", "-p", fmt.Sprint(port)))
	url = fmt.Sprintf("http://127.0.0.1:%d", port)
	awaitServer(t, url, said)
	return url
}
