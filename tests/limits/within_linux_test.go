package limits

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// long runs the tests that take much memory.
var long = flag.Bool("long", false, "run the tests that take up to 2 GiB of memory")

// startWithin starts the gateway within a limit of memory. Where control groups can
// be made, the kernel enforces it and the gateway reads it from there; elsewhere the
// configuration states it. limit checks that it held.
func startWithin(t *testing.T, up *deployment, bytes int) (p *program, limit func()) {
	t.Helper()
	group, file := controlGroup(t)
	if group == "" {
		p = start(t, up, launch{server: fmt.Sprintf(", memory_limit: %d", bytes)})
	} else {
		if err := os.WriteFile(filepath.Join(group, file), []byte(strconv.Itoa(bytes)), 0); err != nil {
			t.Fatal(err)
		}
		p = start(t, up, launch{shell: fmt.Sprintf("echo $$ > %s/cgroup.procs;", group)})
	}
	return p, func() {
		t.Helper()
		p.alive()
		for _, name := range []string{"memory.max_usage_in_bytes", "memory.peak"} {
			if text, err := os.ReadFile(filepath.Join(group, name)); err == nil {
				counted, _ := strconv.Atoi(strings.TrimSpace(string(text)))
				t.Logf("the kernel counted %d MiB at most", counted/mib)
			}
		}
		if peak := p.peak(); peak > bytes {
			t.Errorf("%d MiB at most, with a limit of %d", peak/mib, bytes/mib)
		}
	}
}

// controlGroup makes a control group for memory, below that of the test, and returns
// its directory and the name of its limit; "" where that is not permitted.
func controlGroup(t *testing.T) (dir, limit string) {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", ""
	}
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
			continue
		case fields[1] == "memory":
			dir, limit = "/sys/fs/cgroup/memory"+fields[2], "memory.limit_in_bytes"
		case fields[0] == "0" && limit == "":
			dir, limit = "/sys/fs/cgroup"+fields[2], "memory.max"
		}
	}
	dir = filepath.Join(dir, fmt.Sprintf("spillway-%d", time.Now().UnixNano()))
	if os.Mkdir(dir, 0o755) != nil {
		return "", ""
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if _, err := os.Stat(filepath.Join(dir, limit)); err != nil {
		return "", ""
	}
	return dir, limit
}

// needFiles skips the test where a process may have fewer descriptors open.
func needFiles(t *testing.T, files int) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < uint64(files) {
		t.Skipf("needs %d file descriptors: %d, %v", files, limit.Cur, err)
	}
}

// request is a request for net/http.
func (p *program) request(body string) *http.Request {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodPost, "http://"+p.data+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	return r
}

// inFlight asks the admin listener for the requests in flight.
func (p *program) inFlight() int {
	p.Helper()
	resp, err := http.Get("http://" + p.admin + "/admin/state")
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	var state struct {
		InFlight int `json:"in_flight"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&state); err != nil {
		p.Fatal(err)
	}
	return state.InFlight
}

// newReader reads a connection with a small buffer: there are thousands.
func newReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 1<<10) }

// untilDone reads the rest of a stream up to its last chunk.
type untilDone struct{ c *client }

func (u untilDone) Read(p []byte) (int, error) {
	line, err := u.c.in.ReadString('\n')
	if line == "0\r\n" {
		return 0, io.EOF
	}
	return copy(p, line), err
}
