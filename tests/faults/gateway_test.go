//go:build linux

package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// upstreamKey is the credential of a deployment, which no client may see.
func upstreamKey(lane string) string { return "upstream-credential-of-" + lane }

// key is the key of a caller.
func key(caller string) string { return "key-of-" + caller + "-0123456789abcdef" }

// callers are the configured callers.
var callers = []string{"alice", "bob", "carol", "dave", "erin", "frank"}

// lane is a deployment of the gateway.
type lane struct {
	name string
	peer *peer
	url  string // replaces the peer's
	key  string // replaces upstreamKey
	more string // further options, each with a comma before it
}

// setup is the configuration of a row. The strings are the inside of YAML flow
// mappings.
type setup struct {
	lanes   []lane // one per tier
	server  string // options of server
	class   string // options of the class
	window  time.Duration
	budget  string
	pool    string // options of the pool, each with a comma before it
	more    string // further top-level lines
	store   bool   // keep a record store
	command []string
	env     []string
	listen  string // address of the data listener; any when empty
	bin     string // replaces the gateway's binary
	keep    string // directory of an earlier gateway to go on with
}

// yaml is the configuration file.
func (s *setup) yaml(dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "server: {listen: %q, admin: \"127.0.0.1:0\", %s}\n", or(s.listen, "127.0.0.1:0"), s.server)
	b.WriteString("deployments:\n")
	var tiers []string
	for _, l := range s.lanes {
		url := l.url
		if url == "" {
			url = l.peer.url()
		}
		fmt.Fprintf(&b, "  - {name: %s, endpoint: %q, style: azure, model: gpt-4o-mini, deployment: %[1]s, auth: {api_key: %[3]s}%s}\n",
			l.name, url, or(l.key, upstreamKey(l.name)), l.more)
		tiers = append(tiers, "["+l.name+"]")
	}
	fmt.Fprintf(&b, "pools:\n  - {name: m, tiers: [%s]%s}\n", strings.Join(tiers, ", "), s.pool)
	fmt.Fprintf(&b, "classes:\n  - {name: c, window: %v, budget: {%s}, %s}\n", s.window, s.budget, s.class)
	b.WriteString("callers:\n")
	for _, c := range callers {
		fmt.Fprintf(&b, "  - {name: %s, key: %s, class: c}\n", c, key(c))
	}
	if !strings.Contains(s.more, "records:") {
		fmt.Fprintf(&b, "records: {dir: %q}\n", filepath.Join(dir, "records"))
	}
	if s.store {
		fmt.Fprintf(&b, "store: {dir: %q}\n", filepath.Join(dir, "store"))
	}
	b.WriteString(s.more)
	return b.String()
}

// gateway is a running child process.
type gateway struct {
	t           testing.TB
	dir         string
	config      string
	cmd         *exec.Cmd
	out         *output
	data, admin string        // addresses
	done        chan struct{} // closed when the process has ended
	stopped     bool
	idle        load // of a gateway that has served nothing
}

// output is what the process has printed.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// text returns what was printed so far.
func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// listening is the line that says where the gateway listens.
var listening = regexp.MustCompile(`listening data=(\S+) admin=(\S+)`)

