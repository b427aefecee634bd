// Package limits runs the built program within limits of memory and file
// descriptors, between raw peers that use them up.
package limits

import (
	"bufio"
	"bytes"
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
	"testing"
	"time"
)

// binary is the built program.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "spillway-limits-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "spillway")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "../../cmd/spillway")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building the gateway: %v\n%s", err, out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// patience is how long only a hang takes.
const patience = 2 * time.Minute

// program is the gateway in a process of its own.
type program struct {
	*testing.T
	cmd         *exec.Cmd
	data, admin string
	log         safeBuffer
	records     string
	exited      chan error
}

// launch is how to start a program.
type launch struct {
	server string // more of the configuration's server
	env    []string
	shell  string // runs before the program, in its process
}

const configuration = `
server: {listen: "127.0.0.1:0", admin: "127.0.0.1:0", drain_timeout: 0s, body_timeout: 60s, min_body_rate: 1%s}
deployments: [{name: a, endpoint: "%s", style: openai, model: gpt-4o-mini, tls: {insecure_skip_verify: true}}]
pools: [{name: gpt-4o-mini, tiers: [[a]]}]
classes: [{name: c, window: 5m}]
anonymous: c
records: {dir: %q}
`

// start starts the gateway before a deployment.
func start(t *testing.T, up *deployment, l launch) *program {
	t.Helper()
	return startBefore(t, "http://"+up.addr(), l)
}

// startBefore starts the gateway before the deployment at endpoint.
func startBefore(t *testing.T, endpoint string, l launch) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{T: t, records: filepath.Join(dir, "records"), exited: make(chan error, 1)}
	config := filepath.Join(dir, "spillway.yaml")
	text := fmt.Sprintf(configuration, l.server, endpoint, p.records)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command("sh", "-c", l.shell+` exec "$0" "$@"`, binary, "serve", "--config", config)
	p.cmd.Env = append(append(os.Environ(), "GOMEMLIMIT=", "GOGC="), l.env...)
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the gateway:\n%.4000s", p.log.String())
		}
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
	listening := regexp.MustCompile(`listening data=(\S+) admin=(\S+)`)
	p.await("the listeners", func() bool {
		found := listening.FindStringSubmatch(p.log.String())
		if found != nil {
			p.data, p.admin = found[1], found[2]
		}
		return found != nil
	})
	return p
}

// await waits until done, which fails the test if the gateway ends before.
func (p *program) await(what string, done func() bool) {
	p.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !done() {
		select {
		case err := <-p.exited:
			p.exited <- err
			p.Fatalf("the gateway ended while waiting for %s: %v", what, err)
		case <-end:
			p.Fatalf("no %s within %v", what, patience)
		case <-tick.C:
		}
	}
}

// alive fails the test if the gateway has ended.
func (p *program) alive() {
	p.Helper()
	select {
	case err := <-p.exited:
		p.exited <- err
		p.Fatalf("the gateway ended: %v", err)
	default:
	}
}

// status reads a figure in KiB from the process's status, and returns bytes.
func (p *program) status(name string) int {
	p.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.Fatal(err)
	}
	found := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(text)
	if found == nil {
		p.Skipf("this system does not report %s", name)
	}
	n, _ := strconv.Atoi(string(found[1]))
	return n << 10
}

// peak is the most memory that was resident.
func (p *program) peak() int { return p.status("VmHWM") }

// cpu is the CPU time that the process has used.
func (p *program) cpu() time.Duration {
	p.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// outcomes counts the records by outcome, once there are so many.
func (p *program) outcomes(records int) map[string]int {
	p.Helper()
	outcome := regexp.MustCompile(`"outcome":"([^"]*)"`)
	var counts map[string]int
	p.await(fmt.Sprintf("%d records", records), func() bool {
		counts = make(map[string]int)
		files, _ := filepath.Glob(filepath.Join(p.records, "*"))
		n := 0
		for _, file := range files {
			text, _ := os.ReadFile(file)
			for _, found := range outcome.FindAllSubmatch(text, -1) {
				counts[string(found[1])]++
				n++
			}
		}
		return n >= records
	})
	return counts
}

// healthy asks the admin listener, on a new connection.
func (p *program) healthy() {
	p.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + p.admin + "/healthz")
	if err != nil {
		p.Fatalf("the admin listener: %v", err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		p.Fatalf("/healthz: %s", resp.Status)
	}
}

// client is a raw connection to the gateway.
type client struct {
	net.Conn
	in *bufio.Reader
}

func (p *program) dial() *client {
	p.Helper()
	conn, err := net.Dial("tcp", p.data)
	if err != nil {
		p.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	p.Cleanup(func() { conn.Close() })
	return &client{conn, bufio.NewReaderSize(conn, 1<<10)}
}

// post sends a request. The gateway may answer before it has read all of it, so the
// error is that of the response.
func (c *client) post(body string) {
	_, _ = fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(body))
	_, _ = io.WriteString(c, body)
}

// head reads the head of a response.
func (c *client) head() (*http.Response, error) { return http.ReadResponse(c.in, nil) }

// whole reads a response and closes the connection.
func (c *client) whole() (status int, header http.Header, body string, err error) {
	defer c.Close()
	resp, err := c.head()
	if err != nil {
		return 0, nil, "", err
	}
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(text), err
}

// refused checks that a response is a 503 in the shape of the API that asks for a retry.
func refused(t *testing.T, status int, header http.Header, body string) {
	t.Helper()
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(body, `"code":"overloaded"`) {
		t.Errorf("want a 503 that asks for a retry, got %d, %v, %.200s", status, header, body)
	}
}

// deployment is a raw peer that plays a deployment: each request on its listener is
// read, body and all, and given to serve with its connection.
type deployment struct {
	net.Listener
	serve func(conn net.Conn, stream bool)

	mu    sync.Mutex
	conns []net.Conn
}

func newDeployment(t *testing.T, serve func(conn net.Conn, stream bool)) *deployment {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &deployment{Listener: l, serve: serve}
	t.Cleanup(func() {
		l.Close()
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, c := range d.conns {
			c.Close()
		}
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			d.mu.Lock()
			d.conns = append(d.conns, conn)
			d.mu.Unlock()
			go d.requests(conn)
		}
	}()
	return d
}

func (d *deployment) addr() string { return d.Addr().String() }

func (d *deployment) requests(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 4<<10)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		var tail tailBuffer
		if _, err := io.Copy(&tail, r.Body); err != nil {
			return
		}
		d.serve(conn, strings.Contains(string(tail.b), `"stream":true`) || strings.Contains(tail.first, `"stream":true`))
	}
}

// tailBuffer keeps the beginning and the end of what is written.
type tailBuffer struct {
	first string
	b     []byte
}

func (t *tailBuffer) Write(p []byte) (int, error) {
	if t.first == "" {
		t.first = string(p[:min(len(p), 256)])
	}
	t.b = append(t.b[:0], p[max(0, len(p)-256):]...)
	return len(p), nil
}

const (
	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	delta      = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}` + "\n\n"
	final      = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
)

// chunk is a chunk of a response.
func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

// answer answers at once.
func answer(conn net.Conn, _ bool) {
	_, _ = io.WriteString(conn, streamHead+chunk(delta+final)+"0\r\n\r\n")
}

// safeBuffer may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