// startGateway starts the program and waits until it is ready. It does not
// outlive the test.
func startGateway(t testing.TB, s *setup) *gateway {
	t.Helper()
	dir := s.keep
	if dir == "" {
		dir = t.TempDir()
	}
	g := &gateway{t: t, dir: dir, config: filepath.Join(dir, "spillway.yaml"), out: &output{}, done: make(chan struct{})}
	if err := os.WriteFile(g.config, []byte(s.yaml(dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(append([]string(nil), s.command...), or(s.bin, program), "serve", "--config", g.config)
	g.cmd = exec.Command(args[0], args[1:]...)
	g.cmd.Env = append(append(os.Environ(), "HTTP_PROXY=", "HTTPS_PROXY=", "http_proxy=", "https_proxy="), s.env...)
	g.cmd.Stdout, g.cmd.Stderr = g.out, g.out
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		t.Fatalf("starting the gateway: %v", err)
	}
	go func() {
		_ = g.cmd.Wait() // checked by stop
		close(g.done)
	}()
	t.Cleanup(func() {
		_ = g.cmd.Process.Kill()
		<-g.done
		if t.Failed() {
			text := g.out.text()
			t.Logf("the gateway's last output:\n%s", text[max(0, len(text)-4000):])
		}
	})
	g.awaitListening()
	g.idle = g.load()
	return g
}

// awaitListening waits for the addresses.
func (g *gateway) awaitListening() {
	g.t.Helper()
	eventually(g.t, patience, "the gateway listens", func() bool {
		select {
		case <-g.done:
			g.t.Fatalf("the gateway ended at its start: %v\n%s", g.cmd.ProcessState, g.out.text())
		default:
		}
		found := listening.FindStringSubmatch(g.out.text())
		if found != nil {
			g.data, g.admin = found[1], found[2]
		}
		return found != nil
	})
}

// stop sends SIGTERM and returns the exit status.
func (g *gateway) stop() int {
	g.t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Errorf("SIGTERM: %v", err)
	}
	return g.wait()
}

// wait waits for the end of the process.
func (g *gateway) wait() int {
	g.t.Helper()
	g.stopped = true
	select {
	case <-g.done:
	case <-time.After(4 * patience):
		g.t.Errorf("the gateway still runs %v after SIGTERM", 4*patience)
		_ = g.cmd.Process.Kill()
		<-g.done
	}
	return g.cmd.ProcessState.ExitCode()
}

// running reports whether the process runs.
func (g *gateway) running() bool {
	select {
	case <-g.done:
		return false
	default:
		return true
	}
}

// reload replaces the configuration file.
func (g *gateway) reload(text string) {
	g.t.Helper()
	next := g.config + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(next, g.config); err != nil {
		g.t.Fatal(err)
	}
}

// adminClient reads the admin listener. That is not under test, so it may be
// the library's.
var adminClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// get reads a page of the admin listener.
func (g *gateway) get(path string) (status int, body string, err error) {
	resp, err := adminClient.Get("http://" + g.admin + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// status is what /admin/state says.
type status struct {
	Status   string
	InFlight int `json:"in_flight"`
	Policy   struct{ Reloads int }
	Pools    []struct {
		Deployments []struct {
			Name        string
			State       string
			Utilization float64
			InFlight    int `json:"in_flight"`
		}
	}
}

// status reads /admin/state.
func (g *gateway) status() status {
	g.t.Helper()
	_, body, err := g.get("/admin/state")
	if err != nil {
		g.t.Errorf("GET /admin/state: %v", err)
		return status{}
	}
	var s status
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		g.t.Errorf("/admin/state returned %q: %v", body, err)
	}
	return s
}

// state is the state of a lane.
func (g *gateway) state(name string) string {
	g.t.Helper()
	for _, p := range g.status().Pools {
		for _, d := range p.Deployments {
			if d.Name == name {
				return d.State
			}
		}
	}
	return "absent"
}

// utilization is the level of a lane's meter.
func (g *gateway) utilization(name string) float64 {
	g.t.Helper()
	for _, p := range g.status().Pools {
		for _, d := range p.Deployments {
			if d.Name == name {
				return d.Utilization
			}
		}
	}
	return -1
}

// metrics reads /metrics as series and value.
func (g *gateway) metrics() map[string]float64 {
	g.t.Helper()
	_, body, err := g.get("/metrics")
	if err != nil {
		g.t.Errorf("GET /metrics: %v", err)
	}
	series := map[string]float64{}
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			series[line[:at]] = v
		}
	}
	return series
}

// sum adds the series of a metric whose labels contain each of parts.
func sum(series map[string]float64, name string, parts ...string) float64 {
	total := 0.0
next:
	for s, v := range series {
		if s != name && !strings.HasPrefix(s, name+"{") {
			continue
		}
		for _, part := range parts {
			if !strings.Contains(s, part) {
				continue next
			}
		}
		total += v
	}
	return total
}

// load is what a process holds.
type load struct {
	goroutines, fds int
	heap            float64 // bytes in use
	memory          float64 // resident bytes
}

// load reads the metrics of the process.
func (g *gateway) load() load {
	g.t.Helper()
	m := g.metrics()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.cmd.Process.Pid))
	if err != nil {
		g.t.Errorf("reading descriptors: %v", err)
	}
	return load{int(m["go_goroutines"]), len(fds), m["go_memstats_heap_inuse_bytes"], g.memory("VmRSS")}
}

// memory reads a line of /proc/PID/status, such as VmHWM, in bytes.
func (g *gateway) memory(name string) float64 {
	g.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		g.t.Errorf("reading memory: %v", err)
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb * 1024
		}
	}
	g.t.Errorf("no %s in status", name)
	return 0
}

// cpu is the CPU time that the process has used.
func (g *gateway) cpu() time.Duration {
	g.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.cmd.Process.Pid))
	if err != nil {
		g.t.Errorf("reading CPU time: %v", err)
		return 0
	}
	words := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	ticks := 0
	for _, word := range words[11:13] {
		n, _ := strconv.Atoi(word)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// eventually waits until a condition holds. Only a hang exceeds the limit.
func eventually(t testing.TB, limit time.Duration, what string, holds func() bool) bool {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; <-tick.C {
		if holds() {
			return true
		}
		if time.Now().After(end) {
			t.Errorf("not within %v: %s", limit, what)
			return false
		}
	}
}

// freePort returns a loopback address that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
